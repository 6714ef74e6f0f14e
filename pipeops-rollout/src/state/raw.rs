//! Objects as the API server sends them, reduced to the fields that are needed, and their conversion.

use kube::api::{Object, ObjectMeta};
use pipeops_core::names::REVISION_ANNOTATION;
use serde::Deserialize;

use super::{
    DeploymentSpec, DeploymentState, DeploymentStatus, PodState, PodStatus, ReplicaSetState,
    TEMPLATE_COUNT,
};

pub(crate) type Deployment = Object<Option<DeploymentSpec>, DeploymentStatus>;
pub(crate) type ReplicaSet = Object<Option<ReplicaSetSpec>, Unread>;
pub(crate) type Pod = Object<Option<Unread>, PodStatus>;

/// A part that is not read.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Unread {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicaSetSpec {
    pub(crate) template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template {
    pub(crate) spec: Containers,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Containers {
    pub(crate) containers: Vec<ContainerImage>,
}

/// The image of a container in a template.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerImage {
    image: String,
}

impl DeploymentState {
    /// The Deployment in a response of the API server.
    pub(crate) fn of(live: &pipeops_core::Object) -> Option<Self> {
        let raw: Deployment = serde_json::from_value(live.value().clone()).ok()?;
        Some(Self::from(raw))
    }
}

impl From<Deployment> for DeploymentState {
    fn from(raw: Deployment) -> Self {
        Self {
            generation: raw.metadata.generation.unwrap_or_default(),
            template_count: template_count(&raw.metadata),
            revision: annotation(&raw.metadata, REVISION_ANNOTATION)
                .and_then(|text| text.parse().ok()),
            spec: raw.spec.unwrap_or_default(),
            status: raw.status.unwrap_or_default(),
        }
    }
}

impl ReplicaSetState {
    /// `None` unless a Deployment owns it.
    pub(crate) fn of(raw: ReplicaSet) -> Option<Self> {
        let deployment = owner(&raw.metadata, "Deployment")?.to_owned();
        let containers = raw.spec.unwrap_or_default().template.spec.containers;
        Some(Self {
            deployment,
            template_count: template_count(&raw.metadata),
            images: containers.into_iter().map(|c| c.image).collect(),
            name: raw.metadata.name.unwrap_or_default(),
        })
    }
}

impl PodState {
    /// The Pod and the Deployment that it belongs to; `None` unless a ReplicaSet owns it.
    pub(crate) fn of(raw: Pod) -> Option<(String, Self)> {
        let replica_set = owner(&raw.metadata, "ReplicaSet")?.to_owned();
        let hash = raw
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get("pod-template-hash"));
        // A Deployment names its ReplicaSets `<its name>-<template hash>` and labels their pods with the hash, so the
        // Deployment of a pod is known even before its ReplicaSet.
        let deployment = hash
            .and_then(|hash| replica_set.strip_suffix(hash.as_str())?.strip_suffix('-'))?
            .to_owned();
        let state = Self {
            replica_set,
            terminating: raw.metadata.deletion_timestamp.is_some(),
            status: raw.status.unwrap_or_default(),
            name: raw.metadata.name.unwrap_or_default(),
        };
        Some((deployment, state))
    }
}

fn owner<'a>(metadata: &'a ObjectMeta, kind: &str) -> Option<&'a str> {
    metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.kind == kind && owner.controller == Some(true))
        .map(|owner| owner.name.as_str())
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    Some(metadata.annotations.as_ref()?.get(key)?.as_str())
}

fn template_count(metadata: &ObjectMeta) -> Option<i64> {
    annotation(metadata, TEMPLATE_COUNT)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_names_its_deployment() {
        let deployment = |set: &str, hash: &str| {
            let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "u", "controller": true});
            let labels = json!({"pod-template-hash": hash});
            let pod =
                json!({"metadata": {"name": "a", "labels": labels, "ownerReferences": [owner]}});
            PodState::of(serde_json::from_value(pod).unwrap()).map(|(app, _)| app)
        };
        assert_eq!(deployment("my-web-5d9c", "5d9c").as_deref(), Some("my-web"));
        assert_eq!(deployment("web-5d9c", "other"), None);
    }
}
