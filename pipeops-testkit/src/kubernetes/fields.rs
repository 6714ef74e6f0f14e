//! Sets of fields: ownership, differences, removal.
//!
//! A path is a list of elements in the notation of `FieldsV1`: `f:name` for a field, `k:{"name":"app"}` for the item of
//! an associative list, `v:"x"` for a member of a set. The rules are those of structured-merge-diff, which the real API
//! server uses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema::{ListType, Type};

/// Where a field is.
pub(crate) type Path = Vec<String>;

/// A set of fields.
pub(crate) type FieldSet = BTreeSet<Path>;

/// The fields in which two objects differ.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

/// The element of a field's name.
fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The element of a list's item: its keys or its value. None when a key is missing.
pub(crate) fn item_element(list: &ListType, item: &Value) -> Option<String> {
    if list.set {
        return Some(format!("v:{item}"));
    }
    let mut keys = Map::new();
    for key in &list.keys {
        keys.insert(key.clone(), list.key_of(item, key)?);
    }
    // A map with the `preserve_order` feature of serde_json would keep the schema's order, which is sorted anyway.
    Some(format!("k:{}", Value::Object(keys)))
}

/// All fields that a configuration sets.
pub(crate) fn fields_of(kind: &Type, value: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    collect(kind, value, &mut Vec::new(), &mut set);
    set
}

fn collect(kind: &Type, value: &Value, path: &mut Path, set: &mut FieldSet) {
    if kind.is_leaf() {
        set.insert(path.clone());
        return;
    }
    match (kind, value) {
        (Type::List(list), Value::Array(items)) => {
            for item in items {
                let Some(element) = item_element(list, item) else {
                    continue;
                };
                path.push(element);
                collect(&list.list, item, path, set);
                set.insert(path.clone());
                path.pop();
            }
        }
        (_, Value::Object(entries)) => {
            for (name, entry) in entries {
                let Some(entry_kind) = kind.field(name) else {
                    continue;
                };
                path.push(field(name));
                collect(entry_kind, entry, path, set);
                let empty = entry.is_null() || entry.as_object().is_some_and(Map::is_empty);
                if empty || matches!(kind, Type::Map(_)) {
                    set.insert(path.clone());
                }
                path.pop();
            }
        }
        _ => {}
    }
}

/// In which fields `new` differs from `old`.
pub(crate) fn compare(kind: &Type, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    walk(kind, Some(old), Some(new), &mut Vec::new(), &mut difference);
    difference
}

fn walk(
    kind: &Type,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Path,
    out: &mut Difference,
) {
    if kind.is_leaf() || (is_empty(old) && is_empty(new)) {
        match (old, new) {
            (None, Some(_)) => drop(out.added.insert(path.clone())),
            (Some(_), None) => drop(out.removed.insert(path.clone())),
            (Some(old), Some(new)) if old != new => drop(out.modified.insert(path.clone())),
            _ => {}
        }
        return;
    }
    match kind {
        Type::List(list) => walk_items(list, old, new, path, out),
        _ => walk_entries(kind, old, new, path, out),
    }
    match (old, new) {
        (None, Some(_)) => drop(out.added.insert(path.clone())),
        (Some(_), None) => drop(out.removed.insert(path.clone())),
        _ => {}
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(entries)) => entries.is_empty(),
        Some(_) => false,
    }
}

fn walk_items(
    list: &ListType,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Path,
    out: &mut Difference,
) {
    let old = keyed_items(list, old);
    let new = keyed_items(list, new);
    let all: BTreeSet<&String> = old.iter().chain(&new).map(|(element, _)| element).collect();
    for element in all {
        path.push(element.clone());
        let (left, right) = (with_key(&old, element), with_key(&new, element));
        compare_items(&list.list, &left, &right, path, out);
        path.pop();
    }
}

fn with_key<'a>(items: &[(String, &'a Value)], element: &str) -> Vec<&'a Value> {
    let same = items.iter().filter(|(other, _)| other == element);
    same.map(|(_, item)| *item).collect()
}

/// Items of the same key on both sides; more than one is possible where the key is not really unique (env variables).
fn compare_items(
    kind: &Type,
    old: &[&Value],
    new: &[&Value],
    path: &mut Path,
    out: &mut Difference,
) {
    let (first_old, first_new) = (old.first().copied(), new.first().copied());
    match (old, new) {
        ([] | [_], [] | [_]) => walk(kind, first_old, first_new, path, out),
        ([_, _, ..], [_, _, ..]) => {
            if old != new {
                out.modified.insert(path.clone());
            }
        }
        ([_, _, ..], _) => {
            if !new.is_empty() {
                walk(kind, None, first_new, path, out);
            }
            out.removed.insert(path.clone());
        }
        (_, _) => {
            if !old.is_empty() {
                walk(kind, first_old, None, path, out);
            }
            out.added.insert(path.clone());
        }
    }
}

fn keyed_items<'a>(list: &ListType, value: Option<&'a Value>) -> Vec<(String, &'a Value)> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some((item_element(list, item)?, item)))
        .collect()
}

fn walk_entries(
    kind: &Type,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Path,
    out: &mut Difference,
) {
    let old = old.and_then(Value::as_object);
    let new = new.and_then(Value::as_object);
    let names: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
    for name in names {
        let Some(entry_kind) = kind.field(name) else {
            continue;
        };
        path.push(field(name));
        walk(
            entry_kind,
            old.and_then(|old| old.get(name)),
            new.and_then(|new| new.get(name)),
            path,
            out,
        );
        path.pop();
    }
}

/// The object without the fields of the set.
pub(crate) fn without(kind: &Type, value: &Value, set: &FieldSet) -> Value {
    remove(kind, value, set, &mut Vec::new())
}

fn remove(kind: &Type, value: &Value, set: &FieldSet, path: &mut Path) -> Value {
    if matches!(kind, Type::Scalar(_)) {
        return value.clone();
    }
    if kind.is_leaf() {
        // Something below an atomic value was to be removed: it goes as a whole.
        return Value::Null;
    }
    match (kind, value) {
        (Type::List(list), Value::Array(items)) => {
            let mut kept = Vec::new();
            for item in items {
                let Some(element) = item_element(list, item) else {
                    kept.push(item.clone());
                    continue;
                };
                path.push(element);
                kept.extend(remove_child(&list.list, item, set, path));
                path.pop();
            }
            if kept.is_empty() {
                Value::Null
            } else {
                kept.into()
            }
        }
        (_, Value::Object(entries)) => {
            let mut kept = Map::new();
            for (name, entry) in entries {
                path.push(field(name));
                let entry = match kind.field(name) {
                    Some(entry_kind) => remove_child(entry_kind, entry, set, path),
                    None => Some(entry.clone()),
                };
                if let Some(entry) = entry {
                    kept.insert(name.clone(), entry);
                }
                path.pop();
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        _ => Value::Null,
    }
}

fn remove_child(kind: &Type, value: &Value, set: &FieldSet, path: &mut Path) -> Option<Value> {
    if set.contains(path.as_slice()) {
        None
    } else if has_below(set, path) {
        Some(remove(kind, value, set, path))
    } else {
        Some(value.clone())
    }
}

/// Whether the set has a field below this path.
fn has_below(set: &FieldSet, path: &Path) -> bool {
    set.range(path.clone()..)
        .find(|other| *other != path)
        .is_some_and(|other| other.starts_with(path))
}

/// The set with every named field above its members as a member too.
pub(crate) fn with_parents(set: &FieldSet) -> FieldSet {
    let mut all = set.clone();
    for path in set {
        for length in 1..path.len() {
            if path[length - 1].starts_with("f:") {
                all.insert(path[..length].to_vec());
            }
        }
    }
    all
}

/// The set without the fields at and below these paths.
pub(crate) fn outside(set: &FieldSet, prefixes: &[&[&str]]) -> FieldSet {
    set.iter()
        .filter(|path| {
            !prefixes.iter().any(|prefix| {
                path.len() >= prefix.len()
                    && path
                        .iter()
                        .zip(*prefix)
                        .all(|(element, name)| element.strip_prefix("f:") == Some(name))
            })
        })
        .cloned()
        .collect()
}

/// `FieldsV1`: the set as a tree.
pub(crate) fn to_fields_v1(set: &FieldSet) -> Value {
    let mut root = Map::new();
    for path in set {
        let mut node = &mut root;
        for element in path {
            let child = node
                .entry(element.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(child) = child else {
                return Value::Null;
            };
            node = child;
        }
        node.insert(".".to_owned(), Value::Object(Map::new()));
    }
    drop_lone_dots(&mut root);
    Value::Object(root)
}

/// A member without children is written as `{}`, one with children as `{".":{}, …}`.
fn drop_lone_dots(node: &mut Map<String, Value>) {
    if node.len() == 1 {
        node.remove(".");
    }
    for child in node.values_mut() {
        if let Value::Object(child) = child {
            drop_lone_dots(child);
        }
    }
}

/// The set that a `FieldsV1` tree stands for.
pub(crate) fn from_fields_v1(tree: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    read_tree(tree, &mut Vec::new(), &mut set);
    set
}

fn read_tree(node: &Value, path: &mut Path, set: &mut FieldSet) {
    let Value::Object(entries) = node else { return };
    if !path.is_empty() && (entries.is_empty() || entries.contains_key(".")) {
        set.insert(path.clone());
    }
    for (element, child) in entries {
        if element != "." {
            path.push(element.clone());
            read_tree(child, path, set);
            path.pop();
        }
    }
}

/// A path as people read it: `.spec.template.spec.containers[name="app"].image`.
pub(crate) fn display(path: &[String]) -> String {
    path.iter()
        .map(|element| display_element(element))
        .collect()
}

fn display_element(element: &str) -> String {
    if let Some(name) = element.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = element.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys = element.strip_prefix("k:").unwrap_or(element);
    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
    let parts: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("[{}]", parts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::object_type;
    use super::*;

    fn deployment() -> Type {
        object_type("io.k8s.api.apps.v1.Deployment")
    }

    fn with_image(image: &str) -> Value {
        json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "app", "image": image, "ports": [{"containerPort": 80}]}
        ]}}}})
    }

    #[test]
    fn fields_are_written_as_the_real_server_writes_them() {
        let set = fields_of(&deployment(), &with_image("a:1"));
        assert_eq!(
            to_fields_v1(&set),
            json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}
                }}
            }}}}})
        );
        assert_eq!(from_fields_v1(&to_fields_v1(&set)), set);
    }

    #[test]
    fn a_difference_names_the_field() {
        let difference = compare(&deployment(), &with_image("a:1"), &with_image("a:2"));
        let modified: Vec<_> = difference
            .modified
            .iter()
            .map(|path| display(path))
            .collect();
        assert_eq!(
            modified,
            [".spec.template.spec.containers[name=\"app\"].image"]
        );
        assert!(difference.added.is_empty() && difference.removed.is_empty());
    }

    #[test]
    fn labels_are_owned_one_by_one_and_node_selectors_as_a_whole() {
        let pod = object_type("io.k8s.api.core.v1.Pod");
        let set = fields_of(
            &pod,
            &json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeSelector": {"b": "2"}}}),
        );
        let shown: Vec<_> = set.iter().map(|path| display(path)).collect();
        assert_eq!(shown, [".metadata.labels.a", ".spec.nodeSelector"]);
    }

    #[test]
    fn removal_takes_items_and_leaves_the_rest() {
        let kind = deployment();
        let value = with_image("a:1");
        let all = fields_of(&kind, &value);
        let image: FieldSet = all
            .iter()
            .filter(|path| path.last().is_some_and(|last| last == "f:image"))
            .cloned()
            .collect();
        let rest = without(&kind, &value, &image);
        assert!(
            rest.pointer("/spec/template/spec/containers/0/image")
                .is_none()
        );
        assert_eq!(rest["spec"]["replicas"], 1);
    }
}
