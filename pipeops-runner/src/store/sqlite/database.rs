//! Connections to one SQLite database, for async code.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::rows::{seal, unseal};
use super::schema;
use crate::store::{SecretCipher, StoreError};

/// How long a write waits for a write of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of connections for reads.
const READERS: usize = 4;

/// One database with one connection for writes and several for reads. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    writer: Arc<Mutex<Connection>>,
    /// Empty for a database in memory, which has only one connection.
    readers: Arc<[Arc<Mutex<Connection>>]>,
    next: Arc<AtomicUsize>,
}

impl Database {
    /// Opens a file, creating it (mode 0600) if needed, and migrates its schema.
    pub(super) fn open(path: &Path, cipher: &SecretCipher) -> Result<Self, StoreError> {
        make_private_file(path);
        let failed = |error: rusqlite::Error| StoreError::Open {
            path: path.to_owned(),
            source: error.into(),
        };
        let mut writer = Connection::open(path).map_err(failed)?;
        configure(&writer).map_err(failed)?;
        // Write-ahead log: reads don't wait for writes. FULL: a completed write survives a power cut.
        writer
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .map_err(failed)?;
        schema::migrate(&mut writer)?;
        check_key(&mut writer, cipher)?;
        let readers: Result<Vec<_>, rusqlite::Error> =
            (0..READERS).map(|_| open_reader(path)).collect();
        Ok(Self::new(writer, readers.map_err(failed)?))
    }

    /// A database in memory.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        configure(&connection)?;
        schema::migrate(&mut connection)?;
        Ok(Self::new(connection, Vec::new()))
    }

    fn new(writer: Connection, readers: Vec<Connection>) -> Self {
        let shared = |connection| Arc::new(Mutex::new(connection));
        Self {
            writer: shared(writer),
            readers: readers.into_iter().map(shared).collect(),
            next: Arc::default(),
        }
    }

    /// Runs `work` in one transaction, which is committed on success.
    ///
    /// Started work finishes even if the future is dropped.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        // Waiting blocks no thread.
        let mut connection = Arc::clone(&self.writer).lock_owned().await;
        let done = spawn_blocking(move || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        done.await.map_err(|_| StoreError::Stopped)?
    }

    /// Runs `work` on a connection for reads. Each statement sees one state of the database.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = match self.readers.len() {
            0 => &self.writer,
            readers => &self.readers[turn % readers],
        };
        let connection = Arc::clone(connection).lock_owned().await;
        let done = spawn_blocking(move || work(&connection));
        done.await.map_err(|_| StoreError::Stopped)?
    }
}

/// Refuses another key than last time at once, rather than at the first secret.
fn check_key(connection: &mut Connection, cipher: &SecretCipher) -> Result<(), StoreError> {
    const CHECK: &str = "the check of the key";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known: Option<Vec<u8>> = transaction
        .query_row("SELECT sealed_check FROM vault", [], |row| row.get(0))
        .optional()?;
    match known {
        Some(sealed) => drop(unseal(cipher, CHECK, &sealed)?),
        None => {
            let sealed = seal(cipher, CHECK, b"pipeops")?;
            transaction.execute("INSERT INTO vault VALUES (1, ?1)", [sealed])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// SQLite creates its other files with the mode of the first one. If this fails, opening the file reports the error.
fn make_private_file(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA foreign_keys = ON;")
}
