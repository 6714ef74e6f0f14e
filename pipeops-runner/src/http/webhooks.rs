//! `POST /webhooks/{project}`

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use pipeops_core::Diagnosis;
use pipeops_core::diagnosis::codes;

use super::answer::Error;
use crate::controller::Reply;

pub(super) async fn receive(
    State(state): State<super::state::State>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    if state.runner.is_stopped() {
        let fix = "Send the webhook again once the service runs again";
        return Err(Error::stopped(fix));
    }
    let limit = state.options.body_limit;
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()) > Some(limit as u64) {
        return Err(too_large(limit));
    }
    let body = tokio::time::timeout(state.options.body_timeout, read(body, limit))
        .await
        .map_err(|_| slow())??;
    let reply = state.controller.webhook(&project, &headers, &body).await;
    let reply = reply.map_err(|error| Error::refused(error, &state.commands))?;
    let status = match reply {
        Reply::Queued { .. } => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    Ok((status, Json(reply)).into_response())
}

/// Reads a body that may be longer than announced.
async fn read(body: Body, limit: usize) -> Result<Bytes, Error> {
    let mut chunks = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(|_| cut())? {
        if all.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn too_large(limit: usize) -> Error {
    let diagnosis = Diagnosis::new(&codes::webhook::BODY_TOO_LARGE)
        .error(format!("the body is larger than {limit} bytes"))
        .reason("the push contains too many commits or files");
    Error::new(StatusCode::PAYLOAD_TOO_LARGE, diagnosis)
}

fn slow() -> Error {
    let diagnosis =
        Diagnosis::new(&codes::webhook::BODY_TIMEOUT).error("the body did not arrive in time");
    Error::new(StatusCode::REQUEST_TIMEOUT, diagnosis)
}

fn cut() -> Error {
    let diagnosis = Diagnosis::new(&codes::webhook::BODY_CUT).error("the body ended early");
    Error::new(StatusCode::BAD_REQUEST, diagnosis)
}
