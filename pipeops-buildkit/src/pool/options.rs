//! The options of a pool: how it assigns builds to daemons, and its limits.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::{BuildRequest, ImageRegistry};

use crate::builder::BuilderOptions;
use crate::hook::Hook;

type NamespaceOf = dyn Fn(&BuildRequest) -> String + Send + Sync;

/// How a [`Pool`](crate::Pool) assigns builds to daemons, and its limits.
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::{BuilderOptions, PoolOptions};
///
/// let options = PoolOptions::default()
///     .builder(BuilderOptions::default().timeout(Duration::from_secs(20 * 60)))
///     .capacity(8)
///     .region("eu-west-1a")
///     .namespace_limit(2)
///     .namespace(|request| request.image.repository().to_owned());
/// assert_eq!(options.queue_limit, 1_000);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Options for each daemon's connection, [options of all builds](BuilderOptions::customize), and retries where another
    /// daemon wouldn't help, such as after throttling by a registry. The time limit starts when the build gets its first slot.
    pub builder: BuilderOptions,
    /// Concurrent builds per daemon, unless its [`Member`](crate::Member) sets a capacity. Default: 4. A single build leaves
    /// processors idle while it pulls and pushes. More builds slow each other down, and a lost daemon interrupts more of them.
    pub capacity: usize,
    /// The region whose daemons are preferred. Default: no preference.
    pub region: Option<String>,
    /// How long a build waits for the daemon that has its cache while another daemon has capacity. It waits only if a slot there
    /// should become free in that time, by the average duration of its builds. Default: 5 s.
    pub patience: Duration,
    /// Limit for waiting builds. Further builds fail with `QueueFull`. Default: 1,000.
    pub queue_limit: usize,
    /// How long a build may wait for a slot. Then it fails. Default: 30 min.
    pub wait_timeout: Duration,
    /// How long a build waits while no suitable daemon responds. Then it fails. Default: 2 min, enough for a restart.
    pub unreachable_timeout: Duration,
    /// Limit for concurrent builds of one namespace. Default: none.
    pub namespace_limit: Option<usize>,
    /// Number of attempts for a build that loses its daemon. It's limited because the build may be what kills them. Default: 3.
    pub attempts: u32,
    /// Interval between probes of a daemon. Each probe opens a new connection, because a draining daemon still responds on
    /// existing ones. Default: 15 s.
    pub probe_interval: Duration,
    pub(super) namespace: Hook<NamespaceOf>,
    pub(super) registry: Option<Arc<dyn ImageRegistry>>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            builder: BuilderOptions::default(),
            capacity: 4,
            region: None,
            patience: Duration::from_secs(5),
            queue_limit: 1_000,
            wait_timeout: Duration::from_secs(30 * 60),
            unreachable_timeout: Duration::from_secs(120),
            namespace_limit: None,
            attempts: 3,
            probe_interval: Duration::from_secs(15),
            namespace: Hook(Arc::new(|request| request.image.name())),
            registry: None,
        }
    }
}

impl PoolOptions {
    /// Sets the options for connections, builds and retries.
    #[must_use]
    pub fn builder(mut self, options: BuilderOptions) -> Self {
        self.builder = options;
        self
    }

    /// Sets the number of concurrent builds per daemon, at least 1.
    #[must_use]
    pub fn capacity(mut self, builds: usize) -> Self {
        self.capacity = builds.max(1);
        self
    }

    /// Sets the region whose daemons are preferred.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets how long a build waits for the daemon that has its cache while another daemon has capacity.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the limit for waiting builds.
    #[must_use]
    pub fn queue_limit(mut self, builds: usize) -> Self {
        self.queue_limit = builds;
        self
    }

    /// Sets how long a build may wait for a slot.
    #[must_use]
    pub fn wait_timeout(mut self, limit: Duration) -> Self {
        self.wait_timeout = limit;
        self
    }

    /// Sets how long a build waits while no suitable daemon responds.
    #[must_use]
    pub fn unreachable_timeout(mut self, limit: Duration) -> Self {
        self.unreachable_timeout = limit;
        self
    }

    /// Sets the limit for concurrent builds of one namespace, at least 1.
    #[must_use]
    pub fn namespace_limit(mut self, builds: usize) -> Self {
        self.namespace_limit = Some(builds.max(1));
        self
    }

    /// Sets the number of attempts for a build that loses its daemon, at least 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the interval between probes of a daemon.
    #[must_use]
    pub fn probe_interval(mut self, every: Duration) -> Self {
        self.probe_interval = every;
        self
    }

    /// Sets how the namespace of a build is derived. Builds of one namespace share a daemon, and thus its cache, and take turns
    /// with other namespaces in the queue. Default: the image's name without its tag.
    ///
    /// ```
    /// use pipeops_buildkit::PoolOptions;
    ///
    /// // All images of a team share a daemon: registry.example.com/TEAM/APP.
    /// let options = PoolOptions::default().namespace(|request| {
    ///     let repository = request.image.repository();
    ///     repository.split('/').next().unwrap_or(repository).to_owned()
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn namespace(
        mut self,
        namespace: impl Fn(&BuildRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        self.namespace = Hook(Arc::new(namespace));
        self
    }

    /// Sets the registry client, such as `pipeops_registry::Registries`. The pool uses it to join platforms that were built on
    /// different daemons, and to check whether a lost build had already pushed its image. Without it, platforms on different
    /// daemons are an error, and lost builds are always retried.
    #[must_use]
    pub fn registry(mut self, registry: Arc<dyn ImageRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }
}
