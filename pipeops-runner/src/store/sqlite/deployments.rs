//! Deployments in SQLite: reading and ending them.

use jiff::Timestamp;
use pipeops_core::{Diagnose, EventKind};
use rusqlite::{OptionalExtension, Transaction};

use super::events;
use super::handle::SqliteStore;
use super::rows::{DEPLOYMENT_COLUMNS, deployment_from_row, from_micros, now, to_json, to_micros};
use crate::deployment::{Deployment, Ending, Fence, Status};
use crate::store::{DeploymentFilter, StoreError};

/// The most deployments that are listed at once.
const MAX_LISTED: usize = 500;

/// The methods of [`Store`](crate::Store) to read deployments, without an import of the trait.
impl SqliteStore {
    /// The deployment with this id.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError> {
        get(self, id).await
    }

    /// The newest deployments, newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn deployments(
        &self,
        filter: &DeploymentFilter,
    ) -> Result<Vec<Deployment>, StoreError> {
        list(self, filter).await
    }
}

pub(super) async fn get(store: &SqliteStore, id: &str) -> Result<Option<Deployment>, StoreError> {
    let id = id.to_owned();
    store
        .database
        .read(move |db| {
            let sql = format!("SELECT {DEPLOYMENT_COLUMNS} FROM deployments WHERE id = ?1");
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query([id])?;
            rows.next()?.map(deployment_from_row).transpose()
        })
        .await
}

pub(super) async fn list(
    store: &SqliteStore,
    filter: &DeploymentFilter,
) -> Result<Vec<Deployment>, StoreError> {
    let filter = filter.clone();
    store
        .database
        .read(move |db| {
            let sql = format!(
                "SELECT {DEPLOYMENT_COLUMNS} FROM deployments
                 WHERE ?1 IS NULL OR project = ?1 ORDER BY number DESC LIMIT ?2"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let limit = filter.limit.min(MAX_LISTED) as i64;
            let mut rows = statement.query((filter.project, limit))?;
            let mut deployments = Vec::new();
            while let Some(row) = rows.next()? {
                deployments.push(deployment_from_row(row)?);
            }
            Ok(deployments)
        })
        .await
}

pub(super) async fn finish(
    store: &SqliteStore,
    fence: &Fence,
    ending: &Ending,
) -> Result<(), StoreError> {
    let (fence, ending) = (fence.clone(), ending.clone());
    store
        .database
        .write(move |tx| {
            let now = now();
            let created = close(tx, &fence, &ending, now)?;
            let kind = last_event(ending, now.duration_since(created));
            events::insert(tx, &fence.deployment, now, &kind)?;
            Ok(())
        })
        .await
}

/// Fails a deployment whose stored data can't be read.
pub(crate) fn fail_unreadable(
    tx: &Transaction<'_>,
    number: i64,
    error: &StoreError,
) -> Result<(), StoreError> {
    let now = now();
    let diagnosis = error.diagnosis();
    let id: String = tx
        .prepare_cached(
            "UPDATE deployments SET status = 'failed', diagnosis = ?2, finished = ?3, runner = NULL, lease = NULL
             WHERE number = ?1 RETURNING id",
        )?
        .query_row(
            (number, to_json("a diagnosis", &diagnosis)?, to_micros(now)),
            |row| row.get(0),
        )?;
    let failed = EventKind::Failed {
        diagnosis,
        rolled_back: false,
    };
    events::insert(tx, &id, now, &failed)
}

/// Sets the final state. Returns the time at which the deployment was created.
fn close(
    tx: &Transaction<'_>,
    fence: &Fence,
    ending: &Ending,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let (status, image, diagnosis, rolled_back) = match ending {
        Ending::Succeeded { image } => (Status::Succeeded, Some(image), None, false),
        Ending::Failed {
            diagnosis,
            rolled_back,
        } => (Status::Failed, None, Some(diagnosis), *rolled_back),
    };
    let diagnosis = diagnosis
        .map(|diagnosis| to_json("a diagnosis", diagnosis))
        .transpose()?;
    let created: Option<i64> = tx
        .prepare_cached(
            "UPDATE deployments SET status = ?3, image = ?4, diagnosis = ?5, rolled_back = ?6, finished = ?7,
                 runner = NULL, lease = NULL
             WHERE id = ?1 AND fence = ?2 AND status = 'running' RETURNING created",
        )?
        .query_row(
            rusqlite::params![
                fence.deployment,
                fence.token as i64,
                status.name(),
                image,
                diagnosis,
                rolled_back,
                to_micros(now),
            ],
            |row| row.get(0),
        )
        .optional()?;
    created.map(from_micros).ok_or_else(|| lease_lost(fence))
}

fn last_event(ending: Ending, took: jiff::SignedDuration) -> EventKind {
    match ending {
        Ending::Succeeded { image } => EventKind::Succeeded {
            image,
            millis: u64::try_from(took.as_millis()).unwrap_or_default(),
        },
        Ending::Failed {
            diagnosis,
            rolled_back,
        } => EventKind::Failed {
            diagnosis,
            rolled_back,
        },
    }
}

pub(crate) fn lease_lost(fence: &Fence) -> StoreError {
    StoreError::LeaseLost {
        deployment: fence.deployment.clone(),
    }
}
