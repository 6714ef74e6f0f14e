//! Events, which two API groups show in two forms. They are stored in the older one.

use serde_json::{Map, Value};

/// Fields of `v1` beside their names in `events.k8s.io/v1`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// An event as `events.k8s.io/v1` shows it.
pub(crate) fn to_new(event: &Value) -> Value {
    rename(event, "events.k8s.io/v1", |name| {
        NAMES
            .iter()
            .find(|(old, _)| *old == name)
            .map(|pair| pair.1)
    })
}

/// An event of `events.k8s.io/v1` as it is stored.
pub(crate) fn to_old(event: &Value) -> Value {
    rename(event, "v1", |name| {
        NAMES
            .iter()
            .find(|(_, new)| *new == name)
            .map(|pair| pair.0)
    })
}

fn rename(
    event: &Value,
    api_version: &str,
    new_name: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let mut renamed = Map::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        // The newer form leaves out what is empty.
        if api_version != "v1" && value == "" {
            continue;
        }
        let name = new_name(name).unwrap_or(name);
        renamed.insert(name.to_owned(), value.clone());
    }
    renamed.insert("apiVersion".to_owned(), api_version.into());
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_two_forms_are_the_same_event() {
        let old = json!({"apiVersion": "v1", "kind": "Event", "reason": "BackOff",
            "message": "Back-off", "count": 3, "involvedObject": {"name": "x"}});
        let new = to_new(&old);
        assert_eq!(new["note"], "Back-off");
        assert_eq!(new["regarding"]["name"], "x");
        assert_eq!(to_old(&new), old);
    }
}
