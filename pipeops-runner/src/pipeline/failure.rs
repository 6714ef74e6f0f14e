//! Failures of steps.

use std::fmt;
use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::retry::Retryable;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass, Step};

use crate::store::StoreError;

/// Why a step failed. Every error with a [`Diagnose`] converts into it.
///
/// ```
/// use pipeops_core::Diagnosis;
/// use pipeops_core::diagnosis::codes;
/// use pipeops_runner::StepFailure;
///
/// let diagnosis = Diagnosis::new(&codes::UNKNOWN).error("the cluster is in maintenance");
/// let failure = StepFailure::from_diagnosis(diagnosis);
/// assert_eq!(failure.rolled_back(), None); // the cluster wasn't changed
/// ```
#[derive(Debug)]
pub struct StepFailure {
    failure: Failure,
    rolled_back: Option<bool>,
}

impl StepFailure {
    /// A failure that didn't change the cluster.
    pub fn new(failure: impl Into<Failure>) -> Self {
        Self {
            failure: failure.into(),
            rolled_back: None,
        }
    }

    /// A failed rollout, and whether the previous revision serves.
    pub fn of_rollout(failure: impl Into<Failure>, rolled_back: bool) -> Self {
        Self {
            failure: failure.into(),
            rolled_back: Some(rolled_back),
        }
    }

    /// A failure with only a diagnosis.
    pub fn from_diagnosis(diagnosis: Diagnosis) -> Self {
        Self::new(Failure::from_diagnosis(diagnosis))
    }

    /// The step exceeded its time limit.
    pub(super) fn timeout(step: Step, limit: Duration) -> Self {
        let seconds = limit.as_secs();
        let diagnosis = Diagnosis::new(&codes::deployment::STEP_TIMEOUT)
            .error(format!("the step {step} took longer than {seconds} s"))
            .reason("the step hangs, or its time limit is too short");
        Self {
            failure: Failure::from_diagnosis(diagnosis),
            // What the rollout left in the cluster is unknown, so the previous revision isn't said to serve.
            rolled_back: (step == Step::Rollout).then_some(false),
        }
    }

    /// The diagnosis.
    pub fn diagnosis(&self) -> Diagnosis {
        self.failure.diagnosis()
    }

    /// Whether the previous revision serves; `None` if the cluster wasn't changed.
    pub fn rolled_back(&self) -> Option<bool> {
        self.rolled_back
    }
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.failure, f)
    }
}

impl<E: Diagnose> From<E> for StepFailure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl Retryable for StepFailure {
    fn retry_class(&self) -> RetryClass {
        match self.rolled_back {
            // The rollout failed in the cluster: a user decides whether to retry.
            Some(_) => RetryClass::Exhausted,
            None => self.failure.retry_class(),
        }
    }

    fn exhausted(self, attempts: u32) -> Self {
        Self {
            failure: self.failure.exhausted(attempts),
            rolled_back: self.rolled_back,
        }
    }
}

/// Why a pipeline stops before its last step.
#[derive(Debug)]
pub(super) enum StepsError {
    /// A step failed, and with it the deployment.
    Failed(StepFailure),
    /// The journal can't be read or written. The deployment isn't over: this or another runner resumes it.
    Store(StoreError),
}

impl From<StoreError> for StepsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rollout_that_is_cut_off_may_have_changed_the_cluster() {
        for step in Step::ALL {
            let failure = StepFailure::timeout(step, Duration::from_secs(90));
            let expected = (step == Step::Rollout).then_some(false);
            assert_eq!(failure.rolled_back(), expected, "{step}");
            assert!(failure.diagnosis().error.contains("longer than 90 s"));
        }
        let cut_off = StepFailure::timeout(Step::Rollout, Duration::ZERO);
        assert_eq!(cut_off.retry_class(), RetryClass::Exhausted);
    }
}
