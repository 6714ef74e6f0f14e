//! How a step fails.

use std::fmt;
use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::retry::Retryable;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass, Step};

use crate::store::StoreError;

/// Why a step failed.
#[derive(Debug)]
pub struct StepFailure {
    failure: Failure,
    rolled_back: Option<bool>,
}

impl StepFailure {
    /// A failure before the cluster was changed.
    pub fn new(failure: impl Into<Failure>) -> Self {
        Self {
            failure: failure.into(),
            rolled_back: None,
        }
    }

    /// A failed rollout, and whether the old revision serves again (or still).
    pub fn of_rollout(failure: impl Into<Failure>, rolled_back: bool) -> Self {
        Self {
            failure: failure.into(),
            rolled_back: Some(rolled_back),
        }
    }

    /// A failure that is nothing but its diagnosis.
    pub fn from_diagnosis(diagnosis: Diagnosis) -> Self {
        Self::new(Failure::from_diagnosis(diagnosis))
    }

    /// The step took longer than it may.
    pub(super) fn timeout(step: Step, limit: Duration) -> Self {
        let seconds = limit.as_secs();
        Self::from_diagnosis(
            Diagnosis::new(&codes::deployment::STEP_TIMEOUT)
                .error(format!("the step {step} did not end within {seconds} s"))
                .reason("it hangs, or its limit is too short"),
        )
    }

    /// The explanation for a person.
    pub fn diagnosis(&self) -> Diagnosis {
        self.failure.diagnosis()
    }

    /// Whether the old revision serves again (or still); `None` when the cluster was not touched.
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
            // The rollout failed in the cluster: a person decides whether to retry.
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

/// Why the pipeline ends before its last step.
#[derive(Debug)]
pub(super) enum StepsError {
    /// A step failed: the deployment has failed.
    Failed(StepFailure),
    /// The journal cannot be written: another runner has the deployment, or it waits.
    Store(StoreError),
}

impl From<StoreError> for StepsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
