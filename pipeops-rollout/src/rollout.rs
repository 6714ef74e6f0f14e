//! Rollouts: from a stack to an outcome.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::{EventSink, Object, Redactor, SecretString, Stack};

use crate::apply;
use crate::claims::Claims;
use crate::cluster::{Cluster, ObjectId};
use crate::error::Error;
use crate::kube_cluster::KubeCluster;
use crate::lease::Lease;
use crate::options::RolloutOptions;
use crate::outcome::Outcome;
use crate::record::{RecordFile, Snapshot};
use crate::run::Run;
use crate::status::{self, RolloutStatus};
use crate::target::Target;

/// How long `status` waits for the first look at the cluster.
const STATUS_LIMIT: Duration = Duration::from_secs(30);

/// Brings stacks into a cluster, watches them, and goes back when they fail.
///
/// One `Rollout` serves any number of applications at the same time; clones share its watches. All that has to survive a
/// process is in the cluster: see [`Rollout::run`].
#[derive(Debug, Clone)]
pub struct Rollout {
    cluster: Arc<dyn Cluster>,
    options: RolloutOptions,
    holder: String,
    claims: Arc<Claims>,
}

impl Rollout {
    /// Rollouts into the cluster of this client.
    pub fn new(client: kube::Client, options: RolloutOptions) -> Self {
        Self::on(Arc::new(KubeCluster::new(client)), options)
    }

    /// Rollouts into this cluster.
    pub fn on(cluster: Arc<dyn Cluster>, options: RolloutOptions) -> Self {
        let random = || format!("pipeops-{}", uuid::Uuid::now_v7());
        Self {
            cluster,
            holder: options.lease.holder.clone().unwrap_or_else(random),
            options,
            claims: Arc::default(),
        }
    }

    /// Rolls a stack out: applies it, watches until it is healthy or has failed, and then goes back to the last healthy
    /// revision.
    ///
    /// The rollout holds a Lease on the application, so that two never act on it at once, and writes down each step before
    /// it. When the process dies, running the same stack again continues where it was: watching, or going back. A newer
    /// stack replaces one that is under way. Running a stack that is healthy changes nothing.
    ///
    /// Dropping the future stops it as a crash would.
    ///
    /// # Errors
    /// [`Error::InvalidStack`], [`Error::Busy`], [`Error::LeaseLost`], [`Error::Api`] and
    /// [`Error::RollbackIncomplete`]. A revision that fails is an [`Outcome`].
    pub async fn run(&self, stack: &Stack, sink: &dyn EventSink) -> Result<Outcome, Error> {
        self.start(None, stack, sink).await
    }

    /// Like [`Rollout::run`], for a caller with an id for each try (a deployment's id): a try that has ended is not acted
    /// on again, its outcome is returned.
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

    /// Goes back to the healthy revision before the current one, as a rollout of its own. Undoing twice returns.
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
        self.claimed(&target, self.undo_claimed(&target, sink))
            .await
    }

    /// How an application is doing; `None` when it does not exist in the namespace.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn status(&self, namespace: &str, app: &str) -> Result<Option<RolloutStatus>, Error> {
        let target = Target::new(namespace, app)?;
        let record = RecordFile::load(&*self.cluster, &target).await?.record;
        if self.cluster.get(&target.workload()).await?.is_none() {
            return Ok(None);
        }
        let mut follow = self.cluster.follow(namespace, app);
        follow.synced(STATUS_LIMIT).await?;
        Ok(Some(status::of(
            &target,
            &record,
            &follow.state(),
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
        let work = self.run_claimed(&target, id, stack.clone(), sink);
        self.claimed(&target, work).await
    }

    /// Does the work while nobody else, in this process or another one, acts on the application.
    async fn claimed<T>(
        &self,
        target: &Target,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let options = &self.options.lease;
        let Target { namespace, app } = target;
        let Some(_claim) = self.claims.claim(target, options.wait).await else {
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

    async fn run_claimed(
        &self,
        target: &Target,
        id: Option<String>,
        mut stack: Stack,
        sink: &dyn EventSink,
    ) -> Result<Outcome, Error> {
        let redactors = [
            self.options.redactor.clone(),
            Redactor::new(secrets_of(&stack)),
        ];
        self.options.strategy.prepare(&mut stack);
        target.mark(&mut stack);
        let file = RecordFile::load(&*self.cluster, target).await?;
        Run::new(&*self.cluster, &self.options, target, file, redactors, sink)
            .run(id, &stack, Snapshot::of(&stack))
            .await
    }

    async fn undo_claimed(&self, target: &Target, sink: &dyn EventSink) -> Result<Outcome, Error> {
        let file = RecordFile::load(&*self.cluster, target).await?;
        let Some(previous) = file.record.previous.clone() else {
            return Err(Error::NothingToUndo {
                namespace: target.namespace.clone(),
                app: target.app.clone(),
            });
        };
        self.check_references(target, &previous).await?;
        let stack = previous.stack(target);
        let redactors = [self.options.redactor.clone(), Redactor::default()];
        Run::new(&*self.cluster, &self.options, target, file, redactors, sink)
            .run(None, &stack, previous)
            .await
    }

    /// The objects that an earlier revision refers to were kept for it; somebody else may have deleted them.
    async fn check_references(&self, target: &Target, earlier: &Snapshot) -> Result<(), Error> {
        for object in earlier
            .objects
            .iter()
            .filter(|object| object.kind() == "Deployment")
        {
            for id in status::references(&target.namespace, object) {
                if !self.exists(&id).await?
                    && !earlier
                        .objects
                        .iter()
                        .any(|o| ObjectId::of(o, &target.namespace) == id)
                {
                    return Err(Error::RevisionIncomplete {
                        app: target.app.clone(),
                        revision: earlier.revision.clone(),
                        missing: id.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    async fn exists(&self, id: &ObjectId) -> Result<bool, Error> {
        Ok(self.cluster.get(id).await?.is_some())
    }
}

/// The values in a stack's Secrets, so that nothing that the cluster says repeats them.
fn secrets_of(stack: &Stack) -> Vec<SecretString> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let secrets = stack
        .objects
        .iter()
        .filter(|object| object.kind() == "Secret");
    let values = |object: &Object, field: &str| -> Vec<String> {
        let fields = object.value()[field].as_object();
        let texts = fields.into_iter().flat_map(|fields| fields.values());
        texts
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect()
    };
    let mut found = Vec::new();
    for secret in secrets {
        found.extend(values(secret, "stringData"));
        for encoded in values(secret, "data") {
            let plain = STANDARD.decode(&encoded).ok();
            found.extend(plain.and_then(|bytes| String::from_utf8(bytes).ok()));
            found.push(encoded);
        }
    }
    found.into_iter().map(SecretString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stack_s_own_secrets_are_redacted_plain_and_encoded() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "aHVudGVyMjI="}, "stringData": {"b": "other-secret"}});
        let stack = Stack::new("web", "shop", "a", vec![Object::new(secret).unwrap()]);
        let redactor = Redactor::new(secrets_of(&stack));
        assert_eq!(
            redactor.redact("hunter22 aHVudGVyMjI= other-secret"),
            "[redacted] [redacted] [redacted]"
        );
    }
}
