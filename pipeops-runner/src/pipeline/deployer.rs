//! What rolls objects out to a cluster.

use std::fmt;

use async_trait::async_trait;
use pipeops_core::{EventSink, Failure, Stack};
use pipeops_rollout::{Error, Outcome, Rollout};
use serde::{Deserialize, Serialize};

use super::StepFailure;

/// Applies stacks to one cluster and watches them until they are healthy or have failed.
#[async_trait]
pub trait Deployer: fmt::Debug + Send + Sync + 'static {
    /// Rolls the stack out for this deployment. After a crash it is called again with the same id and resumes.
    ///
    /// # Errors
    /// When the revision did not become healthy; [`StepFailure::of_rollout`] says whether the old one serves again.
    async fn deploy(
        &self,
        deployment: &str,
        stack: &Stack,
        events: &dyn EventSink,
    ) -> Result<RolledOut, StepFailure>;
}

#[async_trait]
impl Deployer for Rollout {
    async fn deploy(
        &self,
        deployment: &str,
        stack: &Stack,
        events: &dyn EventSink,
    ) -> Result<RolledOut, StepFailure> {
        let failed = |diagnosis, rolled_back| {
            Err(StepFailure::of_rollout(
                Failure::from_diagnosis(diagnosis),
                rolled_back,
            ))
        };
        match self.run_once(deployment, stack, events).await {
            Ok(Outcome::Complete { .. }) => Ok(RolledOut::new("Rollout complete")),
            Ok(Outcome::RolledBack { diagnosis, .. }) => failed(diagnosis, true),
            Ok(Outcome::Failed { diagnosis }) => failed(diagnosis, false),
            Err(error @ Error::RollbackIncomplete { .. }) => {
                Err(StepFailure::of_rollout(error, false))
            }
            Err(error) => Err(StepFailure::new(error)),
            Ok(_) => Ok(RolledOut::new("Rollout ended")),
        }
    }
}

/// A revision that is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RolledOut {
    /// For people: `3 of 3 pods ready`.
    pub message: String,
}

impl RolledOut {
    /// A healthy revision.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
