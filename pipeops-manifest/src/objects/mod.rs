//! The typed Kubernetes objects of one application, one file for each concern.

mod config;
mod deployment;
#[cfg(test)]
pub(crate) mod fixtures;
mod kube_object;
mod policy;
mod probes;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::app::App;
use crate::health::HealthCheck;
use crate::names::label_value;
pub use kube_object::KubeObject;

/// The annotation of workloads and pods that names the commit which they were made from.
pub const REVISION_ANNOTATION: &str = "pipeops.dev/revision";

pub(crate) const NAME_LABEL: &str = "app.kubernetes.io/name";
pub(crate) const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
pub(crate) const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// The name of the container.
const CONTAINER: &str = "app";

/// All objects, in apply order: what others refer to comes first, the workload last.
///
/// The NetworkPolicy and the budget stand before the workload, so that no pod ever runs without them.
pub(crate) fn all(app: &App, hash_key: Option<&[u8]>) -> Vec<KubeObject> {
    let config = config::ConfigNames::new(app, hash_key);
    let mut objects = vec![config::service_account(app).into()];
    objects.extend(config::pull_secret(app).map(KubeObject::from));
    objects.extend(config.config_map(app).map(KubeObject::from));
    objects.extend(config.secret(app).map(KubeObject::from));
    objects.extend(service::service(app).map(KubeObject::from));
    objects.extend(policy::network_policy(app).map(KubeObject::from));
    objects.extend(policy::disruption_budget(app).map(KubeObject::from));
    objects.extend(service::ingress(app).map(KubeObject::from));
    objects.push(deployment::deployment(app, &config).into());
    objects
}

/// The labels by which an application's pods are found. They never change: a Deployment's selector is immutable, and a
/// Service that selected by version would cut off the old pods during a rollout.
pub(crate) fn selector_labels(app: &App) -> BTreeMap<String, String> {
    BTreeMap::from([
        (NAME_LABEL.to_owned(), app.name.clone()),
        (INSTANCE_LABEL.to_owned(), app.name.clone()),
    ])
}

fn selector(app: &App) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector_labels(app)),
        ..LabelSelector::default()
    }
}

/// The name of the container's port: service meshes choose the protocol by it.
fn port_name(app: &App) -> &'static str {
    match app.health {
        HealthCheck::Grpc { .. } => "grpc",
        _ => "http",
    }
}

/// Metadata of an object that stays the same from one revision to the next.
fn metadata(app: &App, name: impl Into<String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(app.namespace.clone()),
        labels: Some(common_labels(app)),
        ..ObjectMeta::default()
    }
}

fn common_labels(app: &App) -> BTreeMap<String, String> {
    let mut labels = app.labels.clone();
    labels.extend(selector_labels(app));
    labels.insert(MANAGED_BY_LABEL.to_owned(), "pipeops".to_owned());
    labels
}

/// Labels of the workload and its pods, which do change with the revision.
fn revision_labels(app: &App) -> BTreeMap<String, String> {
    let mut labels = common_labels(app);
    labels.insert(VERSION_LABEL.to_owned(), label_value(&app.revision));
    labels
}

fn revision_annotations(app: &App) -> BTreeMap<String, String> {
    let mut annotations = app.annotations.clone();
    annotations.insert(REVISION_ANNOTATION.to_owned(), app.revision.clone());
    annotations
}
