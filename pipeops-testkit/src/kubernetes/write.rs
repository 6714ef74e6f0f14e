//! Creates and changes objects, in the same order of steps as the real API server.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Apply;
use super::identity::{check_identity, check_namespace, check_versions, name_it};
use super::managed::{self, Managed, Manager};
use super::prepare::{count_generation, initial_status, keep_metadata, keep_other_half, stamp};
use super::request::Target;
use super::resources::Resource;
use super::status::{ApiError, ApiResult, FieldError};
use super::store::Store;
use super::time::now;
use super::value::{differ_only_in, items, text};
use super::{decode, defaults, delete, schema, services, validate};

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// The field manager.
    pub(crate) manager: String,
    /// Whether to respond without changing anything.
    pub(crate) dry_run: bool,
    /// What to do with unknown fields.
    pub(crate) validation: Validation,
    /// Unknown fields that were dropped.
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
    /// A component of the cluster, such as the kubelet.
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

    /// Decodes an object. In strict mode, an unknown field is an error.
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
        let resource = target.resource;
        let empty = schema::empty(&managed::type_of(resource));
        owners.update(resource, &empty, new, owner, &now());
        owners
    })
}

fn create_decoded(
    store: &mut Store,
    target: &Target,
    mut object: Value,
    writer: &Writer,
    owners: impl FnOnce(&Value) -> Managed,
) -> ApiResult<Arc<Value>> {
    let resource = target.resource;
    let mut target = target.clone();
    name_it(store, &mut target, &mut object)?;
    check_namespace(store, &target)?;
    if store.get(&target.key()).is_some() {
        return Err(ApiError::already_exists(resource, &target.name));
    }
    if object["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|v| !v.is_empty() && v != "0")
    {
        return Err(ApiError::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    stamp(&target, &mut object);
    defaults::apply(resource, &mut object);
    initial_status(resource, &mut object);
    let owners = owners(&object);
    // Assigned after the owners are computed, because no manager owns addresses.
    services::allocate(store, resource, &mut object)?;
    refuse(resource, &target.name, &validate::create(resource, &object))?;
    owners.write_to(&mut object);
    Ok(commit(store, &target, object, writer))
}

/// Replaces a whole object. Returns whether this created it.
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
        return Err(ApiError::invalid_kind(
            group,
            plural,
            &target.name,
            &[error],
        ));
    }
    change(store, target, &old, object, writer).map(|object| (object, false))
}

/// Changes an object: `patch` computes the new state from the current one.
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
    let patched = patch(&old)?;
    check_identity(target, &patched)?;
    let object = writer.decode(target.resource, &patched)?;
    change(store, target, &old, object, writer)
}

/// Applies a configuration. Creates the object if it doesn't exist.
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
    let shown = live
        .as_ref()
        .map_or_else(|| json!({}), |live| (**live).clone());
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
        let resource = target.resource;
        owners.update(resource, old, new, owner, &now());
        owners
    })
}

/// The last part of every change: restores what clients can't change, validates, and records field owners.
fn change_as(
    store: &mut Store,
    target: &Target,
    old: &Value,
    mut new: Value,
    writer: &Writer,
    owners: impl FnOnce(&Value) -> Managed,
) -> ApiResult<Arc<Value>> {
    let resource = target.resource;
    check_versions(target, old, &new)?;
    keep_metadata(target, old, &mut new)?;
    keep_other_half(target, old, &mut new);
    defaults::apply(resource, &mut new);
    services::keep_addresses(store, resource, old, &mut new)?;
    count_generation(target, old, &mut new);
    if target.subresource != "status" {
        let mut errors = validate::create(resource, &new);
        errors.extend(validate::update(resource, old, &new));
        refuse(resource, &target.name, &errors)?;
    }
    owners(&new).write_to(&mut new);

    if is_same(old, &new) {
        return Ok(Arc::new(old.clone()));
    }
    if delete::is_finished(&new) && !writer.dry_run {
        store.put(target.key(), new);
        let last = store.remove(&target.key());
        return Ok(last.unwrap_or_default());
    }
    Ok(commit(store, target, new, writer))
}

fn commit(store: &mut Store, target: &Target, object: Value, writer: &Writer) -> Arc<Value> {
    if writer.dry_run {
        Arc::new(object)
    } else {
        store.put(target.key(), object)
    }
}

/// Whether two states are equal, apart from the times in their managed fields.
fn is_same(old: &Value, new: &Value) -> bool {
    const TIMED: &str = "managedFields";
    let without_time = |entry: &Value| {
        let mut entry = entry.clone();
        entry["time"] = Value::Null;
        entry
    };
    let owners = |object: &Value| -> Vec<Value> {
        items(object, "/metadata/managedFields")
            .iter()
            .map(without_time)
            .collect()
    };
    differ_only_in(old, new, &["metadata"])
        && differ_only_in(&old["metadata"], &new["metadata"], &[TIMED])
        && owners(old) == owners(new)
}

fn refuse(resource: &'static Resource, name: &str, errors: &[FieldError]) -> ApiResult<()> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(resource, name, errors))
    }
}
