//! Label selectors and field selectors.

use serde_json::Value;

use super::resources::Resource;
use super::status::{ApiError, ApiResult};

/// A selector over labels. The empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl LabelSelector {
    /// Reads the form of a query: `a=b,c in (x,y),!d`.
    pub(crate) fn parse(text: &str) -> ApiResult<Self> {
        split_outside_brackets(text)
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(requirement)
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| ApiError::bad_request(format!("unable to parse requirement: {text:?}")))
    }

    /// Reads a `LabelSelector` object.
    pub(crate) fn of_object(selector: &Value) -> Result<Self, String> {
        let mut all = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            all.push(Requirement::In(key.clone(), vec![value]));
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            all.push(match expression["operator"].as_str() {
                Some("In") => Requirement::In(key, values),
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                Some("DoesNotExist") => Requirement::Missing(key),
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            });
        }
        Ok(Self(all))
    }

    /// The selector of a Service: a plain map.
    pub(crate) fn of_map(map: &Value) -> Self {
        let pairs = map.as_object().into_iter().flatten();
        Self(
            pairs
                .map(|(key, value)| {
                    let value = value.as_str().unwrap_or_default().to_owned();
                    Requirement::In(key.clone(), vec![value])
                })
                .collect(),
        )
    }

    /// Whether labels match.
    pub(crate) fn matches(&self, labels: &Value) -> bool {
        let of = |key: &str| labels.get(key).and_then(Value::as_str);
        let any = |values: &[String], value: &str| values.iter().any(|v| v == value);
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => of(key).is_some_and(|value| any(values, value)),
            Requirement::NotIn(key, values) => !of(key).is_some_and(|value| any(values, value)),
            Requirement::Exists(key) => of(key).is_some(),
            Requirement::Missing(key) => of(key).is_none(),
        })
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement::Missing(key.trim().to_owned()));
    }
    for (word, negated) in [(" notin ", true), (" in ", false)] {
        if let Some((key, values)) = part.split_once(word) {
            let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
            let values = values.split(',').map(|v| v.trim().to_owned()).collect();
            let key = key.trim().to_owned();
            return Some(if negated {
                Requirement::NotIn(key, values)
            } else {
                Requirement::In(key, values)
            });
        }
    }
    let owned = |text: &str| text.trim().to_owned();
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(owned(key), vec![owned(value)]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(owned(key), vec![owned(value)]));
    }
    (!part.contains([' ', '(', ')'])).then(|| Requirement::Exists(owned(part)))
}

/// A selector over the few fields that the server indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads `metadata.name=a,status.phase!=Running`; fields that the kind does not offer are refused.
    pub(crate) fn parse(resource: &Resource, text: &str) -> ApiResult<Self> {
        let mut all = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = part.split_once("==") {
                (field, true, value)
            } else if let Some((field, value)) = part.split_once('=') {
                (field, true, value)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid field selector: {part:?}; can't understand it"
                )));
            };
            if !is_offered(resource, field) {
                return Err(ApiError::bad_request(not_offered(resource, field)));
            }
            all.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self(all))
    }

    /// Whether an object matches.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, equal, value)| {
            let pointer = format!("/{}", field.replace('.', "/"));
            let found = match object.pointer(&pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => default_of(field).to_owned(),
                Some(other) => other.to_string(),
            };
            (found == *value) == *equal
        })
    }
}

fn not_offered(resource: &Resource, field: &str) -> String {
    if own_fields(resource).is_empty() {
        format!(
            "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {field}")
    }
}

fn default_of(field: &str) -> &'static str {
    match field {
        "spec.hostNetwork" | "spec.unschedulable" => "false",
        "status.replicas" => "0",
        _ => "",
    }
}

fn is_offered(resource: &Resource, field: &str) -> bool {
    field == "metadata.name"
        || (field == "metadata.namespace" && resource.namespaced)
        || own_fields(resource).contains(&field)
}

/// The fields that a kind offers beside its name and namespace.
fn own_fields(resource: &Resource) -> &'static [&'static str] {
    match (resource.group, resource.kind) {
        ("", "Pod") => &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ],
        ("", "Event") => &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("apps", "ReplicaSet") => &["status.replicas"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::{DEPLOYMENTS, PODS};
    use super::*;

    #[test]
    fn label_selectors_are_read_as_the_server_reads_them() {
        let labels = json!({"app": "a", "tier": "web"});
        for (text, expected) in [
            ("", true),
            ("app=a", true),
            ("app==a,tier=web", true),
            ("app!=a", false),
            ("other!=a", true),
            ("app in (a,b)", true),
            ("app notin (a,b)", false),
            ("app", true),
            ("!app", false),
            ("!other", true),
        ] {
            assert_eq!(
                LabelSelector::parse(text).unwrap().matches(&labels),
                expected,
                "{text}"
            );
        }
        assert!(LabelSelector::parse("a b").is_err());
    }

    #[test]
    fn selector_objects_know_expressions() {
        let selector = json!({"matchLabels": {"app": "a"}, "matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": ["db"]}
        ]});
        let selector = LabelSelector::of_object(&selector).unwrap();
        assert!(selector.matches(&json!({"app": "a"})));
        assert!(!selector.matches(&json!({"app": "a", "tier": "db"})));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let running = FieldSelector::parse(&PODS, "status.phase=Running").unwrap();
        assert!(running.matches(&json!({"status": {"phase": "Running"}})));
        assert!(!running.matches(&json!({})));
        assert_eq!(
            FieldSelector::parse(&DEPLOYMENTS, "spec.replicas=1")
                .unwrap_err()
                .code,
            400
        );
    }
}
