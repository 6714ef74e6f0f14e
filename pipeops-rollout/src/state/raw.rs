//! Objects as the API server sends them, reduced to what is read here, and what they become.

use std::collections::BTreeMap;

use kube::api::{Object, ObjectMeta};
use pipeops_core::names::REVISION_ANNOTATION;
use serde::Deserialize;

use super::{
    DeploymentSpec, DeploymentState, DeploymentStatus, PodState, PodStatus, ReplicaSetState,
    TEMPLATE_COUNT,
};

pub(crate) type Deployment = Object<Option<DeploymentSpec>, DeploymentStatus>;
pub(crate) type ReplicaSet = Object<Option<ReplicaSetSpec>, ReplicaSetStatus>;
pub(crate) type Pod = Object<Option<Unread>, PodStatus>;

/// A part that is not read.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Unread {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicaSetSpec {
    pub(crate) replicas: u32,
    pub(crate) template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicaSetStatus {
    pub(crate) ready_replicas: u32,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template {
    pub(crate) metadata: Annotations,
    pub(crate) spec: Containers,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Annotations {
    pub(crate) annotations: BTreeMap<String, String>,
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
    /// The Deployment in an answer of the API server.
    pub(crate) fn of(live: &pipeops_core::Object) -> Option<Self> {
        let raw: Deployment = serde_json::from_value(live.value().clone()).ok()?;
        Some(Self::from(raw))
    }
}

impl From<Deployment> for DeploymentState {
    fn from(raw: Deployment) -> Self {
        Self {
            uid: raw.metadata.uid.clone().unwrap_or_default(),
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
        let spec = raw.spec.unwrap_or_default();
        let mut annotations = spec.template.metadata.annotations;
        Some(Self {
            deployment,
            template_count: template_count(&raw.metadata),
            revision: annotations
                .remove(REVISION_ANNOTATION)
                .and_then(|text| text.try_into().ok()),
            desired: spec.replicas,
            ready: raw.status.unwrap_or_default().ready_replicas,
            images: spec
                .template
                .spec
                .containers
                .into_iter()
                .map(|c| c.image)
                .collect(),
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
        // A Deployment names its ReplicaSets `<its name>-<template hash>` and labels their pods with the hash, so a pod
        // tells its Deployment even before its ReplicaSet is known.
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

    fn pod(name: &str, set: &str, hash: &str) -> Pod {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "labels": {"pod-template-hash": hash},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "u", "controller": true}]
            },
            "spec": {"containers": []},
            "status": {"phase": "Pending"}
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_tells_its_deployment() {
        let (app, state) = PodState::of(pod("my-web-5d9c-x2x4z", "my-web-5d9c", "5d9c")).unwrap();
        assert_eq!(
            (app.as_str(), state.replica_set.as_str()),
            ("my-web", "my-web-5d9c")
        );
        assert!(PodState::of(pod("a", "web-5d9c", "other")).is_none());
    }
}
