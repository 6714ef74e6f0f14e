//! One revision of an application as it was applied. A rollback applies it again.

use pipeops_core::names::{MANAGER, REVISION_ANNOTATION};
use pipeops_core::{Object, Revision, Stack};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::cluster::ObjectId;
use crate::state::TEMPLATE_COUNT;
use crate::target::{Target, fingerprint};

/// One revision as it was applied, without Secrets and without immutable ConfigMaps, which never change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    #[serde(deserialize_with = "stored_revision")]
    pub(crate) revision: Revision,
    /// The fingerprint of the whole stack.
    pub(crate) fingerprint: String,
    /// All objects of the stack.
    pub(crate) ids: Vec<ObjectId>,
    /// The objects that a rollback applies again.
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

    /// What runs in the cluster, as if PipeOps had applied it: the target of a rollback if there is no record.
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
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(Revision::unknown);
        metadata["annotations"] = annotations;
        let mut spec = value["spec"].clone();
        if !owns_replicas(value) {
            // An autoscaler or another manager scales it.
            spec.as_object_mut()?.remove("replicas");
        }
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
        let objects = vec![Object::new(object)?];
        let stack = Stack::new(&*target.app, &*target.namespace, revision, objects);
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

/// Reads a revision of the record. An adopted workload may have had any annotation.
pub(crate) fn stored_revision<'de, D: Deserializer<'de>>(from: D) -> Result<Revision, D::Error> {
    let text = String::deserialize(from)?;
    Ok(text.try_into().unwrap_or_else(|_| Revision::unknown()))
}

fn owns_replicas(live: &Value) -> bool {
    let managers = live["metadata"]["managedFields"].as_array();
    managers.into_iter().flatten().any(|entry| {
        entry["manager"].as_str() == Some(MANAGER)
            && entry["fieldsV1"]["f:spec"]["f:replicas"].is_object()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "a".parse().unwrap(),
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
    fn a_stored_revision_that_is_invalid_is_unknown() {
        let stored = json!({"revision": "a b", "fingerprint": "f", "ids": [], "objects": []});
        let read: Snapshot = serde_json::from_value(stored).unwrap();
        assert_eq!(read.revision, Revision::unknown());
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
        let target = Target::new("shop", "web").unwrap();
        let adopted = Snapshot::adopt(&target, &live("kube-controller-manager")).unwrap();
        let value = adopted.objects[0].value();
        assert!(value["spec"]["replicas"].is_null() && value["status"].is_null());
        assert!(value["metadata"]["annotations"][TEMPLATE_COUNT].is_null());
        assert_eq!(adopted.revision.as_str(), "abc");
        let own = Snapshot::adopt(&target, &live("pipeops")).unwrap();
        assert_eq!(own.objects[0].value()["spec"]["replicas"], 3);
    }
}
