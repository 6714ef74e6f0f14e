//! From an HTTP request to the handler of its operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use pipeops_core::ImageRef;

use super::auth::{Action, Challenge, Wanted};
use super::error::ApiError;
use super::{Shared, blobs, manifests, token};
use crate::fault::{Call, Fault};
use crate::seen::SeenRequest;
use crate::serve::{Answer, Body, Cut, full, parse_query, with_fault};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Base,
    Token,
    Catalog,
    Tags(&'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Manifest(&'a str, &'a str),
    Unknown,
}

impl<'a> Route<'a> {
    /// Names of repositories hold slashes, so a path is read from its end.
    fn parse(path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return if path == "/token" {
                Self::Token
            } else {
                Self::Unknown
            };
        };
        let rest = match rest {
            "" | "/" => return Self::Base,
            "/_catalog" => return Self::Catalog,
            other => other.strip_prefix('/').unwrap_or(other),
        };
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Self::Tags(name);
        }
        if let Some(name) = rest.trim_end_matches('/').strip_suffix("/blobs/uploads") {
            return Self::Uploads(name);
        }
        let Some((head, last)) = rest.rsplit_once('/') else {
            return Self::Unknown;
        };
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            Self::Upload(name, last)
        } else if let Some(name) = head.strip_suffix("/blobs") {
            Self::Blob(name, last)
        } else if let Some(name) = head.strip_suffix("/manifests") {
            Self::Manifest(name, last)
        } else {
            Self::Unknown
        }
    }

    /// The word for fault rules and the log.
    fn operation(self, method: &Method) -> &'static str {
        match (self, method.as_str()) {
            (Self::Base, _) => "ping",
            (Self::Token, _) => "token",
            (Self::Catalog, _) => "catalog",
            (Self::Tags(_), _) => "tags.list",
            (Self::Uploads(_), _) => "upload.start",
            (Self::Upload(..), "PATCH") => "upload.append",
            (Self::Upload(..), "PUT") => "upload.finish",
            (Self::Upload(..), "DELETE") => "upload.cancel",
            (Self::Upload(..), _) => "upload.status",
            (Self::Blob(..), "DELETE") => "blob.delete",
            (Self::Blob(..), _) => "blob.get",
            (Self::Manifest(..), "PUT") => "manifest.put",
            (Self::Manifest(..), "DELETE") => "manifest.delete",
            (Self::Manifest(..), _) => "manifest.get",
            (Self::Unknown, _) => "unknown",
        }
    }

    fn wanted(self, method: &Method) -> Wanted<'a> {
        let repository = |name, read| {
            let action = match *method {
                Method::GET | Method::HEAD if read => Action::Pull,
                Method::DELETE if read => Action::Delete,
                _ => Action::Push,
            };
            Wanted::Repository { name, action }
        };
        match self {
            Self::Catalog => Wanted::Catalog,
            Self::Tags(name) | Self::Blob(name, _) | Self::Manifest(name, _) => {
                repository(name, true)
            }
            Self::Uploads(name) | Self::Upload(name, _) => repository(name, false),
            Self::Base | Self::Token | Self::Unknown => Wanted::Login,
        }
    }
}

/// One request on its way through a handler.
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) parts: Parts,
    pub(super) host: String,
    pub(super) query: BTreeMap<String, String>,
    body: Option<Incoming>,
    /// The connection ends after this many bytes of the request's body.
    cut_after: Option<usize>,
}

/// A refusal or the end of the connection.
pub(super) enum Stop {
    Refused(ApiError),
    Cut,
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl Exchange {
    /// The request's body, in pieces as they arrive; at most `limit` bytes in all.
    pub(super) async fn each_piece(
        &mut self,
        limit: usize,
        mut take: impl FnMut(&Bytes) -> Result<(), ApiError>,
    ) -> Result<(), Stop> {
        let Some(mut body) = self.body.take() else {
            return Ok(());
        };
        let mut taken = 0;
        // A client that goes away ends the stream with an error: what arrived so far stays, as in a real registry.
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            if let Some(cut) = self.cut_after.filter(|cut| taken + piece.len() >= *cut) {
                take(&piece.slice(..cut - taken))?;
                return Err(Stop::Cut);
            }
            taken += piece.len();
            if taken > limit {
                return Err(ApiError::too_large(limit).into());
            }
            take(&piece)?;
        }
        // A body shorter than the cut is cut at its end.
        match self.cut_after {
            Some(_) => Err(Stop::Cut),
            None => Ok(()),
        }
    }

    /// The whole body of the request.
    pub(super) async fn whole_body(&mut self, limit: usize) -> Result<Bytes, Stop> {
        let mut whole = Vec::new();
        self.each_piece(limit, |piece| {
            whole.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        Ok(whole.into())
    }

    pub(super) fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }

    fn challenge(&self) -> Challenge<'_> {
        Challenge {
            host: &self.host,
            mount_from: self.query("mount").and_then(|_| self.query("from")),
        }
    }

    /// Whether the same client may also do this, for instance pull from the repository that it mounts from.
    pub(super) fn may(&self, wanted: Wanted<'_>) -> bool {
        let gate = &self.shared.gate;
        gate.check(&self.parts.headers, wanted, self.challenge())
            .is_ok()
    }
}

/// Answers one request.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri_path = parts.uri.path().to_owned();
    let route = Route::parse(&uri_path);
    let (operation, wanted) = (route.operation(&parts.method), route.wanted(&parts.method));
    let host = host(&parts);
    let mut seen = SeenRequest {
        method: parts.method.to_string(),
        path: path.to_owned(),
        operation,
        user: None,
        status: None,
    };
    let mut fault = shared.faults.next(&Call::new(
        seen.method.clone(),
        seen.path.clone(),
        operation,
    ));
    let carries_body = matches!(parts.method, Method::POST | Method::PATCH | Method::PUT);
    let cut_after = match fault {
        Some(Fault::Cut { after_bytes }) if carries_body => {
            fault = None;
            Some(after_bytes)
        }
        _ => None,
    };
    let exchange = Exchange {
        host: host.clone(),
        query: parse_query(parts.uri.query().unwrap_or_default()),
        shared: shared.clone(),
        parts,
        body: Some(body),
        cut_after,
    };
    let answer = respond(exchange, &mut seen.user);
    let answer = match fault {
        None => answer.await,
        Some(fault) => {
            let expired = matches!(fault, Fault::Expired { .. });
            let challenge = Challenge {
                host: &host,
                mount_from: None,
            };
            let refusal = |status| match status {
                StatusCode::UNAUTHORIZED => shared.gate.expired(wanted, challenge).into_response(),
                other => refusal(other, expired),
            };
            with_fault(fault, &shared.switch, answer, refusal).await
        }
    };
    seen.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    shared.seen.push(seen);
    answer
}

async fn respond(exchange: Exchange, user: &mut Option<String>) -> Answer {
    let head = exchange.parts.method == Method::HEAD;
    let mut response = match route(exchange, user).await {
        Ok(response) => response,
        Err(Stop::Refused(error)) => error.into_response(),
        Err(Stop::Cut) => return Err(Cut),
    };
    let version = HeaderValue::from_static("registry/2.0");
    response
        .headers_mut()
        .insert("docker-distribution-api-version", version);
    if head {
        // The length was set by the handler; HTTP allows no body here.
        *response.body_mut() = full(Bytes::new());
    }
    Ok(response)
}

async fn route(mut exchange: Exchange, user: &mut Option<String>) -> Result<Response<Body>, Stop> {
    let method = exchange.parts.method.clone();
    let path = exchange.parts.uri.path().to_owned();
    let route = Route::parse(&path);
    if route == Route::Token {
        return token::serve(&mut exchange).await;
    }
    let wanted = route.wanted(&method);
    if let Wanted::Repository { name, .. } = wanted {
        check_name(name)?;
    }
    let gate = &exchange.shared.gate;
    *user = gate.check(&exchange.parts.headers, wanted, exchange.challenge())?;
    match (route, method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(json(StatusCode::OK, "{}")),
        (Route::Catalog, "GET") => Ok(manifests::catalog(&exchange)),
        (Route::Tags(name), "GET") => Ok(manifests::tags(&exchange, name)?),
        (Route::Uploads(name), "POST") => blobs::start(&mut exchange, name).await,
        (Route::Upload(name, id), "GET" | "HEAD") => Ok(blobs::status(&exchange, name, id)?),
        (Route::Upload(name, id), "PATCH") => blobs::append(&mut exchange, name, id).await,
        (Route::Upload(name, id), "PUT") => blobs::finish(&mut exchange, name, id).await,
        (Route::Upload(name, id), "DELETE") => Ok(blobs::cancel(&exchange, name, id)?),
        (Route::Blob(name, digest), "GET" | "HEAD") => Ok(blobs::get(&exchange, name, digest)?),
        (Route::Blob(name, digest), "DELETE") => Ok(blobs::delete(&exchange, name, digest)?),
        (Route::Manifest(name, reference), "GET" | "HEAD") => {
            Ok(manifests::get(&exchange, name, reference)?)
        }
        (Route::Manifest(name, reference), "PUT") => {
            manifests::put(&mut exchange, name, reference).await
        }
        (Route::Manifest(name, reference), "DELETE") => {
            Ok(manifests::delete(&exchange, name, reference)?)
        }
        (Route::Unknown, _) => {
            let message = format!("this stand-in serves nothing at {path}");
            Err(ApiError::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message).into())
        }
        _ => Err(ApiError::unsupported(format!("{method} is not served at {path}")).into()),
    }
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

/// An answer without body and with these headers; a value that no header can hold is left out.
pub(super) fn empty(status: StatusCode, headers: &[(&'static str, String)]) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    set_headers(response.headers_mut(), headers);
    response
}

pub(super) fn set_headers(map: &mut HeaderMap, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            map.insert(*name, value);
        }
    }
}

/// The host that the client used: what it gets back in `Location` must lead it here again.
fn host(parts: &Parts) -> String {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    header.or(authority).unwrap_or_default().to_owned()
}

/// The grammar of names is that of images.
fn check_name(name: &str) -> Result<(), ApiError> {
    let image = format!("host.invalid/{name}").parse::<ImageRef>();
    if image.is_ok_and(|image| image.repository() == name) {
        return Ok(());
    }
    let message = format!("invalid repository name: {name:?}");
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        "NAME_INVALID",
        message,
    ))
}

/// The registry's own error of a status that a fault asks for.
fn refusal(status: StatusCode, expired: bool) -> Response<Body> {
    let error = match status {
        StatusCode::FORBIDDEN if expired => ApiError::new(
            status,
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
        ),
        StatusCode::FORBIDDEN => ApiError::new(
            status,
            "DENIED",
            "requested access to the resource is denied",
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            ApiError::new(status, "TOOMANYREQUESTS", "too many requests")
        }
        other => ApiError::new(
            other,
            "UNKNOWN",
            other.canonical_reason().unwrap_or("scripted fault"),
        ),
    };
    error.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        for (path, route) in [
            ("/v2/", Route::Base),
            (
                "/v2/a/b/blobs/blobs/sha256:1",
                Route::Blob("a/b/blobs", "sha256:1"),
            ),
            ("/v2/a/blobs/uploads/", Route::Uploads("a")),
            ("/v2/a/blobs/uploads/17", Route::Upload("a", "17")),
            (
                "/v2/manifests/manifests/1",
                Route::Manifest("manifests", "1"),
            ),
            ("/v2/a/tags/list", Route::Tags("a")),
            ("/v2/a/referrers/sha256:1", Route::Unknown),
            ("/v1/", Route::Unknown),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }

    #[test]
    fn names_follow_the_grammar() {
        assert!(check_name("team/app").is_ok());
        for name in ["", "Team", "a//b", "../etc", "a:1"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
