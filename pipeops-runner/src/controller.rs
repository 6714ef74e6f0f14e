//! Turns webhooks and manual requests into queued deployments.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis};
use serde::Serialize;

use crate::deployment::{Deployment, NewDeployment, Submitted};
use crate::git::GitRef;
use crate::hub::Hub;
use crate::project::{Environment, Missing, Project};
use crate::queue::Queue;
use crate::store::{Store, StoreError};
use crate::webhook::{self, ParseError, Payload, PushEvent, Verified, VerifyError};
use pipeops_core::CommitSha;

/// Decides what a webhook or a request deploys, and queues it.
///
/// ```
/// # use std::sync::Arc;
/// # use pipeops_runner::{Controller, Environment, Hub, Project, SqliteQueue, SqliteStore, Status};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = SqliteStore::in_memory()?;
/// # let project = Project::new("shop")?
/// #     .repository("https://git.example.com/team/shop.git".parse()?)
/// #     .image("registry.example.com/team/shop".parse()?)
/// #     .environment(Environment::new("production")?.cluster("default"));
/// # store.put_project(&project).await?;
/// # let (queue, store) = (Arc::new(SqliteQueue::new(&store)), Arc::new(store));
/// let hub = Hub::start(store.clone()).await?;
/// let controller = Controller::new(store, queue, hub, ["default".to_owned()]);
/// let commit = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse()?;
/// let deployment = controller.deploy("shop", None, "refs/heads/main".parse()?, commit).await?;
/// assert_eq!(deployment.status, Status::Queued);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Controller {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    hub: Hub,
    /// The names of the clusters.
    clusters: Arc<BTreeSet<String>>,
}

/// The result of a webhook. Its JSON is the response to the forge.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Reply {
    /// Deployments are queued.
    Queued {
        /// All deployments of this push, including earlier ones.
        deployments: Vec<Deployment>,
    },
    /// The same push was received before.
    Duplicate {
        /// Its earlier deployments.
        deployments: Vec<Deployment>,
    },
    /// There is nothing to deploy.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// The forge tested the webhook.
    Pong,
}

impl Controller {
    /// A controller for deployments to the clusters with these names.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        hub: Hub,
        clusters: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            store,
            queue,
            hub,
            clusters: Arc::new(clusters.into_iter().collect()),
        }
    }

    /// Handles a webhook for a project: verifies its signature, decides what to deploy, and queues it.
    ///
    /// # Errors
    /// When the project doesn't exist or is incomplete, the signature or body is invalid, or the store doesn't answer. Nothing
    /// is queued then.
    pub async fn webhook(
        &self,
        project: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, ControllerError> {
        let project = self.project(project).await?;
        let secret = project.secrets.webhook.as_ref();
        let secret = secret.ok_or_else(|| incomplete(&project, vec![Missing::WebhookSecret]))?;
        let verified = webhook::verify(headers, body, secret, Timestamp::now())?;
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        match webhook::parse(&verified, kind, body)? {
            Payload::Ping => Ok(Reply::Pong),
            Payload::Other(event) => Ok(skipped(format!("{event:?} is not a push"))),
            Payload::Push(pushes) => self.pushed(&project, &verified, &pushes).await,
        }
    }

    /// Queues a manual deployment, even if the commit was deployed before or the project is disabled.
    ///
    /// `environment` can be `None` if the project has only one. `GitFetcher::resolve` finds the commit of a branch.
    ///
    /// # Errors
    /// When the project or environment doesn't exist or is incomplete.
    pub async fn deploy(
        &self,
        project: &str,
        environment: Option<&str>,
        reference: GitRef,
        commit: CommitSha,
    ) -> Result<Deployment, ControllerError> {
        let project = self.project(project).await?;
        let name = match (environment, project.environments.as_slice()) {
            (Some(name), _) => name.to_owned(),
            (None, [only]) => only.name.clone(),
            (None, _) => return Err(incomplete(&project, vec![Missing::Environment])),
        };
        let environment = project
            .find_environment(&name)
            .ok_or_else(|| incomplete(&project, vec![Missing::Environment]))?;
        let missing = self.missing(&project, std::slice::from_ref(environment));
        let missing: Vec<Missing> = missing
            .into_iter()
            .filter(|what| !matches!(what, Missing::WebhookSecret | Missing::Branch { .. }))
            .collect();
        if !missing.is_empty() {
            return Err(incomplete(&project, missing));
        }
        let new = NewDeployment::new(project, name, reference, commit);
        let submitted = self.submit(vec![new]).await?;
        let first = submitted.into_iter().next().ok_or(StoreError::Stopped)?;
        Ok(first.deployment().clone())
    }

    async fn project(&self, name: &str) -> Result<Project, ControllerError> {
        let found = self.store.project(name).await?;
        found.ok_or_else(|| ControllerError::UnknownProject {
            name: name.chars().take(100).collect(),
        })
    }

    async fn pushed(
        &self,
        project: &Project,
        verified: &Verified,
        pushes: &[PushEvent],
    ) -> Result<Reply, ControllerError> {
        if !project.enabled {
            return Ok(skipped(format!("project {} is disabled", project.name)));
        }
        check_repository(project, pushes)?;
        let mut new = Vec::new();
        let mut reasons = Vec::new();
        for push in pushes {
            match self.decide(project, push)? {
                Decision::Skip(reason) => reasons.push(reason),
                Decision::Deploy(commit, environments) => new.extend(
                    environments
                        .into_iter()
                        .map(|name| deployment(project, name, push, &commit, verified)),
                ),
            }
        }
        if pushes.is_empty() {
            return Ok(skipped("the push changes no branch or tag".to_owned()));
        }
        if new.is_empty() {
            return Ok(skipped(reasons.join("; ")));
        }
        Ok(reply(self.submit(new).await?))
    }

    fn decide(&self, project: &Project, push: &PushEvent) -> Result<Decision, ControllerError> {
        let reference = &push.reference;
        let skip = |reason: String| Ok(Decision::Skip(reason));
        let Some(commit) = push.after.clone() else {
            return skip(format!("{reference} was deleted"));
        };
        let Some(branch) = reference.branch() else {
            return skip(format!("{reference} is a tag"));
        };
        if let Some(marker) = &push.skip {
            return skip(format!("the commit message contains {marker}"));
        }
        // An incomplete project says so even for branches that it doesn't deploy.
        let missing = self.missing(project, &project.environments);
        if !missing.is_empty() {
            return Err(incomplete(project, missing));
        }
        let mut environments = project.environments.clone();
        environments.retain(|environment| environment.branch.as_deref() == Some(branch));
        if environments.is_empty() {
            return skip(other_branch(project, branch));
        }
        if let Some(changed) = &push.changed {
            environments.retain(|environment| environment.watches(changed));
        }
        if environments.is_empty() {
            return skip("the push changes no watched folder".to_owned());
        }
        let names = environments.into_iter().map(|environment| environment.name);
        Ok(Decision::Deploy(commit, names.collect()))
    }

    /// What the project lacks for these environments, including unknown clusters.
    fn missing(&self, project: &Project, environments: &[Environment]) -> Vec<Missing> {
        let wanted = |name: &str| environments.iter().any(|e| e.name == name);
        let mut missing = project.missing();
        missing.retain(|what| match what {
            Missing::Branch { environment } | Missing::Cluster { environment } => {
                wanted(environment)
            }
            _ => true,
        });
        for environment in environments {
            if let Some(cluster) = &environment.cluster
                && !self.clusters.contains(cluster)
            {
                missing.push(Missing::UnknownCluster {
                    environment: environment.name.clone(),
                    cluster: cluster.clone(),
                    known: self.clusters.iter().cloned().collect(),
                });
            }
        }
        missing
    }

    async fn submit(&self, new: Vec<NewDeployment>) -> Result<Vec<Submitted>, ControllerError> {
        let submitted = self.store.submit(new).await?;
        self.hub.wake();
        // The deployment is stored. Without an announcement, runners find it later.
        if let Err(error) = self.queue.announce().await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "cannot notify runners of a new deployment");
        }
        Ok(submitted)
    }
}

/// What to do with a push.
enum Decision {
    /// Deploy this commit to these environments.
    Deploy(CommitSha, Vec<String>),
    /// Deploy nothing, for this reason.
    Skip(String),
}

fn deployment(
    project: &Project,
    environment: String,
    push: &PushEvent,
    commit: &CommitSha,
    verified: &Verified,
) -> NewDeployment {
    let delivery = verified.delivery.as_ref();
    NewDeployment {
        before: push.before.clone(),
        message: push.message.clone(),
        pusher: push.pusher.clone(),
        delivery: delivery.map(|id| format!("{}:{id}", verified.forge)),
        deduplicate: true,
        ..NewDeployment::new(
            project.clone(),
            environment,
            push.reference.clone(),
            commit.clone(),
        )
    }
}

fn reply(submitted: Vec<Submitted>) -> Reply {
    let fresh = submitted
        .iter()
        .any(|one| matches!(one, Submitted::Queued(_)));
    let deployments = submitted
        .iter()
        .map(|one| one.deployment().clone())
        .collect();
    if fresh {
        Reply::Queued { deployments }
    } else {
        Reply::Duplicate { deployments }
    }
}

fn skipped(reason: String) -> Reply {
    Reply::Skipped { reason }
}

fn other_branch(project: &Project, branch: &str) -> String {
    let deployed: BTreeSet<&str> = project
        .environments
        .iter()
        .filter_map(|environment| environment.branch.as_deref())
        .collect();
    let deployed: Vec<&str> = deployed.into_iter().collect();
    format!(
        "branch {branch:?} is not deployed; project {} deploys {}",
        project.name,
        deployed.join(", ")
    )
}

/// Checks that the webhook belongs to the project's repository. It compares only the path, because a forge can have several
/// host names. The signature proves the sender, and PipeOps fetches from the configured URL.
fn check_repository(project: &Project, pushes: &[PushEvent]) -> Result<(), ControllerError> {
    let Some(url) = &project.repository else {
        return Ok(());
    };
    let other = pushes
        .iter()
        .find(|push| !same_repository(url.full_name(), &push.repository));
    match other {
        None => Ok(()),
        Some(push) => Err(ControllerError::WrongRepository {
            project: project.name.clone(),
            configured: url.full_name().to_owned(),
            pushed: push.repository.clone(),
        }),
    }
}

/// Forges ignore case in names. Bitbucket Data Center serves `PROJECT/repo` under `/scm/project/repo`.
fn same_repository(configured: &str, pushed: &str) -> bool {
    let configured = configured.strip_prefix("scm/").unwrap_or(configured);
    configured.eq_ignore_ascii_case(pushed)
}

fn incomplete(project: &Project, missing: Vec<Missing>) -> ControllerError {
    ControllerError::Incomplete {
        project: project.name.clone(),
        missing,
    }
}

/// Why a request deploys nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// There is no project with this name.
    #[error("there is no project {name:?}")]
    UnknownProject {
        /// The name, cut to 100 characters.
        name: String,
    },
    /// The signature is missing or wrong.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    /// The body is invalid.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// The webhook belongs to another repository.
    #[error("project {project} deploys {configured:?}, but the webhook comes from {pushed:?}")]
    WrongRepository {
        /// The project.
        project: String,
        /// Its repository.
        configured: String,
        /// The repository in the webhook.
        pushed: String,
    },
    /// The project lacks settings.
    #[error("project {project} lacks {}", names(missing))]
    Incomplete {
        /// The project.
        project: String,
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for ControllerError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::UnknownProject { .. } => Diagnosis::new(&codes::webhook::UNKNOWN_PROJECT)
                .error(self.to_string())
                .reason("the URL of the webhook names a project that does not exist"),
            Self::Unverified(error) => error.diagnosis(),
            Self::Unreadable(error) => error.diagnosis(),
            Self::WrongRepository { project, .. } => {
                Diagnosis::new(&codes::webhook::WRONG_REPOSITORY)
                    .error(self.to_string())
                    .reason("the webhook is configured in another repository")
                    .context("project", project)
            }
            Self::Incomplete { project, missing } => Diagnosis::new(&codes::project::INCOMPLETE)
                .error(self.to_string())
                .reason("the project is incomplete")
                .context("project", project)
                .fixes(missing.iter().map(Missing::fix)),
            Self::Store(error) => error.diagnosis(),
        }
    }
}

fn names(missing: &[Missing]) -> String {
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    names.join(", ")
}
