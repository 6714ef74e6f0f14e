//! Merge patches (RFC 7386), the one kind of patch beside server-side apply.

use serde_json::Value;

/// The value with the patch merged into it.
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
