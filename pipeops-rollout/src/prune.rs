//! Deletes PipeOps' own objects that no revision needs any more. Runs only after a success.

use std::collections::HashSet;

use pipeops_core::Object;
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::cluster::{ClusterApi, ListQuery, ObjectId};
use crate::record::RolloutRecord;
use crate::target::{Target, is_own};

/// Kinds that hold data or other objects. They're never deleted.
const PRECIOUS: &[&str] = &["PersistentVolumeClaim", "Namespace", "StatefulSet"];

/// Deletes own objects of the application that neither its healthy revisions nor any of its ReplicaSets mention. Returns
/// what was deleted.
///
/// ConfigMaps and Secrets are found by their labels, other kinds in earlier revisions and failed attempts. Whatever a
/// ReplicaSet mentions stays, so that `undo` and `kubectl rollout undo` work.
pub(crate) async fn prune(
    cluster: &dyn ClusterApi,
    target: &Target,
    record: &RolloutRecord,
) -> Result<Vec<ObjectId>, ApiError> {
    let mut pruned = Vec::new();
    let kept = kept_names(cluster, target, record).await?;
    for kind in ["ConfigMap", "Secret"] {
        let query = ListQuery {
            api_version: "v1",
            kind,
            namespace: &target.namespace,
            labels: &target.selector(),
            metadata_only: true,
        };
        let candidates = cluster.list(&query).await?;
        for object in candidates
            .iter()
            .filter(|object| !kept.contains(object.name()))
        {
            pruned.extend(delete_own(cluster, target, object).await?);
        }
    }
    for id in orphans(record) {
        if let Some(object) = cluster.get(&id).await? {
            pruned.extend(delete_own(cluster, target, &object).await?);
        }
    }
    Ok(pruned)
}

/// Every string in the objects that must stay. An object whose name is among them is kept.
async fn kept_names(
    cluster: &dyn ClusterApi,
    target: &Target,
    record: &RolloutRecord,
) -> Result<HashSet<String>, ApiError> {
    let mut names = HashSet::from([target.record().name]);
    for snapshot in [&record.healthy, &record.previous].into_iter().flatten() {
        names.extend(snapshot.ids.iter().map(|id| id.name.clone()));
        for object in &snapshot.objects {
            texts(object.value(), &mut names);
        }
    }
    let query = ListQuery {
        api_version: "apps/v1",
        kind: "ReplicaSet",
        namespace: &target.namespace,
        labels: &format!("{MANAGED_BY_LABEL}={MANAGER}"),
        metadata_only: false,
    };
    let sets = cluster.list(&query).await?;
    for set in sets.iter().filter(|set| belongs_to(set, &target.app)) {
        texts(&set.value()["spec"]["template"], &mut names);
    }
    Ok(names)
}

fn belongs_to(set: &Object, deployment: &str) -> bool {
    let owners = set.value()["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .any(|owner| owner["kind"] == "Deployment" && owner["name"] == deployment)
}

fn texts(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

/// Objects of the previous revision and of failed attempts that the healthy revision doesn't have.
fn orphans(record: &RolloutRecord) -> Vec<ObjectId> {
    let [healthy, previous] = [&record.healthy, &record.previous]
        .map(|snapshot| snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.ids));
    let is_orphan = |id: &&ObjectId| {
        let by_label = matches!(id.kind.as_str(), "ConfigMap" | "Secret");
        !healthy.contains(id) && !by_label && !PRECIOUS.contains(&id.kind.as_str())
    };
    previous
        .iter()
        .chain(&record.leftovers)
        .filter(is_orphan)
        .cloned()
        .collect()
}

async fn delete_own(
    cluster: &dyn ClusterApi,
    target: &Target,
    object: &Object,
) -> Result<Option<ObjectId>, ApiError> {
    let uid = object.value()["metadata"]["uid"]
        .as_str()
        .unwrap_or_default();
    if !target.contains(object) || !is_own(object) || uid.is_empty() {
        return Ok(None);
    }
    let id = ObjectId::of(object, &target.namespace);
    cluster.delete(&id, uid).await?;
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use pipeops_core::Stack;
    use serde_json::json;

    use super::*;
    use crate::fake::FakeCluster;
    use crate::snapshot::Snapshot;

    fn snapshot(revision: &str, objects: Vec<Value>) -> Option<Snapshot> {
        let revision = revision.parse().unwrap();
        let objects = objects
            .into_iter()
            .map(|o| Object::new(o).unwrap())
            .collect();
        Some(Snapshot::of(&Stack::new("web", "shop", revision, objects)))
    }

    fn with_env(config: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {
            "spec": {"containers": [{"envFrom": [{"configMapRef": {"name": config}}]}]}}}})
    }

    fn store(cluster: &FakeCluster, target: &Target, kind: &str, name: &str, own: bool) {
        let (api_version, manager) = match kind {
            "Ingress" => ("networking.k8s.io/v1", "pipeops"),
            _ => ("v1", if own { "pipeops" } else { "helm" }),
        };
        let id = ObjectId::new(api_version, kind, "shop", name);
        let object = json!({"metadata": {"uid": name,
            "labels": {MANAGED_BY_LABEL: MANAGER, "applyset.kubernetes.io/part-of": target.apply_set()},
            "managedFields": [{"manager": manager, "operation": "Apply"}]}});
        cluster.store(&id, id.object(object).unwrap());
    }

    #[tokio::test]
    async fn only_own_objects_that_no_revision_mentions_go() {
        let cluster = FakeCluster::default();
        let target = Target::new("shop", "web").unwrap();
        for name in [
            "web-env-1",
            "web-env-2",
            "web-env-3",
            "web-env-4",
            "pipeops-web",
        ] {
            store(&cluster, &target, "ConfigMap", name, true);
        }
        store(&cluster, &target, "ConfigMap", "of-helm", false);
        store(&cluster, &target, "Secret", "web-secret-1", true);
        store(&cluster, &target, "Ingress", "web", true);
        // A ReplicaSet that Kubernetes still keeps mentions the first one.
        let set = ObjectId::new("apps/v1", "ReplicaSet", "shop", "web-1");
        let owned = json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [{"kind": "Deployment", "name": "web"}]},
            "spec": {"template": with_env("web-env-1")["spec"]["template"]}});
        cluster.store(&set, set.object(owned).unwrap());
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}});
        let record = RolloutRecord {
            healthy: snapshot("c", vec![with_env("web-env-4")]),
            previous: snapshot("b", vec![with_env("web-env-3"), ingress]),
            ..RolloutRecord::default()
        };
        let pruned = prune(&cluster, &target, &record).await.unwrap();
        let names: Vec<_> = pruned.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["ConfigMap/web-env-2", "Secret/web-secret-1", "Ingress/web"]
        );
    }
}
