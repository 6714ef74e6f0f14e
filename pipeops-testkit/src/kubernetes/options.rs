//! How a cluster is started.

use std::time::Duration;

use crate::registry::{Registry, Source};

/// How a [`Cluster`](super::Cluster) is started.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// The bearer token that clients must send (default none: everybody may).
    pub token: Option<String>,
    /// How many seconds of the cluster pass in one real second (default 20). It scales what the cluster itself waits
    /// for: back-off, probe periods, `progressDeadlineSeconds`, `minReadySeconds`, grace periods. It does not scale the
    /// durations of a [`PodBehaviour`](super::PodBehaviour), nor the times that objects carry.
    pub speed: u32,
    /// How often a watch gets a bookmark, in real time (default one second).
    pub bookmark_every: Duration,
    /// What the one node has to offer (default 8 CPUs, 32Gi of memory, 500 pods).
    pub node: NodeOptions,
    pub(crate) registry: Option<Source>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            token: None,
            speed: 20,
            bookmark_every: Duration::from_secs(1),
            node: NodeOptions::default(),
            registry: None,
        }
    }
}

impl ClusterOptions {
    /// Sets the bearer token that clients must send.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets how many seconds of the cluster pass in one real second; 0 counts as 1.
    #[must_use]
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed.max(1);
        self
    }

    /// Sets how often a watch gets a bookmark.
    #[must_use]
    pub fn bookmark_every(mut self, time: Duration) -> Self {
        self.bookmark_every = time;
        self
    }

    /// Makes the node look into this registry before it starts one of its images, with the credentials of the pod's pull
    /// secrets. Without it, and for images of other registries, every pull succeeds, unless a
    /// [`PodBehaviour`](super::PodBehaviour) says otherwise.
    #[must_use]
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.source());
        self
    }

    /// Sets what the node has to offer.
    #[must_use]
    pub fn node(mut self, node: NodeOptions) -> Self {
        self.node = node;
        self
    }

    /// A time of the cluster in real time.
    pub(crate) fn real(&self, cluster_time: Duration) -> Duration {
        cluster_time / self.speed.max(1)
    }
}

/// The one node of the cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeOptions {
    /// Its name (default `stand-in`).
    pub name: String,
    /// Its CPUs, as a Kubernetes quantity (default `8`).
    pub cpu: String,
    /// Its memory, as a Kubernetes quantity (default `32Gi`).
    pub memory: String,
    /// How many pods it takes (default 500).
    pub pods: u32,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            name: "stand-in".into(),
            cpu: "8".into(),
            memory: "32Gi".into(),
            pods: 500,
        }
    }
}

impl NodeOptions {
    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets CPUs and memory, as Kubernetes quantities.
    #[must_use]
    pub fn capacity(mut self, cpu: impl Into<String>, memory: impl Into<String>) -> Self {
        self.cpu = cpu.into();
        self.memory = memory.into();
        self
    }

    /// Sets how many pods it takes.
    #[must_use]
    pub fn pods(mut self, pods: u32) -> Self {
        self.pods = pods;
        self
    }
}
