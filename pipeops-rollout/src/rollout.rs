//! Rollouts: from a stack to an outcome.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::{EventSink, Object, Redactor, SecretString, Stack};

use crate::app_locks::AppLocks;
use crate::apply;
use crate::cluster::{ClusterApi, ObjectId};
use crate::error::Error;
use crate::kube_cluster::KubeCluster;
use crate::lease::Lease;
use crate::options::RolloutOptions;
use crate::outcome::Outcome;
use crate::record_store::RecordStore;
use crate::references::references;
use crate::run::Run;
use crate::snapshot::Snapshot;
use crate::state::{AppState, DeploymentState};
use crate::status::{self, RolloutStatus};
use crate::target::Target;

/// How long `status` waits for the first list of every kind.
const STATUS_LIMIT: Duration = Duration::from_secs(30);

/// Applies stacks to a cluster, watches them, and rolls them back if they fail.
///
/// One `Rollout` serves any number of applications concurrently. Clones share its watches. All state that must survive
/// the process is stored in the cluster: see [`Rollout::run`].
///
/// ```
/// use pipeops_manifest::{App, ManifestGenerator, StandardManifests};
/// use pipeops_rollout::{Discard, Rollout, RolloutOptions, kube};
/// # use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::start(ClusterOptions::default()).await?;
/// # let config = kube::Config::new(cluster.url().parse()?);
/// let rollout = Rollout::new(pipeops_rollout::client_from(config)?, RolloutOptions::default());
/// let image = format!("registry.example.com/web@sha256:{}", "0".repeat(64));
/// let stack = |revision| StandardManifests::new().generate(&App::new("web", "default", revision, image.parse().unwrap()));
///
/// assert!(rollout.run(&stack("one")?, &Discard).await?.is_complete());
/// assert!(rollout.run(&stack("two")?, &Discard).await?.is_complete());
///
/// rollout.undo("default", "web", &Discard).await?;
/// let status = rollout.status("default", "web").await?.ok_or("not deployed")?;
/// assert_eq!(status.revision.unwrap().as_str(), "one");
/// assert_eq!((status.ready, status.desired), (2, 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Rollout {
    cluster: Arc<dyn ClusterApi>,
    options: RolloutOptions,
    holder: String,
    locks: Arc<AppLocks>,
}

impl Rollout {
    /// Rollouts to the cluster of this client, such as [`client`](crate::client) returns it.
    pub fn new(client: kube::Client, options: RolloutOptions) -> Self {
        Self::on(Arc::new(KubeCluster::new(client)), options)
    }

    /// Rollouts to this cluster: a [`KubeCluster`] with settings of its own, or another implementation of [`ClusterApi`].
    pub fn on(cluster: Arc<dyn ClusterApi>, options: RolloutOptions) -> Self {
        let random = || format!("pipeops-{}", uuid::Uuid::now_v7());
        Self {
            cluster,
            holder: options.lease.holder.clone().unwrap_or_else(random),
            options,
            locks: Arc::default(),
        }
    }

    /// Applies a stack and watches it until it is healthy or has failed. If it fails, the last healthy revision is restored.
    ///
    /// The rollout holds a Lease on the application, so that only one process acts on it, and records each step before it
    /// begins. If the process dies, running the same stack again resumes the rollout or the rollback. A newer stack replaces
    /// an unfinished one. Running a healthy stack again changes nothing.
    ///
    /// The sink gets [`EventKind::Rollout`](crate::EventKind::Rollout) and [`EventKind::Pod`](crate::EventKind::Pod) as the
    /// rollout progresses, [`EventKind::Warning`](crate::EventKind::Warning), and
    /// [`EventKind::RollingBack`](crate::EventKind::RollingBack) before the last healthy revision is restored. No event says
    /// that the rollout has ended: the returned [`Outcome`] does.
    ///
    /// Dropping the future stops the rollout as a crash would.
    ///
    /// # Errors
    /// [`Error::InvalidStack`], [`Error::Busy`], [`Error::LeaseLost`], [`Error::Api`] and [`Error::RollbackIncomplete`]. A
    /// revision that fails is not an error but an [`Outcome`].
    pub async fn run(&self, stack: &Stack, sink: &dyn EventSink) -> Result<Outcome, Error> {
        self.start(None, stack, sink).await
    }

    /// Like [`Rollout::run`], at most once per `id` (of a deployment, for example): if the attempt with this id has failed
    /// before, its outcome is returned and nothing is done.
    ///
    /// # Errors
    /// As [`Rollout::run`].
    pub async fn run_once(
        &self,
        id: &str,
        stack: &Stack,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        self.start(Some(id.to_owned()), stack, sink).await
    }

    /// Rolls back to the previous healthy revision. A second call returns to the current one.
    ///
    /// # Errors
    /// [`Error::NothingToUndo`], [`Error::RevisionIncomplete`]; otherwise as [`Rollout::run`].
    pub async fn undo(
        &self,
        namespace: &str,
        app: &str,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        let target = Target::new(namespace, app)?;
        self.exclusively(&target, self.undo_exclusive(&target, sink))
            .await
    }

    /// The status of an application; `None` if it doesn't exist in the namespace.
    ///
    /// # Errors
    /// [`Error::Api`] and [`Error::Record`].
    pub async fn status(&self, namespace: &str, app: &str) -> Result<Option<RolloutStatus>, Error> {
        let target = Target::new(namespace, app)?;
        let Some(live) = self.cluster.get(&target.workload()).await? else {
            return Ok(None);
        };
        let record = RecordStore::load(&*self.cluster, &target).await?.record;
        let mut watch = self.cluster.watch(namespace, app);
        watch.synced(STATUS_LIMIT).await?;
        let mut state = AppState::clone(&watch.state());
        // The watches see only what PipeOps deployed.
        state.deployment = state.deployment.or_else(|| DeploymentState::of(&live));
        Ok(Some(status::of(
            &target,
            &record,
            &state,
            &self.options.limits,
        )))
    }

    async fn start(
        &self,
        id: Option<String>,
        stack: &Stack,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        let target = Target::of(stack)?;
        if self.options.create_namespace {
            apply::ensure_namespace(&*self.cluster, &target.namespace).await?;
        }
        let work = self.run_exclusive(&target, id, stack.clone(), sink);
        self.exclusively(&target, work).await
    }

    /// Does the work while no other rollout, in this process or another, acts on the application.
    async fn exclusively<T>(
        &self,
        target: &Target,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let options = &self.options.lease;
        let Target { namespace, app } = target;
        let Some(_lock) = self.locks.lock(target, options.wait).await else {
            return Err(Error::Busy {
                namespace: namespace.clone(),
                app: app.clone(),
                holder: self.holder.clone(),
            });
        };
        let cluster = self.cluster.clone();
        let mut lease = Lease::acquire(cluster, namespace, app, &self.holder, options).await?;
        let result = lease.hold(work).await;
        lease.release().await;
        result
    }

    async fn run_exclusive(
        &self,
        target: &Target,
        id: Option<String>,
        mut stack: Stack,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        let redactor = Redactor::new(stack.objects.iter().flat_map(secrets_of));
        target.mark(&mut stack);
        let store = RecordStore::load(&*self.cluster, target).await?;
        let run = self.attempt(target, store, redactor, sink);
        run.run(id, &stack, Snapshot::of(&stack)).await
    }

    async fn undo_exclusive(
        &self,
        target: &Target,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        let store = RecordStore::load(&*self.cluster, target).await?;
        let Some(previous) = store.record.previous.clone() else {
            return Err(Error::NothingToUndo {
                namespace: target.namespace.clone(),
                app: target.app.clone(),
            });
        };
        let redactor = Redactor::new(self.check_references(target, &previous).await?);
        let stack = previous.stack(target);
        let run = self.attempt(target, store, redactor, sink);
        run.run(None, &stack, previous).await
    }

    fn attempt<'a>(
        &'a self,
        target: &'a Target,
        store: RecordStore<'a>,
        of_stack: Redactor,
        sink: &'a dyn EventSink,
    ) -> Run<'a> {
        let redactors = [self.options.redactor.clone(), of_stack];
        let cluster = &*self.cluster;
        Run::new(cluster, &self.options, target, store, redactors, sink)
    }

    /// Checks that the objects that an earlier revision refers to still exist. PipeOps keeps them, but others may have
    /// deleted them. Returns the values of its Secrets.
    async fn check_references(
        &self,
        target: &Target,
        earlier: &Snapshot,
    ) -> Result<Vec<SecretString>, Error> {
        let mut secrets = Vec::new();
        let comes_with_it = |id: &ObjectId| {
            let mut ids = earlier
                .objects
                .iter()
                .map(|o| ObjectId::of(o, &target.namespace));
            ids.any(|own| own == *id)
        };
        let workload = earlier.objects.iter().find(|o| o.kind() == "Deployment");
        let needed = workload.map(|workload| references(&target.namespace, workload));
        for id in needed.into_iter().flatten() {
            match self.cluster.get(&id).await? {
                Some(object) => secrets.extend(secrets_of(&object)),
                None if comes_with_it(&id) => {}
                None => {
                    return Err(Error::RevisionIncomplete {
                        app: target.app.clone(),
                        revision: earlier.revision.clone(),
                        missing: id.to_string(),
                    });
                }
            }
        }
        Ok(secrets)
    }
}

/// The values of a Secret, plain and encoded, to redact from the messages of the cluster.
fn secrets_of(object: &Object) -> Vec<SecretString> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    if object.kind() != "Secret" {
        return Vec::new();
    }
    let values = |field: &str| {
        let fields = object.value()[field].as_object();
        let values = fields.into_iter().flat_map(|fields| fields.values());
        values.filter_map(|value| value.as_str().map(str::to_owned))
    };
    let mut found: Vec<String> = values("stringData").collect();
    for encoded in values("data") {
        let plain = STANDARD.decode(&encoded).ok();
        found.extend(plain.and_then(|bytes| String::from_utf8(bytes).ok()));
        found.push(encoded);
    }
    found.into_iter().map(SecretString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_redacted_plain_and_encoded() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "aHVudGVyMjI="}, "stringData": {"b": "other-secret"}});
        let redactor = Redactor::new(secrets_of(&Object::new(secret).unwrap()));
        assert_eq!(
            redactor.redact("hunter22 aHVudGVyMjI= other-secret"),
            "[redacted] [redacted] [redacted]"
        );
    }
}
