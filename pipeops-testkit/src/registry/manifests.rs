//! Manifests and tags.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};
use pipeops_core::{Digest, ImageRef};
use serde_json::{Value, json};

use super::error::ApiError;
use super::request::{Exchange, JSON, Stop};
use super::{Manifest, Refused, Registry};
use crate::oci::{digest_of, media_type};
use crate::serve::{Body, empty, full, lock, set_headers, with_type};

/// The largest manifest: 4 MiB, as the specification recommends.
const MANIFEST_LIMIT: usize = 4 << 20;

/// The manifests that this registry understands.
const KNOWN: [&str; 4] = [
    media_type::MANIFEST,
    media_type::INDEX,
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_INDEX,
];

pub(super) fn get(
    exchange: &Exchange,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, ApiError> {
    let manifest = lock(&exchange.shared.store)
        .manifest(name, reference)
        .cloned()
        .ok_or_else(|| ApiError::manifest_unknown(reference))?;
    if !accepts(exchange, &manifest.media_type) {
        let message = format!(
            "manifest found, but the accept header does not support {}",
            manifest.media_type
        );
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            message,
        ));
    }
    let headers = [
        (CONTENT_TYPE.as_str(), manifest.media_type),
        (CONTENT_LENGTH.as_str(), manifest.bytes.len().to_string()),
        ("docker-content-digest", manifest.digest.to_string()),
    ];
    let mut response = Response::new(full(manifest.bytes));
    set_headers(&mut response, &headers);
    Ok(response)
}

pub(super) async fn put(
    exchange: &mut Exchange,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, Stop> {
    exchange.read(MANIFEST_LIMIT).await?;
    let content_type = exchange.header("content-type");
    let bytes = exchange.body.clone();
    let digest = keep(&exchange.shared, name, reference, content_type, bytes)?;
    let location = format!("http://{}/v2/{name}/manifests/{digest}", exchange.host());
    let headers = [
        ("location", location),
        ("docker-content-digest", digest.to_string()),
    ];
    Ok(empty(StatusCode::CREATED, &headers))
}

pub(super) fn delete(
    exchange: &Exchange,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, ApiError> {
    if lock(&exchange.shared.store).delete_manifest(name, reference) {
        Ok(empty(StatusCode::ACCEPTED, &[]))
    } else {
        Err(ApiError::manifest_unknown(reference))
    }
}

pub(super) fn tags(exchange: &Exchange, name: &str) -> Result<Response<Body>, ApiError> {
    let store = lock(&exchange.shared.store);
    let tags = store
        .tags(name)
        .ok_or_else(|| ApiError::name_unknown(name))?;
    let (page, link) = page(exchange, tags);
    let body = json!({"name": name, "tags": page}).to_string();
    let mut response = with_type(StatusCode::OK, JSON, full(body));
    if let Some(link) = link {
        set_headers(&mut response, &[("link", link)]);
    }
    Ok(response)
}

impl Registry {
    /// Stores a manifest, as a push does. `reference` is a tag or the manifest's digest. Logins and faults don't apply.
    ///
    /// # Errors
    /// As for a push: unknown blobs, another digest, an invalid tag, an unknown media type.
    pub fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Digest, Refused> {
        let bytes = bytes.into();
        keep(&self.shared, repository, reference, Some(media_type), bytes).map_err(Refused::from)
    }
}

fn keep(
    shared: &super::Shared,
    name: &str,
    reference: &str,
    content_type: Option<&str>,
    bytes: Bytes,
) -> Result<Digest, ApiError> {
    let manifest = Manifest {
        digest: digest_of(&bytes),
        media_type: media_type_of(content_type, &bytes)?,
        bytes,
    };
    let digest = manifest.digest.clone();
    let tag = match reference.parse::<Digest>() {
        Ok(promised) if promised == digest => None,
        Ok(promised) => {
            return Err(ApiError::digest_invalid(format!(
                "provided digest {promised} did not match uploaded content {digest}"
            )));
        }
        Err(_) => Some(check_tag(reference)?),
    };
    lock(&shared.store).put_manifest(name, tag, manifest)?;
    Ok(digest)
}

/// The type in the header and the one in the manifest must agree where both are there.
fn media_type_of(content_type: Option<&str>, bytes: &[u8]) -> Result<String, ApiError> {
    let json: Value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::manifest_invalid(format!("not JSON: {error}")))?;
    let inside = json["mediaType"].as_str();
    let header = content_type.map(|value| value.split(';').next().unwrap_or(value).trim());
    let media_type = match (header, inside) {
        (Some(header), Some(inside)) if header != inside => {
            let message = format!("Content-Type is {header}, mediaType is {inside}");
            return Err(ApiError::manifest_invalid(message));
        }
        (Some(media_type), _) | (None, Some(media_type)) => media_type,
        (None, None) => return Err(ApiError::manifest_invalid("the media type is missing")),
    };
    if KNOWN.contains(&media_type) {
        Ok(media_type.to_owned())
    } else {
        let message = format!("stand-in: a manifest of type {media_type} is not implemented");
        Err(ApiError::manifest_invalid(message))
    }
}

fn check_tag(tag: &str) -> Result<&str, ApiError> {
    let image = format!("host.invalid/x:{tag}").parse::<ImageRef>();
    if image.is_ok_and(|image| image.tag() == Some(tag) && image.digest().is_none()) {
        return Ok(tag);
    }
    let message = format!("invalid tag: {tag:?}");
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        "TAG_INVALID",
        message,
    ))
}

/// A client that names media types must name this one.
fn accepts(exchange: &Exchange, media_type: &str) -> bool {
    let values = exchange.parts.headers.get_all(ACCEPT);
    let mut named = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.split(';').next().unwrap_or(value).trim())
        .peekable();
    named.peek().is_none() || named.any(|name| name == "*/*" || name == media_type)
}

/// One page of a sorted list (`n`, `last`), and the path of the next one.
fn page<'a>(
    exchange: &Exchange,
    all: impl Iterator<Item = &'a String>,
) -> (Vec<&'a String>, Option<String>) {
    let last = exchange.query.get("last").unwrap_or_default();
    let size = exchange.query.get("n").and_then(|n| n.parse().ok());
    let size = size.unwrap_or(usize::MAX);
    let mut rest = all.filter(|name| name.as_str() > last);
    let page: Vec<&String> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more);
    let path = exchange.parts.uri.path();
    let link = next.map(|last| format!("<{path}?last={last}&n={size}>; rel=\"next\""));
    (page, link)
}
