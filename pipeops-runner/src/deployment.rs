//! A deployment: one commit for one environment.

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
    /// Its id: later deployments have greater ones.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The environment's name.
    pub environment: String,
    /// The repository's path inside the forge.
    pub repository: String,
    /// The branch or tag that was pushed.
    pub reference: GitRef,
    /// The commit.
    pub commit: CommitSha,
    /// The first line of the commit's message.
    pub message: Option<String>,
    /// Who pushed it.
    pub pusher: Option<String>,
    /// Its state.
    pub status: Status,
    /// The image that was deployed, by digest; once it succeeded.
    pub image: Option<String>,
    /// Why it failed, if it did.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the old revision serves again (or still) after it failed.
    pub rolled_back: bool,
    /// When it was stored.
    pub created: Timestamp,
    /// When a runner first took it.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Deployment {
    /// A deployment that was just stored and waits for a runner.
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
    /// It waits for a runner.
    Queued,
    /// A runner claimed it.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// A newer commit replaced it before it started.
    Cancelled,
}

impl Status {
    /// The name in JSON and in stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True once it cannot change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A deployment to submit: everything that a runner needs, as it is now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewDeployment {
    /// The project with its secrets: later changes to it do not change this deployment.
    pub project: Project,
    /// The environment's name.
    pub environment: String,
    /// The branch or tag that was pushed.
    pub reference: GitRef,
    /// Where it was before; `None` when it is new or not known.
    pub before: Option<CommitSha>,
    /// The commit to deploy.
    pub commit: CommitSha,
    /// The first line of the commit's message.
    pub message: Option<String>,
    /// Who pushed it.
    pub pusher: Option<String>,
    /// The delivery id of the webhook; `None` when a person asks.
    pub delivery: Option<String>,
    /// Greater ones go first. Default: 0.
    pub priority: i32,
    /// Whether a deployment of the same push makes this one a duplicate. Webhooks: true; people: false.
    pub deduplicate: bool,
}

impl NewDeployment {
    /// A deployment that is never a duplicate.
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
    /// It was stored and waits for a runner.
    Queued(Deployment),
    /// It is the same push as this deployment, which came first.
    Duplicate(Deployment),
}

impl Submitted {
    /// The deployment, new or old.
    pub fn deployment(&self) -> &Deployment {
        match self {
            Self::Queued(deployment) | Self::Duplicate(deployment) => deployment,
        }
    }
}

/// The right to write for one deployment. A runner whose lease was lost holds an old token and is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Fence {
    /// The deployment's id.
    pub deployment: String,
    /// Greater for each claim.
    pub token: u64,
}

impl Fence {
    /// The right that this claim gives.
    pub fn new(deployment: impl Into<String>, token: u64) -> Self {
        Self {
            deployment: deployment.into(),
            token,
        }
    }
}

/// A finished step, as the journal keeps it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Which.
    pub step: Step,
    /// How long it took.
    pub millis: u64,
    /// Its result in a few words.
    pub summary: String,
    /// Its typed output as JSON. Stores encrypt it: a stack holds Secrets.
    pub output: Value,
}

impl JournalEntry {
    /// A step that took this long, with its result in a few words and its typed output as JSON.
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
        /// Why, and what to do; secrets redacted.
        diagnosis: Diagnosis,
        /// Whether the old revision serves again (or still).
        rolled_back: bool,
    },
}
