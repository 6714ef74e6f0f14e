//! Get and list.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Query, Target};
use super::resources::Resource;
use super::selector::{FieldSelector, LabelSelector};
use super::status::{ApiError, ApiResult};
use super::store::{Key, Store};

/// Which objects of a collection are meant.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    resource: &'static Resource,
    namespace: Option<String>,
    name: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Filter {
    /// Reads the selectors of a request.
    pub(crate) fn read(target: &Target, query: &Query) -> ApiResult<Self> {
        Ok(Self {
            resource: target.resource,
            namespace: Some(target.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(target.name.clone()).filter(|name| !name.is_empty()),
            labels: LabelSelector::parse(query.text("labelSelector"))?,
            fields: FieldSelector::parse(target.resource, query.text("fieldSelector"))?,
        })
    }

    /// The kind that is meant.
    pub(crate) fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// Whether a key can be meant at all.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        key.kind == self.resource.id()
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| key.namespace == *namespace)
            && self.name.as_ref().is_none_or(|name| key.name == *name)
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
    }

    /// All objects that are meant.
    pub(crate) fn select<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = (&'a Key, Value)> {
        store
            .list(self.resource, self.namespace.as_deref())
            .filter(|(key, _)| self.covers(key))
            .map(|(key, object)| (key, (**object).clone()))
            .filter(|(_, object)| self.matches(object))
    }
}

/// One object.
pub(crate) fn get(store: &Store, target: &Target) -> ApiResult<Value> {
    store
        .get(&target.key())
        .map(|object| (**object).clone())
        .ok_or_else(|| ApiError::not_found(target.resource, &target.name))
}

/// A collection. It is never split into pages, whatever the limit.
pub(crate) fn list(store: &Store, target: &Target, query: &Query) -> ApiResult<Value> {
    let filter = Filter::read(target, query)?;
    if !query.text("continue").is_empty() {
        return Err(ApiError::not_implemented("a list in pages"));
    }
    let revision = check_version(store, query)?;
    let items: Vec<Value> = filter
        .select(store)
        .map(|(_, object)| without_type(object))
        .collect();
    Ok(json!({
        "kind": format!("{}List", target.resource.kind),
        "apiVersion": target.resource.api_version(),
        "metadata": {"resourceVersion": revision.to_string()},
        "items": items,
    }))
}

/// Items of a typed list do not repeat their kind.
fn without_type(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}

/// The revision of a list's answer; refuses what is forgotten and what has not come yet.
pub(crate) fn check_version(store: &Store, query: &Query) -> ApiResult<u64> {
    let wanted = query.number("resourceVersion")?.unwrap_or(0);
    let present = store.revision();
    if wanted > present {
        return Err(too_large(wanted, present));
    }
    if query.text("resourceVersionMatch") == "Exact" && wanted != present {
        // Past states are not kept: a real server may answer the same to any version that is not the newest.
        return Err(expired(wanted, present));
    }
    Ok(present)
}

/// 410: the version is forgotten.
pub(crate) fn expired(wanted: u64, oldest: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {wanted} ({oldest})"))
}

/// 504: the version has not come yet.
pub(crate) fn too_large(wanted: u64, present: u64) -> ApiError {
    ApiError::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {wanted}, current: {present}"),
    )
    .with_details(json!({
        "retryAfterSeconds": 1,
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    }))
}

/// An object, or a list of them, reduced to its metadata.
pub(crate) fn only_metadata(answer: &Value) -> Value {
    let one = |object: &Value| {
        json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        })
    };
    match answer["items"].as_array() {
        None => one(answer),
        Some(items) => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": answer["metadata"],
            "items": items.iter().map(one).collect::<Vec<_>>(),
        }),
    }
}

/// Shared access to an object without a copy.
pub(crate) fn find(
    store: &Store,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
) -> Option<Arc<Value>> {
    store.get(&Key::new(resource, namespace, name)).cloned()
}
