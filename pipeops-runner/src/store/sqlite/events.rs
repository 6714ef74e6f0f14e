//! The stream of events in SQLite.

use jiff::Timestamp;
use pipeops_core::{Event, EventKind};
use rusqlite::Transaction;

use super::handle::SqliteStore;
use super::rows::{from_json, from_micros, to_json, to_micros};
use crate::store::{NewEvent, StoreError};

/// Appends one event of a deployment, whatever the state of its lease.
pub(super) fn insert(
    tx: &Transaction<'_>,
    deployment: &str,
    at: Timestamp,
    kind: &EventKind,
) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO events (deployment, at, kind) VALUES (?1, ?2, ?3)")?
        .execute((deployment, to_micros(at), to_json("an event", kind)?))?;
    Ok(())
}

pub(super) async fn append(
    store: &SqliteStore,
    events: Vec<NewEvent>,
) -> Result<Vec<Event>, StoreError> {
    store
        .database
        .write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO events (deployment, at, kind)
                 SELECT ?1, ?3, ?4 FROM deployments WHERE id = ?1 AND fence = ?2 AND status = 'running'",
            )?;
            let mut written = Vec::with_capacity(events.len());
            for event in events {
                let kind = to_json("an event", &event.kind)?;
                let token = event.fence.token as i64;
                let rows =
                    statement.execute((&event.fence.deployment, token, to_micros(event.at), kind))?;
                if rows == 1 {
                    written.push(Event {
                        seq: tx.last_insert_rowid().unsigned_abs(),
                        at: from_micros(to_micros(event.at)),
                        deployment: event.fence.deployment,
                        kind: event.kind,
                    });
                }
            }
            Ok(written)
        })
        .await
}

pub(super) async fn after(
    store: &SqliteStore,
    after: u64,
    deployment: Option<&str>,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let deployment = deployment.map(str::to_owned);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    store
        .database
        .read(move |db| {
            // Two statements, because with "?2 IS NULL OR …" SQLite wouldn't use the index.
            let condition = match deployment {
                Some(_) => "deployment = ?2",
                None => "?2 IS NULL",
            };
            let sql = format!(
                "SELECT seq, deployment, at, kind FROM events WHERE seq > ?1 AND {condition} ORDER BY seq LIMIT ?3"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query((after, deployment, limit))?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let seq = row.get::<_, i64>(0)?.unsigned_abs();
                let kind: String = row.get(3)?;
                events.push(Event {
                    seq,
                    deployment: row.get(1)?,
                    at: from_micros(row.get(2)?),
                    kind: from_json(|| format!("event {seq}"), kind.as_bytes())?,
                });
            }
            Ok(events)
        })
        .await
}

pub(super) async fn last(store: &SqliteStore) -> Result<u64, StoreError> {
    store
        .database
        .read(|db| {
            let mut statement = db.prepare_cached("SELECT COALESCE(MAX(seq), 0) FROM events")?;
            let last: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(last.unsigned_abs())
        })
        .await
}
