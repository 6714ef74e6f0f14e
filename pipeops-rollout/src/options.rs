//! Options of rollouts.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::Redactor;

use crate::diagnose::Limits;
use crate::lease::LeaseOptions;
use crate::strategy::{RollingUpdate, RolloutStrategy};

/// What a failed first deployment leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FirstFailure {
    /// The Deployment stays, scaled to zero: no pod crashes, pulls or uses quota any more, and the diagnosis is kept. The
    /// next deployment scales it up again.
    #[default]
    ScaleToZero,
    /// The broken pods stay for inspection.
    KeepPods,
}

/// Options of rollouts. The defaults suit most.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RolloutOptions {
    /// How pods are replaced. Default [`RollingUpdate`].
    pub strategy: Arc<dyn RolloutStrategy>,
    /// How long a revision may take to become healthy. Default 5 min.
    pub deadline: Duration,
    /// How long a rollback may take. Default 5 min.
    pub rollback_deadline: Duration,
    /// Whether PipeOps creates a namespace that does not exist. Default false: it needs a cluster-wide right.
    pub create_namespace: bool,
    /// Whether the API server checks all objects before the first one is stored. Default true.
    pub check_first: bool,
    /// What a failed first deployment leaves behind.
    pub first_failure: FirstFailure,
    /// When a crash fails the rollout, and how much output is shown. Default 3 restarts, 20 lines.
    pub limits: Limits,
    /// How the Lease of an application is claimed.
    pub lease: LeaseOptions,
    /// Secrets that are redacted from messages and logs, besides those in the stack's Secrets.
    pub redactor: Redactor,
}

impl Default for RolloutOptions {
    fn default() -> Self {
        Self {
            strategy: Arc::new(RollingUpdate),
            deadline: Duration::from_secs(300),
            rollback_deadline: Duration::from_secs(300),
            create_namespace: false,
            check_first: true,
            first_failure: FirstFailure::default(),
            limits: Limits::default(),
            lease: LeaseOptions::default(),
            redactor: Redactor::default(),
        }
    }
}

impl RolloutOptions {
    /// Sets how pods are replaced.
    #[must_use]
    pub fn strategy(mut self, strategy: impl RolloutStrategy + 'static) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }

    /// Sets how long a revision may take to become healthy.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long a rollback may take.
    #[must_use]
    pub fn rollback_deadline(mut self, deadline: Duration) -> Self {
        self.rollback_deadline = deadline;
        self
    }

    /// Sets whether PipeOps creates a namespace that does not exist.
    #[must_use]
    pub fn create_namespace(mut self, create: bool) -> Self {
        self.create_namespace = create;
        self
    }

    /// Sets whether the API server checks all objects before the first one is stored.
    #[must_use]
    pub fn check_first(mut self, check: bool) -> Self {
        self.check_first = check;
        self
    }

    /// Sets what a failed first deployment leaves behind.
    #[must_use]
    pub fn first_failure(mut self, first_failure: FirstFailure) -> Self {
        self.first_failure = first_failure;
        self
    }

    /// Sets after how many restarts a container that crashes fails the rollout.
    #[must_use]
    pub fn max_restarts(mut self, restarts: u32) -> Self {
        self.limits.max_restarts = restarts;
        self
    }

    /// Sets who claims the Leases of applications: a name that no other process, and no other [`Rollout`](crate::Rollout)
    /// of this one, uses at the same time.
    #[must_use]
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.lease.holder = Some(holder.into());
        self
    }

    /// Sets how long to wait for another rollout of the same application to end.
    #[must_use]
    pub fn lease_wait(mut self, wait: Duration) -> Self {
        self.lease.wait = wait;
        self
    }

    /// Sets what is redacted from messages and logs.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }
}
