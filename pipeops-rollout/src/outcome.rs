//! How a rollout ended.

use pipeops_core::{Diagnosis, Revision};
use serde::{Deserialize, Serialize};

/// How a rollout ended. It serializes to JSON: `{"outcome": "rolledBack", "diagnosis": …, "to": "4f2c9ab"}`.
///
/// ```
/// use pipeops_rollout::Outcome;
///
/// fn report(outcome: &Outcome) -> String {
///     match outcome {
///         Outcome::Complete { revision, .. } => format!("{revision} is healthy"),
///         Outcome::RolledBack { diagnosis, to } => format!("{diagnosis}\n{to} serves again"),
///         Outcome::Failed { diagnosis } => diagnosis.to_string(),
///         _ => "ended".to_owned(),
///     }
/// }
///
/// let outcome: Outcome = serde_json::from_str(r#"{"outcome": "complete", "revision": "4f2c9ab"}"#)?;
/// assert_eq!(report(&outcome), "4f2c9ab is healthy");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "outcome",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Outcome {
    /// The revision is healthy, and no other one runs.
    Complete {
        /// The revision.
        revision: Revision,
        /// Old pods that are still terminating.
        #[serde(default)]
        terminating: u32,
    },
    /// The revision failed, and the previous one is healthy again.
    RolledBack {
        /// Why it failed.
        diagnosis: Diagnosis,
        /// The previous revision.
        to: Revision,
    },
    /// The revision failed, and there was none to roll back to.
    Failed {
        /// Why it failed.
        diagnosis: Diagnosis,
    },
}

impl Outcome {
    /// Whether the revision is healthy.
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// Why the revision failed, if it did.
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Complete { .. } => None,
            Self::RolledBack { diagnosis, .. } | Self::Failed { diagnosis } => Some(diagnosis),
        }
    }
}
