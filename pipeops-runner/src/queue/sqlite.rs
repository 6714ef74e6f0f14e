//! The queue in the database of the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction};
use tokio::sync::Notify;

use super::{Claim, Queue};
use crate::deployment::Fence;
use crate::store::sqlite::{
    DEPLOYMENT_COLUMNS, Database, deployment_from_row, fail_unreadable, lease_lost,
    project_from_parts, snapshot_context, to_micros,
};
use crate::store::{SecretCipher, SqliteStore, StoreError};

/// The queue of a [`SqliteStore`], in its table of deployments. A notification reaches the clones of this value; other
/// processes find new deployments by polling.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    database: Database,
    cipher: Arc<SecretCipher>,
    news: Arc<Notify>,
}

impl SqliteQueue {
    /// The queue in the database of this store.
    pub fn new(store: &SqliteStore) -> Self {
        Self {
            database: store.database().clone(),
            cipher: Arc::clone(store.cipher()),
            news: Arc::default(),
        }
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn claim(&self, runner: &str, lease: Duration) -> Result<Option<Claim>, StoreError> {
        let cipher = Arc::clone(&self.cipher);
        let runner = runner.to_owned();
        self.database
            .write(move |tx| claim(tx, &cipher, &runner, lease))
            .await
    }

    async fn heartbeat(&self, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        set_lease(&self.database, fence, lease_end(lease), 0).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        // An expired lease can be claimed by anyone. A release is no failed attempt.
        set_lease(&self.database, fence, 0, 1).await?;
        self.news.notify_one();
        Ok(())
    }

    async fn announce(&self) -> Result<(), StoreError> {
        self.news.notify_one();
        Ok(())
    }

    async fn wait(&self, longest: Duration) {
        // Other processes can't notify this one: the limit is what finds their deployments.
        let _ = tokio::time::timeout(longest, self.news.notified()).await;
    }
}

/// Selects a deployment that is queued or has an expired lease, while no other one of its environment is running.
const CLAIMABLE: &str = "
    SELECT d.number FROM deployments d
    WHERE (d.status = 'queued' OR (d.status = 'running' AND d.lease <= ?1))
      AND NOT EXISTS (
        SELECT 1 FROM deployments o
        WHERE o.project = d.project AND o.environment = d.environment
          AND o.status = 'running' AND o.number <> d.number)
    ORDER BY d.priority DESC,
      (SELECT COUNT(*) FROM deployments r WHERE r.project = d.project AND r.status = 'running' AND r.lease > ?1),
      d.number
    LIMIT 1";

fn claim(
    tx: &Transaction<'_>,
    cipher: &SecretCipher,
    runner: &str,
    lease: Duration,
) -> Result<Option<Claim>, StoreError> {
    loop {
        let now = to_micros(Timestamp::now());
        let number: Option<i64> = tx
            .prepare_cached(CLAIMABLE)?
            .query_row([now], |row| row.get(0))
            .optional()?;
        let Some(number) = number else {
            return Ok(None);
        };
        match take(tx, cipher, number, runner, lease) {
            // An unreadable deployment must not block the others.
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Cipher { .. })) => {
                fail_unreadable(tx, number, &error)?;
            }
            taken => return taken,
        }
    }
}

fn take(
    tx: &Transaction<'_>,
    cipher: &SecretCipher,
    number: i64,
    runner: &str,
    lease: Duration,
) -> Result<Option<Claim>, StoreError> {
    let now = to_micros(Timestamp::now());
    let sql = format!(
        "UPDATE deployments SET status = 'running', runner = ?2, lease = ?3, fence = fence + 1,
             attempts = attempts + 1, started = COALESCE(started, ?4)
         WHERE number = ?1
         RETURNING {DEPLOYMENT_COLUMNS}, fence, attempts, project_config, sealed_project_secrets"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query((number, runner, lease_end(lease), now))?;
    rows.next()?
        .map(|row| claim_from_row(row, cipher))
        .transpose()
}

fn claim_from_row(row: &Row<'_>, cipher: &SecretCipher) -> Result<Claim, StoreError> {
    let deployment = deployment_from_row(row)?;
    let context = snapshot_context(&deployment.id);
    let config: String = row.get("project_config")?;
    let secrets: Vec<u8> = row.get("sealed_project_secrets")?;
    let project = project_from_parts(cipher, &context, &config, &secrets)?;
    let token = row.get::<_, i64>("fence")?.unsigned_abs();
    let attempt = row.get::<_, u32>("attempts")?.saturating_sub(1);
    Ok(Claim::new(deployment, project, token, attempt))
}

async fn set_lease(
    database: &Database,
    fence: &Fence,
    lease: i64,
    forgive: u32,
) -> Result<(), StoreError> {
    let fence = fence.clone();
    database
        .write(move |tx| {
            let rows = tx
                .prepare_cached(
                    "UPDATE deployments SET lease = ?3, attempts = attempts - ?4
                     WHERE id = ?1 AND fence = ?2 AND status = 'running'",
                )?
                .execute((&fence.deployment, fence.token as i64, lease, forgive))?;
            if rows == 0 {
                return Err(lease_lost(&fence));
            }
            Ok(())
        })
        .await
}

fn lease_end(lease: Duration) -> i64 {
    let micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
    to_micros(Timestamp::now()).saturating_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::conformance::{push, shop};

    const LEASE: Duration = Duration::from_secs(60);

    /// A queue with a push to each of these projects.
    async fn queue(projects: &[&str]) -> (SqliteStore, SqliteQueue) {
        let store = SqliteStore::in_memory().unwrap();
        let queue = SqliteQueue::new(&store);
        let pushes = projects.iter().map(|name| push(shop(name), '1', '2'));
        store.submit(pushes.collect()).await.unwrap();
        (store, queue)
    }

    #[tokio::test]
    async fn each_deployment_is_claimed_once() {
        let (_, queue) = queue(&["a", "b"]).await;
        let first = queue.claim("r1", LEASE).await.unwrap().unwrap();
        let second = queue.claim("r2", LEASE).await.unwrap().unwrap();
        assert_ne!(first.deployment.id, second.deployment.id);
        assert!(queue.claim("r3", LEASE).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_project_and_environment_run_one_deployment_at_a_time() {
        let (store, queue) = queue(&["a"]).await;
        let first = queue.claim("r1", LEASE).await.unwrap().unwrap();
        store.submit(vec![push(shop("a"), '2', '3')]).await.unwrap();
        assert!(queue.claim("r2", LEASE).await.unwrap().is_none());
        let ending = crate::deployment::Ending::Succeeded { image: "i".into() };
        store.finish(&first.fence, &ending).await.unwrap();
        assert!(queue.claim("r2", LEASE).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_expired_lease_is_taken_over_before_newer_commits_and_the_old_runner_is_shut_out() {
        let (store, queue) = queue(&["a"]).await;
        let dead = queue.claim("dead", Duration::ZERO).await.unwrap().unwrap();
        store.submit(vec![push(shop("a"), '2', '3')]).await.unwrap();
        let heir = queue.claim("heir", LEASE).await.unwrap().unwrap();
        assert_eq!(heir.deployment.id, dead.deployment.id);
        assert_eq!((dead.attempt, heir.attempt), (0, 1));
        let late = queue.heartbeat(&dead.fence, LEASE).await;
        assert!(late.unwrap_err().is_lease_lost());
        queue.heartbeat(&heir.fence, LEASE).await.unwrap();
    }

    #[tokio::test]
    async fn a_release_is_no_failed_attempt() {
        let (_store, queue) = queue(&["a"]).await;
        let first = queue.claim("r1", LEASE).await.unwrap().unwrap();
        queue.release(&first.fence).await.unwrap();
        let second = queue.claim("r2", LEASE).await.unwrap().unwrap();
        assert_eq!(second.attempt, 0);
        assert!(second.fence.token > first.fence.token);
        assert_eq!(second.project.secrets, first.project.secrets);
    }

    #[tokio::test]
    async fn priority_goes_first_then_the_project_that_has_fewest_running() {
        let (store, queue) = queue(&[]).await;
        let in_environment = |project: &str, environment: &str| {
            let mut new = push(shop(project), '1', '2');
            new.environment = environment.into();
            new
        };
        let mut urgent = in_environment("late", "production");
        urgent.priority = 1;
        let busy = ["one", "two"].map(|environment| in_environment("busy", environment));
        let all = Vec::from_iter(
            busy.into_iter()
                .chain([in_environment("idle", "one"), urgent]),
        );
        store.submit(all).await.unwrap();
        let mut order = Vec::new();
        while let Some(claim) = queue.claim("r", LEASE).await.unwrap() {
            order.push(claim.deployment.project);
        }
        assert_eq!(order, ["late", "busy", "idle", "busy"]);
    }

    #[tokio::test]
    async fn a_deployment_that_cannot_be_read_fails_and_stops_no_other() {
        let (store, queue) = queue(&["a", "b"]).await;
        let damage = "UPDATE deployments SET sealed_project_secrets = x'00' WHERE project = 'a'";
        let damaged = store.database().write(|tx| Ok(tx.execute(damage, [])?));
        assert_eq!(damaged.await.unwrap(), 1);
        let claim = queue.claim("r", LEASE).await.unwrap().unwrap();
        assert_eq!(claim.deployment.project, "b");
        let filter = crate::store::DeploymentFilter::default().project("a");
        let failed = store.deployments(&filter).await.unwrap().remove(0);
        assert_eq!(failed.status, crate::Status::Failed);
        assert!(failed.diagnosis.is_some());
    }

    #[tokio::test]
    async fn a_waiting_runner_is_told() {
        let (_store, queue) = queue(&[]).await;
        let other = queue.clone();
        let waiting = tokio::spawn(async move { other.wait(Duration::from_secs(600)).await });
        queue.announce().await.unwrap();
        waiting.await.unwrap();
    }
}
