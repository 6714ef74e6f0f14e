//! A pool of daemons.

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

/// Builds and pushes images on a set of daemons.
///
/// - **Warm caches.** Rendezvous hashing over the members' names gives each project ([`PoolOptions::namespace`]) an order of the
///   daemons, those in the pool's [`region`](PoolOptions::region) first. A build uses the first one, which has its cache. If
///   that's full, the build waits briefly if a slot should be free soon ([`PoolOptions::patience`]); otherwise it uses the next
///   one. A member that joins or leaves moves only its share of the projects.
/// - **Fair queue.** Builds beyond the daemons' capacity wait and emit
///   [`BuildWaiting`](pipeops_core::event::EventKind::BuildWaiting) events. Projects take turns; builds of one project run in
///   order. The queue has a limit ([`PoolOptions::queue_limit`]).
/// - **Lost daemons.** A build that lost its daemon is retried on another one, and a warning says why. If the daemon had started to
///   export, the pool first asks the registry whether the tag names the expected digest ([`PoolOptions::registry`]); if so, that
///   image is the result. A build with other outputs is always retried. If the lost daemon pushes while the retry runs, the tag
///   may name its image; the digest in the result exists in the registry in either case.
/// - **Platforms on separate daemons.** If no single daemon builds for all platforms of a request, each platform is built on
///   a separate daemon and pushed by digest. Then the images are joined under the tag. Each platform has a separate build cache
///   (`NAME-linux-arm64`). Attestations are kept.
///
/// Each daemon is probed every [`PoolOptions::probe_interval`]. A daemon that refuses connections or is marked as draining gets no
/// new builds and finishes its running ones. Clones share everything. The background task ends when the last clone is dropped.
///
/// ```
/// use std::sync::Arc;
/// use pipeops_buildkit::{Address, BuildRequest, Diagnose, Discard, Member, Pool, PoolOptions, StaticMembers};
/// use pipeops_registry::Registries;
/// # use pipeops_testkit::{buildkit::{BuildkitDaemon, BuildkitOptions}, registry::{Registry, RegistryOptions}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let registry = Registry::start(RegistryOptions::default()).await?;
/// # let (one, two) = (BuildkitDaemon::start(BuildkitOptions::default()).await?, BuildkitDaemon::start(BuildkitOptions::default()).await?);
/// # let (one_address, two_address) = (one.address(), two.address());
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n")?;
/// let members = StaticMembers::new([
///     Member::new(Address::parse(&one_address)?).name("buildkit-0"),
///     Member::new(Address::parse(&two_address)?).name("buildkit-1"),
/// ]);
/// let pool = Pool::start(members, PoolOptions::default().registry(Arc::new(Registries::default())));
/// let image = format!("{}/team/app:3f2a1c", registry.host()).parse()?;
/// match pool.build(BuildRequest::new(folder.path(), image), &Discard).await {
///     Ok(built) => println!("pushed {}", built.image),
///     Err(error) => panic!("{}", error.diagnosis()),
/// }
/// for member in pool.members() {
///     println!("{}: {:?}, {} of {} builds", member.name, member.state, member.running, member.capacity);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    _keeper: Arc<AbortOnDropHandle<()>>,
}

impl Pool {
    /// Starts the pool: discovers and probes members in the background. Builds can be submitted at once and wait for members.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn start(discover: impl Discover, options: PoolOptions) -> Self {
        let shared = Arc::new(Shared::new(options));
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared), Arc::new(discover)));
        Self {
            shared,
            _keeper: Arc::new(AbortOnDropHandle::new(keeper)),
        }
    }

    /// Returns the current state of all members, sorted by name.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.shared.scheduler().status()
    }

    /// Returns the number of builds that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.shared.scheduler().waiting()
    }
}

impl Pool {
    /// Builds and pushes one image and reports progress to `events`. To cancel the build, drop the future.
    ///
    /// # Errors
    /// [`Error::Pool`] if no daemon accepted the build or its platforms couldn't be joined; otherwise as
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
