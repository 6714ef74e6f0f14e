//! Rolls objects out to a cluster.

use std::fmt;

use async_trait::async_trait;
use pipeops_core::{EventSink, Failure, Stack};
use pipeops_rollout::{Error, Outcome, Rollout};
use serde::{Deserialize, Serialize};

use super::StepFailure;

/// Applies stacks to one cluster, and watches each until it's healthy or has failed.
///
/// [`Rollout`] is the implementation for Kubernetes. Another one, for example for a test:
///
/// ```
/// use async_trait::async_trait;
/// use pipeops_core::{EventSink, Stack};
/// use pipeops_runner::{Deployer, RolledOut, StepFailure};
///
/// #[derive(Debug)]
/// struct DryRun;
///
/// #[async_trait]
/// impl Deployer for DryRun {
///     async fn deploy(&self, _deployment: &str, stack: &Stack, _events: &dyn EventSink) -> Result<RolledOut, StepFailure> {
///         Ok(RolledOut::new(format!("{} objects, not applied", stack.objects.len())))
///     }
/// }
/// ```
#[async_trait]
pub trait Deployer: fmt::Debug + Send + Sync + 'static {
    /// Rolls out the stack of the deployment with this id. After a crash, it's called again with the same id and resumes.
    ///
    /// # Errors
    /// When the revision doesn't become healthy. [`StepFailure::of_rollout`] says whether the previous one serves.
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

/// The result of a successful rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RolledOut {
    /// A message for users, such as `3 of 3 pods ready`.
    pub message: String,
}

impl RolledOut {
    /// A successful rollout with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
