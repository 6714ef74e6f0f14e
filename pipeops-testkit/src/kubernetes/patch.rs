//! The three patches that are not server-side apply: merge patch, JSON patch, strategic merge patch.

use serde_json::{Map, Value};

use super::resources::Resource;
use super::schema::{ListType, Type, object_type};
use super::status::{ApiError, ApiResult};

/// RFC 7386.
pub(crate) fn merge(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut merged = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(name);
        } else {
            let old = merged.get(name).unwrap_or(&Value::Null);
            let value = merge(old, value);
            merged.insert(name.clone(), value);
        }
    }
    Value::Object(merged)
}

/// RFC 6902.
pub(crate) fn json(target: &Value, patch: &Value) -> ApiResult<Value> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    let mut patched = target.clone();
    json_patch::patch(&mut patched, &operations).map_err(|_| {
        // The real server says no more than this either.
        ApiError::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        )
        .with_details(serde_json::json!({}))
    })?;
    Ok(patched)
}

/// A strategic merge patch: lists of objects merge by their key.
pub(crate) fn strategic(resource: &Resource, target: &Value, patch: &Value) -> ApiResult<Value> {
    strategic_value(&object_type(resource.definition), target, patch)
}

fn strategic_value(kind: &Type, target: &Value, patch: &Value) -> ApiResult<Value> {
    match (kind, patch) {
        (Type::List(list), Value::Array(items)) => strategic_list(list, target, items, items),
        (Type::Struct(_) | Type::Map(_), Value::Object(fields)) => {
            strategic_map(kind, target, fields)
        }
        _ => Ok(patch.clone()),
    }
}

fn strategic_map(kind: &Type, target: &Value, patch: &Map<String, Value>) -> ApiResult<Value> {
    let mut merged = target.as_object().cloned().unwrap_or_default();
    match patch.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => merged.clear(),
        Some("delete") => return Ok(Value::Object(Map::new())),
        Some(other) => return Err(unknown_directive("$patch", other)),
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        if value.is_null() {
            merged.remove(name);
            continue;
        }
        let old = merged.get(name).unwrap_or(&Value::Null);
        let order = patch.get(&format!("$setElementOrder/{name}"));
        let value = match (kind.field(name), value, order) {
            (Some(Type::List(list)), Value::Array(items), Some(Value::Array(order))) => {
                strategic_list(list, old, items, order)?
            }
            (Some(kind), value, _) => strategic_value(kind, old, value)?,
            (None, value, _) => merge(old, value),
        };
        merged.insert(name.clone(), value);
    }
    for (name, value) in patch.iter().filter(|(name, _)| name.starts_with('$')) {
        directive(kind, &mut merged, patch, name, value)?;
    }
    Ok(Value::Object(merged))
}

/// Does what a key that begins with `$` says.
fn directive(
    kind: &Type,
    merged: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    name: &str,
    value: &Value,
) -> ApiResult<()> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    if name == "$patch" {
        return Ok(());
    }
    if name == "$retainKeys" {
        merged.retain(|key, _| list.iter().any(|kept| kept == key.as_str()));
        return Ok(());
    }
    if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
        if let Some(Value::Array(items)) = merged.get_mut(field) {
            items.retain(|item| !list.contains(item));
        }
        return Ok(());
    }
    match name
        .strip_prefix("$setElementOrder/")
        .map(|field| (field, kind.field(field)))
    {
        // The order was kept when the field's own patch was merged.
        Some((field, _)) if patch.contains_key(field) => Ok(()),
        Some((field, Some(Type::List(list_type)))) => {
            let old = merged.get(field).cloned().unwrap_or_default();
            merged.insert(
                field.to_owned(),
                strategic_list(list_type, &old, &[], list)?,
            );
            Ok(())
        }
        _ => Err(unknown_directive(name, &value.to_string())),
    }
}

fn unknown_directive(name: &str, value: &str) -> ApiError {
    ApiError::bad_request(format!("invalid strategic merge patch: {name} is {value}"))
}

/// Merges a list whose wanted order is `order`.
fn strategic_list(
    list: &ListType,
    target: &Value,
    patch: &[Value],
    order: &[Value],
) -> ApiResult<Value> {
    let live = target.as_array().map_or(&[][..], Vec::as_slice);
    let Some(key) = &list.merge else {
        return Ok(patch.to_vec().into());
    };
    let mut items = live.to_vec();
    if patch.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    for item in patch.iter().filter(|item| item["$patch"] != "replace") {
        let wanted = key_of(key, item).ok_or_else(|| {
            ApiError::internal(format!(
                "map: {item} does not contain declared merge key: {key}"
            ))
        })?;
        let place = items
            .iter()
            .position(|other| key_of(key, other) == Some(wanted));
        match (place, item["$patch"].as_str()) {
            (Some(place), Some("delete")) => drop(items.remove(place)),
            (None, Some("delete")) => {}
            (Some(place), _) => items[place] = strategic_value(&list.list, &items[place], item)?,
            (None, _) => items.push(strategic_value(&list.list, &Value::Null, item)?),
        }
    }
    Ok(in_order(key, items, live, order).into())
}

/// What tells an item from others: itself in a list of scalars.
fn key_of<'a>(key: &str, item: &'a Value) -> Option<&'a Value> {
    if key.is_empty() {
        Some(item)
    } else {
        item.get(key)
    }
}

/// The items that the order names in that order, the others between them where the live list had them.
fn in_order(key: &str, items: Vec<Value>, live: &[Value], order: &[Value]) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        list.iter()
            .position(|other| key_of(key, other) == key_of(key, item))
    };
    let (mut named, others): (Vec<Value>, Vec<Value>) = items
        .into_iter()
        .partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut sorted = Vec::new();
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (others.peek(), named.peek()) {
        let left_first = matches!(
            (place(live, left), place(live, right)),
            (Some(left), Some(right)) if left < right
        );
        sorted.extend(if left_first {
            others.next()
        } else {
            named.next()
        });
    }
    sorted.extend(named);
    sorted.extend(others);
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::DEPLOYMENTS;
    use super::*;

    fn live() -> Value {
        json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}
        ]}}}})
    }

    fn containers(patch: &Value) -> Value {
        let patch = json!({"spec": {"template": {"spec": patch}}});
        let patched = strategic(&DEPLOYMENTS, &live(), &patch).unwrap();
        patched["spec"]["template"]["spec"]["containers"].clone()
    }

    #[test]
    fn a_strategic_patch_changes_the_named_container() {
        let patched = containers(&json!({"containers": [{"name": "b", "image": "b:2"}]}));
        assert_eq!(
            patched,
            json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}])
        );
    }

    #[test]
    fn a_strategic_patch_deletes_and_orders() {
        let patched = containers(&json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}, {"name": "c", "image": "c:1"}]
        }));
        assert_eq!(
            patched,
            json!([{"name": "c", "image": "c:1"}, {"name": "b", "image": "b:1"}])
        );
    }

    #[test]
    fn unknown_directives_are_refused() {
        let patch = json!({"spec": {"$nonsense": 1}});
        assert_eq!(
            strategic(&DEPLOYMENTS, &live(), &patch).unwrap_err().code,
            400
        );
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_deletes_nulls() {
        let patched = merge(
            &live(),
            &json!({"spec": {"replicas": null, "paused": true}}),
        );
        assert_eq!(patched["spec"].get("replicas"), None);
        assert_eq!(patched["spec"]["paused"], true);
    }

    #[test]
    fn a_failed_test_operation_changes_nothing() {
        let patch = json!([{"op": "test", "path": "/spec/replicas", "value": 2}]);
        assert_eq!(json(&live(), &patch).unwrap_err().code, 422);
        let patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]);
        assert_eq!(json(&live(), &patch).unwrap()["spec"]["replicas"], 2);
    }
}
