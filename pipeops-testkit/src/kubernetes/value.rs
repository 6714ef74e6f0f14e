//! Helpers to read JSON objects.

use serde_json::{Value, json};

/// A number; 0 when it is missing.
pub(crate) fn int(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A text; empty when it is missing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A list; empty when it is missing.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether two maps are equal but for these fields.
pub(crate) fn differ_only_in(left: &Value, right: &Value, fields: &[&str]) -> bool {
    let (Some(left), Some(right)) = (left.as_object(), right.as_object()) else {
        return left == right;
    };
    left.keys()
        .chain(right.keys())
        .filter(|name| !fields.contains(&name.as_str()))
        .all(|name| left.get(name) == right.get(name))
}

/// Whether an object is being deleted.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The owner that controls an object.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner["controller"] == true)
}

/// Whether an object is controlled by the owner with this uid.
pub(crate) fn is_controlled_by(object: &Value, uid: &str) -> bool {
    controller(object).is_some_and(|owner| owner["uid"] == uid)
}

/// The reference from a dependent to the owner that controls it.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

/// The reference of an event to the object that it is about.
pub(crate) fn object_reference(object: &Value, field_path: &str) -> Value {
    let metadata = &object["metadata"];
    let mut reference = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    });
    if !field_path.is_empty() {
        reference["fieldPath"] = field_path.into();
    }
    reference
}

/// A count, or a share of a total in percent: rounded up for what may be added, down for what may be missing.
pub(crate) fn count_of(value: &Value, total: i64, round_up: bool) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')) {
        None => value.as_i64().unwrap_or(0),
        Some(percent) => {
            let share = percent.parse::<i64>().unwrap_or(0) * total;
            if round_up {
                (share + 99) / 100
            } else {
                share / 100
            }
        }
    }
}

/// A condition of a status.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    items(status, "/conditions")
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// Removes a condition.
pub(crate) fn remove_condition(status: &mut Value, kind: &str) {
    if let Some(all) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        all.retain(|condition| condition["type"] != kind);
    }
}

/// Puts a condition in the place of the one of its type, or at the end.
pub(crate) fn put_condition(status: &mut Value, condition: Value) {
    let Value::Object(fields) = status else {
        return;
    };
    let all = fields.entry("conditions").or_insert_with(|| json!([]));
    let Some(all) = all.as_array_mut() else {
        return;
    };
    match all
        .iter_mut()
        .find(|other| other["type"] == condition["type"])
    {
        Some(other) => *other = condition,
        None => all.push(condition),
    }
}

/// Whether a pod is ready.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(&pod["status"], "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Whether a pod is neither ended nor being deleted.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_terminating(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_round_towards_safety() {
        assert_eq!(count_of(&json!("25%"), 3, true), 1);
        assert_eq!(count_of(&json!("25%"), 3, false), 0);
        assert_eq!(count_of(&json!(2), 10, false), 2);
    }
}
