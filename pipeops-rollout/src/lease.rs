//! One process per application at a time: a `coordination.k8s.io/v1` Lease per application.
//!
//! The rules are those of [client-go's leader election]: a claim has expired if its record hasn't changed for its duration
//! *as measured locally*, so clocks needn't agree.
//!
//! [client-go's leader election]: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pipeops_core::Object;
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::api_error::{ApiError, ApiProblem};
use crate::cluster::{ClusterApi, ObjectId};
use crate::error::Error;

/// How often another holder's claim is checked.
const RECHECK: Duration = Duration::from_secs(2);
/// A claim that exceeds its duration by this much has expired, however wrong the clocks are.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The longest duration that is accepted from a claim.
const LONGEST: Duration = Duration::from_secs(300);

/// How the Lease of an application is acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// The holder identity, unique among all running processes. A process that restarts with the same identity continues at
    /// once; with another one, it waits until its old claim has expired. Default: a random one.
    pub holder: Option<String>,
    /// How long a claim lasts without renewal, in whole seconds, at least 1. Default: 15 s.
    pub duration: Duration,
    /// How long to wait for another holder's claim to end. Default: 60 s.
    pub wait: Duration,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self {
            holder: None,
            duration: Duration::from_secs(15),
            wait: Duration::from_secs(60),
        }
    }
}

/// A claim that is renewed in the background until it is released or dropped.
pub(crate) struct Lease {
    renewal: JoinHandle<()>,
    lost: watch::Receiver<bool>,
    claim: Claim,
}

impl Lease {
    /// Claims an application. Waits for another holder's claim to end.
    ///
    /// # Errors
    /// [`Error::Busy`] if it doesn't end in time.
    pub(crate) async fn acquire(
        cluster: Arc<dyn ClusterApi>,
        namespace: &str,
        app: &str,
        holder: &str,
        options: &LeaseOptions,
    ) -> Result<Self, Error> {
        let claim = Claim {
            id: ObjectId::new(
                "coordination.k8s.io/v1",
                "Lease",
                namespace,
                format!("pipeops-{app}"),
            ),
            cluster,
            holder: holder.to_owned(),
            duration: options.duration.max(Duration::from_secs(1)),
        };
        let acquired = claim.acquire(app, options.wait).await?;
        let (lose, lost) = watch::channel(false);
        let renewal = tokio::spawn(claim.clone().renew_until_lost(acquired, lose));
        Ok(Self {
            renewal,
            lost,
            claim,
        })
    }

    /// Does the work, unless the claim is lost first.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]; any error of the work.
    pub(crate) async fn hold<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            // An error means that the renewal has ended, which is no better.
            _ = self.lost.wait_for(|lost| *lost) => Err(Error::LeaseLost {
                namespace: self.claim.id.namespace.clone(),
                lease: self.claim.id.name.clone(),
            }),
            result = work => result,
        }
    }

    /// Ends the claim, so that the next holder need not wait until it expires.
    pub(crate) async fn release(self) {
        self.renewal.abort();
        let limit = self.claim.duration;
        match timeout(limit, self.claim.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot release the lease; it expires"),
            Err(_) => tracing::debug!("cannot release the lease in time; it expires"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

#[derive(Clone)]
struct Claim {
    id: ObjectId,
    cluster: Arc<dyn ClusterApi>,
    holder: String,
    duration: Duration,
}

/// The content of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LeaseRecord {
    holder: String,
    duration: Duration,
    renewed: Option<Timestamp>,
    transitions: i64,
}

impl Claim {
    async fn acquire(&self, app: &str, wait: Duration) -> Result<Object, Error> {
        let deadline = Instant::now() + wait;
        let mut seen: Option<(LeaseRecord, Instant)> = None;
        loop {
            let Some(object) = self.cluster.get(&self.id).await? else {
                let created = self.cluster.create(&self.id, &self.object(None)?).await;
                if let Some(lease) = self.none_on_conflict(created)? {
                    return Ok(lease);
                }
                continue;
            };
            let (record, now) = (LeaseRecord::of(&object), Instant::now());
            let since = match &seen {
                Some((known, since)) if *known == record => *since,
                _ => now,
            };
            if record.is_free_for(&self.holder) || since + record.duration <= now {
                let ours = self.object(Some(&object))?;
                let claimed = self.cluster.replace(&self.id, &ours).await;
                if let Some(lease) = self.none_on_conflict(claimed)? {
                    return Ok(lease);
                }
                continue;
            }
            if now >= deadline {
                return Err(Error::Busy {
                    namespace: self.id.namespace.clone(),
                    app: app.to_owned(),
                    holder: record.holder,
                });
            }
            let wake = (since + record.duration).min(now + RECHECK).min(deadline);
            seen = Some((record, since));
            sleep_until(wake).await;
        }
    }

    /// What was written; `None` if another holder was faster.
    fn none_on_conflict(
        &self,
        written: Result<Object, ApiError>,
    ) -> Result<Option<Object>, ApiError> {
        match written {
            Ok(lease) => Ok(Some(lease)),
            Err(error) => match error.problem {
                ApiProblem::AlreadyExists | ApiProblem::Stale | ApiProblem::NotFound => Ok(None),
                _ => Err(error),
            },
        }
    }

    async fn renew_until_lost(self, mut lease: Object, lose: watch::Sender<bool>) {
        let third = self.duration / 3;
        let mut valid_until = Instant::now() + self.duration;
        loop {
            tokio::time::sleep(third).await;
            let began = Instant::now();
            match timeout(third, self.renew(&lease)).await {
                Ok(Ok(Some(renewed))) => {
                    lease = renewed;
                    valid_until = began + self.duration;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => tracing::debug!(%error, "cannot renew the lease"),
                Err(_) => tracing::debug!("cannot renew the lease in time"),
            }
            // The next attempt would be too late: another holder could have claimed it by then.
            if Instant::now() + third >= valid_until {
                break;
            }
        }
        lose.send_replace(true);
    }

    /// The renewed Lease; `None` if it's no longer ours.
    async fn renew(&self, lease: &Object) -> Result<Option<Object>, ApiError> {
        let renewed = self.object(Some(lease))?;
        if let Some(lease) =
            self.none_on_conflict(self.cluster.replace(&self.id, &renewed).await)?
        {
            return Ok(Some(lease));
        }
        // A renewal whose response was lost has changed it too. It still has our name then.
        let live = self.cluster.get(&self.id).await?;
        Ok(live.filter(|live| LeaseRecord::of(live).holder == self.holder))
    }

    async fn release(&self) -> Result<(), ApiError> {
        let Some(mut object) = self.cluster.get(&self.id).await? else {
            return Ok(());
        };
        if LeaseRecord::of(&object).holder == self.holder {
            object.value_mut()["spec"]["holderIdentity"] = Value::Null;
            self.none_on_conflict(self.cluster.replace(&self.id, &object).await)?;
        }
        Ok(())
    }

    /// The Lease with our claim, based on the existing one so that a concurrent change is noticed.
    fn object(&self, existing: Option<&Object>) -> Result<Object, ApiError> {
        let now = Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
            .to_string();
        let mut value = existing.map_or_else(
            || json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGER}}, "spec": {}}),
            |object| object.value().clone(),
        );
        let record = existing.map(LeaseRecord::of);
        let is_ours = record.as_ref().is_some_and(|r| r.holder == self.holder);
        let spec = &mut value["spec"];
        spec["renewTime"] = now.clone().into();
        if !is_ours {
            spec["holderIdentity"] = self.holder.clone().into();
            spec["leaseDurationSeconds"] = self.duration.as_secs().into();
            spec["acquireTime"] = now.into();
            spec["leaseTransitions"] = record.map_or(0, |r| r.transitions.saturating_add(1)).into();
        }
        self.id.object(value)
    }
}

impl LeaseRecord {
    fn of(object: &Object) -> Self {
        let spec = &object.value()["spec"];
        let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or_default();
        Self {
            holder: spec["holderIdentity"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            duration: Duration::from_secs(seconds).min(LONGEST),
            renewed: spec["renewTime"]
                .as_str()
                .and_then(|text| text.parse().ok()),
            transitions: spec["leaseTransitions"].as_i64().unwrap_or_default(),
        }
    }

    /// Ours, released, or certainly expired.
    fn is_free_for(&self, holder: &str) -> bool {
        let dead = self.renewed.is_none_or(|renewed| {
            let age = Timestamp::now().duration_since(renewed);
            age > jiff::SignedDuration::try_from(self.duration + CLOCK_SKEW).unwrap_or_default()
        });
        self.holder.is_empty() || self.holder == holder || dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeCluster;

    async fn acquire(cluster: &Arc<FakeCluster>, holder: &str) -> Result<Lease, Error> {
        Lease::acquire(
            cluster.clone(),
            "shop",
            "web",
            holder,
            &LeaseOptions::default(),
        )
        .await
    }

    fn holder(cluster: &FakeCluster) -> Value {
        let id = ObjectId::new("coordination.k8s.io/v1", "Lease", "shop", "pipeops-web");
        cluster.stored(&id).unwrap().value()["spec"]["holderIdentity"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn it_has_one_holder_at_a_time_and_a_release_is_noticed() {
        let cluster = Arc::new(FakeCluster::default());
        let first = acquire(&cluster, "a").await.unwrap();
        let refused = acquire(&cluster, "b").await.err();
        assert!(matches!(refused, Some(Error::Busy { holder, .. }) if holder == "a"));
        let (_, second) = tokio::join!(first.release(), acquire(&cluster, "b"));
        assert!(second.is_ok());
        assert_eq!(holder(&cluster), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_holder_s_claim_ends() {
        let cluster = Arc::new(FakeCluster::default());
        // Dropped without release, as by a process that was killed.
        drop(acquire(&cluster, "a").await.unwrap());
        let before = Instant::now();
        acquire(&cluster, "b").await.unwrap();
        assert!(
            before.elapsed() >= Duration::from_secs(15),
            "the claim had its time"
        );
        assert_eq!(holder(&cluster), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_holder_takes_its_own_claim_up_again() {
        let cluster = Arc::new(FakeCluster::default());
        drop(acquire(&cluster, "a").await.unwrap());
        let before = Instant::now();
        acquire(&cluster, "a").await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_when_the_claim_is_lost() {
        let cluster = Arc::new(FakeCluster::default());
        let mut lease = acquire(&cluster, "a").await.unwrap();
        let id = lease.claim.id.clone();
        let mut stolen = cluster.stored(&id).unwrap();
        stolen.value_mut()["spec"]["holderIdentity"] = "thief".into();
        cluster.store(&id, stolen);
        let result = lease
            .hold(std::future::pending::<Result<(), Error>>())
            .await;
        assert!(matches!(result, Err(Error::LeaseLost { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_renewed_for_as_long_as_work_takes() {
        let cluster = Arc::new(FakeCluster::default());
        let mut lease = acquire(&cluster, "a").await.unwrap();
        let work = async {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        };
        let (held, other) = tokio::join!(lease.hold(work), acquire(&cluster, "b"));
        assert!(held.is_ok() && other.is_err());
    }
}
