//! A [`ClusterApi`] over a [`kube::Client`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GetParams, GroupVersionKind, ListParams, LogParams,
    Patch, PatchParams, PostParams, Preconditions, PropagationPolicy, Resource,
};
use kube::core::Request;
use pipeops_core::names::MANAGER;
use pipeops_core::retry;
use pipeops_core::{Backoff, Object};
use serde_json::Value;

use crate::api_error::{Action, ApiError, ApiProblem};
use crate::app_watch::AppWatch;
use crate::cluster::{ApplyMode, ClusterApi, ListQuery, LogQuery, ObjectId};
use crate::watches::Watches;

/// The time limit of one attempt of a request.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// The most that is read of a container's output.
const LOG_BYTES: i64 = 64 * 1024;
/// Objects per page of a list.
const PAGE: u32 = 500;
/// The most pages of a list. No application has this many objects.
const PAGES: usize = 40;

/// A request that is ready to send, or why it can't be built.
type BuiltRequest = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// The cluster of a [`kube::Client`]: a real one, or a stand-in that serves the same API.
///
/// Each attempt of a request may take 15 s. Transient errors (429, 5xx, no connection, no response) are retried with
/// back-off for up to a minute, which outlasts the restart of an API server.
///
/// ```no_run
/// use std::sync::Arc;
/// use pipeops_rollout::{KubeCluster, Rollout, RolloutOptions, Watches};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = pipeops_rollout::client().await?;
/// // Four watches for the whole cluster instead of four for each namespace.
/// let cluster = KubeCluster::with_watches(client.clone(), Watches::cluster_wide(client));
/// let rollout = Rollout::on(Arc::new(cluster), RolloutOptions::default());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KubeCluster {
    client: Client,
    watches: Watches,
    backoff: Backoff,
}

impl KubeCluster {
    /// The cluster of this client, with watches per namespace.
    pub fn new(client: Client) -> Self {
        Self::with_watches(client.clone(), Watches::per_namespace(client))
    }

    /// The cluster of this client, with these watches.
    pub fn with_watches(client: Client, watches: Watches) -> Self {
        let backoff = Backoff::default()
            .attempts(5)
            .base(Duration::from_secs(1))
            .total(Duration::from_secs(60));
        Self {
            client,
            watches,
            backoff,
        }
    }

    /// Sets how transient errors are retried. Default: 5 attempts, 1 s base, 60 s in total.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sends the request, and retries it while it fails with a transient error.
    async fn text(&self, action: Action, request: BuiltRequest) -> Result<String, ApiError> {
        let request = request.map_err(|error| {
            ApiError::from_kube(action.clone(), kube::Error::BuildRequest(error))
        })?;
        let once = || self.once(&action, request.clone());
        let notify = |error: &ApiError, _, wait| tracing::debug!(%error, ?wait, "retrying");
        retry::retry_notified(self.backoff, tokio::time::sleep, once, notify).await
    }

    async fn once(
        &self,
        action: &Action,
        request: http::Request<Vec<u8>>,
    ) -> Result<String, ApiError> {
        match tokio::time::timeout(CALL_LIMIT, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(ApiError::from_kube(action.clone(), error)),
            Err(_) => Err(ApiError::new(
                action.clone(),
                ApiProblem::TimedOut { after: CALL_LIMIT },
            )),
        }
    }

    async fn object(&self, action: Action, request: BuiltRequest) -> Result<Object, ApiError> {
        let text = self.text(action.clone(), request).await?;
        let value = parse(&action, &text)?;
        Object::new(value).ok_or_else(|| unreadable(action, "the response isn't an object"))
    }
}

impl fmt::Debug for KubeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeCluster")
            .field("default_namespace", &self.client.default_namespace())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ClusterApi for KubeCluster {
    async fn get(&self, id: &ObjectId) -> Result<Option<Object>, ApiError> {
        let (action, url) = target("get", id);
        let request = url.get(&id.name, &GetParams::default());
        match self.object(action, request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) => match error.problem {
                ApiProblem::NotFound | ApiProblem::NoSuchNamespace => Ok(None),
                _ => Err(error),
            },
        }
    }

    async fn list(&self, query: &ListQuery<'_>) -> Result<Vec<Object>, ApiError> {
        let resource = resource(query.api_version, query.kind);
        let action = Action::new("list", qualified(&resource), "", query.namespace);
        let url = url(&resource, query.namespace);
        let mut params = ListParams::default().labels(query.labels).limit(PAGE);
        let mut objects = Vec::new();
        for _ in 0..PAGES {
            let request = match query.metadata_only {
                true => url.list_metadata(&params),
                false => url.list(&params),
            };
            let text = self.text(action.clone(), request).await?;
            let mut page = parse(&action, &text)?;
            if let Some(items) = page["items"].as_array_mut() {
                // Items of a list don't state their kind.
                objects.extend(items.drain(..).filter_map(|mut item| {
                    item["apiVersion"] = query.api_version.into();
                    item["kind"] = query.kind.into();
                    Object::new(item)
                }));
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => params.continue_token = Some(token.to_owned()),
                _ => return Ok(objects),
            }
        }
        Err(unreadable(action, "the list has too many pages"))
    }

    async fn apply(
        &self,
        id: &ObjectId,
        object: &Object,
        mode: ApplyMode,
    ) -> Result<Object, ApiError> {
        let (action, url) = target("patch", id);
        let params = PatchParams {
            force: mode == ApplyMode::Force,
            dry_run: mode == ApplyMode::DryRun,
            ..PatchParams::apply(MANAGER).validation_strict()
        };
        let request = url.patch(&id.name, &params, &Patch::Apply(object.value()));
        self.object(action, request).await
    }

    async fn create(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        let (action, url) = target("create", id);
        let request = url.create(&post_params(), object.value().to_string().into_bytes());
        self.object(action, request).await
    }

    async fn replace(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        let (action, url) = target("update", id);
        let body = object.value().to_string().into_bytes();
        let request = url.replace(&id.name, &post_params(), body);
        self.object(action, request).await
    }

    async fn delete(&self, id: &ObjectId, uid: &str) -> Result<(), ApiError> {
        let (action, url) = target("delete", id);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let request = url.delete(&id.name, &params);
        match self.text(action, request).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.problem, ApiProblem::NotFound | ApiProblem::Stale) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn logs(&self, namespace: &str, query: &LogQuery) -> Result<String, ApiError> {
        let url = url(&resource("v1", "Pod"), namespace);
        let action = Action::new("get", "pods/log", &query.pod, namespace);
        let params = LogParams {
            container: Some(query.container.clone()),
            previous: query.previous,
            tail_lines: Some(i64::try_from(query.lines).unwrap_or(i64::MAX)),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        self.text(action, url.logs(&query.pod, &params)).await
    }

    fn watch(&self, namespace: &str, app: &str) -> AppWatch {
        self.watches.watch(namespace, app)
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn url(resource: &ApiResource, namespace: &str) -> Request {
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
    Request::new(DynamicObject::url_path(resource, namespace))
}

/// `deployments.apps`, as in RBAC and in the server's messages.
fn qualified(resource: &ApiResource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    }
}

fn target(verb: &'static str, id: &ObjectId) -> (Action, Request) {
    let resource = resource(&id.api_version, &id.kind);
    let action = Action::new(verb, qualified(&resource), &id.name, &id.namespace);
    (action, url(&resource, &id.namespace))
}

fn post_params() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Parses a response. The error never quotes it: it may be a Secret.
fn parse(action: &Action, text: &str) -> Result<Value, ApiError> {
    serde_json::from_str(text).map_err(|_| unreadable(action.clone(), "the response isn't JSON"))
}

fn unreadable(action: Action, why: &str) -> ApiError {
    let message = why.to_owned();
    ApiError::new(action, ApiProblem::Rejected { status: 0, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_as_rbac_names_them() {
        let (action, url) = target("patch", &ObjectId::deployment("shop", "web"));
        assert_eq!(
            action.to_string(),
            "patch deployments.apps \"web\" in namespace \"shop\""
        );
        assert_eq!(url.url_path, "/apis/apps/v1/namespaces/shop/deployments");
        let (action, url) = target("get", &ObjectId::new("v1", "Namespace", "", "shop"));
        assert_eq!(action.to_string(), "get namespaces \"shop\"");
        assert_eq!(url.url_path, "/api/v1/namespaces");
    }
}
