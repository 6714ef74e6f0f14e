//! Storage of projects, deployments, journals and events.

mod cipher;
#[cfg(test)]
#[cfg(feature = "sqlite")]
pub(crate) mod conformance;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, Event, EventKind, RetryClass};

pub use cipher::{SecretCipher, SecretCipherError};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use crate::deployment::{Deployment, Ending, Fence, JournalEntry, NewDeployment, Submitted};
use crate::project::Project;

/// Storage of projects, deployments, journals and events.
///
/// Writes for a deployment take a [`Fence`]. They are refused with [`StoreError::LeaseLost`] once another runner has claimed
/// the deployment.
///
/// ```
/// use pipeops_runner::{Project, SqliteStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::in_memory()?;
/// store.put_project(&Project::new("shop")?.webhook_secret("s3cr3t")).await?;
/// let project = store.project("shop").await?.expect("it was just stored");
/// assert!(project.secrets.webhook.is_some());
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Stores a project, or replaces the one with the same name. Secrets are encrypted.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn put_project(&self, project: &Project) -> Result<(), StoreError>;

    /// The project with this name, including its secrets.
    ///
    /// # Errors
    /// When the store doesn't answer or the secrets can't be decrypted.
    async fn project(&self, name: &str) -> Result<Option<Project>, StoreError>;

    /// All projects, sorted by name, without their secrets.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn projects(&self) -> Result<Vec<Project>, StoreError>;

    /// Stores and queues deployments, all or none, each with an [`EventKind::Queued`]. A new deployment replaces a queued one
    /// of the same environment.
    ///
    /// A repeated push is a [`Submitted::Duplicate`]. A push is repeated when
    /// - its delivery id is known,
    /// - its commit is the newest of the ref and environment, or
    /// - an earlier deployment has the same ref, old and new commit. It's no repetition if the newest deployment is of the
    ///   old commit: a branch that moves back and forth is deployed each time.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn submit(&self, new: Vec<NewDeployment>) -> Result<Vec<Submitted>, StoreError>;

    /// The deployment with this id.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError>;

    /// The newest deployments, newest first.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn deployments(&self, filter: &DeploymentFilter) -> Result<Vec<Deployment>, StoreError>;

    /// The finished steps of a deployment, in order.
    ///
    /// # Errors
    /// When the store doesn't answer or an output can't be decrypted.
    async fn journal(&self, deployment: &str) -> Result<Vec<JournalEntry>, StoreError>;

    /// Writes a finished step with its [`EventKind::StepFinished`]. A second write replaces the first.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store doesn't answer.
    async fn record_step(&self, fence: &Fence, entry: &JournalEntry) -> Result<(), StoreError>;

    /// Ends a deployment with its last event. Later writes for it are refused.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store doesn't answer.
    async fn finish(&self, fence: &Fence, ending: &Ending) -> Result<(), StoreError>;

    /// Appends events to the stream, and returns them in order with their numbers. Events of a lost lease are dropped.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Vec<Event>, StoreError>;

    /// The events with greater numbers than `after`, oldest first, of one deployment or of all.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn events_after(
        &self,
        after: u64,
        deployment: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// The number of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// When the store doesn't answer.
    async fn last_event(&self) -> Result<u64, StoreError>;
}

/// Selects deployments.
///
/// ```
/// use pipeops_runner::store::DeploymentFilter;
/// use pipeops_runner::{SqliteStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::in_memory()?;
/// let newest = DeploymentFilter::default().project("shop").limit(1);
/// assert_eq!(store.deployments(&newest).await?, []);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeploymentFilter {
    /// Only deployments of this project. Default: all.
    pub project: Option<String>,
    /// The greatest number of deployments. Default: 50.
    pub limit: usize,
}

impl Default for DeploymentFilter {
    fn default() -> Self {
        Self {
            project: None,
            limit: 50,
        }
    }
}

impl DeploymentFilter {
    /// Selects the deployments of one project.
    #[must_use]
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// Sets the greatest number of deployments.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// An event that isn't stored yet and has no number.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewEvent {
    /// The right to write it.
    pub fence: Fence,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, with secrets redacted.
    pub kind: EventKind,
}

impl NewEvent {
    /// An event of a claimed deployment.
    pub fn new(fence: Fence, at: Timestamp, kind: EventKind) -> Self {
        Self { fence, at, kind }
    }
}

/// Why an operation of a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another runner has claimed the deployment, or it has ended.
    #[error("the lease on deployment {deployment} is lost")]
    LeaseLost {
        /// The deployment's id.
        deployment: String,
    },
    /// The database can't be opened.
    #[error("cannot open the database {path}", path = path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A newer version of PipeOps wrote the database.
    #[error("the database has schema version {found}; this program knows {known}")]
    NewerSchema {
        /// The database's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database refused the operation.
    #[error("the database refused the operation")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// Stored data can't be read.
    #[error("cannot read {what} from the database")]
    Corrupt {
        /// Which data.
        what: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A secret can't be decrypted.
    #[error("cannot decrypt {what} from the database")]
    Cipher {
        /// Which data.
        what: String,
        /// Why.
        source: SecretCipherError,
    },
    /// The thread of the database ended, because the process ends.
    #[error("the thread of the database ended")]
    Stopped,
}

#[cfg(feature = "sqlite")]
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// True for [`StoreError::LeaseLost`].
    pub fn is_lease_lost(&self) -> bool {
        matches!(self, Self::LeaseLost { .. })
    }
}

impl Diagnose for StoreError {
    fn diagnosis(&self) -> Diagnosis {
        let page = match self {
            Self::LeaseLost { .. } => &codes::store::LEASE_LOST,
            Self::Open { .. } => &codes::store::OPEN,
            Self::NewerSchema { .. } => &codes::store::NEWER_SCHEMA,
            Self::Database(_) | Self::Stopped => &codes::store::DATABASE,
            Self::Corrupt { .. } => &codes::store::CORRUPT,
            Self::Cipher { source, .. } => return source.diagnosis(),
        };
        let class = match self {
            Self::Database(_) | Self::Stopped => RetryClass::Transient,
            _ => RetryClass::Permanent,
        };
        Diagnosis::new(page)
            .error(self.to_string())
            .reason(reason(self))
            .class(class)
    }
}

/// The text of the deepest source.
fn reason(error: &StoreError) -> String {
    let mut source = Error::source(error);
    let mut deepest = None;
    while let Some(error) = source {
        deepest = Some(error.to_string());
        source = error.source();
    }
    deepest.unwrap_or_default()
}
