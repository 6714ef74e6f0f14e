//! A stack as YAML and JSON.

use pipeops_core::secret::REDACTED;
use pipeops_core::{Object, Stack};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::yaml::{self, Entries};

/// Whether to write the values of Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SecretValues {
    /// Writes `[redacted]` instead. It isn't valid base64, so it can't overwrite a Secret by mistake: the API server rejects it.
    #[default]
    Redacted,
    /// Writes the values.
    Shown,
}

/// The stack as a YAML stream in apply order, with the values of Secrets redacted.
pub fn to_yaml(stack: &Stack) -> String {
    to_yaml_with(stack, SecretValues::Redacted)
}

/// The stack as a YAML stream in apply order. With [`SecretValues::Shown`], `kubectl apply -f` accepts it.
///
/// The output is deterministic: `apiVersion`, `kind` and `metadata` come first, all other keys are sorted. A string that a reader of
/// YAML 1.1 or 1.2 could take for something else (`yes`, `1_000`, `2026-01-31`, `<<`) is quoted, also as a key.
///
/// ```
/// use pipeops_manifest::{App, ManifestGenerator, SecretValues, StandardManifests, to_yaml, to_yaml_with};
///
/// let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64)).parse()?;
/// let app = App::new("shop", "prod", "4f2c9ab", image).secret("TOKEN", "secret");
/// let stack = StandardManifests::new().generate(&app)?;
/// assert!(to_yaml(&stack).contains("TOKEN: '[redacted]'"));
/// assert!(to_yaml_with(&stack, SecretValues::Shown).contains("TOKEN: c2VjcmV0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_yaml_with(stack: &Stack, secrets: SecretValues) -> String {
    let documents = stack.objects.iter().map(|object| {
        let value = shown(object, secrets);
        format!("---\n{}", yaml::document(&value, true, &ordered))
    });
    documents.collect()
}

/// The stack as one JSON `List` in apply order, with the values of Secrets redacted.
pub fn to_json(stack: &Stack) -> String {
    to_json_with(stack, SecretValues::Redacted)
}

/// The stack as one JSON `List` in apply order, with the keys in the order of [`to_yaml_with`].
pub fn to_json_with(stack: &Stack, secrets: SecretValues) -> String {
    let items: Vec<Value> = stack
        .objects
        .iter()
        .map(|object| shown(object, secrets))
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    serde_json::to_string_pretty(&Ordered::top(&list)).unwrap_or_default()
}

fn shown(object: &Object, secrets: SecretValues) -> Value {
    let mut value = object.value().clone();
    if object.kind() == "Secret" && secrets == SecretValues::Redacted {
        for key in ["data", "stringData"] {
            let entries = value.get_mut(key).and_then(Value::as_object_mut);
            for entry in entries.into_iter().flat_map(|entries| entries.values_mut()) {
                *entry = REDACTED.into();
            }
        }
    }
    value
}

/// JSON with a fixed order of keys, whatever map type `serde_json` was built with.
struct Ordered<'a> {
    value: &'a Value,
    top: bool,
}

impl<'a> Ordered<'a> {
    fn top(value: &'a Value) -> Self {
        Self { value, top: true }
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => {
                let entries = ordered(map, self.top).into_iter();
                to.collect_map(entries.map(|(key, value, top)| (key, Ordered { value, top })))
            }
            Value::Array(items) => to.collect_seq(items.iter().map(|value| Ordered {
                value,
                top: self.top,
            })),
            scalar => scalar.serialize(to),
        }
    }
}

/// The entries in order. The items of a List are objects, too.
fn ordered(map: &Map<String, Value>, top: bool) -> Entries<'_> {
    let mut entries: Entries<'_> = map
        .iter()
        .map(|(key, value)| (key, value, key == "items"))
        .collect();
    entries.sort_by_key(|(key, ..)| (if top { rank(key) } else { 0 }, *key));
    entries
}

fn rank(key: &str) -> usize {
    let first = ["apiVersion", "kind", "metadata"];
    first
        .iter()
        .position(|name| *name == key)
        .unwrap_or(first.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::fixtures;
    use crate::{ManifestGenerator, StandardManifests};

    fn stack() -> Stack {
        StandardManifests::new()
            .generate(&fixtures::full_app())
            .unwrap()
    }

    fn values(stack: &Stack) -> Vec<Value> {
        stack
            .objects
            .iter()
            .map(|object| object.value().clone())
            .collect()
    }

    #[test]
    fn yaml_and_json_round_trip() {
        let yaml = to_yaml_with(&stack(), SecretValues::Shown);
        let read: Vec<Value> = serde_norway::Deserializer::from_str(&yaml)
            .map(|document| Value::deserialize(document).unwrap())
            .collect();
        assert_eq!(read, values(&stack()));
        let json = to_json_with(&stack(), SecretValues::Shown);
        let list: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(list["items"], Value::Array(read));
    }

    #[test]
    fn every_document_begins_with_what_it_is() {
        let yaml = to_yaml(&stack());
        for document in yaml.split("---\n").skip(1) {
            let keys: Vec<_> = document
                .lines()
                .map(|line| line.split(':').next())
                .collect();
            assert_eq!(keys[..3], ["apiVersion", "kind", "metadata"].map(Some));
        }
    }

    #[test]
    fn secrets_are_written_only_when_asked() {
        // base64 of the URL's and of the pull secret's beginning.
        let (url, pull) = ("cG9zdGdyZXM6Ly9", "eyJhdXRocyI6ey");
        for text in [to_yaml(&stack()), to_json(&stack())] {
            assert!(
                text.contains("DATABASE_URL") && text.contains("[redacted]"),
                "{text}"
            );
            assert!(!text.contains(url) && !text.contains(pull), "{text}");
        }
        let shown = to_yaml_with(&stack(), SecretValues::Shown);
        assert!(shown.contains(url) && shown.contains(pull) && !shown.contains("[redacted]"));
    }

    #[test]
    fn text_that_looks_like_something_else_stays_text() {
        let app = fixtures::app()
            .env("A", "yes")
            .env("B", "0x1F")
            .env("C", "1.0")
            .env("D", "null")
            .env("E", "a: b\n- c");
        let stack = StandardManifests::new().generate(&app).unwrap();
        let yaml = to_yaml(&stack);
        let map = yaml
            .split("---\n")
            .find(|document| document.contains("kind: ConfigMap"))
            .unwrap();
        let read: Value = serde_norway::from_str(map).unwrap();
        assert_eq!(read["data"], serde_json::to_value(&app.env).unwrap());
    }
}
