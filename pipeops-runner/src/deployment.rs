//! Deployments: one commit for one environment.

use std::fmt;

use jiff::Timestamp;
use pipeops_core::{Diagnosis, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::git::GitRef;
use crate::project::Project;
use pipeops_core::CommitSha;

/// The deployment of one commit to one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Deployment {
    /// The id. Later deployments have greater ids.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The environment's name.
    pub environment: String,
    /// The path of the repository at the forge: `team/shop`.
    pub repository: String,
    /// The pushed branch or tag.
    pub reference: GitRef,
    /// The commit.
    pub commit: CommitSha,
    /// The first line of the commit's message.
    pub message: Option<String>,
    /// The user who pushed it.
    pub pusher: Option<String>,
    /// The state.
    pub status: Status,
    /// The deployed image, by digest, once the deployment succeeded.
    pub image: Option<String>,
    /// Why the deployment failed.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the previous revision serves after a failure, because of a rollback or because the cluster wasn't changed.
    pub rolled_back: bool,
    /// When it was stored.
    pub created: Timestamp,
    /// When a runner first claimed it.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Deployment {
    /// A new deployment, which waits for a runner.
    pub fn queued(id: impl Into<String>, new: &NewDeployment, created: Timestamp) -> Self {
        let repository = new.project.repository.as_ref();
        Self {
            id: id.into(),
            project: new.project.name.clone(),
            environment: new.environment.clone(),
            repository: repository.map_or_else(String::new, |url| url.full_name().to_owned()),
            reference: new.reference.clone(),
            commit: new.commit.clone(),
            message: new.message.clone(),
            pusher: new.pusher.clone(),
            status: Status::Queued,
            image: None,
            diagnosis: None,
            rolled_back: false,
            created,
            started: None,
            finished: None,
        }
    }
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Waits for a runner.
    Queued,
    /// Claimed by a runner.
    Running,
    /// The new revision is healthy.
    Succeeded,
    /// A step failed.
    Failed,
    /// Replaced by a newer commit before it started.
    Cancelled,
}

impl Status {
    /// The name in JSON and stores, such as `queued`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True once the state can't change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A deployment to submit, with everything that a runner needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewDeployment {
    /// The project with its secrets. Later changes to the project don't affect this deployment.
    pub project: Project,
    /// The environment's name.
    pub environment: String,
    /// The pushed branch or tag.
    pub reference: GitRef,
    /// The commit before the push; `None` when the ref is new or the commit isn't known.
    pub before: Option<CommitSha>,
    /// The commit to deploy.
    pub commit: CommitSha,
    /// The first line of the commit's message.
    pub message: Option<String>,
    /// The user who pushed it.
    pub pusher: Option<String>,
    /// The delivery id of the webhook; `None` for a manual deployment.
    pub delivery: Option<String>,
    /// Deployments with a greater priority run first. Default: 0.
    pub priority: i32,
    /// Whether this is a duplicate when the same push was deployed before. True for webhooks, false for manual
    /// deployments.
    pub deduplicate: bool,
}

impl NewDeployment {
    /// A manual deployment, which is never a duplicate.
    pub fn new(
        project: Project,
        environment: impl Into<String>,
        reference: GitRef,
        commit: CommitSha,
    ) -> Self {
        Self {
            project,
            environment: environment.into(),
            reference,
            before: None,
            commit,
            message: None,
            pusher: None,
            delivery: None,
            priority: 0,
            deduplicate: false,
        }
    }
}

/// The result of submitting a [`NewDeployment`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Submitted {
    /// The deployment was stored and waits for a runner.
    Queued(Deployment),
    /// An earlier deployment of the same push exists.
    Duplicate(Deployment),
}

impl Submitted {
    /// The new deployment, or the earlier one.
    pub fn deployment(&self) -> &Deployment {
        match self {
            Self::Queued(deployment) | Self::Duplicate(deployment) => deployment,
        }
    }
}

/// The right to write for one deployment. After a lost lease, a runner's token is outdated and its writes are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Fence {
    /// The deployment's id.
    pub deployment: String,
    /// A number that grows with each claim.
    pub token: u64,
}

impl Fence {
    /// The right of one claim.
    pub fn new(deployment: impl Into<String>, token: u64) -> Self {
        Self {
            deployment: deployment.into(),
            token,
        }
    }
}

/// A finished step in the journal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The step.
    pub step: Step,
    /// The duration in milliseconds.
    pub millis: u64,
    /// The result in a few words.
    pub summary: String,
    /// The typed output as JSON. Stores encrypt it, because a stack contains Secrets.
    pub output: Value,
}

impl JournalEntry {
    /// A finished step.
    pub fn new(step: Step, millis: u64, summary: impl Into<String>, output: Value) -> Self {
        Self {
            step,
            millis,
            summary: summary.into(),
            output,
        }
    }
}

/// How a deployment ends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// The new revision is healthy.
    Succeeded {
        /// The image, by digest.
        image: String,
    },
    /// The deployment failed.
    Failed {
        /// The reason and its fixes, with secrets redacted.
        diagnosis: Diagnosis,
        /// Whether the previous revision serves.
        rolled_back: bool,
    },
}
