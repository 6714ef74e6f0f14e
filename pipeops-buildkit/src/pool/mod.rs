//! Builds at many daemons.

mod daemon;
mod dns;
pub(crate) mod error;
mod join;
mod keeper;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod member;
mod options;
mod platform;
mod queue;
mod rank;
mod run;
mod scheduler;
#[cfg(test)]
mod scheduler_tests;
mod shared;
mod status;
mod wait;

use std::sync::Arc;

use async_trait::async_trait;
use pipeops_core::{BuildRequest, BuiltImage, EventSink, Failure, ImageBuilder};
use tokio_util::task::AbortOnDropHandle;

pub use dns::DnsMembers;
pub use error::PoolError;
#[cfg(feature = "kubernetes")]
pub use kubernetes::EndpointSliceMembers;
pub use member::{Discover, Member, StaticMembers};
pub use options::PoolOptions;
pub use status::{MemberState, MemberStatus};

use crate::error::Error;
use run::Ended;
use shared::Shared;

/// Builds images at a set of daemons.
///
/// - **Warm caches.** Each project ([`PoolOptions::namespace`]) has a daemon of its own, by rendezvous hashing over the members'
///   names, and the others in a fixed order after it: daemons that are near ([`PoolOptions::region`]) first. When its daemon is
///   full, a build waits a moment if a place should be free soon, else it takes the next one. A member that joins or leaves
///   moves only its own share of the projects.
/// - **Fair turns.** Builds beyond the daemons' capacity wait, in turn between projects and first come first served inside one,
///   and say so ([`BuildWaiting`](pipeops_core::event::EventKind::BuildWaiting)). The queue has a limit.
/// - **Lost daemons.** A build that lost its daemon is done again at another one, with the reason as a warning. If the daemon
///   had begun to export, the registry is asked first whether the tag names the very digest that it was about to push
///   ([`PoolOptions::registry`]): then the image is there, and is taken. Should a daemon push after all while the build is done
///   again elsewhere, the tag may name its image; the digest in the result is in the registry in any case.
/// - **Platforms apart.** When no single daemon builds for all platforms of a request, each is built where it can be, pushed by
///   its digest alone, and joined under the tag in the end. Each platform then has a build cache of its own name
///   (`NAME-linux-arm64`). Attestations, if a part has them, stay with it.
///
/// A daemon is asked every [`PoolOptions::probe_interval`] whether it is well. One that refuses connections, or that its list
/// calls draining, gets no new builds and ends its old ones. Clones share everything. When the last one is dropped, so is the
/// task that keeps the list.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    _keeper: Arc<AbortOnDropHandle<()>>,
}

impl Pool {
    /// Starts to look for members and to ask how they are. Builds may be asked for at once: they wait.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(discover: impl Discover, options: PoolOptions) -> Self {
        let shared = Arc::new(Shared::new(options));
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared), Arc::new(discover)));
        Self {
            shared,
            _keeper: Arc::new(AbortOnDropHandle::new(keeper)),
        }
    }

    /// All members as they are now, by name.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.shared.scheduler().status()
    }

    /// Builds that wait for a place.
    pub fn waiting(&self) -> usize {
        self.shared.scheduler().waiting()
    }
}

impl Pool {
    /// Builds and pushes one image and reports to `events`. Dropping the future cancels the build.
    ///
    /// # Errors
    /// [`Error::Pool`] when no daemon took the build or its platforms could not be joined, else as
    /// [`Builder::build`](crate::Builder::build).
    pub async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Error> {
        let image = request.image.clone();
        let built = match run::run(&self.shared, request.clone(), false, events).await? {
            Ended::Built(built) => built,
            Ended::PerPlatform => join::build_per_platform(&self.shared, &request, events).await?,
        };
        Ok(BuiltImage::new(
            &image,
            built.digest,
            built.steps,
            built.cached,
        ))
    }
}

#[async_trait]
impl ImageBuilder for Pool {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        Ok(self.build(request, events).await?)
    }
}
