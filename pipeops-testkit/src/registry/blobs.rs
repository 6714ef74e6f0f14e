//! Blobs and their uploads.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};
use pipeops_core::Digest;

use super::auth::{Action, Wanted};
use super::error::ApiError;
use super::request::{Exchange, Stop};
use crate::serve::{Body, empty, full, lock, set_headers};

/// The largest blob, in bytes: all of them are held in memory.
const MAX_BLOB: usize = 256 << 20;

pub(super) fn get(
    exchange: &Exchange,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, ApiError> {
    let digest = parse_digest(digest)?;
    let blob = lock(&exchange.shared.store).blob(name, &digest);
    let blob = blob.ok_or_else(|| ApiError::blob_unknown(digest.as_str()))?;
    let headers = [
        (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (CONTENT_LENGTH.as_str(), blob.len().to_string()),
        ("docker-content-digest", digest.to_string()),
    ];
    let mut response = Response::new(full(blob));
    set_headers(&mut response, &headers);
    Ok(response)
}

/// Begins an upload, or mounts a blob.
pub(super) fn start(exchange: &Exchange, name: &str) -> Result<Response<Body>, ApiError> {
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
    let location = format!("http://{}/v2/{name}/blobs/uploads/{id}", exchange.host());
    let headers = [("location", location), ("docker-upload-uuid", id)];
    Ok(empty(StatusCode::ACCEPTED, &headers))
}

pub(super) async fn finish(
    exchange: &mut Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, Stop> {
    let digest = exchange.query.get("digest");
    let digest = digest.ok_or_else(|| ApiError::digest_invalid("the digest parameter is missing"));
    let digest = parse_digest(digest?)?;
    exchange.read(MAX_BLOB).await?;
    let data = exchange.body.clone();
    lock(&exchange.shared.store).finish_upload(name, id, &digest, data)?;
    Ok(created(exchange, name, &digest))
}

pub(super) fn cancel(
    exchange: &Exchange,
    name: &str,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    lock(&exchange.shared.store).end_upload(name, id)?;
    Ok(empty(StatusCode::NO_CONTENT, &[]))
}

fn parse_digest(text: &str) -> Result<Digest, ApiError> {
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

fn created(exchange: &Exchange, name: &str, digest: &Digest) -> Response<Body> {
    let location = format!("http://{}/v2/{name}/blobs/{digest}", exchange.host());
    let headers = [
        ("location", location),
        ("docker-content-digest", digest.to_string()),
    ];
    empty(StatusCode::CREATED, &headers)
}
