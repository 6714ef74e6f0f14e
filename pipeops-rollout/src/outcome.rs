//! How a rollout ended.

use pipeops_core::{Diagnosis, Revision};
use serde::{Deserialize, Serialize};

/// How a rollout ended.
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
        /// Which one.
        revision: Revision,
        /// Old pods that no longer count but still run down.
        #[serde(default)]
        terminating: u32,
    },
    /// The revision failed, and the one before it is healthy.
    RolledBack {
        /// Why it failed.
        diagnosis: Diagnosis,
        /// The revision that serves.
        to: Revision,
    },
    /// The revision failed, and there was no revision to roll back to.
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
