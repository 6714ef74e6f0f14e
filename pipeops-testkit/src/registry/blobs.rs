//! Blobs and their uploads.

use std::ops::Range;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{Response, StatusCode};
use pipeops_core::Digest;

use super::api::{Exchange, Stop, empty, set_headers};
use super::auth::{Action, Wanted};
use super::error::ApiError;
use crate::serve::{Body, full, lock};

pub(super) fn get(
    exchange: &Exchange,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, ApiError> {
    let digest = parse_digest(digest)?;
    let blob = lock(&exchange.shared.store).blob(name, &digest);
    let blob = blob.ok_or_else(|| ApiError::blob_unknown(digest.as_str()))?;
    let range = exchange.parts.headers.get(RANGE);
    let range = range.and_then(|range| range.to_str().ok());
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
    set_headers(response.headers_mut(), &headers);
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
    if let Some(digest) = exchange.query("mount").map(parse_digest).transpose()? {
        // A mount that cannot be done becomes an ordinary upload: so the specification says.
        if exchange
            .query("from")
            .is_some_and(|from| mount(exchange, from, name, &digest))
        {
            return Ok(created(exchange, name, &digest));
        }
    }
    let id = lock(&exchange.shared.store).start_upload(name);
    if exchange.query("digest").is_some() {
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
    let digest = exchange.query("digest");
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
        .each_piece(limit, |piece| lock(&shared.store).append(name, id, piece))
        .await
}

/// A piece must begin where the upload ends; a piece without `Content-Range` does.
fn check_start(exchange: &Exchange, size: usize) -> Result<(), ApiError> {
    let range = exchange.parts.headers.get(CONTENT_RANGE);
    let Some(range) = range.and_then(|range| range.to_str().ok()) else {
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

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Requested {
    /// A form that a server may ignore: several ranges, another unit.
    Ignored,
    Part(Range<usize>),
    /// Nothing that there is.
    Nothing,
}

/// `bytes=5-9`, `bytes=5-`, `bytes=-5`.
fn parse_range(header: &str, len: usize) -> Requested {
    let Some((first, last)) = header
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Requested::Ignored;
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Ok(first), Err(_)) if last.is_empty() => first..len,
        (Err(_), Ok(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Requested::Ignored,
    };
    if range.is_empty() {
        Requested::Nothing
    } else {
        Requested::Part(range)
    }
}

fn accepted(exchange: &Exchange, name: &str, id: &str, size: usize) -> Response<Body> {
    let location = format!("http://{}/v2/{name}/blobs/uploads/{id}", exchange.host);
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
    let location = format!("http://{}/v2/{name}/blobs/{digest}", exchange.host);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-3", Requested::Part(0..4)),
            ("bytes=8-99", Requested::Part(8..10)),
            ("bytes=4-", Requested::Part(4..10)),
            ("bytes=-3", Requested::Part(7..10)),
            ("bytes=10-", Requested::Nothing),
            ("bytes=-0", Requested::Nothing),
            ("bytes=3-1", Requested::Ignored),
            ("bytes=0-1,3-4", Requested::Ignored),
            ("lines=1-2", Requested::Ignored),
        ] {
            assert_eq!(parse_range(header, 10), expected, "{header}");
        }
    }
}
