//! Searches manifests and configurations of images. They're parsed first, because JSON can escape a secret.

use serde_json::Value;

use super::LeakPlace;
use super::needles::Needles;

/// Number of characters shown of an instruction.
const SHOWN: usize = 80;

/// Limit for the nesting depth. Documents of images are flatter.
const DEEPEST: usize = 64;

/// Leaks, each with the index of its secret.
pub(super) type Found = Vec<(usize, LeakPlace)>;

/// Searches an image's configuration.
pub(super) fn config(json: &Value, needles: &Needles) -> Found {
    let clean = |text: &str| needles.clean(text);
    let mut found = Found::new();
    for (field, value) in json["config"].as_object().into_iter().flatten() {
        match value {
            Value::Array(items) if field == "Env" => {
                for variable in items.iter().filter_map(Value::as_str) {
                    let name = variable.split('=').next().unwrap_or_default();
                    let place = || LeakPlace::Config {
                        field: clean(&format!("Env {name}")),
                    };
                    found.extend(in_text(variable, needles, &place));
                }
            }
            Value::Object(labels) if field == "Labels" => {
                for (name, value) in labels {
                    let place = || LeakPlace::Config {
                        field: clean(&format!("Labels {name}")),
                    };
                    let text = format!("{name}={}", value.as_str().unwrap_or_default());
                    found.extend(in_text(&text, needles, &place));
                }
            }
            _ => found.extend(strings(value, needles, &|| LeakPlace::Config {
                field: field.clone(),
            })),
        }
    }
    for entry in json["history"].as_array().into_iter().flatten() {
        let instruction = entry["created_by"].as_str().unwrap_or_default();
        let place = || LeakPlace::History {
            instruction: beginning(&clean(instruction)),
        };
        found.extend(strings(entry, needles, &place));
    }
    for (field, value) in json.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "config" | "history" | "rootfs") {
            found.extend(strings(value, needles, &|| LeakPlace::Config {
                field: clean(field),
            }));
        }
    }
    found
}

/// Searches any other document.
pub(super) fn metadata(json: &Value, needles: &Needles, name: &str) -> Found {
    strings(json, needles, &|| LeakPlace::Metadata {
        name: name.to_owned(),
    })
}

fn in_text(text: &str, needles: &Needles, place: &dyn Fn() -> LeakPlace) -> Found {
    let secrets = needles.in_text(text).into_iter();
    secrets.map(|index| (index, place())).collect()
}

fn strings(json: &Value, needles: &Needles, place: &dyn Fn() -> LeakPlace) -> Found {
    let mut found = Found::new();
    visit(json, DEEPEST, &mut |text| {
        found.extend(in_text(text, needles, place));
    });
    found
}

/// Visits all strings, keys included. A key with a string value is visited as `KEY=value`.
fn visit(json: &Value, depth: usize, see: &mut dyn FnMut(&str)) {
    match json {
        _ if depth == 0 => {}
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, depth - 1, see)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) => see(&format!(
                        "{}={text}",
                        key.strip_prefix("build-arg:").unwrap_or(key)
                    )),
                    _ => {
                        see(key);
                        visit(value, depth - 1, see);
                    }
                }
            }
        }
        _ => {}
    }
}

fn beginning(instruction: &str) -> String {
    match instruction.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &instruction[..end]),
        None => instruction.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::search::LeakSearch;
    use super::*;

    fn needles() -> Needles {
        let search = LeakSearch::default()
            .secret("token", "a&b<secret>")
            .secret("word", "DB_PASSWORD=postgres");
        Needles::new(search.secrets()).unwrap()
    }

    #[test]
    fn each_part_of_a_configuration_is_searched() {
        let text = r#"{"author":"a\u0026b\u003csecret\u003e","config":{"Env":["PATH=/bin","T=a&b<secret>"],"Labels":{"l":"x a&b<secret>"},
            "Cmd":["run","a&b<secret>"]},"history":[{"created_by":"RUN |1 DB_PASSWORD=postgres /bin/sh -c true"},{"created_by":"CMD postgres"}]}"#;
        let found = config(&serde_json::from_str(text).unwrap(), &needles());
        let found: Vec<String> = found
            .iter()
            .map(|(index, place)| format!("{index} {place}"))
            .collect();
        assert_eq!(
            found,
            [
                "0 the image's configuration (Cmd)",
                "0 the image's configuration (Env T)",
                "0 the image's configuration (Labels l)",
                "1 the image's history (RUN |1 [redacted] /bin/sh -c true)",
                "0 the image's configuration (author)",
            ]
        );
    }

    #[test]
    fn build_arguments_in_an_attestation_are_found() {
        let document = json!({"predicate": {"args": {"build-arg:DB_PASSWORD": "postgres"}}});
        assert_eq!(metadata(&document, &needles(), "provenance").len(), 1);
        let deep = (0..500).fold(json!("a&b<secret>"), |inner, _| json!([inner]));
        assert!(metadata(&deep, &needles(), "deep").is_empty());
    }
}
