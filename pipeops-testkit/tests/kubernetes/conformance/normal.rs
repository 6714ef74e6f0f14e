//! Normalizes answers for comparison: what differs from run to run is replaced by a placeholder.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The values that a dialogue has kept.
type Kept = BTreeMap<String, String>;

/// Characters of generated names.
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// Fields whose value differs from run to run.
const CHANGING: [(&str, &str); 17] = [
    ("uid", "<uid>"),
    ("resourceVersion", "<version>"),
    ("time", "<time>"),
    ("creationTimestamp", "<time>"),
    ("deletionTimestamp", "<time>"),
    ("lastTransitionTime", "<time>"),
    ("lastUpdateTime", "<time>"),
    ("lastProbeTime", "<time>"),
    ("startTime", "<time>"),
    ("startedAt", "<time>"),
    ("finishedAt", "<time>"),
    ("firstTimestamp", "<time>"),
    ("lastTimestamp", "<time>"),
    ("eventTime", "<time>"),
    ("clusterIP", "<address>"),
    ("podIP", "<address>"),
    ("containerID", "<container>"),
];

/// A value in the form in which it can be compared.
pub(super) fn normal(value: &Value, kept: &Kept) -> Value {
    match value {
        Value::Object(fields) => {
            let mut all = Map::new();
            for (name, value) in fields {
                all.insert(text(name, kept), field(name, value, kept));
            }
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| normal(item, kept)).collect(),
        Value::String(string) => text(string, kept).into(),
        other => other.clone(),
    }
}

fn field(name: &str, value: &Value, kept: &Kept) -> Value {
    let word = CHANGING
        .iter()
        .find(|(field, _)| *field == name)
        .map(|(_, word)| *word);
    match (word, value) {
        (Some(word), Value::String(string)) if !string.is_empty() && string != "None" => {
            word.into()
        }
        _ if name == "clusterIPs" => "<addresses>".into(),
        _ if name == "nodePort" => "<port>".into(),
        _ if name == "managedFields" => managers(value, kept),
        _ if name == "causes" => causes(value, kept),
        _ => normal(value, kept),
    }
}

/// The entries of managedFields in an order that does not depend on the clock. What the controllers own depends on how
/// often they were at it.
fn managers(value: &Value, kept: &Kept) -> Value {
    let mut all: Vec<Value> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] != "kube-controller-manager")
        .map(|entry| normal(entry, kept))
        .collect();
    all.sort_by_key(|entry| {
        ["operation", "manager", "subresource"]
            .map(|name| entry[name].as_str().unwrap_or_default().to_owned())
    });
    all.into()
}

/// The causes of a refusal in an order that does not depend on chance.
fn causes(value: &Value, kept: &Kept) -> Value {
    let mut all: Vec<Value> = value
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| normal(cause, kept))
        .collect();
    all.sort_by_key(|cause| cause["field"].as_str().unwrap_or_default().to_owned());
    all.into()
}

/// A text without the namespace's and the image's name, times, hashes of templates and generated endings.
fn text(string: &str, kept: &Kept) -> String {
    let mut string = string.to_owned();
    for name in ["ns", "image"] {
        if let Some(value) = kept.get(name).filter(|value| !value.is_empty()) {
            string = string.replace(value, &format!("<{name}>"));
        }
    }
    let mut out = String::new();
    let mut word = String::new();
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
    for c in string.chars() {
        if is_inner(c) {
            word.push(c);
        } else {
            out += &replaced(&word);
            word.clear();
            out.push(c);
        }
    }
    out + &replaced(&word)
}

/// A word, or what stands for it.
fn replaced(word: &str) -> String {
    if is_time(word) {
        return "<time>".to_owned();
    }
    if let Some((name, ending)) = word.rsplit_once('.')
        && ending.len() == 16
        && ending.chars().all(|c| c.is_ascii_hexdigit())
    {
        return format!("{}.<event>", replaced(name));
    }
    if is_uid(word) {
        return "<uid>".to_owned();
    }
    if is_generated(word)
        && (8..=10).contains(&word.len())
        && word.chars().any(|c| c.is_ascii_digit())
    {
        return "<hash>".to_owned();
    }
    let parts: Vec<&str> = word.split('-').collect();
    let Some((first, rest)) = parts.split_first() else {
        return word.to_owned();
    };
    let mut all = vec![(*first).to_owned()];
    for part in rest {
        let long = (8..=10).contains(&part.len());
        all.push(if is_generated(part) && long {
            "<hash>".to_owned()
        } else if is_generated(part) && part.len() == 5 {
            "<id>".to_owned()
        } else {
            (*part).to_owned()
        });
    }
    all.join("-")
}

fn is_generated(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| GENERATED.contains(c))
}

fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' && word.starts_with("20")
}

fn is_uid(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changes_is_named() {
        let value = json!({
            "metadata": {"name": "web-7b4f9c5f6d-x2k4z", "namespace": "ns-1", "uid": "u", "resourceVersion": "7"},
            "message": "back-off restarting pod web-7b4f9c5f6d-x2k4z_ns-1(01234567-89ab-cdef-0123-456789abcdef) at 2026-01-01T00:00:00Z",
        });
        assert_eq!(
            normal(
                &value,
                &BTreeMap::from([("ns".to_owned(), "ns-1".to_owned())])
            ),
            json!({
                "metadata": {"name": "web-<hash>-<id>", "namespace": "<ns>", "uid": "<uid>", "resourceVersion": "<version>"},
                "message": "back-off restarting pod web-<hash>-<id>_<ns>(<uid>) at <time>",
            })
        );
        assert_eq!(replaced("web-7bc4f9b5d6"), "web-<hash>");
    }
}
