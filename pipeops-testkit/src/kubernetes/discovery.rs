//! Discovery: groups and resources, as far as `kubectl` needs them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resources::{ALL, Resource, group_version};

/// `/api`: the versions of the core group.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`: all named groups, each with the one version that is served.
pub(crate) fn groups() -> Value {
    let named: BTreeMap<&str, &str> = ALL
        .iter()
        .filter(|resource| !resource.group.is_empty())
        .map(|resource| (resource.group, resource.version))
        .collect();
    let all: Vec<Value> = named
        .into_iter()
        .map(|(group, version)| {
            let version =
                json!({"groupVersion": group_version(group, version), "version": version});
            json!({"name": group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": all})
}

/// `/api/v1`, `/apis/{group}/{version}`.
pub(crate) fn resources(group: &str, version: &str) -> Option<Value> {
    let all: Vec<Value> = ALL
        .iter()
        .filter(|resource| resource.group == group && resource.version == version)
        .map(|resource| described(resource))
        .collect();
    (!all.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version(group, version),
            "resources": all,
        })
    })
}

fn described(resource: &Resource) -> Value {
    json!({
        "name": resource.plural,
        "singularName": resource.kind.to_ascii_lowercase(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    })
}
