//! The typed Kubernetes objects of one application.

mod command;
mod config;
mod deployment;
mod kube_object;
mod metadata;
mod pod;
mod policy;
mod probes;
mod service;

use pipeops_core::Revision;

use crate::app::App;
pub use kube_object::{KubeObject, object};

/// All objects in apply order: objects that others refer to come first, the Deployment last. No pod runs before its
/// NetworkPolicy and PodDisruptionBudget exist.
pub(crate) fn all(app: &App, revision: &Revision, hash_key: Option<&[u8]>) -> Vec<KubeObject> {
    let metadata = metadata::Metadata::of(app, revision);
    let config = config::ConfigNames::new(app, hash_key);
    let mut objects = vec![config::service_account(app, &metadata).into()];
    objects.extend(config::pull_secret(app, &metadata).map(KubeObject::from));
    objects.extend(config.config_map(app, &metadata).map(KubeObject::from));
    objects.extend(config.secret(app, &metadata).map(KubeObject::from));
    objects.extend(service::service(app, &metadata).map(KubeObject::from));
    objects.extend(policy::network_policy(app, &metadata).map(KubeObject::from));
    objects.extend(policy::disruption_budget(app, &metadata).map(KubeObject::from));
    objects.extend(service::ingress(app, &metadata).map(KubeObject::from));
    objects.push(deployment::deployment(app, &metadata, &config).into());
    objects
}
