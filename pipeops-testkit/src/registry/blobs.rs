//! Blobs and their uploads.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{Response, StatusCode};
use pipeops_core::Digest;

use super::auth::{Action, Wanted};
use super::error::ApiError;
use super::request::{Exchange, Stop};
use crate::serve::{Body, Requested, empty, full, lock, parse_range, set_headers};

pub(super) fn get(
    exchange: &Exchange,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, ApiError> {
    let digest = parse_digest(digest)?;
    let blob = lock(&exchange.shared.store).blob(name, &digest);
    let blob = blob.ok_or_else(|| ApiError::blob_unknown(digest.as_str()))?;
    let range = exchange.header("range");
    let (status, range) = match range.map(|range| parse_range(range, blob.len())) {
        None | Some(Requested::Ignored) => (StatusCode::OK, 0..blob.len()),
        Some(Requested::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Requested::Nothing) => {
            return Err(range_invalid("the range lies behind the blob's end")
                .header(CONTENT_RANGE, format!("bytes */{}", blob.len())));
        }
    };
    let part = blob.slice(range.clone());
    let mut headers = vec![
        (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (CONTENT_LENGTH.as_str(), part.len().to_string()),
        (ACCEPT_RANGES.as_str(), "bytes".to_owned()),
        ("docker-content-digest", digest.to_string()),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.len());
        headers.push((CONTENT_RANGE.as_str(), value));
    }
    let mut response = Response::new(full(part));
    *response.status_mut() = status;
    set_headers(&mut response, &headers);
    Ok(response)
}

pub(super) fn delete(
    exchange: &Exchange,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, ApiError> {
    let digest = parse_digest(digest)?;
    if lock(&exchange.shared.store).delete_blob(name, &digest) {
        Ok(empty(StatusCode::ACCEPTED, &[]))
    } else {
        Err(ApiError::blob_unknown(digest.as_str()))
    }
}

/// Begins an upload; or mounts a blob; or takes a whole blob in one request.
pub(super) async fn start(exchange: &mut Exchange, name: &str) -> Result<Response<Body>, Stop> {
    if let Some(digest) = exchange.query.get("mount").map(parse_digest).transpose()? {
        // A mount that cannot be done becomes an ordinary upload: so the specification says.
        if exchange
            .query
            .get("from")
            .is_some_and(|from| mount(exchange, from, name, &digest))
        {
            return Ok(created(exchange, name, &digest));
        }
    }
    let id = lock(&exchange.shared.store).start_upload(name);
    if exchange.query.get("digest").is_some() {
        return finish(exchange, name, &id).await;
    }
    Ok(accepted(exchange, name, &id, 0))
}

pub(super) fn status(
    exchange: &Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let size = lock(&exchange.shared.store).uploaded(name, id)?;
    let mut response = accepted(exchange, name, id, size);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

pub(super) async fn append(
    exchange: &mut Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, Stop> {
    let size = lock(&exchange.shared.store).uploaded(name, id)?;
    check_start(exchange, size)?;
    receive(exchange, name, id).await?;
    let size = lock(&exchange.shared.store).uploaded(name, id)?;
    Ok(accepted(exchange, name, id, size))
}

pub(super) async fn finish(
    exchange: &mut Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, Stop> {
    let digest = exchange.query.get("digest");
    let digest = digest.ok_or_else(|| ApiError::digest_invalid("the digest parameter is missing"));
    let digest = parse_digest(digest?)?;
    lock(&exchange.shared.store).uploaded(name, id)?;
    receive(exchange, name, id).await?;
    lock(&exchange.shared.store).finish_upload(name, id, &digest)?;
    Ok(created(exchange, name, &digest))
}

pub(super) fn cancel(
    exchange: &Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    lock(&exchange.shared.store).cancel_upload(name, id)?;
    Ok(empty(StatusCode::NO_CONTENT, &[]))
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    text.parse()
        .map_err(|_| ApiError::digest_invalid(format!("not a sha256 digest: {text:?}")))
}

fn mount(exchange: &Exchange, from: &str, to: &str, digest: &Digest) -> bool {
    let pull = Wanted::Repository {
        name: from,
        action: Action::Pull,
    };
    exchange.may(pull) && lock(&exchange.shared.store).mount(from, to, digest)
}

/// Takes the request's body into an upload, piece by piece: a cut leaves what came before it.
async fn receive(exchange: &mut Exchange, name: &str, id: &str) -> Result<(), Stop> {
    let shared = exchange.shared.clone();
    let before = lock(&shared.store).uploaded(name, id)?;
    let limit = shared.max_blob.saturating_sub(before);
    exchange
        .each_piece(limit, |piece| {
            let kept = lock(&shared.store).append(name, id, piece);
            kept.map_err(Stop::from)
        })
        .await
}

/// A piece must begin where the upload ends; a piece without `Content-Range` does.
fn check_start(exchange: &Exchange, size: usize) -> Result<(), ApiError> {
    let Some(range) = exchange.header("content-range") else {
        return Ok(());
    };
    let start = range.trim_start_matches("bytes ").split('-').next();
    if start.and_then(|start| start.parse().ok()) == Some(size) {
        return Ok(());
    }
    let message = format!("the upload has {size} bytes, the piece says {range:?}");
    Err(range_invalid(&message))
}

fn range_invalid(message: &str) -> ApiError {
    ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", message)
}

fn accepted(exchange: &Exchange, name: &str, id: &str, size: usize) -> Response<Body> {
    let location = format!("http://{}/v2/{name}/blobs/uploads/{id}", exchange.host());
    // The last byte's place, which is 0 also for an empty upload: so real registries answer.
    let range = format!("0-{}", size.saturating_sub(1));
    let headers = [
        ("location", location),
        ("range", range),
        ("docker-upload-uuid", id.to_owned()),
    ];
    empty(StatusCode::ACCEPTED, &headers)
}

fn created(exchange: &Exchange, name: &str, digest: &Digest) -> Response<Body> {
    let location = format!("http://{}/v2/{name}/blobs/{digest}", exchange.host());
    let headers = [
        ("location", location),
        ("docker-content-digest", digest.to_string()),
    ];
    empty(StatusCode::CREATED, &headers)
}

impl super::Registry {
    /// Puts a blob into a repository, as a push would.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        lock(&self.shared.store).put_blob(repository, bytes.into())
    }
}
