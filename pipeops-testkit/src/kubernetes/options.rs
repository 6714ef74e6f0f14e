//! How a cluster is started.

use std::time::Duration;

use crate::registry::{Registry, Source};

/// How a [`Cluster`](super::Cluster) is started.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// How many seconds of the cluster pass in one real second (default 20). It scales what the cluster itself waits
    /// for: back-off, probe periods, `progressDeadlineSeconds`, `minReadySeconds`, grace periods. It does not scale the
    /// durations of a [`PodBehaviour`](super::PodBehaviour), nor the times that objects carry.
    pub speed: u32,
    pub(crate) registry: Option<Source>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            speed: 20,
            registry: None,
        }
    }
}

impl ClusterOptions {
    /// Sets how many seconds of the cluster pass in one real second; 0 counts as 1.
    #[must_use]
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed.max(1);
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

    /// A time of the cluster in real time.
    pub(crate) fn real(&self, cluster_time: Duration) -> Duration {
        cluster_time / self.speed.max(1)
    }
}
