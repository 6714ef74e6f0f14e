//! The tables and their migrations.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// One script for each version of the schema. A database of version N has run the first N scripts.
const MIGRATIONS: [&str; 1] = [VERSION_1];

/// Times are microseconds since 1970 in UTC. Columns named `sealed_…` are encrypted.
///
/// A row of `deployments` is also an entry of the queue, by `status`, `lease`, `fence` and `attempts`.
const VERSION_1: &str = "
CREATE TABLE vault (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed_check BLOB NOT NULL
) STRICT;

CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    config TEXT NOT NULL,
    sealed_secrets BLOB NOT NULL
) STRICT;

CREATE TABLE deployments (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    repository TEXT NOT NULL,
    reference TEXT NOT NULL,
    before TEXT,
    commit_sha TEXT NOT NULL,
    message TEXT,
    pusher TEXT,
    delivery TEXT,
    priority INTEGER NOT NULL,
    project_config TEXT NOT NULL,
    sealed_project_secrets BLOB NOT NULL,
    status TEXT NOT NULL,
    runner TEXT,
    lease INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    image TEXT,
    diagnosis TEXT,
    rolled_back INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER
) STRICT;
CREATE INDEX deployments_by_ref ON deployments (project, environment, reference, number);
CREATE INDEX deployments_open ON deployments (project, environment) WHERE status IN ('queued', 'running');

CREATE TABLE journal (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    millis INTEGER NOT NULL,
    summary TEXT NOT NULL,
    sealed_output BLOB NOT NULL,
    PRIMARY KEY (deployment, step)
) STRICT;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_deployment ON events (deployment, seq);
";

/// Runs all missing scripts in one transaction.
///
/// # Errors
/// When a newer version wrote the database, or a script fails.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    let missing = usize::try_from(found).unwrap_or_default();
    for script in &MIGRATIONS[missing..] {
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing_and_newer_databases_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            migrate(&mut connection),
            Err(StoreError::NewerSchema {
                found: 99,
                known: 1
            })
        ));
    }
}
