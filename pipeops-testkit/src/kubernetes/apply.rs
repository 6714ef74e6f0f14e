//! Server-side apply: merges a manager's configuration, removes what it no longer sets, and reports conflicts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{self, FieldSet, Path};
use super::managed::{self, Managed, Manager, Owned};
use super::resources::Resource;
use super::schema::{ListType, Type};
use super::status::{ApiError, ApiResult};

/// What one manager applies.
#[derive(Debug)]
pub(crate) struct Apply<'a> {
    pub(crate) resource: &'static Resource,
    /// The object as it is; an empty map when it is to be created.
    pub(crate) live: &'a Value,
    pub(crate) config: &'a Value,
    pub(crate) manager: Manager,
    pub(crate) force: bool,
    pub(crate) now: &'a str,
}

impl Apply<'_> {
    /// The object with the configuration merged in, and who owns what then.
    pub(crate) fn run(self) -> ApiResult<(Value, Managed)> {
        let kind = managed::type_of(self.resource);
        let mut owners = Managed::of(self.live);
        let last = owners.0.get(&self.manager).cloned();
        let mut applied = fields::outside(
            &fields::fields_of(&kind, self.config),
            &managed::reset_fields(self.resource, &self.manager.subresource),
        );
        let entry = Owned {
            fields: applied.clone(),
            time: self.now.to_owned(),
        };
        owners.0.insert(self.manager.clone(), entry);

        let merged = merge(&kind, self.live, self.config);
        let merged = match &last {
            Some(last) => prune(&kind, merged, &last.fields, &owners),
            None => merged,
        };
        let changed = self.settle_conflicts(&kind, &merged, &mut owners)?;

        applied = managed::strip(&applied);
        let time = match &last {
            Some(last) if !changed && last.fields == applied => last.time.clone(),
            _ => self.now.to_owned(),
        };
        if applied.is_empty() {
            owners.0.remove(&self.manager);
        } else {
            let fields = applied;
            owners.0.insert(self.manager, Owned { fields, time });
        }
        Ok((merged, owners))
    }

    /// Refuses what others own, or takes it from them by force. Whether anything changed at all.
    fn settle_conflicts(
        &self,
        kind: &Type,
        merged: &Value,
        owners: &mut Managed,
    ) -> ApiResult<bool> {
        let difference = fields::compare(kind, self.live, merged);
        let reset = managed::reset_fields(self.resource, &self.manager.subresource);
        let changed: FieldSet = difference
            .modified
            .union(&difference.added)
            .cloned()
            .collect();
        let changed = fields::outside(&changed, &reset);
        let mut conflicts: BTreeMap<Manager, Vec<Path>> = BTreeMap::new();
        for (other, owned) in &owners.0 {
            let theirs: Vec<Path> = owned.fields.intersection(&changed).cloned().collect();
            if *other != self.manager && !theirs.is_empty() {
                conflicts.insert(other.clone(), theirs);
            }
        }
        if !conflicts.is_empty() && !self.force {
            return Err(conflict_error(&conflicts));
        }
        for (other, owned) in &mut owners.0 {
            if *other != self.manager {
                owned
                    .fields
                    .retain(|path| !changed.contains(path) && !difference.removed.contains(path));
            }
        }
        owners.0.retain(|_, owned| !owned.fields.is_empty());
        Ok(!changed.is_empty() || !difference.removed.is_empty())
    }
}

/// 409 with a cause for each field, in the words of the real server.
fn conflict_error(conflicts: &BTreeMap<Manager, Vec<Path>>) -> ApiError {
    let mut causes = Vec::new();
    let mut groups = Vec::new();
    for (manager, paths) in conflicts {
        let who = describe(manager);
        let mut lines = vec![format!("conflicts with {who}:")];
        for path in paths {
            let field = fields::display(path);
            lines.push(format!("- {field}"));
            causes.push(serde_json::json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {who}"),
                "field": field,
            }));
        }
        groups.push((who, lines));
    }
    let message = match causes.as_slice() {
        [one] => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            groups[0].0,
            one["field"].as_str().unwrap_or_default()
        ),
        many => {
            let lines: Vec<String> = groups.into_iter().flat_map(|(_, lines)| lines).collect();
            format!(
                "Apply failed with {} conflicts: {}",
                many.len(),
                lines.join("\n")
            )
        }
    };
    ApiError::new(409, "Conflict", message).with_details(serde_json::json!({ "causes": causes }))
}

fn describe(manager: &Manager) -> String {
    let mut text = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        text += &format!(" with subresource {:?}", manager.subresource);
    }
    if manager.operation == "Update" {
        text += &format!(" using {}", manager.api_version);
    }
    text
}

/// The live object with the configuration laid over it.
fn merge(kind: &Type, live: &Value, config: &Value) -> Value {
    if kind.is_leaf() {
        return config.clone();
    }
    match (kind, live, config) {
        (Type::List(list), Value::Array(live), Value::Array(config)) => {
            merge_items(list, live, config).into()
        }
        (Type::List(_), _, _) => config.clone(),
        (_, Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, value) in config {
                let entry = match (kind.field(name), merged.get(name)) {
                    (Some(kind), Some(live)) => merge(kind, live, value),
                    _ => value.clone(),
                };
                merged.insert(name.clone(), entry);
            }
            Value::Object(merged)
        }
        _ => config.clone(),
    }
}

/// Items of both sides in one order: the configuration's, with the live object's own items kept where they were.
fn merge_items(list: &ListType, live: &[Value], config: &[Value]) -> Vec<Value> {
    let element = |item: &Value| super::fields::item_element(list, item);
    let wanted: Vec<Option<String>> = config.iter().map(element).collect();
    let is_wanted = |item: &Value| wanted.contains(&element(item));
    let mut merged = Vec::new();
    let mut rest = live.iter().peekable();
    for (item, element_of) in config.iter().zip(&wanted) {
        while let Some(own) = rest.next_if(|item| !is_wanted(item)) {
            merged.push(own.clone());
        }
        let twin = live.iter().find(|other| element(other) == *element_of);
        merged.push(match twin {
            Some(live) => merge(&list.list, live, item),
            None => item.clone(),
        });
        rest.next_if(|item| element(item) == *element_of);
    }
    merged.extend(rest.filter(|item| !is_wanted(item)).cloned());
    merged
}

/// Removes what the manager applied last time, not this time, and no other manager owns.
fn prune(kind: &Type, merged: Value, last: &FieldSet, owners: &Managed) -> Value {
    let merged_fields = fields::with_parents(&fields::fields_of(kind, &merged));
    let last = fields::with_parents(last);
    let owned: FieldSet = owners
        .0
        .values()
        .flat_map(|owned| fields::with_parents(&owned.fields))
        .collect();

    let bare = fields::without(kind, &merged, &last);
    let bare_fields = fields::with_parents(&fields::fields_of(kind, &bare));
    let unowned = merged_fields
        .iter()
        .filter(|path| !bare_fields.contains(*path) && !owned.contains(*path))
        .cloned()
        .collect();
    let kept = fields::without(kind, &merged, &unowned);
    let kept_fields = fields::with_parents(&fields::fields_of(kind, &kept));
    // Only what this manager owned may go: items without an owner stay.
    let gone = merged_fields
        .iter()
        .filter(|path| !kept_fields.contains(*path) && last.contains(*path))
        .cloned()
        .collect();
    match fields::without(kind, &merged, &gone) {
        Value::Null => Value::Object(Map::new()),
        pruned => pruned,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::DEPLOYMENTS;
    use super::*;

    fn apply(live: &Value, config: &Value, manager: &str, force: bool) -> ApiResult<Value> {
        let apply = Apply {
            resource: &DEPLOYMENTS,
            live,
            config,
            manager: Manager {
                name: manager.into(),
                operation: "Apply",
                api_version: "apps/v1".into(),
                subresource: String::new(),
            },
            force,
            now: "2026-01-01T00:00:00Z",
        };
        apply.run().map(|(mut object, owners)| {
            owners.write_to(&mut object);
            object
        })
    }

    fn config(containers: &[(&str, &str)]) -> Value {
        let containers: Vec<Value> = containers
            .iter()
            .map(|(name, image)| json!({"name": name, "image": image}))
            .collect();
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    fn names(object: &Value) -> Vec<&str> {
        object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["name"].as_str())
            .collect()
    }

    #[test]
    fn two_managers_share_a_list() {
        let first = apply(&json!({}), &config(&[("app", "a:1")]), "me", false).unwrap();
        let both = apply(&first, &config(&[("side", "b:1")]), "you", false).unwrap();
        assert_eq!(names(&both), ["app", "side"]);
        let gone = apply(&both, &config(&[("other", "c:1")]), "you", false).unwrap();
        assert_eq!(names(&gone), ["app", "other"]);
    }

    #[test]
    fn a_conflict_names_manager_and_field() {
        let live = apply(&json!({}), &config(&[("app", "a:1")]), "me", false).unwrap();
        let error = apply(&live, &config(&[("app", "a:2")]), "you", false).unwrap_err();
        assert_eq!(
            error.message,
            "Apply failed with 1 conflict: conflict with \"me\": .spec.template.spec.containers[name=\"app\"].image"
        );
        assert_eq!(error.code, 409);
        let forced = apply(&live, &config(&[("app", "a:2")]), "you", true).unwrap();
        let back = apply(&forced, &config(&[("app", "a:1")]), "me", false).unwrap_err();
        assert!(back.message.contains("\"you\""), "{}", back.message);
    }

    #[test]
    fn the_same_value_is_shared_without_conflict() {
        let live = apply(&json!({}), &config(&[("app", "a:1")]), "me", false).unwrap();
        let shared = apply(&live, &config(&[("app", "a:1")]), "you", false).unwrap();
        assert_eq!(Managed::of(&shared).0.len(), 2);
        // One of the two owners lets go: the field stays for the other.
        let left = apply(&shared, &json!({"spec": {"replicas": 2}}), "me", false).unwrap();
        assert_eq!(names(&left), ["app"]);
    }

    #[test]
    fn dropping_a_field_removes_it() {
        let live = apply(
            &json!({}),
            &json!({"spec": {"replicas": 3, "paused": true}}),
            "me",
            false,
        );
        let less = apply(
            &live.unwrap(),
            &json!({"spec": {"replicas": 3}}),
            "me",
            false,
        )
        .unwrap();
        assert_eq!(less["spec"], json!({"replicas": 3}));
    }
}
