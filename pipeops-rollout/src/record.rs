//! What PipeOps remembers of an application in the cluster itself, so that any process can go on where another died.
//!
//! A ConfigMap beside the application holds the attempt that is under way or was the last, and the last two healthy
//! revisions as they were applied. It holds no Secrets. Every write checks that nobody else wrote in between.

use jiff::Timestamp;
use pipeops_core::{Diagnosis, Object, Stack};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api_error::ApiProblem;
use crate::cluster::{Cluster, ObjectId};
use crate::error::Error;
use crate::state::{REVISION_ANNOTATION, TEMPLATE_COUNT};
use crate::target::{Target, fingerprint};
use crate::{FIELD_MANAGER, MANAGED_BY, MANAGER};

/// The key in the ConfigMap.
const KEY: &str = "record.json";

/// One revision as it was applied, without what must not be read (Secrets) or never changes (immutable ConfigMaps).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    /// The commit SHA.
    pub(crate) revision: String,
    /// What the whole stack was.
    pub(crate) fingerprint: String,
    /// All objects of the stack.
    pub(crate) ids: Vec<ObjectId>,
    /// Those that are applied again on the way back.
    pub(crate) objects: Vec<Object>,
}

impl Snapshot {
    pub(crate) fn of(stack: &Stack) -> Self {
        let keeps = |object: &&Object| match object.kind() {
            "Secret" => false,
            "ConfigMap" => object.value()["immutable"] != true,
            _ => true,
        };
        Self {
            revision: stack.revision.clone(),
            fingerprint: fingerprint(stack),
            ids: stack
                .objects
                .iter()
                .map(|object| ObjectId::of(object, &stack.namespace))
                .collect(),
            objects: stack.objects.iter().filter(keeps).cloned().collect(),
        }
    }

    /// What runs in the cluster, as if PipeOps had applied it: the way back when there is no record.
    pub(crate) fn adopt(target: &Target, live: &Object) -> Option<Self> {
        let value = live.value();
        let mut metadata = json!({"name": target.app, "namespace": target.namespace});
        metadata["labels"] = value["metadata"]["labels"].clone();
        let mut annotations = value["metadata"]["annotations"].clone();
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.retain(|key, _| {
                key != TEMPLATE_COUNT && !key.starts_with("kubectl.kubernetes.io/")
            });
        }
        let revision = annotations[REVISION_ANNOTATION]
            .as_str()
            .unwrap_or("unknown")
            .to_owned();
        metadata["annotations"] = annotations;
        let mut spec = value["spec"].clone();
        if !owns_replicas(value) {
            // An autoscaler, or whoever else, scales it.
            spec.as_object_mut()?.remove("replicas");
        }
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
        let objects = vec![Object::new(object)?];
        let stack = Stack::new(&*target.app, &*target.namespace, &*revision, objects);
        Some(Self::of(&stack))
    }

    pub(crate) fn stack(&self, target: &Target) -> Stack {
        Stack::new(
            target.app.clone(),
            target.namespace.clone(),
            self.revision.clone(),
            self.objects.clone(),
        )
    }
}

fn owns_replicas(live: &Value) -> bool {
    let managers = live["metadata"]["managedFields"].as_array();
    managers.into_iter().flatten().any(|entry| {
        entry["manager"].as_str() == Some(FIELD_MANAGER)
            && entry["fieldsV1"]["f:spec"]["f:replicas"].is_object()
    })
}

/// Where an attempt is. Each value is written before what it names is begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub(crate) enum AttemptPhase {
    /// Its objects are being applied.
    Applying,
    /// All is applied; its pods are awaited.
    Waiting,
    /// It failed and is being undone.
    RollingBack { diagnosis: Diagnosis },
    /// It is healthy.
    Complete,
    /// It failed, and the revision before it is healthy again.
    RolledBack { diagnosis: Diagnosis, to: String },
    /// It failed, and there was nothing to go back to.
    Failed { diagnosis: Diagnosis },
}

/// One try to bring a revision into the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// The caller's id of it: the same id is never acted on twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) snapshot: Snapshot,
    pub(crate) started: Timestamp,
    /// The name of the strategy.
    pub(crate) strategy: String,
    /// The step of its plan that is under way.
    pub(crate) step: usize,
    pub(crate) phase: AttemptPhase,
}

/// All that is remembered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RolloutRecord {
    pub(crate) attempt: Option<Attempt>,
    /// The last revision that was healthy: where a rollback goes.
    pub(crate) healthy: Option<Snapshot>,
    /// The healthy revision before it: where `undo` goes.
    pub(crate) previous: Option<Snapshot>,
    /// Objects of failed attempts, to be pruned after the next success.
    pub(crate) leftovers: Vec<ObjectId>,
}

impl RolloutRecord {
    /// The attempt is healthy: it becomes the revision to go back to.
    pub(crate) fn promote(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        attempt.phase = AttemptPhase::Complete;
        let snapshot = attempt.snapshot.clone();
        let before = self.healthy.replace(snapshot);
        let healthy = self.healthy.as_ref().map(|healthy| &healthy.fingerprint);
        if let Some(before) = before.filter(|before| Some(&before.fingerprint) != healthy) {
            self.previous = Some(before);
        }
    }

    /// A new attempt begins; what only an unfinished one had is left over.
    pub(crate) fn begin(&mut self, attempt: Attempt) {
        let unfinished = self.attempt.as_ref().is_some_and(|old| {
            use AttemptPhase::{Applying, RollingBack, Waiting};
            matches!(old.phase, Applying | Waiting | RollingBack { .. })
        });
        if unfinished {
            self.add_leftovers();
        }
        self.attempt = Some(attempt);
    }

    /// The attempt failed for good: what only it had is left over.
    pub(crate) fn abandon(&mut self, phase: AttemptPhase) {
        if let Some(attempt) = &mut self.attempt {
            attempt.phase = phase;
            self.add_leftovers();
        }
    }

    fn add_leftovers(&mut self) {
        let Some(attempt) = &self.attempt else {
            return;
        };
        let kept = self
            .healthy
            .as_ref()
            .map_or(&[][..], |healthy| &healthy.ids);
        let extra = attempt.snapshot.ids.iter().filter(|id| !kept.contains(id));
        self.leftovers.extend(extra.cloned());
        self.leftovers.sort();
        self.leftovers.dedup();
    }
}

/// The record of one application and where it is stored.
pub(crate) struct RecordStore<'a> {
    cluster: &'a dyn Cluster,
    target: &'a Target,
    /// As it was last read or written; `None` until it exists.
    stored: Option<Object>,
    pub(crate) record: RolloutRecord,
}

impl<'a> RecordStore<'a> {
    /// # Errors
    /// [`Error::Record`] when it cannot be understood; when the API server refuses or does not answer.
    pub(crate) async fn load(cluster: &'a dyn Cluster, target: &'a Target) -> Result<Self, Error> {
        let stored = cluster.get(&target.record()).await?;
        let text = stored
            .as_ref()
            .and_then(|object| object.value()["data"][KEY].as_str());
        let record = match text {
            None => RolloutRecord::default(),
            Some(text) => serde_json::from_str(text).map_err(|source| Error::Record {
                namespace: target.namespace.clone(),
                object: target.record().to_string(),
                source,
            })?,
        };
        Ok(Self {
            cluster,
            target,
            stored,
            record,
        })
    }

    /// # Errors
    /// [`Error::LeaseLost`] when somebody else wrote in between; when the API server refuses or does not answer.
    pub(crate) async fn save(&mut self) -> Result<(), Error> {
        let id = self.target.record();
        let text = self.text()?;
        let written = match &self.stored {
            None => {
                self.cluster
                    .create(&id, &id.object(self.parent(&text))?)
                    .await
            }
            Some(stored) => {
                let mut object = stored.clone();
                object.value_mut()["data"][KEY] = text.clone().into();
                self.cluster.replace(&id, &object).await
            }
        };
        let stored = match written {
            Ok(object) => object,
            Err(error)
                if matches!(error.problem, ApiProblem::Stale | ApiProblem::AlreadyExists) =>
            {
                self.reread(&text).await?
            }
            Err(error) => return Err(error.into()),
        };
        self.stored = Some(stored);
        Ok(())
    }

    /// A write whose answer was lost and that was sent again finds its own text; anything else is somebody else's.
    async fn reread(&self, text: &str) -> Result<Object, Error> {
        let id = self.target.record();
        match self.cluster.get(&id).await? {
            Some(object) if object.value()["data"][KEY].as_str() == Some(text) => Ok(object),
            _ => Err(Error::LeaseLost {
                namespace: id.namespace.clone(),
                lease: format!("pipeops-{}", self.target.app),
            }),
        }
    }

    fn text(&self) -> Result<String, Error> {
        serde_json::to_string(&self.record).map_err(|source| Error::Record {
            namespace: self.target.namespace.clone(),
            object: self.target.record().to_string(),
            source,
        })
    }

    fn parent(&self, text: &str) -> Value {
        json!({
            "metadata": {
                "labels": {
                    MANAGED_BY: MANAGER,
                    "applyset.kubernetes.io/id": self.target.apply_set(),
                },
                "annotations": {
                    "applyset.kubernetes.io/tooling": concat!("pipeops/v", env!("CARGO_PKG_VERSION")),
                },
            },
            "data": {KEY: text},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeCluster;

    fn target() -> Target {
        Target::new("shop", "web").unwrap()
    }

    fn attempt(revision: &str) -> Attempt {
        Attempt {
            id: None,
            snapshot: Snapshot {
                revision: revision.into(),
                fingerprint: format!("f-{revision}"),
                ids: Vec::new(),
                objects: Vec::new(),
            },
            started: Timestamp::UNIX_EPOCH,
            strategy: "rollingUpdate".into(),
            step: 0,
            phase: AttemptPhase::Applying,
        }
    }

    fn revisions(record: &RolloutRecord) -> (Option<&str>, Option<&str>) {
        let [healthy, previous] =
            [&record.healthy, &record.previous].map(|s| s.as_ref().map(|s| s.revision.as_str()));
        (healthy, previous)
    }

    #[test]
    fn a_success_moves_the_revisions_and_the_same_one_again_does_not() {
        let mut record = RolloutRecord::default();
        for (revision, expected) in [
            ("a", (Some("a"), None)),
            ("b", (Some("b"), Some("a"))),
            ("b", (Some("b"), Some("a"))),
            ("a", (Some("a"), Some("b"))),
        ] {
            record.attempt = Some(attempt(revision));
            record.promote();
            assert_eq!(revisions(&record), expected);
        }
    }

    #[test]
    fn what_only_an_unfinished_attempt_had_is_left_over() {
        let mut record = RolloutRecord::default();
        let with = |revision: &str, names: &[&str]| {
            let mut attempt = attempt(revision);
            let ids = names.iter().map(|name| ObjectId::config_map("shop", name));
            attempt.snapshot.ids = ids.collect();
            attempt
        };
        record.begin(with("a", &["one"]));
        record.promote();
        record.begin(with("b", &["one", "two"]));
        assert!(record.leftovers.is_empty(), "the first one was finished");
        record.begin(with("c", &["three"]));
        assert_eq!(record.leftovers, [ObjectId::config_map("shop", "two")]);
    }

    #[tokio::test]
    async fn a_write_of_somebody_else_is_noticed_and_an_own_repeated_one_is_not() {
        let (cluster, target) = (FakeCluster::default(), target());
        let mut first = RecordStore::load(&cluster, &target).await.unwrap();
        first.record.attempt = Some(attempt("a"));
        first.save().await.unwrap();
        let mut second = RecordStore::load(&cluster, &target).await.unwrap();
        assert_eq!(second.record, first.record);
        second.record.attempt = Some(attempt("b"));
        second.save().await.unwrap();
        assert!(matches!(first.save().await, Err(Error::LeaseLost { .. })));
        first.record = second.record.clone();
        first.save().await.unwrap();
    }

    #[test]
    fn snapshots_hold_no_secrets() {
        let object = |kind: &str, more: Value| {
            let mut value = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}});
            value
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            Object::new(value).unwrap()
        };
        let stack = Stack::new(
            "web",
            "shop",
            "a",
            vec![
                object("Secret", json!({"data": {"k": "aHVudGVyMjI="}})),
                object("ConfigMap", json!({"immutable": true})),
                object("ConfigMap", json!({})),
                object("Service", json!({})),
            ],
        );
        let kinds: Vec<_> = Snapshot::of(&stack)
            .objects
            .iter()
            .map(|o| o.kind().to_owned())
            .collect();
        assert_eq!(kinds, ["ConfigMap", "Service"]);
    }

    #[test]
    fn an_adopted_deployment_leaves_its_replicas_to_the_autoscaler() {
        let live = |manager: &str| {
            Object::new(json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 3},
                "metadata": {"name": "web", "annotations": {TEMPLATE_COUNT: "4", REVISION_ANNOTATION: "abc"},
                             "managedFields": [{"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
                "spec": {"replicas": 3, "template": {}}}))
            .unwrap()
        };
        let adopted = Snapshot::adopt(&target(), &live("kube-controller-manager")).unwrap();
        let value = adopted.objects[0].value();
        assert!(value["spec"]["replicas"].is_null() && value["status"].is_null());
        assert!(value["metadata"]["annotations"][TEMPLATE_COUNT].is_null());
        assert_eq!(adopted.revision, "abc");
        let own = Snapshot::adopt(&target(), &live("pipeops")).unwrap();
        assert_eq!(own.objects[0].value()["spec"]["replicas"], 3);
    }
}
