//! Projects, deployments and health.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Error;
use crate::deployment::Deployment;
use crate::project::Project;
use crate::store::DeploymentFilter;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    project: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentList {
    deployments: Vec<Deployment>,
    /// The list contains the effects of events up to this one. A stream that starts after it misses none.
    last_event: u64,
}

pub(super) async fn deployments(
    State(state): State<super::state::State>,
    Query(query): Query<ListQuery>,
) -> Result<Json<DeploymentList>, Error> {
    // The number comes first: an event in between is seen twice rather than never.
    let last_event = state.store.last_event().await?;
    let mut filter = DeploymentFilter::default();
    filter.project = query.project;
    filter.limit = query.limit.unwrap_or(filter.limit);
    let deployments = state.store.deployments(&filter).await?;
    Ok(Json(DeploymentList {
        deployments,
        last_event,
    }))
}

pub(super) async fn deployment(
    State(state): State<super::state::State>,
    Path(id): Path<String>,
) -> Result<Json<Deployment>, Error> {
    let found = state.store.deployment(&id).await?;
    found
        .map(Json)
        .ok_or_else(|| Error::not_found("deployment"))
}

pub(super) async fn projects(
    State(state): State<super::state::State>,
) -> Result<Json<Vec<Project>>, Error> {
    Ok(Json(state.store.projects().await?))
}

pub(super) async fn health(State(state): State<super::state::State>) -> Result<Json<Value>, Error> {
    if state.runner.is_stopped() {
        return Err(Error::stopped("Start the service again"));
    }
    state.store.last_event().await?;
    Ok(Json(json!({"status": "ok"})))
}
