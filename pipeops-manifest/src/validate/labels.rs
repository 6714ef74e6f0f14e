//! Validates labels and annotations.

use std::collections::BTreeMap;

use super::problems::{Problems, brief, shown};
use crate::app::App;
use crate::names;

const KEY_RULE: &str = "the key must be a name of up to 63 letters, digits, '-', '_' and '.', optionally prefixed by a domain and /";

const OWN_RULE: &str = "is reserved for PipeOps";

pub(super) fn check(app: &App, found: &mut Problems) {
    label_entries("labels", &app.labels, found);
    annotation_keys("annotations", &app.annotations, found);
    let own =
        |key: &&String| key.starts_with("app.kubernetes.io/") || key.starts_with("pipeops.dev/");
    for key in app.labels.keys().filter(own) {
        found.add(format!("labels.{}", brief(key)), OWN_RULE);
    }
    let own_annotation = |key: &&String| {
        own(key)
            || matches!(
                key.as_str(),
                "kube-score/ignore" | "kubernetes.io/change-cause"
            )
    };
    for key in app.annotations.keys().filter(own_annotation) {
        found.add(format!("annotations.{}", brief(key)), OWN_RULE);
    }
}

pub(super) fn label_entries(path: &str, labels: &BTreeMap<String, String>, found: &mut Problems) {
    for (key, value) in labels {
        let at = || format!("{path}.{}", brief(key));
        found.require(names::is_label_key(key), at(), KEY_RULE);
        found.require(names::is_label_value(value), at(), format!("{} must consist of up to 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit", shown(value)));
    }
}

pub(super) fn annotation_keys(
    path: &str,
    annotations: &BTreeMap<String, String>,
    found: &mut Problems,
) {
    let total: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    // Kubernetes' limit is 256 KiB per object, including annotations that Kubernetes adds.
    found.require(
        total <= 128 * 1024,
        path,
        format!("{total} bytes in total exceed the limit of 131072"),
    );
    for key in annotations.keys().filter(|key| !names::is_label_key(key)) {
        found.add(format!("{path}.{}", brief(key)), KEY_RULE);
    }
}
