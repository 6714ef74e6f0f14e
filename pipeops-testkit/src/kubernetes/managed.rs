//! `metadata.managedFields`: the owners of fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{self, FieldSet};
use super::resources::Resource;
use super::schema::{Type, object_type};

/// Who writes, how and where: the identity of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    /// `Apply` or `Update`.
    pub(crate) operation: &'static str,
    pub(crate) api_version: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// What a manager owns, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) fields: FieldSet,
    pub(crate) time: String,
}

/// All managers of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Managed(pub(crate) BTreeMap<Manager, Owned>);

/// Fields that no manager owns: the server's own.
const SERVERS: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

impl Managed {
    /// The entries of an object.
    pub(crate) fn of(object: &Value) -> Self {
        let entries = object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let mut managed = Self::default();
        for entry in entries.into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let manager = Manager {
                name: text("manager"),
                operation: operation(entry["operation"].as_str()),
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            };
            let owned = Owned {
                fields: fields::from_fields_v1(&entry["fieldsV1"]),
                time: text("time"),
            };
            managed.0.insert(manager, owned);
        }
        managed
    }

    /// Writes the entries into an object, oldest first.
    pub(crate) fn write_to(&self, object: &mut Value) {
        let mut entries: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        // Applied entries come first, then by time, as the real server writes them.
        entries
            .sort_by_key(|(manager, owned)| (manager.operation, &owned.time, manager.name.clone()));
        let entries: Vec<Value> = entries.into_iter().map(|(m, o)| entry(m, o)).collect();
        if entries.is_empty() {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            return;
        }
        object["metadata"]["managedFields"] = entries.into();
    }

    /// Records an update: whatever changed belongs to this manager alone.
    pub(crate) fn update(
        &mut self,
        resource: &Resource,
        old: &Value,
        new: &Value,
        manager: Manager,
        now: &str,
    ) {
        let difference = fields::compare(&type_of(resource), old, new);
        for (other, owned) in &mut self.0 {
            if *other != manager {
                owned.fields.retain(|path| {
                    !difference.modified.contains(path)
                        && !difference.added.contains(path)
                        && !difference.removed.contains(path)
                });
            }
        }
        let changed: FieldSet = difference
            .modified
            .union(&difference.added)
            .cloned()
            .collect();
        let changed = fields::outside(&changed, &reset_fields(resource, &manager.subresource));
        let changed = strip(&changed);
        let owned = self.0.entry(manager).or_insert_with(|| Owned {
            fields: FieldSet::new(),
            time: now.to_owned(),
        });
        owned
            .fields
            .retain(|path| !difference.removed.contains(path));
        if !changed.is_empty() {
            owned.fields.extend(changed);
            owned.time = now.to_owned();
        }
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }
}

/// The type of a whole object.
pub(crate) fn type_of(resource: &Resource) -> Type {
    object_type(resource.definition)
}

/// The set without the fields that belong to the server.
pub(crate) fn strip(set: &FieldSet) -> FieldSet {
    let mut set = fields::outside(set, SERVERS);
    set.remove(&vec!["f:metadata".to_owned()]);
    set
}

/// Fields that a write through this subresource cannot change.
pub(crate) fn reset_fields(resource: &Resource, subresource: &str) -> Vec<&'static [&'static str]> {
    match subresource {
        "status" => vec![&["spec"], &["metadata", "labels"]],
        _ if resource.status => vec![&["status"]],
        _ => Vec::new(),
    }
}

fn operation(text: Option<&str>) -> &'static str {
    if text == Some("Apply") {
        "Apply"
    } else {
        "Update"
    }
}

fn entry(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = json!({
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields::to_fields_v1(&owned.fields),
    });
    if !manager.subresource.is_empty() {
        entry["subresource"] = manager.subresource.clone().into();
    }
    entry
}
