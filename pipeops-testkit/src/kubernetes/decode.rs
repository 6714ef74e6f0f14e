//! Decodes an object as its type: unknown fields, wrong types, nulls, and the canonical form of quantities.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::fields::item_element;
use super::quantity::Quantity;
use super::resources::Resource;
use super::schema::{ListType, Scalar, Type, object_type};
use super::status::{ApiError, ApiResult};

/// An object that was read, and the fields that its type does not have.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) object: Value,
    /// Paths like `spec.replica`.
    pub(crate) unknown: Vec<String>,
}

/// Reads an object: unknown fields and nulls are dropped, quantities get their canonical form.
pub(crate) fn decode(resource: &Resource, object: &Value) -> ApiResult<Decoded> {
    let mut reader = Reader::default();
    let object = reader
        .read(&object_type(resource.definition), object, "")
        .map_err(|why| {
            ApiError::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}",
                kind = resource.kind,
                version = resource.version,
            ))
        })?;
    Ok(Decoded {
        object: object.unwrap_or_else(|| Value::Object(Map::new())),
        unknown: reader.unknown,
    })
}

/// Checks a configuration for server-side apply, which is strict: what is wrong with it, field first.
pub(crate) fn check_applied(kind: &Type, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(kind, value, "", &mut errors);
    errors
}

#[derive(Default)]
struct Reader {
    unknown: Vec<String>,
    /// The names of the types around the value.
    holders: Vec<String>,
}

impl Reader {
    /// The value as its type has it; none when nothing is left of it.
    fn read(&mut self, kind: &Type, value: &Value, path: &str) -> Result<Option<Value>, String> {
        match (kind, value) {
            (_, Value::Null) => Ok(None),
            (Type::Scalar(scalar), _) => self.read_scalar(*scalar, value, path).map(Some),
            (Type::List(list), Value::Array(items)) => {
                let mut read = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    read.extend(self.read(&list.list, item, &format!("{path}[{index}]"))?);
                }
                Ok((!read.is_empty()).then(|| read.into()))
            }
            (Type::Map(map), Value::Object(entries)) => {
                let mut read = Map::new();
                for (name, entry) in entries {
                    let path = join(path, name);
                    if let Some(entry) = self.read(&map.map, entry, &path)? {
                        read.insert(name.clone(), entry);
                    }
                }
                Ok((!read.is_empty()).then_some(Value::Object(read)))
            }
            (Type::Struct(this), Value::Object(entries)) => {
                let short = this.name.rsplit('.').next().unwrap_or_default();
                self.holders.push(short.to_owned());
                let mut read = Map::new();
                for (name, entry) in entries {
                    let path = join(path, name);
                    match kind.field(name) {
                        Some(kind) => read.extend(
                            self.read(kind, entry, &path)?
                                .map(|entry| (name.clone(), entry)),
                        ),
                        None => self.unknown.push(path),
                    }
                }
                self.holders.pop();
                Ok(Some(Value::Object(read)))
            }
            _ => Err(self.cannot_unmarshal(value, path, expected(kind))),
        }
    }

    fn cannot_unmarshal(&self, value: &Value, path: &str, expected: &str) -> String {
        // The place is the type that holds the field, and the names of all fields on the way.
        let holder = self.holders.last().map_or("", String::as_str);
        let mut names = String::new();
        for part in path.split('.') {
            let name = part.split('[').next().unwrap_or_default();
            names += &format!(".{name}");
        }
        let what = match value {
            Value::Number(number) if !number.is_i64() => format!("number {number}"),
            other => go_type(other).to_owned(),
        };
        format!(
            "json: cannot unmarshal {what} into Go struct field {holder}{names} of type {expected}"
        )
    }

    fn read_scalar(&self, scalar: Scalar, value: &Value, path: &str) -> Result<Value, String> {
        let good = match scalar {
            Scalar::Any => true,
            Scalar::String => value.is_string(),
            Scalar::Integer => value.is_i64() || value.is_u64(),
            Scalar::Number => value.is_number(),
            Scalar::Boolean => value.is_boolean(),
            Scalar::IntOrString => value.is_i64() || value.is_string(),
            Scalar::Quantity => return read_quantity(value),
            Scalar::Bytes => match value.as_str() {
                Some(text) => return read_bytes(text),
                None => false,
            },
            Scalar::Time | Scalar::MicroTime => match value.as_str() {
                Some(text) => return read_time(text, scalar == Scalar::MicroTime),
                None => false,
            },
        };
        if good {
            Ok(value.clone())
        } else {
            Err(self.cannot_unmarshal(value, path, scalar_name(scalar)))
        }
    }
}

/// A time in the form that the API server writes: seconds, or microseconds.
fn read_time(text: &str, micro: bool) -> Result<Value, String> {
    let (layout, form) = if micro {
        ("2006-01-02T15:04:05.000000Z07:00", "%Y-%m-%dT%H:%M:%S%.6fZ")
    } else {
        ("2006-01-02T15:04:05Z07:00", "%Y-%m-%dT%H:%M:%SZ")
    };
    let cannot = |what: &str, part: &str| {
        Err(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {what:?} as {part:?}"
        ))
    };
    let Ok(time) = text.parse::<jiff::Timestamp>() else {
        return cannot(text, "2006");
    };
    // Go reads the digits behind the second as strictly as they are written in its layout.
    let rest = text.get(19..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map_or(0, |rest| {
        rest.bytes().take_while(u8::is_ascii_digit).count()
    });
    if micro && digits != 6 {
        return cannot(rest, ".000000");
    }
    Ok(time.strftime(form).to_string().into())
}

fn read_bytes(text: &str) -> Result<Value, String> {
    use base64::DecodeError::{InvalidByte, InvalidLastSymbol};

    match STANDARD.decode(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => {
            let at = match error {
                InvalidByte(at, _) | InvalidLastSymbol(at, _) => at,
                _ => text.len(),
            };
            Err(format!("illegal base64 data at input byte {at}"))
        }
    }
}

fn read_quantity(value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("{value} is not a quantity")),
    };
    match Quantity::parse(text.trim()) {
        Some(quantity) => Ok(quantity.canonical().into()),
        None => Err(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                .to_owned(),
        ),
    }
}

fn check(kind: &Type, value: &Value, path: &str, errors: &mut Vec<String>) {
    match (kind, value) {
        (_, Value::Null) => {}
        (Type::Scalar(scalar), _) => {
            if let Some(error) = check_scalar(*scalar, value) {
                errors.push(format!("{path}: {error}"));
            }
        }
        (Type::List(list), Value::Array(items)) => check_items(list, items, path, errors),
        (Type::Map(_) | Type::Struct(_), Value::Object(entries)) => {
            for (name, entry) in entries {
                let path = format!("{path}.{name}");
                match kind.field(name) {
                    Some(kind) => check(kind, entry, &path, errors),
                    None => errors.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        _ => errors.push(format!("{path}: expected {}, got {value}", expected(kind))),
    }
}

fn check_items(list: &ListType, items: &[Value], path: &str, errors: &mut Vec<String>) {
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if list.is_atomic() {
            check(&list.list, item, &format!("{path}[{index}]"), errors);
            continue;
        }
        let Some(element) = item_element(list, item) else {
            let key = list.keys.first().map_or("", String::as_str);
            errors.push(format!(
                "{path}: element {index}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"
            ));
            continue;
        };
        let shown = super::fields::display(std::slice::from_ref(&element));
        if seen.contains(&element) {
            errors.push(format!("{path}: duplicate entries for key {shown}"));
        }
        check(&list.list, item, &format!("{path}{shown}"), errors);
        seen.push(element);
    }
}

fn check_scalar(scalar: Scalar, value: &Value) -> Option<String> {
    let expected = match scalar {
        Scalar::String | Scalar::Bytes | Scalar::Time | Scalar::MicroTime if !value.is_string() => {
            "string"
        }
        Scalar::Integer | Scalar::Number if !value.is_number() => "numeric (int or float)",
        Scalar::Boolean if !value.is_boolean() => "boolean",
        _ => return None,
    };
    Some(format!("expected {expected}, got {}", go_type(value)))
}

fn expected(kind: &Type) -> &'static str {
    match kind {
        Type::List(_) => "list",
        Type::Map(_) | Type::Struct(_) => "map",
        Type::Scalar(scalar) => scalar_name(*scalar),
    }
}

fn scalar_name(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Integer => "int32",
        Scalar::Number => "float64",
        Scalar::Boolean => "bool",
        Scalar::Bytes => "[]uint8",
        Scalar::Time => "Time",
        Scalar::MicroTime => "MicroTime",
        Scalar::IntOrString => "intstr.IntOrString",
        Scalar::Quantity => "resource.Quantity",
        Scalar::String | Scalar::Any => "string",
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::{DEPLOYMENTS, PODS, SECRETS};
    use super::*;

    #[test]
    fn unknown_fields_are_reported_and_dropped() {
        let decoded = decode(
            &DEPLOYMENTS,
            &json!({"spec": {"replica": 1, "replicas": 2}}),
        )
        .unwrap();
        assert_eq!(decoded.unknown, ["spec.replica"]);
        assert_eq!(decoded.object, json!({"spec": {"replicas": 2}}));
    }

    #[test]
    fn a_wrong_type_is_a_bad_request() {
        let error = decode(&DEPLOYMENTS, &json!({"spec": {"replicas": "2"}})).unwrap_err();
        assert_eq!(error.code, 400);
        assert!(error.message.contains("spec.replicas"), "{}", error.message);
        let error = decode(&SECRETS, &json!({"data": {"a": "***"}})).unwrap_err();
        assert!(error.message.contains("base64"), "{}", error.message);
    }

    #[test]
    fn nulls_vanish_and_quantities_become_canonical() {
        let pod = json!({"metadata": {"creationTimestamp": null}, "spec": {"containers": [
            {"name": "a", "resources": {"limits": {"memory": "1024Mi", "cpu": 0.5}}}
        ]}});
        let read = decode(&PODS, &pod).unwrap().object;
        assert_eq!(read["metadata"], json!({}));
        assert_eq!(
            read["spec"]["containers"][0]["resources"]["limits"],
            json!({"memory": "1Gi", "cpu": "500m"})
        );
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        assert_eq!(
            read_time("2026-01-01T01:00:00+01:00", false),
            Ok(json!("2026-01-01T00:00:00Z"))
        );
        assert_eq!(
            read_time("2026-01-01T00:00:00.000001Z", true),
            Ok(json!("2026-01-01T00:00:00.000001Z"))
        );
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.1Z",
            "yesterday",
        ] {
            assert!(read_time(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn apply_is_strict() {
        let kind = object_type(DEPLOYMENTS.definition);
        let errors = check_applied(&kind, &json!({"spec": {"foo": 1, "replicas": "x"}}));
        assert_eq!(
            errors,
            [
                ".spec.foo: field not declared in schema",
                ".spec.replicas: expected numeric (int or float), got string"
            ]
        );
    }
}
