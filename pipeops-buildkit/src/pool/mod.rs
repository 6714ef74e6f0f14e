//! Builds on many daemons.

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

/// Builds images on a set of daemons.
///
/// - **Warm caches.** Rendezvous hashing over the members' names assigns each project ([`PoolOptions::namespace`]) to a daemon,
///   and gives an order of the others: near daemons ([`PoolOptions::region`]) first. If the daemon is full, a build waits
///   briefly when a slot should be free soon, else it takes the next daemon. A member that joins or leaves moves only its share
///   of the projects.
/// - **Fair queue.** Builds beyond the daemons' capacity wait and emit
///   [`BuildWaiting`](pipeops_core::event::EventKind::BuildWaiting). Projects take turns; builds of one project are served in
///   order. The queue has a limit.
/// - **Lost daemons.** A build that lost its daemon is retried on another one, with the reason as a warning. If the daemon had
///   started to export, the pool first asks the registry whether the tag names the digest that was to be pushed
///   ([`PoolOptions::registry`]); if so, that image is the result. A build with other outputs is always retried. If the lost
///   daemon pushes while the retry runs, the tag may name its image; the digest in the result is in the registry in any case.
/// - **Platforms on separate daemons.** If no single daemon builds for all platforms of a request, each platform is built on
///   its own daemon and pushed by digest. Then the images are joined under the tag. Each platform's build cache has its own
///   name (`NAME-linux-arm64`). Attestations of a part are kept.
///
/// Each daemon is probed every [`PoolOptions::probe_interval`]. A daemon that refuses connections, or that its list marks as
/// draining, gets no new builds and finishes its running ones. Clones share everything. The task that watches the members ends
/// when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    _keeper: Arc<AbortOnDropHandle<()>>,
}

impl Pool {
    /// Starts to discover and probe members. Builds can start at once: they wait for members.
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

    /// The current state of all members, by name.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.shared.scheduler().status()
    }

    /// How many builds wait for a slot.
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
