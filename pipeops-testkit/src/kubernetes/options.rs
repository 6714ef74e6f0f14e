//! How a cluster is started.

use std::time::Duration;

/// How a [`Cluster`](super::Cluster) is started.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// How many seconds of the cluster pass in one real second (default 20). It scales what the cluster itself waits
    /// for: back-off, probe periods, `progressDeadlineSeconds`, `minReadySeconds`, grace periods. It does not scale the
    /// durations of a [`PodBehaviour`](super::PodBehaviour), nor the times that objects carry.
    pub speed: u32,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { speed: 20 }
    }
}

impl ClusterOptions {
    /// Sets how many seconds of the cluster pass in one real second; 0 counts as 1.
    #[must_use]
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed.max(1);
        self
    }

    /// A time of the cluster in real time.
    pub(crate) fn real(&self, cluster_time: Duration) -> Duration {
        cluster_time / self.speed.max(1)
    }
}
