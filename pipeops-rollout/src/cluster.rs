//! The small interface through which rollouts use a cluster.

use std::fmt;

use async_trait::async_trait;
use pipeops_core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api_error::{Action, ApiError, ApiProblem};
use crate::app_watch::AppWatch;

/// Identifies one object of a cluster. Displays as `Deployment/web`.
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
    /// The object of this kind and name. `namespace` is empty for cluster-wide objects.
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

    /// The id of an object. An object that names no namespace is in `namespace`.
    pub fn of(object: &Object, namespace: &str) -> Self {
        // The only cluster-wide kind that a stack can contain.
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
    /// If the id has no name or kind, or the value isn't a JSON object.
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
            let message = "not a Kubernetes object".to_owned();
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

/// How to apply an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ApplyMode {
    /// Fails if another field manager owns a field with another value.
    #[default]
    FailOnConflict,
    /// Takes over such fields.
    Force,
    /// Only validates. Fails on conflicts like [`ApplyMode::FailOnConflict`].
    DryRun,
}

/// Which objects to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListQuery<'a> {
    /// `apps/v1`, `v1`.
    pub api_version: &'a str,
    /// `Deployment`.
    pub kind: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The labels that the objects must have: `a=b,c=d`.
    pub labels: &'a str,
    /// Whether to read `metadata` only, so that the data of Secrets stays in the cluster.
    pub metadata_only: bool,
}

/// Which container's output to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Whether to read the output of the previous run instead of the current one.
    pub previous: bool,
    /// How many lines to read from the end.
    pub lines: usize,
}

/// The operations that rollouts need from a cluster.
///
/// [`KubeCluster`](crate::KubeCluster) implements it over a `kube::Client`. Another implementation may wrap it, to audit
/// writes for example. Each call must end within a bounded time and retry transient errors itself. Objects are JSON.
#[async_trait]
pub trait ClusterApi: fmt::Debug + Send + Sync {
    /// Reads an object; `None` if it doesn't exist.
    ///
    /// # Errors
    /// Any [`ApiProblem`](crate::ApiProblem) other than a missing object.
    async fn get(&self, id: &ObjectId) -> Result<Option<Object>, ApiError>;

    /// Lists the objects of one kind in a namespace, selected by labels.
    ///
    /// # Errors
    /// Any [`ApiProblem`](crate::ApiProblem).
    async fn list(&self, query: &ListQuery<'_>) -> Result<Vec<Object>, ApiError>;

    /// Applies an object server-side with the field manager `pipeops`. Returns the stored object.
    ///
    /// # Errors
    /// [`ApiProblem::Conflict`](crate::ApiProblem::Conflict) unless forced;
    /// [`ApiProblem::Invalid`](crate::ApiProblem::Invalid); any other problem.
    async fn apply(
        &self,
        id: &ObjectId,
        object: &Object,
        mode: ApplyMode,
    ) -> Result<Object, ApiError>;

    /// Creates an object. Returns the stored object.
    ///
    /// # Errors
    /// [`ApiProblem::AlreadyExists`](crate::ApiProblem::AlreadyExists) or any other problem.
    async fn create(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError>;

    /// Replaces an object unless its `resourceVersion` has changed since it was read. Returns the stored object.
    ///
    /// # Errors
    /// [`ApiProblem::Stale`](crate::ApiProblem::Stale) if it has changed, or any other problem.
    async fn replace(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError>;

    /// Deletes the object with this uid. Succeeds without effect if it's gone or was recreated.
    ///
    /// # Errors
    /// Any other problem.
    async fn delete(&self, id: &ObjectId, uid: &str) -> Result<(), ApiError>;

    /// Reads the last output of a container, at most 64 KiB.
    ///
    /// # Errors
    /// If there is no such container or run, or any other problem.
    async fn logs(&self, namespace: &str, query: &LogQuery) -> Result<String, ApiError>;

    /// Watches the Deployment of this name, its ReplicaSets, Pods and warning events.
    fn watch(&self, namespace: &str, app: &str) -> AppWatch;
}
