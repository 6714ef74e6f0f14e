//! Options of rollouts.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::{Object, Redactor, Stack};

use crate::diagnose::Limits;
use crate::lease::LeaseOptions;
use crate::strategy::{DeploymentUpdate, RolloutStrategy};

/// The deadline of a rollout whose stack sets no progress deadline.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long after its progress deadline a rollout fails, so that Kubernetes can report the stall first.
const AFTER_PROGRESS: Duration = Duration::from_secs(60);
/// The longest deadlines that a Deployment can ask for. A runner limits the whole step, rollback included, to 30 min by default.
const LONGEST_OF_STACK: Duration = Duration::from_secs(1200);
const LONGEST_ROLLBACK: Duration = Duration::from_secs(540);

/// What a failed first deployment leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FirstFailure {
    /// The Deployment, scaled to zero: no pod crashes, pulls or uses quota, and the diagnosis is kept. The next deployment
    /// scales it up again.
    #[default]
    ScaleToZero,
    /// The Deployment with its failing pods, for inspection.
    KeepPods,
}

/// Options of a [`Rollout`](crate::Rollout).
///
/// ```
/// use std::time::Duration;
/// use pipeops_rollout::RolloutOptions;
///
/// let options = RolloutOptions::default()
///     .create_namespace(true)
///     .deadline(Duration::from_secs(600))
///     .max_restarts(5);
/// assert_eq!(options.rollback_deadline, None); // it follows the Deployment
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RolloutOptions {
    /// Plans the steps of a rollout. Default: [`DeploymentUpdate`]. How Kubernetes replaces the pods is not set here but in
    /// the Deployment's own `spec.strategy`.
    pub strategy: Arc<dyn RolloutStrategy>,
    /// How long a revision may take to become healthy. Default: 60 s more than the Deployment's `progressDeadlineSeconds`, at
    /// most 20 min; 5 min if the stack doesn't set one.
    pub deadline: Option<Duration>,
    /// How long a rollback may take. Default: 60 s more than the `progressDeadlineSeconds` of the Deployment that is restored,
    /// at least 5 min and at most 9 min.
    pub rollback_deadline: Option<Duration>,
    /// Whether to create a missing namespace. Default: false, because it needs a cluster-wide permission.
    pub create_namespace: bool,
    /// Whether to validate all objects by a dry run before the first one is applied. Default: true.
    pub check_first: bool,
    /// What a failed first deployment leaves behind. Default: a Deployment scaled to zero.
    pub first_failure: FirstFailure,
    /// How many restarts fail a rollout, and how much output a diagnosis shows. Default: 3 restarts, 20 lines.
    pub limits: Limits,
    /// How the Lease of an application is acquired.
    pub lease: LeaseOptions,
    /// Secrets to redact from messages and logs, besides those in the stack's Secrets.
    pub redactor: Redactor,
}

impl Default for RolloutOptions {
    fn default() -> Self {
        Self {
            strategy: Arc::new(DeploymentUpdate),
            deadline: None,
            rollback_deadline: None,
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
    /// Sets what plans the steps.
    #[must_use]
    pub fn strategy(mut self, strategy: impl RolloutStrategy + 'static) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }

    /// Sets how long a revision may take to become healthy.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how long a rollback may take.
    #[must_use]
    pub fn rollback_deadline(mut self, deadline: Duration) -> Self {
        self.rollback_deadline = Some(deadline);
        self
    }

    /// Sets whether to create a missing namespace.
    #[must_use]
    pub fn create_namespace(mut self, create: bool) -> Self {
        self.create_namespace = create;
        self
    }

    /// Sets whether to validate all objects by a dry run before the first one is applied.
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

    /// Sets after how many restarts a crashing container fails the rollout.
    #[must_use]
    pub fn max_restarts(mut self, restarts: u32) -> Self {
        self.limits.max_restarts = restarts;
        self
    }

    /// Sets the holder identity of the Leases. It must be unique among all running processes, and among the
    /// [`Rollout`](crate::Rollout)s of this one.
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

    /// Sets what to redact from messages and logs.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// The deadline for this stack.
    pub(crate) fn deadline_of(&self, stack: &Stack) -> Duration {
        let of_stack = || Some((progress_deadline(stack)? + AFTER_PROGRESS).min(LONGEST_OF_STACK));
        self.deadline.or_else(of_stack).unwrap_or(DEADLINE)
    }

    /// The deadline for the restoration of this workload.
    pub(crate) fn rollback_deadline_of(&self, workload: Option<&Object>) -> Duration {
        let of_workload = || {
            let progress = workload.and_then(workload_deadline)?;
            Some((progress + AFTER_PROGRESS).clamp(DEADLINE, LONGEST_ROLLBACK))
        };
        self.rollback_deadline
            .or_else(of_workload)
            .unwrap_or(DEADLINE)
    }
}

/// The progress deadline that the stack's Deployment sets.
pub(crate) fn progress_deadline(stack: &Stack) -> Option<Duration> {
    workload_deadline(stack.workload()?)
}

/// The progress deadline of a Deployment. The largest number stands for none.
fn workload_deadline(workload: &Object) -> Option<Duration> {
    let seconds = workload.value()["spec"]["progressDeadlineSeconds"].as_u64()?;
    let is_set = seconds < u64::from(i32::MAX.unsigned_abs());
    is_set.then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(progress: Value) -> Object {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"progressDeadlineSeconds": progress}});
        Object::new(deployment).unwrap()
    }

    #[test]
    fn the_deadline_of_a_rollback_follows_the_deployment_unless_it_is_set() {
        let deadline = |options: &RolloutOptions, progress: Value| {
            let workload = deployment(progress);
            options.rollback_deadline_of(Some(&workload)).as_secs()
        };
        let default = RolloutOptions::default();
        assert_eq!(default.rollback_deadline_of(None), DEADLINE);
        for (progress, expected) in [
            (Value::Null, 300),
            (json!(30), 300),
            (json!(300), 360),
            (json!(900), 540),
            (json!(i32::MAX), 300),
        ] {
            assert_eq!(deadline(&default, progress.clone()), expected, "{progress}");
        }
        let set = default.rollback_deadline(Duration::from_secs(90));
        assert_eq!(deadline(&set, json!(600)), 90);
    }

    #[test]
    fn the_deadline_follows_the_stack_unless_it_is_set() {
        let deadline = |options: &RolloutOptions, progress: Value| {
            let objects = vec![deployment(progress)];
            let stack = Stack::new("web", "shop", "abc".parse().unwrap(), objects);
            options.deadline_of(&stack).as_secs()
        };
        let default = RolloutOptions::default();
        assert_eq!(deadline(&default, Value::Null), 300);
        assert_eq!(deadline(&default, json!(240)), 300);
        assert_eq!(deadline(&default, json!(600)), 660);
        assert_eq!(deadline(&default, json!(86_400)), 1200);
        assert_eq!(deadline(&default, json!(i32::MAX)), 300);
        let set = default.deadline(Duration::from_secs(90));
        assert_eq!(deadline(&set, json!(600)), 90);
    }
}
