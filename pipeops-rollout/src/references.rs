//! The ConfigMaps and Secrets that a workload refers to.

use std::collections::BTreeSet;

use pipeops_core::Object;
use serde_json::Value;

use crate::cluster::ObjectId;

/// The ConfigMaps and Secrets that the pods of a workload need.
pub(crate) fn references(namespace: &str, workload: &Object) -> BTreeSet<ObjectId> {
    let mut found = BTreeSet::new();
    let pod = &workload.value()["spec"]["template"]["spec"];
    collect(namespace, pod, &mut found);
    found
}

fn collect(namespace: &str, value: &Value, found: &mut BTreeSet<ObjectId>) {
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(namespace, item, found)),
        Value::Object(fields) => {
            for (key, field) in fields {
                let needed = field["optional"] != true;
                let name = field["name"].as_str().or(field["secretName"].as_str());
                let id = match (key.as_str(), name) {
                    ("configMapRef" | "configMapKeyRef" | "configMap", Some(name)) => {
                        Some(ObjectId::config_map(namespace, name))
                    }
                    ("secretRef" | "secretKeyRef" | "secret", Some(name)) => {
                        Some(ObjectId::secret(namespace, name))
                    }
                    _ => None,
                };
                found.extend(id.filter(|_| needed));
                collect(namespace, field, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_refer_to_configuration_is_seen() {
        let object = Object::new(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"template": {"spec": {
                "containers": [{
                    "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}},
                                {"secretRef": {"name": "maybe", "optional": true}}],
                    "env": [{"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                            {"valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}}]}],
                "volumes": [{"configMap": {"name": "e"}}, {"secret": {"secretName": "f"}},
                            {"projected": {"sources": [{"secret": {"name": "g"}}]}}]}}}}),
        )
        .unwrap();
        let found = references("shop", &object);
        let names: Vec<_> = found.iter().map(|id| id.name.as_str()).collect();
        assert_eq!(
            names,
            ["a", "c", "e", "b", "d", "f", "g"],
            "by kind and name"
        );
    }
}
