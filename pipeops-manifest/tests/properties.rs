//! Whatever validates, gives objects that Kubernetes accepts; the same input gives the same bytes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pipeops_manifest::{
    App, ManifestGenerator, SecretValues, StandardManifests, to_json_with, to_yaml_with,
};
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::Value;

/// Texts near the edges of the rules: mostly valid names, of every length, and some that are not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]([a-z0-9-]{0,61}[a-z0-9])?", 1 => "[a-zA-Z0-9._/-]{0,70}", 1 => any::<String>()]
}

fn app() -> impl Strategy<Value = App> {
    let texts = (name(), name(), "[0-9a-f]{7,64}");
    let env = btree_map("[A-Z_][A-Z0-9_]{0,20}", any::<String>(), 0..4);
    let secrets = btree_map("S_[A-Z0-9_]{0,20}", any::<String>(), 0..4);
    let labels = btree_map(name(), name(), 0..3);
    (
        texts,
        env,
        secrets,
        labels,
        0u32..5,
        any::<u16>(),
        any::<bool>(),
    )
        .prop_map(
            |((name, namespace, revision), env, secrets, labels, replicas, port, worker)| {
                let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64));
                let mut app = App::new(name, namespace, revision, image.parse().unwrap())
                    .replicas(replicas)
                    .port(port)
                    .pull_secret(r#"{"auths":{}}"#);
                app.env = env;
                app.secrets = secrets
                    .into_iter()
                    .map(|(key, value)| (key, value.into()))
                    .collect();
                app.labels = labels;
                if worker { app.worker() } else { app }
            },
        )
}

fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && edge(text.chars().next())
        && edge(text.chars().last())
}

fn label_values(object: &Value) -> Vec<&str> {
    ["/metadata/labels", "/spec/template/metadata/labels"]
        .iter()
        .filter_map(|at| object.pointer(at)?.as_object())
        .flat_map(|labels| labels.values().filter_map(Value::as_str))
        .collect()
}

proptest! {
    #[test]
    fn what_validates_has_valid_names_and_labels(app in app()) {
        if let Ok(stack) = StandardManifests::new().generate(&app) {
            for object in &stack.objects {
                prop_assert!(is_dns_label(object.name()), "{object}");
                for value in label_values(object.value()) {
                    prop_assert!(is_label_value(value), "{object}: {value:?}");
                }
            }
            prop_assert!(stack.workload().is_some());
        }
    }

    #[test]
    fn references_lead_to_objects_of_the_same_stack(app in app()) {
        if let Ok(stack) = StandardManifests::new().generate(&app) {
            let pod = &stack.workload().unwrap().value()["spec"]["template"]["spec"];
            let mut references = vec![("ServiceAccount", &pod["serviceAccountName"]), ("Secret", &pod["imagePullSecrets"][0]["name"])];
            for source in pod["containers"][0]["envFrom"].as_array().into_iter().flatten() {
                if let Some(map) = source.pointer("/configMapRef/name") {
                    references.push(("ConfigMap", map));
                }
                if let Some(secret) = source.pointer("/secretRef/name") {
                    references.push(("Secret", secret));
                }
            }
            for (kind, name) in references {
                prop_assert!(stack.get(kind, name.as_str().unwrap()).is_some(), "{kind} {name}");
            }
        }
    }

    #[test]
    fn the_same_app_gives_the_same_bytes(app in app()) {
        let generate = || StandardManifests::new().generate(&app).map(|stack| {
            (to_yaml_with(&stack, SecretValues::Shown), to_json_with(&stack, SecretValues::Shown))
        });
        prop_assert_eq!(generate(), generate());
    }

    #[test]
    fn a_refusal_always_names_a_field(app in app()) {
        if let Err(error) = app.check() {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(error.problems.iter().all(|problem| !problem.path.is_empty() && !problem.message.is_empty()));
        }
    }
}
