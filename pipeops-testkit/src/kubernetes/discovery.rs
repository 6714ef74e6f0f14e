//! What the server says about itself: versions, groups, resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resources::{ALL, Resource, group_version};

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.0+pipeops-testkit",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "in-process",
    })
}

/// `/api`: the versions of the core group.
pub(crate) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`: all named groups.
pub(crate) fn groups() -> Value {
    let all: Vec<Value> = named_groups().into_keys().map(group_body).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": all})
}

/// `/apis/{group}`.
pub(crate) fn group(name: &str) -> Option<Value> {
    let (group, _) = named_groups()
        .into_iter()
        .find(|(group, _)| *group == name)?;
    let mut body = group_body(group);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    Some(body)
}

/// `/api/v1`, `/apis/{group}/{version}`.
pub(crate) fn resources(group: &str, version: &str) -> Option<Value> {
    let mut all = Vec::new();
    for resource in served(group, version) {
        all.extend(resource_bodies(resource));
    }
    (!all.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version(group, version),
            "resources": all,
        })
    })
}

/// `/api` or `/apis` for clients that ask for everything at once.
pub(crate) fn aggregated(core: bool) -> Value {
    let groups: Vec<(&str, &str)> = if core {
        vec![("", "v1")]
    } else {
        named_groups().into_iter().collect()
    };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, version)| {
            let resources = served(group, version).into_iter();
            json!({
                "metadata": if group.is_empty() { json!({}) } else { json!({"name": group}) },
                "versions": [{
                    "version": version,
                    "freshness": "Current",
                    "resources": resources.map(aggregated_resource).collect::<Vec<_>>(),
                }],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

/// The resources of a group and version, by name.
fn served(group: &str, version: &str) -> Vec<&'static Resource> {
    let all = ALL.iter().copied();
    let mut served: Vec<&Resource> = all
        .filter(|r| r.group == group && r.version == version)
        .collect();
    served.sort_by_key(|resource| resource.plural);
    served
}

/// Each named group with the one version that is served.
fn named_groups() -> BTreeMap<&'static str, &'static str> {
    ALL.iter()
        .filter(|resource| !resource.group.is_empty())
        .map(|resource| (resource.group, resource.version))
        .collect()
}

fn group_body(group: &str) -> Value {
    let version = named_groups().get(group).copied().unwrap_or_default();
    let version = json!({"groupVersion": group_version(group, version), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

fn resource_bodies(resource: &Resource) -> Vec<Value> {
    let mut body = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": VERBS,
    });
    name_groups(resource, &mut body);
    let mut all = vec![body];
    for (name, kind, verbs) in subresources(resource) {
        let mut body = json!({
            "name": format!("{}/{name}", resource.plural),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind,
            "verbs": verbs,
        });
        if kind == "Scale" {
            body["group"] = "autoscaling".into();
            body["version"] = "v1".into();
        }
        all.push(body);
    }
    all
}

/// Short names, and whether `kubectl get all` means it.
fn name_groups(resource: &Resource, body: &mut Value) {
    const ALL_MEANS: [&str; 6] = [
        "Deployment",
        "HorizontalPodAutoscaler",
        "Pod",
        "ReplicaSet",
        "Service",
        "StatefulSet",
    ];
    if !resource.short.is_empty() {
        body["shortNames"] = json!(resource.short);
    }
    if ALL_MEANS.contains(&resource.kind) {
        body["categories"] = json!(["all"]);
    }
}

fn subresources(resource: &Resource) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let mut all = Vec::new();
    let change = vec!["get", "patch", "update"];
    if resource.kind == "Pod" {
        all.push(("log", "Pod", vec!["get"]));
    }
    if resource.scale {
        all.push(("scale", "Scale", change.clone()));
    }
    if resource.status {
        all.push(("status", resource.kind, change));
    }
    all
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let subresources: Vec<Value> = subresources(resource)
        .into_iter()
        .map(|(name, of, verbs)| {
            let response = if of == "Scale" {
                kind("autoscaling", "v1", "Scale")
            } else {
                kind(resource.group, resource.version, of)
            };
            json!({"subresource": name, "responseKind": response, "verbs": verbs})
        })
        .collect();
    let mut body = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": VERBS,
    });
    name_groups(resource, &mut body);
    if !subresources.is_empty() {
        body["subresources"] = subresources.into();
    }
    body
}
