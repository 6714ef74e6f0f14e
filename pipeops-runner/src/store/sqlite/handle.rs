//! The handle of a SQLite store.

use std::path::Path;
use std::sync::Arc;

use super::database::Database;
use crate::store::cipher::with_suffix;
use crate::store::{SecretCipher, SecretCipherError, StoreError};

/// Projects, deployments, journals and events in one SQLite file. Clones share its connections.
///
/// ```
/// use pipeops_runner::{Project, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pipeops.db");
/// SqliteStore::open(&path)?.put_project(&Project::new("shop")?).await?;
///
/// let reopened = SqliteStore::open(&path)?;
/// assert_eq!(reopened.projects().await?.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(super) database: Database,
    pub(super) cipher: Arc<SecretCipher>,
}

impl SqliteStore {
    /// Opens the database in this file, or creates it.
    ///
    /// Secrets are encrypted with the key in the environment variable `PIPEOPS_KEY`, or else with the key in the file with
    /// the same name and `.key`, which is created if needed.
    ///
    /// # Errors
    /// When the file can't be opened, a newer version wrote it, or the key can't be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let key_file = with_suffix(path.as_ref(), "key");
        let cipher = SecretCipher::from_env_or_file(&key_file).map_err(no_key)?;
        Self::open_with_cipher(path, cipher)
    }

    /// Opens the database in this file with the caller's key.
    ///
    /// # Errors
    /// When the file can't be opened, a newer version wrote it, or its secrets are encrypted with another key.
    pub fn open_with_cipher(
        path: impl AsRef<Path>,
        cipher: SecretCipher,
    ) -> Result<Self, StoreError> {
        let database = Database::open(path.as_ref(), &cipher)?;
        Ok(Self::new(database, cipher))
    }

    /// A store in memory, for tests and demonstrations. It's lost with its last clone.
    ///
    /// # Errors
    /// When SQLite can't allocate memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let cipher = SecretCipher::ephemeral().map_err(no_key)?;
        Ok(Self::new(Database::in_memory()?, cipher))
    }

    fn new(database: Database, cipher: SecretCipher) -> Self {
        Self {
            database,
            cipher: Arc::new(cipher),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn cipher(&self) -> &Arc<SecretCipher> {
        &self.cipher
    }
}

fn no_key(source: SecretCipherError) -> StoreError {
    StoreError::Cipher {
        what: "the key for secrets".to_owned(),
        source,
    }
}
