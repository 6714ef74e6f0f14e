//! Creating and changing objects: the way of a write through the real API server, in its order.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::apply::Apply;
use super::managed::{self, Managed, Manager};
use super::request::Target;
use super::resources::{self, NAMESPACES, NEW_EVENTS, Resource};
use super::status::{ApiError, ApiResult, FieldError};
use super::store::Store;
use super::value::text;
use super::{decode, defaults, delete, events, names, schema, services, validate};

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// The field manager.
    pub(crate) manager: String,
    /// Whether to answer as if, and change nothing.
    pub(crate) dry_run: bool,
    /// What to do with fields that the type does not have.
    pub(crate) validation: Validation,
    /// Fields that were dropped because the type does not have them.
    pub(crate) unknown: Vec<String>,
}

/// `fieldValidation` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    Warn,
    Strict,
}

impl Writer {
    /// A writer of the cluster itself, such as the kubelet.
    pub(crate) fn component(name: &str) -> Self {
        Self {
            manager: name.to_owned(),
            dry_run: false,
            validation: Validation::Ignore,
            unknown: Vec::new(),
        }
    }

    fn owner(&self, target: &Target, operation: &'static str) -> Manager {
        Manager {
            name: self.manager.clone(),
            operation,
            api_version: target.resource.api_version(),
            subresource: target.subresource.clone(),
        }
    }

    /// Reads an object as its type; in strict mode a field too many is an error.
    fn decode(&mut self, resource: &Resource, object: &Value) -> ApiResult<Value> {
        let decoded = decode::decode(resource, object)?;
        if self.validation == Validation::Strict && !decoded.unknown.is_empty() {
            let all: Vec<String> = decoded
                .unknown
                .iter()
                .map(|field| format!("unknown field {field:?}"))
                .collect();
            return Err(ApiError::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {all}",
                kind = resource.kind,
                version = resource.version,
                all = all.join(", "),
            )));
        }
        self.unknown.extend(decoded.unknown);
        Ok(decoded.object)
    }
}

/// The time as objects carry it.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Creates an object.
pub(crate) fn create(
    store: &mut Store,
    target: &Target,
    body: &Value,
    writer: &mut Writer,
) -> ApiResult<Arc<Value>> {
    check_identity(target, body)?;
    let object = writer.decode(target.resource, body)?;
    let owners = Managed::default();
    let owner = writer.owner(target, "Update");
    create_decoded(store, target, object, writer, |new| {
        let mut owners = owners;
        let empty = schema::empty(&managed::type_of(target.resource.storage()));
        owners.update(target.resource.storage(), &empty, new, owner, &now());
        owners
    })
}

fn create_decoded(
    store: &mut Store,
    target: &Target,
    object: Value,
    writer: &Writer,
    owners: impl FnOnce(&Value) -> Managed,
) -> ApiResult<Arc<Value>> {
    let resource = target.resource;
    let mut object = as_stored(resource, object);
    let mut target = target.clone();
    name_it(store, &mut target, &mut object)?;
    check_namespace(store, &target)?;
    if store.get(&target.key()).is_some() {
        return Err(ApiError::already_exists(resource, &target.name));
    }
    if object["metadata"]["resourceVersion"].as_str().is_some_and(|v| !v.is_empty() && v != "0") {
        return Err(ApiError::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    stamp(&target, &mut object);
    defaults::apply(resource.storage(), &mut object);
    initial_status(resource, &mut object);
    let owners = owners(&object);
    // Addresses are given out last: nobody owns them.
    services::allocate(store, resource, &mut object)?;
    refuse(resource, &target.name, &validate::create(resource.storage(), &object))?;
    owners.write_to(&mut object);
    Ok(commit(store, &target, object, writer))
}

/// Replaces an object with the client's whole state of it; whether it was created that way.
pub(crate) fn replace(
    store: &mut Store,
    target: &Target,
    body: &Value,
    writer: &mut Writer,
) -> ApiResult<(Arc<Value>, bool)> {
    check_identity(target, body)?;
    let object = writer.decode(target.resource, body)?;
    let Some(old) = store.get(&target.key()).cloned() else {
        // Leases, Services and Events may be created by an update.
        let may_create = matches!(target.resource.kind, "Lease" | "Service" | "Event");
        return if may_create && target.subresource.is_empty() {
            create(store, target, body, writer).map(|object| (object, true))
        } else {
            Err(ApiError::not_found(target.resource, &target.name))
        };
    };
    let versionless = object["metadata"]["resourceVersion"]
        .as_str()
        .is_none_or(str::is_empty);
    if versionless && matches!(target.resource.kind, "Lease" | "PodDisruptionBudget") {
        let error = FieldError::invalid(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        // The real server names the resource here, not the kind.
        let (group, plural) = (target.resource.group, target.resource.plural);
        return Err(ApiError::invalid_kind(group, plural, &target.name, &[error]));
    }
    change(store, target, &old, object, writer).map(|object| (object, false))
}

/// Changes an object by a function of its present state.
pub(crate) fn modify(
    store: &mut Store,
    target: &Target,
    writer: &mut Writer,
    patch: impl FnOnce(&Value) -> ApiResult<Value>,
) -> ApiResult<Arc<Value>> {
    let old = store
        .get(&target.key())
        .cloned()
        .ok_or_else(|| ApiError::not_found(target.resource, &target.name))?;
    let shown = as_shown(target.resource, &old);
    let patched = patch(&shown)?;
    check_identity(target, &patched)?;
    let object = writer.decode(target.resource, &patched)?;
    change(store, target, &old, object, writer)
}

/// Applies a configuration; creates the object when it is not there.
pub(crate) fn apply(
    store: &mut Store,
    target: &Target,
    config: &Value,
    force: bool,
    writer: &mut Writer,
) -> ApiResult<(Arc<Value>, bool)> {
    let resource = target.resource;
    check_applied(target, config)?;
    let live = store.get(&target.key()).cloned();
    if live.is_none() && !target.subresource.is_empty() {
        return Err(ApiError::not_found(resource, &target.name));
    }
    let shown = live.as_ref().map_or_else(|| json!({}), |live| as_shown(resource, live));
    let now = now();
    let request = Apply {
        resource,
        live: &shown,
        config,
        manager: writer.owner(target, "Apply"),
        force,
        now: &now,
    };
    let (merged, owners) = request.run()?;
    let merged = writer.decode(resource, &merged)?;
    match live {
        None => {
            let created = create_decoded(store, target, merged, writer, |_| owners)?;
            Ok((created, true))
        }
        Some(old) => {
            let changed = change_as(store, target, &old, merged, writer, |_| owners)?;
            Ok((changed, false))
        }
    }
}

fn check_applied(target: &Target, config: &Value) -> ApiResult<()> {
    let resource = target.resource;
    let (version, kind) = (text(config, "/apiVersion"), text(config, "/kind"));
    if version != resource.api_version() || kind != resource.kind {
        return Err(ApiError::bad_request(format!(
            "invalid object type: {version}, Kind={kind}"
        )));
    }
    check_identity(target, config)?;
    if !config["metadata"]["managedFields"].is_null() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let errors = decode::check_applied(&managed::type_of(resource), config);
    if errors.is_empty() {
        return Ok(());
    }
    let what = match errors.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(ApiError::internal(format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): {what}",
        text(config, "/metadata/namespace"),
        target.name,
        resource.api_version(),
        resource.kind,
    )))
}

fn change(
    store: &mut Store,
    target: &Target,
    old: &Value,
    object: Value,
    writer: &Writer,
) -> ApiResult<Arc<Value>> {
    let owner = writer.owner(target, "Update");
    change_as(store, target, old, object, writer, |new| {
        let mut owners = Managed::of(old);
        owners.update(target.resource.storage(), old, new, owner, &now());
        owners
    })
}

/// The common end of every change: what the client may not touch is kept, rules are checked, owners are recorded.
fn change_as(
    store: &mut Store,
    target: &Target,
    old: &Value,
    object: Value,
    writer: &Writer,
    owners: impl FnOnce(&Value) -> Managed,
) -> ApiResult<Arc<Value>> {
    let resource = target.resource;
    let mut new = as_stored(resource, object);
    check_versions(target, old, &new)?;
    keep_metadata(target, old, &mut new)?;
    keep_other_half(target, old, &mut new);
    defaults::apply(resource.storage(), &mut new);
    services::keep_addresses(store, resource, old, &mut new)?;
    count_generation(target, old, &mut new);
    let mut errors = validate::create(resource.storage(), &new);
    errors.extend(validate::update(resource.storage(), old, &new));
    refuse(resource, &target.name, &errors)?;
    owners(&new).write_to(&mut new);

    if is_same(old, &new) {
        return Ok(Arc::new(as_shown(resource, old)));
    }
    if delete::is_finished(&new) && !writer.dry_run {
        store.put(target.key(), new);
        let last = store.remove(&target.key());
        return Ok(last.unwrap_or_default());
    }
    Ok(commit(store, target, new, writer))
}

fn commit(store: &mut Store, target: &Target, object: Value, writer: &Writer) -> Arc<Value> {
    let stored = if writer.dry_run {
        Arc::new(object)
    } else {
        store.put(target.key(), object)
    };
    if *target.resource == NEW_EVENTS {
        return Arc::new(events::to_new(&stored));
    }
    stored
}

/// Whether two states differ in nothing but the times of their owners.
fn is_same(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        for entry in object["metadata"]["managedFields"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            entry["time"] = Value::Null;
        }
        object
    };
    old == new || bare(old) == bare(new)
}

/// The object in the form in which its kind is stored.
fn as_stored(resource: &Resource, object: Value) -> Value {
    if *resource == NEW_EVENTS {
        events::to_old(&object)
    } else {
        object
    }
}

/// The object in the form in which this resource shows it.
pub(crate) fn as_shown(resource: &Resource, object: &Value) -> Value {
    if *resource == NEW_EVENTS {
        events::to_new(object)
    } else {
        object.clone()
    }
}

fn check_identity(target: &Target, body: &Value) -> ApiResult<()> {
    let resource = target.resource;
    if !body.is_object() {
        return Err(ApiError::bad_request("the object provided is not a JSON object"));
    }
    // What the object does not say about its kind follows from the path.
    let own = resource.api_version();
    let version = text(body, "/apiVersion");
    let version = if version.is_empty() { own.as_str() } else { version };
    let kind = text(body, "/kind");
    let kind = if kind.is_empty() { resource.kind } else { kind };
    if version != own || kind != resource.kind {
        let short = version.rsplit('/').next().unwrap_or_default();
        let why = if resources::of_kind(version, kind).is_some() {
            let group = if resource.group.is_empty() { "core" } else { resource.group };
            format!("converting ({short}.{kind}) to ({group}.{}): unknown conversion", resource.kind)
        } else {
            format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
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

fn name_it(store: &Store, target: &mut Target, object: &mut Value) -> ApiResult<()> {
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
fn check_namespace(store: &Store, target: &Target) -> ApiResult<()> {
    if !target.resource.namespaced {
        return Ok(());
    }
    let namespace = &target.namespace;
    let key = super::store::Key::new(&NAMESPACES, "", namespace);
    let Some(found) = store.get(&key) else {
        return Err(ApiError::not_found(&NAMESPACES, namespace));
    };
    if found["status"]["phase"] == "Terminating" {
        return Err(ApiError::forbidden(
            target.resource,
            &target.name,
            &format!("unable to create new content in namespace {namespace} because it is being terminated"),
        ));
    }
    Ok(())
}

/// What the server writes into the metadata of a new object.
fn stamp(target: &Target, object: &mut Value) {
    object["apiVersion"] = target.resource.storage().api_version().into();
    object["kind"] = target.resource.kind.into();
    let metadata = &mut object["metadata"];
    metadata["uid"] = names::uid().into();
    metadata["creationTimestamp"] = now().into();
    if let Value::Object(fields) = metadata {
        for name in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"] {
            fields.remove(name);
        }
        if target.resource.generation {
            fields.insert("generation".to_owned(), 1.into());
        }
    }
}

/// A new object has no status but the one that the server gives it.
fn initial_status(resource: &Resource, object: &mut Value) {
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
        "PersistentVolumeClaim" => object["status"] = json!({"phase": "Pending"}),
        "Service" | "Ingress" => object["status"] = json!({"loadBalancer": {}}),
        "Deployment" => object["status"] = json!({}),
        "ReplicaSet" => object["status"] = json!({"replicas": 0}),
        "StatefulSet" => object["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        "HorizontalPodAutoscaler" => {
            object["status"] = json!({"desiredReplicas": 0});
        }
        "PodDisruptionBudget" => {
            object["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        _ => {}
    }
}

fn check_versions(target: &Target, old: &Value, new: &Value) -> ApiResult<()> {
    let text = |object: &Value, field: &str| {
        object["metadata"][field].as_str().unwrap_or_default().to_owned()
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

/// The server's part of the metadata stays as it is.
fn keep_metadata(target: &Target, old: &Value, new: &mut Value) -> ApiResult<()> {
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
        "name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
        "deletionGracePeriodSeconds", "generateName", "resourceVersion", "managedFields",
    ] {
        match before.get(name) {
            Some(value) => drop(metadata.insert(name.to_owned(), value.clone())),
            None => drop(metadata.remove(name)),
        }
    }
    delete::check_finalizers(target, before, &new["metadata"])
}

/// A write to the object leaves its status alone, a write to the status leaves the object alone.
fn keep_other_half(target: &Target, old: &Value, new: &mut Value) {
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
fn count_generation(target: &Target, old: &Value, new: &mut Value) {
    if !target.resource.generation || target.subresource == "status" {
        return;
    }
    let wanted = |object: &Value| {
        let mut object = object.clone();
        if let Value::Object(fields) = &mut object {
            fields.remove("metadata");
            fields.remove("status");
        }
        // Placing a pod does not change what is wanted.
        if target.resource.kind == "Pod"
            && let Some(spec) = object["spec"].as_object_mut()
        {
            spec.remove("nodeName");
        }
        object
    };
    // A Deployment's controllers and `kubectl rollout undo` watch its annotations as well.
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let annotated = target.resource.kind == "Deployment" && annotations(old) != annotations(new);
    if wanted(old) != wanted(new) || annotated {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = generation.into();
    }
}

fn refuse(resource: &Resource, name: &str, errors: &[FieldError]) -> ApiResult<()> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(resource, name, errors))
    }
}
