//! The fields that the server sets, and those that a client must not change.

use serde_json::{Value, json};

use super::request::Target;
use super::resources::Resource;
use super::status::{ApiError, ApiResult};
use super::time::now;
use super::value::differ_only_in;
use super::{defaults, delete, names};

/// What the server writes into the metadata of a new object.
pub(super) fn stamp(target: &Target, object: &mut Value) {
    object["apiVersion"] = target.resource.api_version().into();
    object["kind"] = target.resource.kind.into();
    let metadata = &mut object["metadata"];
    metadata["uid"] = names::uid().into();
    metadata["creationTimestamp"] = now().into();
    if let Value::Object(fields) = metadata {
        for name in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
        ] {
            fields.remove(name);
        }
        if target.resource.generation {
            fields.insert("generation".to_owned(), 1.into());
        }
    }
}

/// A new object has no status but the one that the server gives it.
pub(super) fn initial_status(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Pod" => {
            let class = defaults::quality_of_service(&object["spec"]);
            object["status"] = json!({"phase": "Pending", "qosClass": class});
        }
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "Service" => object["status"] = json!({"loadBalancer": {}}),
        "Deployment" => object["status"] = json!({}),
        "ReplicaSet" => object["status"] = json!({"replicas": 0}),
        "PodDisruptionBudget" => {
            object["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        _ => {}
    }
}

/// The server's part of the metadata stays as it is.
pub(super) fn keep_metadata(target: &Target, old: &Value, new: &mut Value) -> ApiResult<()> {
    let before = &old["metadata"];
    if target.subresource == "status" {
        // Through its status an object's labels, finalizers and owners do not change.
        let annotations = new["metadata"].get("annotations").cloned();
        new["metadata"] = before.clone();
        if let (Value::Object(fields), Some(annotations)) = (&mut new["metadata"], annotations) {
            fields.insert("annotations".to_owned(), annotations);
        }
    }
    if new["metadata"].is_null() {
        new["metadata"] = json!({});
    }
    let Value::Object(metadata) = &mut new["metadata"] else {
        return Err(ApiError::bad_request("metadata is not a map"));
    };
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "resourceVersion",
        "managedFields",
    ] {
        match before.get(name) {
            Some(value) => drop(metadata.insert(name.to_owned(), value.clone())),
            None => drop(metadata.remove(name)),
        }
    }
    delete::check_finalizers(target, before, &new["metadata"])
}

/// A write to the object leaves its status alone, a write to the status leaves the object alone.
pub(super) fn keep_other_half(target: &Target, old: &Value, new: &mut Value) {
    if target.subresource == "status" {
        let status = new.get("status").cloned();
        let metadata = new["metadata"].take();
        *new = old.clone();
        new["metadata"] = metadata;
        if let (Value::Object(fields), Some(status)) = (&mut *new, status) {
            fields.insert("status".to_owned(), status);
        }
    } else if target.resource.status
        && let Value::Object(fields) = new
    {
        match old.get("status") {
            Some(status) => drop(fields.insert("status".to_owned(), status.clone())),
            None => drop(fields.remove("status")),
        }
    }
    new["apiVersion"] = old["apiVersion"].clone();
    new["kind"] = old["kind"].clone();
}

/// The generation counts changes of what is wanted.
pub(super) fn count_generation(target: &Target, old: &Value, new: &mut Value) {
    if !target.resource.generation || target.subresource == "status" {
        return;
    }
    let mut same = differ_only_in(old, new, &["metadata", "status", "spec"]);
    // Placing a pod does not change what is wanted.
    let placed: &[&str] = if target.resource.kind == "Pod" {
        &["nodeName"]
    } else {
        &[]
    };
    same &= differ_only_in(&old["spec"], &new["spec"], placed);
    // A Deployment's controllers and `kubectl rollout undo` watch its annotations as well.
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let annotated = target.resource.kind == "Deployment" && annotations(old) != annotations(new);
    if !same || annotated {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = generation.into();
    }
}
