//! Labels and annotations of an application's objects, computed once for each revision.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use pipeops_core::Revision;
use pipeops_core::names::{
    INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, NAME_LABEL, REVISION_ANNOTATION, VERSION_LABEL,
};

use crate::app::App;
use crate::names::label_value;

/// The labels and annotations of one revision of an application.
pub(super) struct Metadata {
    pub(super) revision: Revision,
    namespace: String,
    selector: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    revision_labels: BTreeMap<String, String>,
    revision_annotations: BTreeMap<String, String>,
}

impl Metadata {
    pub(super) fn of(app: &App, revision: &Revision) -> Self {
        let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let selector = owned(&[(NAME_LABEL, &app.name), (INSTANCE_LABEL, &app.name)]);
        let mut labels = app.labels.clone();
        labels.extend(selector.clone());
        labels.extend(owned(&[(MANAGED_BY_LABEL, MANAGER)]));
        let mut revision_labels = labels.clone();
        revision_labels.extend(owned(&[(VERSION_LABEL, &label_value(revision.as_str()))]));
        let mut revision_annotations = app.annotations.clone();
        revision_annotations.extend(owned(&[(REVISION_ANNOTATION, revision.as_str())]));
        Self {
            revision: revision.clone(),
            namespace: app.namespace.clone(),
            selector,
            labels,
            revision_labels,
            revision_annotations,
        }
    }

    /// The labels that select the application's pods. They never change: a Deployment's selector is immutable, and a Service
    /// that selected by version would exclude old pods during a rollout.
    pub(super) fn selector_labels(&self) -> BTreeMap<String, String> {
        self.selector.clone()
    }

    /// Selects the application's pods.
    pub(super) fn selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector_labels()),
            ..LabelSelector::default()
        }
    }

    /// Metadata of an object that doesn't change with the revision.
    pub(super) fn object(&self, name: impl Into<String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.into()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels.clone()),
            ..ObjectMeta::default()
        }
    }

    /// Metadata of the pods, which changes with the revision.
    pub(super) fn pods(&self) -> ObjectMeta {
        ObjectMeta {
            labels: Some(self.revision_labels.clone()),
            annotations: Some(self.revision_annotations.clone()),
            ..ObjectMeta::default()
        }
    }

    /// Metadata of the Deployment: that of its pods, and these annotations.
    pub(super) fn workload(&self, name: &str, annotations: BTreeMap<String, String>) -> ObjectMeta {
        let mut metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            ..self.pods()
        };
        metadata
            .annotations
            .get_or_insert_default()
            .extend(annotations);
        metadata
    }
}
