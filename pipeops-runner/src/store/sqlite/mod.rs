//! A [`Store`] in one SQLite file. Several processes of one machine can share it.

mod database;
mod deployments;
mod events;
mod handle;
mod journal;
mod projects;
mod rows;
mod schema;
mod submit;

use async_trait::async_trait;
use pipeops_core::Event;

pub(crate) use database::Database;
pub(crate) use deployments::{fail_unreadable, lease_lost};
pub use handle::SqliteStore;
pub(crate) use rows::{DEPLOYMENT_COLUMNS, deployment_from_row, project_from_parts, to_micros};
pub(crate) use submit::snapshot_context;

use super::{DeploymentFilter, NewEvent, Store, StoreError};
use crate::deployment::{Deployment, Ending, Fence, JournalEntry, NewDeployment, Submitted};
use crate::project::Project;

#[async_trait]
impl Store for SqliteStore {
    async fn put_project(&self, project: &Project) -> Result<(), StoreError> {
        Self::put_project(self, project).await
    }

    async fn project(&self, name: &str) -> Result<Option<Project>, StoreError> {
        Self::project(self, name).await
    }

    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        Self::projects(self).await
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
    use crate::store::{SecretCipher, conformance};

    /// In memory and in a file. Only the file has several connections.
    fn stores() -> (Vec<SqliteStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let cipher = SecretCipher::ephemeral().unwrap();
        let file = SqliteStore::open_with_cipher(folder.path().join("pipeops.db"), cipher).unwrap();
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
        let open = || SqliteStore::open_with_cipher(&path, SecretCipher::ephemeral().unwrap());
        open().unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, StoreError::Cipher { .. }), "{error:?}");
    }
}
