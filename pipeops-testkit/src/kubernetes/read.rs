//! Getting and listing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::request::{Query, Target};
use super::resources::Resource;
use super::selector::{FieldSelector, LabelSelector};
use super::status::{ApiError, ApiResult};
use super::store::{Key, Store};
use super::write::as_shown;

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
        key.kind == self.resource.storage().id()
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| key.namespace == *namespace)
            && self.name.as_ref().is_none_or(|name| key.name == *name)
    }

    /// Whether an object is meant, judged by the form in which this resource shows it.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
    }

    /// All objects that are meant, as this resource shows them.
    pub(crate) fn select<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = (&'a Key, Value)> {
        store
            .list(self.resource, self.namespace.as_deref())
            .filter(|(key, _)| self.covers(key))
            .map(|(key, object)| (key, as_shown(self.resource, object)))
            .filter(|(_, object)| self.matches(object))
    }
}

/// One object.
pub(crate) fn get(store: &Store, target: &Target) -> ApiResult<Value> {
    store
        .get(&target.key())
        .map(|object| as_shown(target.resource, object))
        .ok_or_else(|| ApiError::not_found(target.resource, &target.name))
}

/// A collection, page by page where a limit is set.
pub(crate) fn list(store: &Store, target: &Target, query: &Query) -> ApiResult<Value> {
    let filter = Filter::read(target, query)?;
    let limit = query.number("limit")?.filter(|limit| *limit > 0);
    let (revision, after) = match query.text("continue") {
        "" => (check_version(store, query)?, None),
        token => read_token(store, token)?,
    };
    let mut items = Vec::new();
    let mut last: Option<Key> = None;
    let mut rest: u64 = 0;
    for (key, object) in filter.select(store) {
        if after
            .as_ref()
            .is_some_and(|after| (&key.namespace, &key.name) <= (&after.0, &after.1))
        {
            continue;
        }
        if limit.is_some_and(|limit| items.len() as u64 >= limit) {
            rest += 1;
        } else {
            last = Some(key.clone());
            items.push(object);
        }
    }
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if let Some(last) = last.filter(|_| rest > 0) {
        metadata["continue"] = write_token(revision, &last).into();
        if query.text("labelSelector").is_empty() && query.text("fieldSelector").is_empty() {
            metadata["remainingItemCount"] = rest.into();
        }
    }
    Ok(json!({
        "kind": format!("{}List", target.resource.kind),
        "apiVersion": target.resource.api_version(),
        "metadata": metadata,
        "items": items.into_iter().map(without_type).collect::<Vec<_>>(),
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
        return Err(if store.is_compacted(wanted) {
            expired(wanted, present)
        } else {
            // Past states are not kept: a real server may answer the same to any version that is not the newest.
            expired(wanted, present)
        });
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

fn write_token(revision: u64, last: &Key) -> String {
    let token =
        json!({"v": "meta.k8s.io/v1", "rv": revision, "start": [last.namespace, last.name]});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

type Start = Option<(String, String)>;

fn read_token(store: &Store, token: &str) -> ApiResult<(u64, Start)> {
    let bad =
        || ApiError::bad_request("continue key is not valid: it was not issued by this server");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let revision = token["rv"].as_u64().ok_or_else(bad)?;
    if store.is_compacted(revision) {
        return Err(ApiError::expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
        ));
    }
    let part = |index: usize| token["start"][index].as_str().map(str::to_owned);
    let start = part(0).zip(part(1)).ok_or_else(bad)?;
    Ok((revision, Some(start)))
}

/// The autoscaling/v1 Scale of an object.
pub(crate) fn scale(target: &Target, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let selector = LabelSelector::of_object(&object["spec"]["selector"])
        .map(|selector| selector.to_query())
        .unwrap_or_default();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": scale_spec(object),
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector},
    })
}

/// Zero replicas are left out on the wire.
fn scale_spec(object: &Value) -> Value {
    match object["spec"]["replicas"].as_i64() {
        None | Some(0) => json!({}),
        Some(replicas) => json!({ "replicas": replicas }),
    }
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
