//! Looks up the ConfigMaps and Secrets that a pod refers to.

use serde_json::Value;

use crate::kubernetes::resources::{CONFIG_MAPS, Resource, SECRETS};
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::value::{items, text};

/// Why the environment of a container cannot be put together.
pub(super) fn missing_environment(store: &Store, pod: &Value, container: &Value) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    let look = |resource: &'static Resource, kind: &str, of: &Value, name: &str| {
        if of["optional"] == true {
            return None;
        }
        let found = store.get(&Key::new(resource, namespace, name));
        match (found, of["key"].as_str()) {
            (None, _) => Some(format!("{kind} {name:?} not found")),
            (Some(object), Some(key)) if !has_key(object, key) => {
                let kind = resource.kind;
                Some(format!(
                    "couldn't find key {key} in {kind} {namespace}/{name}"
                ))
            }
            _ => None,
        }
    };
    let sources = items(container, "/envFrom").iter().find_map(|source| {
        let (map, secret) = (&source["configMapRef"], &source["secretRef"]);
        let of = |of: &Value, resource, kind| {
            of.is_object()
                .then(|| look(resource, kind, of, text(of, "/name")))
                .flatten()
        };
        of(map, &CONFIG_MAPS, "configmap").or_else(|| of(secret, &SECRETS, "secret"))
    });
    sources.or_else(|| {
        items(container, "/env").iter().find_map(|variable| {
            let from = &variable["valueFrom"];
            let of = |name: &str, resource, kind| {
                let of = &from[name];
                of.is_object()
                    .then(|| look(resource, kind, of, text(of, "/name")))
                    .flatten()
            };
            of("configMapKeyRef", &CONFIG_MAPS, "configmap")
                .or_else(|| of("secretKeyRef", &SECRETS, "secret"))
        })
    })
}

fn has_key(object: &Value, key: &str) -> bool {
    object["data"].get(key).is_some() || object["binaryData"].get(key).is_some()
}

/// Why a container that must not run as root would.
pub(super) fn breaks_non_root(pod: &Value, container: &Value) -> Option<String> {
    let own = &container["securityContext"];
    let shared = &pod["spec"]["securityContext"];
    let of = |name: &str| own.get(name).or_else(|| shared.get(name));
    let must = of("runAsNonRoot") == Some(&Value::Bool(true));
    let root = of("runAsUser").and_then(Value::as_i64) == Some(0);
    (must && root).then(|| {
        format!(
            "container's runAsUser breaks non-root policy (pod: \"{}_{}({})\", container: {})",
            text(pod, "/metadata/name"),
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/uid"),
            text(container, "/name"),
        )
    })
}

/// Why a volume cannot be mounted. A volume that no container mounts is not looked at.
pub(super) fn missing_volume(store: &Store, pod: &Value) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    let is_mounted = |name: &str| {
        ["/spec/containers", "/spec/initContainers"]
            .iter()
            .flat_map(|list| items(pod, list))
            .flat_map(|container| items(container, "/volumeMounts"))
            .any(|mount| mount["name"] == name)
    };
    items(pod, "/spec/volumes").iter().find_map(|volume| {
        let name = text(volume, "/name");
        if !is_mounted(name) {
            return None;
        }
        missing_source(store, namespace, volume)
            .map(|why| format!("MountVolume.SetUp failed for volume {name:?} : {why}"))
    })
}

fn missing_source(store: &Store, namespace: &str, volume: &Value) -> Option<String> {
    let look = |resource: &'static Resource, kind: &str, of: &Value, name: &str| {
        if !of.is_object() || of["optional"] == true {
            return None;
        }
        let Some(object) = store.get(&Key::new(resource, namespace, name)) else {
            return Some(format!("{kind} {name:?} not found"));
        };
        items(of, "/items")
            .iter()
            .map(|item| text(item, "/key"))
            .find(|key| !has_key(object, key))
            .map(|key| format!("references non-existent {kind} key: {key}"))
    };
    let (map, secret) = (&volume["configMap"], &volume["secret"]);
    look(&CONFIG_MAPS, "configmap", map, text(map, "/name"))
        .or_else(|| look(&SECRETS, "secret", secret, text(secret, "/secretName")))
        .or_else(|| {
            items(volume, "/projected/sources")
                .iter()
                .find_map(|source| {
                    let (map, secret) = (&source["configMap"], &source["secret"]);
                    look(&CONFIG_MAPS, "configmap", map, text(map, "/name"))
                        .or_else(|| look(&SECRETS, "secret", secret, text(secret, "/name")))
                })
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> Store {
        let mut store = Store::default();
        store.put(
            Key::new(&CONFIG_MAPS, "a", "there"),
            json!({"metadata": {}, "data": {"k": "v"}}),
        );
        store
    }

    #[test]
    fn references_are_looked_up() {
        let pod = json!({"metadata": {"namespace": "a"}});
        let missing = |container: Value| missing_environment(&store(), &pod, &container);
        let key = |name: &str, key: &str| json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}}]});
        assert_eq!(missing(key("there", "k")), None);
        assert_eq!(
            missing(key("nothere", "k")).unwrap(),
            "configmap \"nothere\" not found"
        );
        assert_eq!(
            missing(key("there", "x")).unwrap(),
            "couldn't find key x in ConfigMap a/there"
        );
        let from = json!({"envFrom": [{"secretRef": {"name": "s"}}]});
        assert_eq!(missing(from).unwrap(), "secret \"s\" not found");
        let optional = json!({"envFrom": [{"secretRef": {"name": "s", "optional": true}}]});
        assert_eq!(missing(optional), None);
    }

    #[test]
    fn missing_volumes_are_named() {
        let mut pod = json!({"metadata": {"namespace": "a"}, "spec": {"volumes": [
            {"name": "v", "secret": {"secretName": "s"}}
        ]}});
        assert_eq!(missing_volume(&store(), &pod), None);
        pod["spec"]["containers"] = json!([{"volumeMounts": [{"name": "v"}]}]);
        assert_eq!(
            missing_volume(&store(), &pod).unwrap(),
            "MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found"
        );
    }
}
