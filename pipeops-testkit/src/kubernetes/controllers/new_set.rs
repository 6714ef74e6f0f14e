//! The ReplicaSet of a pod template: its name, revision and annotations.

use serde_json::{Value, json};

use super::family::Family;
use crate::kubernetes::names;
use crate::kubernetes::value::{self, int, text};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

/// The number of a ReplicaSet; 0 when it has none.
pub(super) fn revision(set: &Value) -> i64 {
    text(
        set,
        "/metadata/annotations/deployment.kubernetes.io~1revision",
    )
    .parse()
    .unwrap_or(0)
}

/// The template as the user wrote it.
pub(super) fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels") {
        remove(labels, HASH);
    }
    template
}

pub(super) fn remove(object: &mut Value, field: &str) {
    if let Value::Object(fields) = object {
        fields.remove(field);
    }
}

pub(super) fn new_set(family: &Family, revision: i64) -> Value {
    let deployment = &family.deployment;
    let template = &deployment["spec"]["template"];
    let collisions = int(deployment, "/status/collisionCount");
    let hash = names::template_hash(canonical(template).as_bytes(), collisions);
    let mut template = template.clone();
    template["metadata"]["labels"][HASH] = hash.clone().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.clone().into();
    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", family.name()),
            "namespace": family.namespace(),
            "labels": template["metadata"]["labels"],
            "ownerReferences": value::owner_reference(deployment),
            "annotations": {},
        },
        "spec": {
            "replicas": first_size(family),
            "selector": selector,
            "template": template,
        },
    });
    if let Some(seconds) = deployment["spec"].get("minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    annotate(&mut set, deployment, revision);
    let annotations = &mut set["metadata"]["annotations"];
    annotations[DESIRED] = family.replicas().to_string().into();
    annotations[MAXIMUM] = family.max_total().to_string().into();
    set
}

/// How many pods a new ReplicaSet begins with.
fn first_size(family: &Family) -> i64 {
    if family.is_recreate() {
        return family.replicas();
    }
    let free = family.max_total() - family.sum("/spec/replicas");
    free.clamp(0, family.replicas())
}

/// Copies the Deployment's annotations, and numbers the ReplicaSet if it is to be the newest.
pub(super) fn annotate(set: &mut Value, deployment: &Value, revision: i64) {
    const OWN: [&str; 5] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
    ];
    if !set["metadata"]["annotations"].is_object() {
        set["metadata"]["annotations"] = json!({});
    }
    let annotations = &mut set["metadata"]["annotations"];
    let theirs = deployment["metadata"]["annotations"].as_object();
    for (key, value) in theirs.into_iter().flatten() {
        if !OWN.contains(&key.as_str()) {
            annotations[key] = value.clone();
        }
    }
    let before = annotations[REVISION].as_str().map(str::to_owned);
    let number: i64 = before
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    if number < revision {
        annotations[REVISION] = revision.to_string().into();
        if let Some(before) = before {
            // An old ReplicaSet comes back: its earlier numbers are remembered.
            let history = match annotations[HISTORY].as_str() {
                Some(history) if !history.is_empty() => format!("{history},{before}"),
                _ => before,
            };
            annotations[HISTORY] = history.into();
        }
    }
    if let Value::Object(fields) = annotations {
        fields.retain(|_, value| !value.is_null());
    }
}

/// A text that is the same for equal values, whatever the order of their fields.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let parts: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{name:?}:{}", canonical(value)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", parts.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn deployment(image: &str) -> Value {
        json!({"metadata": {"name": "app", "namespace": "a", "annotations": {"note": "n", REVISION: "1"}},
            "spec": {"replicas": 4, "strategy": {"type": "RollingUpdate", "rollingUpdate":
                {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": image}]}}}})
    }

    fn family(image: &str) -> Family {
        Family {
            deployment: Arc::new(deployment(image)),
            old: Vec::new(),
            new: None,
        }
    }

    #[test]
    fn equal_templates_make_equal_names() {
        let name = |image| text(&new_set(&family(image), 1), "/metadata/name").to_owned();
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn a_returning_set_remembers_its_numbers() {
        let mut set = new_set(&family("a"), 1);
        annotate(&mut set, &deployment("a"), 3);
        let annotations = &set["metadata"]["annotations"];
        assert_eq!(annotations[REVISION], "3");
        assert_eq!(annotations[HISTORY], "1");
        assert_eq!(annotations["note"], "n");
    }

    #[test]
    fn a_first_set_is_as_big_as_wanted_and_a_next_one_only_as_the_surge_allows() {
        let mut family = family("a");
        assert_eq!(first_size(&family), 4);
        family.old.push(Arc::new(json!({"spec": {"replicas": 4}})));
        assert_eq!(first_size(&family), 1);
        assert_eq!(family.max_unavailable(), 1);
    }
}
