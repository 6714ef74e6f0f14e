//! The types of the Kubernetes API: which fields exist, and how lists and maps are merged.
//!
//! `schema.json` is the published OpenAPI document of the API server (`/openapi/v3`), reduced to the kinds that the
//! stand-in knows: one line per definition, no prose. A test compares it with a real server.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

/// The type of a value.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Type {
    /// A list.
    List(ListType),
    /// A map with free keys.
    Map(MapType),
    /// A structure with known fields.
    Struct(StructType),
    /// A single value.
    Scalar(Scalar),
}

/// A list, and how two versions of it merge: as one value, as a set, or item by item along `keys`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListType {
    /// The type of the items.
    pub(crate) list: Box<Type>,
    /// The fields that tell items apart.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// What stands for a key that an item leaves out.
    #[serde(default)]
    pub(crate) defaults: BTreeMap<String, Value>,
    /// Whether the items are a set of scalars.
    #[serde(default)]
    pub(crate) set: bool,
}

/// A map with free keys.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MapType {
    /// The type of the values.
    pub(crate) map: Box<Type>,
    /// Whether it is owned as one value.
    #[serde(default)]
    pub(crate) atomic: bool,
}

/// A structure with known fields.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StructType {
    /// The name of its definition.
    #[serde(rename = "ref")]
    pub(crate) name: String,
    /// Whether it is owned as one value in this place.
    #[serde(default)]
    pub(crate) atomic: bool,
    /// Whether it is there even when it is empty.
    #[serde(default)]
    pub(crate) always: bool,
}

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scalar {
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    Quantity,
    Time,
    /// A time with exactly six digits behind the second.
    MicroTime,
    Bytes,
    /// Any value, owned as a whole.
    Any,
}

/// The fields of a structure.
#[derive(Debug, Deserialize)]
pub(crate) struct Definition {
    pub(crate) fields: BTreeMap<String, Type>,
    /// Whether it is owned as one value everywhere.
    #[serde(default)]
    pub(crate) atomic: bool,
    /// Fields that are there even when they are empty.
    #[serde(default)]
    pub(crate) required: Vec<String>,
}

static DEFINITIONS: LazyLock<BTreeMap<String, Definition>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("schema.json")).expect("schema.json is checked by a test")
});

/// The definition of this name.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.get(name)
}

/// A structure as the type of a whole object.
pub(crate) fn object_type(name: &str) -> Type {
    Type::Struct(StructType {
        name: name.to_owned(),
        atomic: false,
        always: true,
    })
}

impl StructType {
    /// Its fields.
    pub(crate) fn definition(&self) -> Option<&'static Definition> {
        definition(&self.name)
    }

    /// Whether it is owned as one value.
    pub(crate) fn is_atomic(&self) -> bool {
        self.atomic || self.definition().is_none_or(|definition| definition.atomic)
    }
}

impl Type {
    /// The type of a field or of a map's value.
    pub(crate) fn field(&self, name: &str) -> Option<&Type> {
        match self {
            Type::Struct(this) => this.definition()?.fields.get(name),
            Type::Map(this) => Some(&this.map),
            Type::List(_) | Type::Scalar(_) => None,
        }
    }

    /// Whether the value is owned as a whole.
    pub(crate) fn is_leaf(&self) -> bool {
        match self {
            Type::Scalar(_) => true,
            Type::Struct(this) => this.is_atomic(),
            Type::Map(this) => this.atomic,
            Type::List(this) => this.is_atomic(),
        }
    }
}

/// An object of a type before anything is set in it.
pub(crate) fn empty(kind: &Type) -> Value {
    match kind {
        Type::Struct(this) => {
            let definition = this.definition();
            let fields = definition.into_iter().flat_map(|definition| {
                definition.fields.iter().filter(|(name, kind)| {
                    let always = matches!(kind, Type::Struct(inner) if inner.always);
                    always || definition.required.contains(name)
                })
            });
            fields
                .map(|(name, kind)| (name.clone(), empty_field(kind)))
                .collect()
        }
        _ => Value::Null,
    }
}

fn empty_field(kind: &Type) -> Value {
    match kind {
        Type::Struct(this) if this.always => empty(kind),
        Type::Scalar(Scalar::String | Scalar::Bytes) => "".into(),
        Type::Scalar(Scalar::Integer | Scalar::Number | Scalar::IntOrString) => 0.into(),
        Type::Scalar(Scalar::Boolean) => false.into(),
        _ => Value::Null,
    }
}

impl ListType {
    /// Whether it is owned as one value.
    pub(crate) fn is_atomic(&self) -> bool {
        self.keys.is_empty() && !self.set
    }

    /// The field of an item that is part of its key: ports may leave out the protocol.
    pub(crate) fn key_of(&self, item: &Value, key: &str) -> Option<Value> {
        match item.get(key) {
            Some(Value::Null) | None => self.defaults.get(key).cloned(),
            Some(value) => Some(value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources;
    use super::*;

    fn references(of: &Type, into: &mut Vec<String>) {
        match of {
            Type::List(this) => references(&this.list, into),
            Type::Map(this) => references(&this.map, into),
            Type::Struct(this) => into.push(this.name.clone()),
            Type::Scalar(_) => {}
        }
    }

    #[test]
    fn every_kind_and_every_reference_is_defined() {
        for resource in resources::ALL {
            assert!(definition(resource.definition).is_some(), "{resource:?}");
        }
        for definition_of in DEFINITIONS.values() {
            let mut names = Vec::new();
            for field in definition_of.fields.values() {
                references(field, &mut names);
            }
            for name in names {
                assert!(definition(&name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn lists_know_how_they_merge() {
        let pod_spec = object_type("io.k8s.api.core.v1.PodSpec");
        let Some(Type::List(containers)) = pod_spec.field("containers") else {
            panic!("containers is a list");
        };
        assert_eq!(containers.keys, ["name"]);
        assert!(pod_spec.field("nodeSelector").unwrap().is_leaf());
        assert!(pod_spec.field("nonsense").is_none());
    }
}
