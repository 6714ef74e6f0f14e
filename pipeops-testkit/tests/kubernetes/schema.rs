//! `schema.json`: the types of a real server, reduced to those that the stand-in implements.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use kube::Client;
use serde_json::{Map, Value, json};

/// Where the server describes its groups.
const DOCUMENTS: [&str; 6] = [
    "api/v1",
    "apis/apps/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
];

/// The types that the stand-in begins from.
const ROOTS: [&str; 15] = [
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.apps.v1.ReplicaSet",
    "io.k8s.api.coordination.v1.Lease",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Event",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.Node",
    "io.k8s.api.core.v1.Pod",
    "io.k8s.api.core.v1.Secret",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.ServiceAccount",
    "io.k8s.api.discovery.v1.EndpointSlice",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
];

/// Types that are single values on the wire.
const SCALARS: [(&str, &str); 6] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "int-or-string",
    ),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    (
        "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        "micro-time",
    ),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "any"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "any"),
];

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/kubernetes/schema.json")
}

/// With the environment variable `UPDATE_RECORDED` it writes the schema anew instead.
#[tokio::test]
#[ignore = "needs testbed: kubernetes"]
async fn the_schema_is_the_real_servers() {
    let real = read_schema().await;
    if std::env::var_os("UPDATE_RECORDED").is_some() {
        std::fs::write(file(), real).unwrap();
        return;
    }
    let written = std::fs::read_to_string(file()).unwrap();
    assert_eq!(written, real, "UPDATE_RECORDED=1 writes it anew");
}

async fn read_schema() -> String {
    assert!(
        std::env::var("KUBECONFIG").is_ok(),
        "KUBECONFIG is set by `cargo testbed env`"
    );
    let client = Client::try_default().await.unwrap();
    let mut schemas = Map::new();
    for document in DOCUMENTS {
        let request = http::Request::get(format!("/openapi/v3/{document}"))
            .body(Vec::new())
            .unwrap();
        let document: Value = client.request(request).await.unwrap();
        let Value::Object(part) = document["components"]["schemas"].clone() else {
            panic!("a document has schemas");
        };
        schemas.extend(part);
    }
    let mut definitions = BTreeMap::new();
    let mut open: BTreeSet<String> = ROOTS.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop_first() {
        if !definitions.contains_key(&name) && schemas.contains_key(&name) {
            let definition = definition(&schemas, &schemas[&name], &mut open);
            definitions.insert(name, definition);
        }
    }
    let lines: Vec<String> = definitions
        .iter()
        .map(|(name, definition)| format!("{}: {definition}", json!(name)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn definition(schemas: &Map<String, Value>, schema: &Value, open: &mut BTreeSet<String>) -> Value {
    let fields: Map<String, Value> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, property)| (name.clone(), kind(schemas, property, open)))
        .collect();
    let mut definition = json!({ "fields": fields });
    if schema["x-kubernetes-map-type"] == "atomic" {
        definition["atomic"] = true.into();
    }
    let required: Vec<&String> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, property)| is_always_there(schema, name, property))
        .map(|(name, _)| name)
        .collect();
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    definition
}

/// Whether a field is on the wire even when nothing is set in it.
fn is_always_there(schema: &Value, name: &str, property: &Value) -> bool {
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|other| other == name);
    // A default that is the type's own zero marks a field that is never left out.
    let zero = [json!(""), json!(0), json!(false)];
    required
        || property
            .get("default")
            .is_some_and(|default| zero.contains(default))
}

fn kind(schemas: &Map<String, Value>, property: &Value, open: &mut BTreeSet<String>) -> Value {
    let reference = property["$ref"]
        .as_str()
        .or(property["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|path| path.rsplit('/').next()) {
        return structure(name, property, open);
    }
    match property["type"].as_str() {
        Some("array") => list(schemas, property, open),
        Some("object") if property.get("additionalProperties").is_some() => {
            let mut map = json!({ "map": kind(schemas, &property["additionalProperties"], open) });
            if property["x-kubernetes-map-type"] == "atomic" {
                map["atomic"] = true.into();
            }
            map
        }
        Some("object") => "any".into(),
        Some("string") if property["format"] == "byte" => "bytes".into(),
        Some("string") if property["format"] == "date-time" => "time".into(),
        Some(scalar) => scalar.into(),
        None => panic!("a property without a type: {property}"),
    }
}

fn structure(name: &str, property: &Value, open: &mut BTreeSet<String>) -> Value {
    if let Some((_, scalar)) = SCALARS.iter().find(|(scalar, _)| *scalar == name) {
        return (*scalar).into();
    }
    open.insert(name.to_owned());
    let mut structure = json!({ "ref": name });
    if property["x-kubernetes-map-type"] == "atomic" {
        structure["atomic"] = true.into();
    }
    // A default of nothing marks a field that is never left out.
    if property["default"] == json!({}) {
        structure["always"] = true.into();
    }
    structure
}

fn list(schemas: &Map<String, Value>, property: &Value, open: &mut BTreeSet<String>) -> Value {
    let mut list = json!({ "list": kind(schemas, &property["items"], open) });
    match property["x-kubernetes-list-type"].as_str() {
        Some("set") => list["set"] = true.into(),
        Some("map") => {
            let keys = &property["x-kubernetes-list-map-keys"];
            let item = list["list"]["ref"].as_str().unwrap_or_default();
            let defaults: Map<String, Value> = keys
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter_map(|key| {
                    let default = schemas[item]["properties"][key].get("default")?;
                    Some((key.to_owned(), default.clone()))
                })
                .collect();
            list["keys"] = keys.clone();
            if !defaults.is_empty() {
                list["defaults"] = defaults.into();
            }
        }
        _ => {}
    }
    list
}
