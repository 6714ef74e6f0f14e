//! How a cluster starts.

use std::time::Duration;

use crate::registry::{Registry, Source};

/// How a [`Cluster`](super::Cluster) starts. Default: speed 20, no registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// How many seconds of the cluster pass in one real second. Default: 20. It scales what the cluster waits for: back-off,
    /// probe periods, `progressDeadlineSeconds`, `minReadySeconds`, grace periods. It doesn't scale the durations of a
    /// [`PodBehaviour`](super::PodBehaviour) or the timestamps in objects.
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
    /// Sets how many seconds of the cluster pass in one real second. It shortens the cluster's own waits, not those of its
    /// clients. 0 counts as 1.
    #[must_use]
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed.max(1);
        self
    }

    /// Makes the node check that this registry has an image before a pod starts it, with the credentials of the pod's pull
    /// secrets. Pulls from other registries succeed unless a [`PodBehaviour`](super::PodBehaviour) makes them fail.
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
