//! The narrow view of a cluster that rollouts and strategies work through.

use std::fmt;

use async_trait::async_trait;
use pipeops_core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api_error::{Action, ApiError, ApiProblem};
use crate::app_watch::AppWatch;

/// Names one object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ObjectId {
    /// `apps/v1`, `v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// The namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectId {
    /// The object of this kind and name.
    pub fn new(
        api_version: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The id of an object of a stack that lives in `namespace`.
    pub fn of(object: &Object, namespace: &str) -> Self {
        // The one cluster-wide kind that a stack can hold.
        let namespace = match object.kind() {
            "Namespace" => "",
            _ => object.namespace().unwrap_or(namespace),
        };
        Self::new(
            object.api_version(),
            object.kind(),
            namespace,
            object.name(),
        )
    }

    /// An object with this id and the rest of `value`.
    ///
    /// # Errors
    /// When the id has no name or kind, or the value is no JSON object.
    pub(crate) fn object(&self, mut value: Value) -> Result<Object, ApiError> {
        if value.is_object() {
            value["apiVersion"] = self.api_version.clone().into();
            value["kind"] = self.kind.clone().into();
            value["metadata"]["name"] = self.name.clone().into();
            if !self.namespace.is_empty() {
                value["metadata"]["namespace"] = self.namespace.clone().into();
            }
        }
        Object::new(value).ok_or_else(|| {
            let message = "it is not a Kubernetes object".to_owned();
            ApiError::new(
                Action::new("read", &self.kind, &self.name, &self.namespace),
                ApiProblem::Rejected { status: 0, message },
            )
        })
    }

    /// The Deployment of this name.
    pub fn deployment(namespace: &str, name: &str) -> Self {
        Self::new("apps/v1", "Deployment", namespace, name)
    }

    /// The ConfigMap of this name.
    pub fn config_map(namespace: &str, name: &str) -> Self {
        Self::new("v1", "ConfigMap", namespace, name)
    }

    /// The Secret of this name.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self::new("v1", "Secret", namespace, name)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ApplyMode {
    /// Fails when another field manager owns a field with another value.
    #[default]
    FailOnConflict,
    /// Takes such fields over.
    Force,
    /// Validates and stores nothing; fails on conflicts as [`ApplyMode::FailOnConflict`].
    DryRun,
}

/// Which objects are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListQuery<'a> {
    /// `apps/v1`, `v1`.
    pub api_version: &'a str,
    /// `Deployment`.
    pub kind: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The labels that the objects carry: `a=b,c=d`.
    pub labels: &'a str,
    /// Whether only `metadata` is read: the data of Secrets stays in the cluster.
    pub metadata_only: bool,
}

/// Which container's output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// True for the run before the current one.
    pub previous: bool,
    /// How many lines from the end.
    pub lines: usize,
}

/// What rollouts need from a cluster.
///
/// Every call is bounded in time, and transient errors are tried again below it. Objects go and come as JSON.
/// [`KubeCluster`](crate::KubeCluster) is the real one.
#[async_trait]
pub trait Cluster: fmt::Debug + Send + Sync {
    /// The object, or `None` when it does not exist.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    async fn get(&self, id: &ObjectId) -> Result<Option<Object>, ApiError>;

    /// The objects of a kind in a namespace that carry labels.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    async fn list(&self, query: &ListQuery<'_>) -> Result<Vec<Object>, ApiError>;

    /// Applies an object server-side as the field manager [`MANAGER`](pipeops_core::names::MANAGER).
    ///
    /// # Errors
    /// [`ApiProblem::Conflict`](crate::ApiProblem::Conflict) unless forced; [`ApiProblem::Invalid`](crate::ApiProblem::Invalid);
    /// when the API server refuses or does not answer.
    async fn apply(
        &self,
        id: &ObjectId,
        object: &Object,
        mode: ApplyMode,
    ) -> Result<Object, ApiError>;

    /// Creates an object.
    ///
    /// # Errors
    /// [`ApiProblem::AlreadyExists`](crate::ApiProblem::AlreadyExists); when the API server refuses or does not answer.
    async fn create(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError>;

    /// Replaces an object that was read, unless it was changed since.
    ///
    /// # Errors
    /// [`ApiProblem::Stale`](crate::ApiProblem::Stale) when it was changed; when the API server refuses or does not answer.
    async fn replace(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError>;

    /// Deletes the object with this uid; an object that is gone, or was made anew, is left alone.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    async fn delete(&self, id: &ObjectId, uid: &str) -> Result<(), ApiError>;

    /// The last output of a container, at most 64 KiB.
    ///
    /// # Errors
    /// When there is none; when the API server refuses or does not answer.
    async fn logs(&self, namespace: &str, query: &LogQuery) -> Result<String, ApiError>;

    /// Follows the Deployment of this name, its ReplicaSets, Pods and warning events.
    fn watch(&self, namespace: &str, app: &str) -> AppWatch;
}
