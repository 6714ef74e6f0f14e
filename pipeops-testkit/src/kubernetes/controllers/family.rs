//! A Deployment with its ReplicaSets, and the totals over them.

use std::sync::Arc;

use serde_json::Value;

use crate::kubernetes::request::Target;
use crate::kubernetes::resources::DEPLOYMENTS;
use crate::kubernetes::value::{count_of, int, text};

/// A Deployment and its ReplicaSets.
pub(super) struct Family {
    pub(super) deployment: Arc<Value>,
    /// Oldest first.
    pub(super) old: Vec<Arc<Value>>,
    pub(super) new: Option<Arc<Value>>,
}

impl Family {
    pub(super) fn namespace(&self) -> &str {
        text(&self.deployment, "/metadata/namespace")
    }

    pub(super) fn name(&self) -> &str {
        text(&self.deployment, "/metadata/name")
    }

    pub(super) fn target(&self) -> Target {
        Target::new(&DEPLOYMENTS, self.namespace(), self.name())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }

    /// The sum of a number over all ReplicaSets.
    pub(super) fn sum(&self, pointer: &str) -> i64 {
        self.all().map(|set| int(set, pointer)).sum()
    }

    pub(super) fn replicas(&self) -> i64 {
        int(&self.deployment, "/spec/replicas")
    }

    pub(super) fn is_recreate(&self) -> bool {
        text(&self.deployment, "/spec/strategy/type") == "Recreate"
    }

    /// How many pods there may be at once.
    pub(super) fn max_total(&self) -> i64 {
        self.replicas() + self.max_surge()
    }

    fn max_surge(&self) -> i64 {
        let surge = &self.deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
        if self.is_recreate() {
            0
        } else {
            count_of(surge, self.replicas(), true)
        }
    }

    /// How many pods may be missing; at least one where nothing may be added.
    pub(super) fn max_unavailable(&self) -> i64 {
        let replicas = self.replicas();
        if self.is_recreate() || replicas == 0 {
            return 0;
        }
        let value = &self.deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
        let missing = count_of(value, replicas, false);
        let missing = if missing == 0 && self.max_surge() == 0 {
            1
        } else {
            missing
        };
        missing.min(replicas)
    }

    pub(super) fn has_deadline(&self) -> bool {
        int(&self.deployment, "/spec/progressDeadlineSeconds") != i64::from(i32::MAX)
    }
}
