//! How a pool places builds, how long it waits, and what it asks.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::{BuildRequest, ImageRegistry};

use crate::builder::BuilderOptions;
use crate::hook::Hook;

type NamespaceOf = dyn Fn(&BuildRequest) -> String + Send + Sync;

/// How a [`Pool`](crate::Pool) works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolOptions {
    /// How each daemon is reached, what is [set](BuilderOptions::customize) beyond the requests, and how a build is retried
    /// where another daemon would not help (a registry that throttles, an expired credential). Its time limit counts from when
    /// the build gets its place.
    pub builder: BuilderOptions,
    /// Builds at once on each daemon, when its [`Member`](crate::Member) says nothing else. Default: 4. One build leaves the
    /// daemon's processors idle while it pulls, pushes and waits for its client; with many at once each of them gets slower,
    /// and a lost daemon takes more with it.
    pub capacity: usize,
    /// The word of the daemons that are near: they are taken first. Default: none is nearer than another.
    pub region: Option<String>,
    /// How long a build waits for the daemon that has its cache while another one has room. It waits only if a place there
    /// should be free by then, as builds there last on average. Default: 5 s.
    pub patience: Duration,
    /// Builds that may wait; more are refused. Default: 1,000.
    pub queue_limit: usize,
    /// Longest time that a build waits for its place. Default: 30 min.
    pub wait_timeout: Duration,
    /// Longest time that a build waits while no daemon that could take it answers. Default: 2 min, enough for one to restart.
    pub unreachable_timeout: Duration,
    /// Builds at once of one namespace. Default: as many as there is room for.
    pub namespace_limit: Option<usize>,
    /// Daemons that one build may lose before it is given up: a build may be what kills them. Default: 3 tries in all.
    pub attempts: u32,
    /// How often a daemon is asked whether it is well. Each time on a new connection: a daemon that drains still answers on
    /// old ones. Default: 15 s.
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
    /// Sets how each daemon is reached, options of all builds, and retries.
    #[must_use]
    pub fn builder(mut self, options: BuilderOptions) -> Self {
        self.builder = options;
        self
    }

    /// Sets how many builds a daemon runs at once.
    #[must_use]
    pub fn capacity(mut self, builds: usize) -> Self {
        self.capacity = builds.max(1);
        self
    }

    /// Sets the word of the daemons that are near.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets how long a build waits for the daemon that has its cache.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how many builds may wait.
    #[must_use]
    pub fn queue_limit(mut self, builds: usize) -> Self {
        self.queue_limit = builds;
        self
    }

    /// Sets how long a build may wait for its place.
    #[must_use]
    pub fn wait_timeout(mut self, limit: Duration) -> Self {
        self.wait_timeout = limit;
        self
    }

    /// Sets how long a build waits while no daemon answers.
    #[must_use]
    pub fn unreachable_timeout(mut self, limit: Duration) -> Self {
        self.unreachable_timeout = limit;
        self
    }

    /// Sets how many builds of one namespace run at once.
    #[must_use]
    pub fn namespace_limit(mut self, builds: usize) -> Self {
        self.namespace_limit = Some(builds.max(1));
        self
    }

    /// Sets how often a build is tried in all when its daemons are lost.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets how often a daemon is asked whether it is well.
    #[must_use]
    pub fn probe_interval(mut self, every: Duration) -> Self {
        self.probe_interval = every;
        self
    }

    /// Sets what belongs together: builds of one namespace share a daemon's cache and one place in the round. Default: the
    /// image's name without its tag, under which a daemon also keeps the files of the last context.
    #[must_use]
    pub fn namespace(
        mut self,
        namespace: impl Fn(&BuildRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        self.namespace = Hook(Arc::new(namespace));
        self
    }

    /// Sets how the registry is asked (`pipeops_registry::Registries` is one way). It is needed to join platforms that were
    /// built on different daemons. It also saves a build whose daemon was lost after it had pushed; without it such a build
    /// is done again.
    #[must_use]
    pub fn registry(mut self, registry: Arc<dyn ImageRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }
}
