//! How a pool assigns builds to daemons, and its limits.

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
    /// Concurrent builds on each daemon, unless its [`Member`](crate::Member) sets a capacity. Default: 4. A single build leaves
    /// processors idle while it pulls and pushes. With many builds each gets slower, and a lost daemon takes more of them with
    /// it.
    pub capacity: usize,
    /// The region whose daemons are preferred. Default: no preference.
    pub region: Option<String>,
    /// How long a build waits for the daemon that has its cache while another one has room. It waits only if the average
    /// duration of builds there promises a free slot in that time. Default: 5 s.
    pub patience: Duration,
    /// How many builds may wait; more are rejected. Default: 1,000.
    pub queue_limit: usize,
    /// How long a build may wait for a slot. Default: 30 min.
    pub wait_timeout: Duration,
    /// How long a build waits while no suitable daemon answers. Default: 2 min, enough for a restart.
    pub unreachable_timeout: Duration,
    /// Concurrent builds of one namespace. Default: no limit.
    pub namespace_limit: Option<usize>,
    /// Attempts of a build that loses its daemons: the build may be what kills them. Default: 3.
    pub attempts: u32,
    /// How often a daemon is probed. Each probe opens a new connection, because a draining daemon still answers on old ones.
    /// Default: 15 s.
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

    /// Sets how many builds a daemon runs concurrently.
    #[must_use]
    pub fn capacity(mut self, builds: usize) -> Self {
        self.capacity = builds.max(1);
        self
    }

    /// Sets the preferred region.
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

    /// Sets how long a build may wait for a slot.
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

    /// Sets how many builds of one namespace run concurrently.
    #[must_use]
    pub fn namespace_limit(mut self, builds: usize) -> Self {
        self.namespace_limit = Some(builds.max(1));
        self
    }

    /// Sets the number of attempts when daemons are lost.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets how often a daemon is probed.
    #[must_use]
    pub fn probe_interval(mut self, every: Duration) -> Self {
        self.probe_interval = every;
        self
    }

    /// Sets the namespace of a build. Builds of one namespace share a daemon's cache and a turn in the queue. Default: the image's
    /// name without its tag, under which a daemon also keeps the files of the last context.
    #[must_use]
    pub fn namespace(
        mut self,
        namespace: impl Fn(&BuildRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        self.namespace = Hook(Arc::new(namespace));
        self
    }

    /// Sets the registry client, such as `pipeops_registry::Registries`. It joins platforms that were built on different
    /// daemons, and finds the image of a build whose daemon was lost after the push; without it such a build is retried.
    #[must_use]
    pub fn registry(mut self, registry: Arc<dyn ImageRegistry>) -> Self {
        self.registry = Some(registry);
        self
    }
}
