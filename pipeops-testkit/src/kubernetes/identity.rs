//! Checks an object's kind, name, namespace and version.

use serde_json::Value;

use super::names;
use super::request::Target;
use super::resources::{self, NAMESPACES};
use super::status::{ApiError, ApiResult, FieldError};
use super::store::{Key, Store};
use super::value::text;

/// Refuses an object that is not of the kind, namespace or name that the path says.
pub(super) fn check_identity(target: &Target, body: &Value) -> ApiResult<()> {
    let resource = target.resource;
    if !body.is_object() {
        return Err(ApiError::bad_request(
            "the object provided is not a JSON object",
        ));
    }
    // What the object does not say about its kind follows from the path.
    let own = resource.api_version();
    let version = text(body, "/apiVersion");
    let version = if version.is_empty() {
        own.as_str()
    } else {
        version
    };
    let kind = text(body, "/kind");
    let kind = if kind.is_empty() { resource.kind } else { kind };
    if version != own || kind != resource.kind {
        let short = version.rsplit('/').next().unwrap_or_default();
        let why = if resources::of_kind(version, kind).is_some() {
            let group = if resource.group.is_empty() {
                "core"
            } else {
                resource.group
            };
            format!(
                "converting ({short}.{kind}) to ({group}.{}): unknown conversion",
                resource.kind
            )
        } else {
            format!(
                "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
            )
        };
        return Err(ApiError::bad_request(format!(
            "{kind} in version {short:?} cannot be handled as a {}: {why}",
            resource.kind
        )));
    }
    let metadata = &body["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && namespace != target.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    if !target.name.is_empty() && !name.is_empty() && name != target.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

/// Gives a new object its name: its own, the path's, or a generated one.
pub(super) fn name_it(store: &Store, target: &mut Target, object: &mut Value) -> ApiResult<()> {
    let metadata = &mut object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (mut name, prefix) = (text(&metadata["name"]), text(&metadata["generateName"]));
    if name.is_empty() && !target.name.is_empty() {
        name.clone_from(&target.name);
    }
    if name.is_empty() && !prefix.is_empty() {
        name = names::generate(&prefix, store.revision());
    }
    if name.is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(ApiError::invalid(target.resource, "", &[error]));
    }
    metadata["name"] = name.clone().into();
    if target.resource.namespaced {
        metadata["namespace"] = target.namespace.clone().into();
    }
    target.name = name;
    Ok(())
}

/// New objects need a namespace that exists and is not on its way out.
pub(super) fn check_namespace(store: &Store, target: &Target) -> ApiResult<()> {
    if !target.resource.namespaced {
        return Ok(());
    }
    let namespace = &target.namespace;
    let key = Key::new(&NAMESPACES, "", namespace);
    let Some(found) = store.get(&key) else {
        return Err(ApiError::not_found(&NAMESPACES, namespace));
    };
    if found["status"]["phase"] == "Terminating" {
        return Err(ApiError::forbidden(
            target.resource,
            &target.name,
            &format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            ),
        ));
    }
    Ok(())
}

/// Refuses a change of an object that is no longer the one that the client has read.
pub(super) fn check_versions(target: &Target, old: &Value, new: &Value) -> ApiResult<()> {
    let text = |object: &Value, field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (wanted, present) = (text(new, "uid"), text(old, "uid"));
    if !wanted.is_empty() && wanted != present {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {present}",
            target.resource.plural, target.namespace, target.name
        );
        return Err(ApiError::conflict(target.resource, &target.name, &why));
    }
    let wanted = text(new, "resourceVersion");
    if !wanted.is_empty() && wanted != "0" && wanted != text(old, "resourceVersion") {
        return Err(ApiError::modified(target.resource, &target.name));
    }
    Ok(())
}
