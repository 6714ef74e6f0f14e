//! A [`Store`] in one SQLite file, for one machine: several processes may share it.

mod database;
mod deployments;
mod events;
mod journal;
mod projects;
mod rows;
mod schema;
mod submit;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pipeops_core::Event;

pub(crate) use database::Database;
pub(crate) use deployments::give_up;
pub(crate) use rows::{deployment_from_row, project_from_parts, to_micros};
pub(crate) use submit::snapshot_context;

use super::vault::with_suffix;
use super::{DeploymentFilter, NewEvent, Store, StoreError, Vault};
use crate::deployment::{Deployment, Ending, Fence, JournalEntry, NewDeployment, Submitted};
use crate::project::Project;

/// The columns that `deployment_from_row` reads, in its order.
pub(crate) const DEPLOYMENT_COLUMNS: &str = "id, project, environment, repository, reference, commit_sha, message, \
    pusher, status, image, diagnosis, rolled_back, created, started, finished";

/// Projects, deployments, journals and events in one SQLite file. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    database: Database,
    vault: Arc<Vault>,
}

impl SqliteStore {
    /// Opens the database in this file, which is made when it is not there.
    ///
    /// Secrets are sealed with the key in the environment variable `PIPEOPS_KEY`, else with the one in the file of the
    /// same name and `.key`, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened, was written by a newer version, or the key cannot be had.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let key_file = with_suffix(path.as_ref(), "key");
        let vault = Vault::from_env_or_file(&key_file).map_err(no_key)?;
        Self::open_with_vault(path, vault)
    }

    /// Opens the database in this file with a key of the caller's.
    ///
    /// # Errors
    /// When the file cannot be opened, was written by a newer version, or its secrets are sealed with another key.
    pub fn open_with_vault(path: impl AsRef<Path>, vault: Vault) -> Result<Self, StoreError> {
        let database = Database::open(path.as_ref(), &vault)?;
        Ok(Self::new(database, vault))
    }

    /// A store that dies with its last clone: for tests and demonstrations.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let vault = Vault::ephemeral().map_err(no_key)?;
        Ok(Self::new(Database::in_memory()?, vault))
    }

    fn new(database: Database, vault: Vault) -> Self {
        Self {
            database,
            vault: Arc::new(vault),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }
}

fn no_key(source: super::VaultError) -> StoreError {
    StoreError::Vault {
        what: "the key for secrets".to_owned(),
        source,
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_project(&self, project: &Project) -> Result<(), StoreError> {
        projects::put(self, project).await
    }

    async fn project(&self, name: &str) -> Result<Option<Project>, StoreError> {
        projects::get(self, name).await
    }

    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        projects::list(self).await
    }

    async fn submit(&self, new: Vec<NewDeployment>) -> Result<Vec<Submitted>, StoreError> {
        submit::submit(self, new).await
    }

    async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError> {
        deployments::get(self, id).await
    }

    async fn deployments(&self, filter: &DeploymentFilter) -> Result<Vec<Deployment>, StoreError> {
        deployments::list(self, filter).await
    }

    async fn journal(&self, deployment: &str) -> Result<Vec<JournalEntry>, StoreError> {
        journal::read(self, deployment).await
    }

    async fn record_step(&self, fence: &Fence, entry: &JournalEntry) -> Result<(), StoreError> {
        journal::record(self, fence, entry).await
    }

    async fn finish(&self, fence: &Fence, ending: &Ending) -> Result<(), StoreError> {
        deployments::finish(self, fence, ending).await
    }

    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Vec<Event>, StoreError> {
        events::append(self, events).await
    }

    async fn events_after(
        &self,
        after: u64,
        deployment: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        events::after(self, after, deployment, limit).await
    }

    async fn last_event(&self) -> Result<u64, StoreError> {
        events::last(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    /// In memory and in a file: only the file has several connections.
    fn stores() -> (Vec<SqliteStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::ephemeral().unwrap();
        let file = SqliteStore::open_with_vault(folder.path().join("pipeops.db"), vault).unwrap();
        (vec![SqliteStore::in_memory().unwrap(), file], folder)
    }

    /// Runs one case of the suite on a fresh store of each kind.
    macro_rules! conforms {
        ($($case:ident),* $(,)?) => {$(
            #[tokio::test]
            async fn $case() {
                let (stores, _folder) = stores();
                for store in &stores {
                    conformance::$case(store, &crate::queue::SqliteQueue::new(store)).await;
                }
            }
        )*};
    }

    conforms!(
        a_project_comes_back_with_its_secrets,
        the_same_push_is_one_deployment,
        a_branch_that_is_set_back_is_deployed_again,
        a_newer_commit_replaces_a_queued_one,
        a_manual_deployment_is_never_a_duplicate,
        a_lost_lease_cannot_write,
        the_journal_keeps_typed_outputs,
        events_are_numbered_without_gaps,
        a_deployment_ends_once,
    );

    #[tokio::test]
    async fn what_was_stored_is_there_after_a_restart_and_secrets_are_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeops.db");
        let project = Project::new("shop").unwrap().webhook_secret("hunter22");
        {
            let store = SqliteStore::open(&path).unwrap();
            store.put_project(&project).await.unwrap();
        }
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"hunter22"));
        }
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.project("shop").await.unwrap(), Some(project));
    }

    #[tokio::test]
    async fn another_key_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeops.db");
        let open = || SqliteStore::open_with_vault(&path, Vault::ephemeral().unwrap());
        open().unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, StoreError::Vault { .. }), "{error:?}");
    }
}
