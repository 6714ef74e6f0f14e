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

/// State that outlives a process.
///
/// One conformance suite runs over every implementation. Writes for a deployment take a [`Fence`]: they are refused with
/// [`StoreError::LeaseLost`] once another runner has claimed it.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Stores a project, or replaces the one of the same name. Its secrets are encrypted.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn put_project(&self, project: &Project) -> Result<(), StoreError>;

    /// The project of this name, with its secrets.
    ///
    /// # Errors
    /// When the store does not answer, or the secrets cannot be decrypted.
    async fn project(&self, name: &str) -> Result<Option<Project>, StoreError>;

    /// All projects by name, without their secrets.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn projects(&self) -> Result<Vec<Project>, StoreError>;

    /// Stores deployments and queues them, all or none, each with its [`EventKind::Queued`].
    ///
    /// The same push twice is one deployment; see [`Submitted::Duplicate`]. A push is the same when its delivery id is
    /// known; when its commit is the newest of this ref and environment; or when ref, old and new commit are those of an
    /// earlier deployment, unless the ref has just moved from that old commit (a branch that is set back and forth is
    /// deployed each time). A queued deployment of the same project and environment is replaced.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn submit(&self, new: Vec<NewDeployment>) -> Result<Vec<Submitted>, StoreError>;

    /// The deployment of this id.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError>;

    /// The newest deployments, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn deployments(&self, filter: &DeploymentFilter) -> Result<Vec<Deployment>, StoreError>;

    /// The finished steps of a deployment, in their order.
    ///
    /// # Errors
    /// When the store does not answer, or an output cannot be decrypted.
    async fn journal(&self, deployment: &str) -> Result<Vec<JournalEntry>, StoreError>;

    /// Writes a finished step, with its [`EventKind::StepFinished`]. Writing it again replaces it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store does not answer.
    async fn record_step(&self, fence: &Fence, entry: &JournalEntry) -> Result<(), StoreError>;

    /// Ends a deployment, with its last event. Nothing is written for it after that.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store does not answer.
    async fn finish(&self, fence: &Fence, ending: &Ending) -> Result<(), StoreError>;

    /// Appends to the stream. Returns the events with their numbers, in order, without those of a lost lease.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Vec<Event>, StoreError>;

    /// The events after this number, oldest first; of one deployment, or of all.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn events_after(
        &self,
        after: u64,
        deployment: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// The number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn last_event(&self) -> Result<u64, StoreError>;
}

/// Which deployments are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeploymentFilter {
    /// Of one project; of all by default.
    pub project: Option<String>,
    /// How many at most. Default: 50.
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
    /// Those of one project only.
    #[must_use]
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// How many at most.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// An event on its way into the stream, before it has a number.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewEvent {
    /// Who may write it.
    pub fence: Fence,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, secrets redacted.
    pub kind: EventKind,
}

impl NewEvent {
    /// An event of a claimed deployment.
    pub fn new(fence: Fence, at: Timestamp, kind: EventKind) -> Self {
        Self { fence, at, kind }
    }
}

/// An operation of the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another runner has claimed the deployment, or it has ended.
    #[error("the lease on deployment {deployment} is lost")]
    LeaseLost {
        /// The deployment's id.
        deployment: String,
    },
    /// The database cannot be opened.
    #[error("the database {path} cannot be opened", path = path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database was written by a newer version.
    #[error("the database has schema version {found}; this program knows {known}")]
    NewerSchema {
        /// The database's version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The database refused the operation.
    #[error("the database refused the operation")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored cannot be read back.
    #[error("{what} in the database cannot be read")]
    Corrupt {
        /// What it is.
        what: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A secret cannot be decrypted.
    #[error("{what} in the database cannot be decrypted")]
    Cipher {
        /// What it is.
        what: String,
        /// Why.
        source: SecretCipherError,
    },
    /// The thread that did the work is gone: the process ends.
    #[error("the database's thread ended")]
    Stopped,
}

#[cfg(feature = "sqlite")]
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// True when another runner has taken over.
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

/// The text of the deepest source, where there is one.
fn reason(error: &StoreError) -> String {
    let mut source = Error::source(error);
    let mut deepest = None;
    while let Some(error) = source {
        deepest = Some(error.to_string());
        source = error.source();
    }
    deepest.unwrap_or_default()
}
