//! Rules that several kinds share.

use serde_json::Value;

use super::names;
use crate::kubernetes::status::FieldError;

/// The broken rules so far.
pub(super) type Errors = Vec<FieldError>;

/// Labels: keys and values.
pub(super) fn labels(labels: &Value, path: &str, errors: &mut Errors) {
    for (key, value) in entries(labels) {
        let error = names::qualified(key);
        errors.extend(error.map(|why| FieldError::invalid(path, &key.as_str().into(), &why)));
        let error = names::label_value(value.as_str().unwrap_or_default());
        errors.extend(error.map(|why| FieldError::invalid(path, value, &why)));
    }
}

/// The entries of a map; nothing for anything else.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The items of a list; nothing for anything else.
pub(super) fn items(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

/// A number that must not be negative.
pub(super) fn non_negative(value: &Value, path: &str, errors: &mut Errors) {
    if value.as_i64().is_some_and(|number| number < 0) {
        errors.push(FieldError::invalid(
            path,
            value,
            "must be greater than or equal to 0",
        ));
    }
}

/// A port number from 1 to 65535.
pub(super) fn port_number(value: &Value, path: &str, errors: &mut Errors) {
    if !value
        .as_i64()
        .is_some_and(|port| (1..=65535).contains(&port))
    {
        let detail = "must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(path, value, detail));
    }
}
