//! From a push to a queued deployment, in one transaction.

use std::sync::Arc;

use jiff::Timestamp;
use pipeops_core::EventKind;
use rusqlite::{Params, Transaction};

use super::events;
use super::handle::SqliteStore;
use super::rows::{DEPLOYMENT_COLUMNS, deployment_from_row, now, seal, to_json, to_micros};
use crate::deployment::{Deployment, NewDeployment, Submitted};
use crate::store::{SecretCipher, StoreError};

pub(super) async fn submit(
    store: &SqliteStore,
    new: Vec<NewDeployment>,
) -> Result<Vec<Submitted>, StoreError> {
    let cipher = Arc::clone(&store.cipher);
    store
        .database
        .write(move |tx| {
            new.into_iter()
                .map(|new| submit_one(tx, &cipher, new))
                .collect()
        })
        .await
}

fn submit_one(
    tx: &Transaction<'_>,
    cipher: &SecretCipher,
    new: NewDeployment,
) -> Result<Submitted, StoreError> {
    if new.deduplicate
        && let Some(first) = duplicate_of(tx, &new)?
    {
        return Ok(Submitted::Duplicate(first));
    }
    let now = now();
    supersede(tx, &new, now)?;
    let deployment = insert(tx, cipher, &new, now)?;
    let queued = EventKind::Queued {
        project: deployment.project.clone(),
        environment: deployment.environment.clone(),
        commit: deployment.commit.clone(),
    };
    events::insert(tx, &deployment.id, now, &queued)?;
    Ok(Submitted::Queued(deployment))
}

/// An earlier deployment of the same push, by the rule of [`Store::submit`](crate::store::Store::submit).
fn duplicate_of(
    tx: &Transaction<'_>,
    new: &NewDeployment,
) -> Result<Option<Deployment>, StoreError> {
    let key = (
        &new.project.name,
        &new.environment,
        new.reference.to_string(),
    );
    let by_delivery = find(
        tx,
        "AND delivery = ?4 ORDER BY number LIMIT 1",
        (key.0, key.1, &key.2, &new.delivery),
    )?;
    if by_delivery.is_some() {
        return Ok(by_delivery);
    }
    let newest = find(tx, "ORDER BY number DESC LIMIT 1", (key.0, key.1, &key.2))?;
    let Some(newest) = newest else {
        return Ok(None);
    };
    let before = new.before.as_ref().map(|sha| sha.as_str());
    let same_push = find(
        tx,
        "AND before IS ?4 AND commit_sha = ?5 ORDER BY number LIMIT 1",
        (key.0, key.1, &key.2, before, new.commit.as_str()),
    )?;
    if newest.commit == new.commit {
        return Ok(Some(same_push.unwrap_or(newest)));
    }
    let moved_from_newest = new.before.as_ref() == Some(&newest.commit);
    Ok(same_push.filter(|_| !moved_from_newest))
}

/// One deployment of a project (?1), environment (?2) and ref (?3), chosen further by `rest`.
fn find(
    tx: &Transaction<'_>,
    rest: &str,
    parameters: impl Params,
) -> Result<Option<Deployment>, StoreError> {
    let sql = format!(
        "SELECT {DEPLOYMENT_COLUMNS} FROM deployments
         WHERE project = ?1 AND environment = ?2 AND reference = ?3 {rest}"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters)?;
    rows.next()?.map(deployment_from_row).transpose()
}

/// Cancels the queued deployments of the environment.
fn supersede(tx: &Transaction<'_>, new: &NewDeployment, now: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE deployments SET status = 'cancelled', finished = ?3
         WHERE project = ?1 AND environment = ?2 AND status = 'queued' RETURNING id",
    )?;
    let replaced: Vec<String> = statement
        .query_map(
            (&new.project.name, &new.environment, to_micros(now)),
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    for id in replaced {
        let reason = format!("replaced by commit {}", new.commit.short());
        events::insert(tx, &id, now, &EventKind::Cancelled { reason })?;
    }
    Ok(())
}

fn insert(
    tx: &Transaction<'_>,
    cipher: &SecretCipher,
    new: &NewDeployment,
    now: Timestamp,
) -> Result<Deployment, StoreError> {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let context = snapshot_context(&id);
    let config = to_json(&context, &new.project)?;
    let secrets = seal(cipher, &context, &new.project.secrets.expose())?;
    let deployment = Deployment::queued(id, new, now);
    tx.prepare_cached(
        "INSERT INTO deployments (id, project, environment, repository, reference, before, commit_sha, message,
             pusher, delivery, priority, project_config, sealed_project_secrets, status, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'queued', ?14)",
    )?
    .execute(rusqlite::params![
        deployment.id,
        new.project.name,
        new.environment,
        deployment.repository,
        new.reference.to_string(),
        new.before.as_ref().map(|sha| sha.as_str()),
        new.commit.as_str(),
        new.message,
        new.pusher,
        new.delivery,
        new.priority,
        config,
        secrets,
        to_micros(now),
    ])?;
    Ok(deployment)
}

/// The context of the encrypted secrets in a deployment's copy of its project.
pub(crate) fn snapshot_context(deployment: &str) -> String {
    format!("project of deployment {deployment}")
}
