//! Routes HTTP requests to their handlers.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use pipeops_core::ImageRef;

use super::auth::{Action, Challenge, Wanted};
use super::error::ApiError;
use super::request::{Exchange, JSON, Stop};
use super::{Shared, blobs, manifests, token};
use crate::fault::Fault;
use crate::serve::{Answer, Body, Cut, Service, full, set_headers, with_type};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Base,
    Token,
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
            (Self::Tags(_), _) => "tags.list",
            (Self::Uploads(_), _) => "upload.start",
            (Self::Upload(..), "PUT") => "upload.finish",
            (Self::Upload(..), "DELETE") => "upload.cancel",
            (Self::Upload(..), _) => "unknown",
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
            Self::Tags(name) | Self::Blob(name, _) | Self::Manifest(name, _) => {
                repository(name, true)
            }
            Self::Uploads(name) | Self::Upload(name, _) => repository(name, false),
            Self::Base | Self::Token | Self::Unknown => Wanted::Login,
        }
    }
}

impl Service for Shared {
    const CUTS_REQUESTS: bool = true;

    async fn operation(exchange: &mut Exchange) -> String {
        let operation = Route::parse(&exchange.path).operation(&exchange.parts.method);
        operation.to_owned()
    }

    async fn answer(exchange: &mut Exchange) -> Answer {
        let mut response = match route(exchange).await {
            Ok(response) => response,
            Err(Stop::Refused(error)) => error.into_response(),
            Err(Stop::Cut) => return Err(Cut),
        };
        let version = ("docker-distribution-api-version", "registry/2.0".to_owned());
        set_headers(&mut response, &[version]);
        if exchange.parts.method == Method::HEAD {
            // The length was set by the handler; HTTP allows no body here.
            *response.body_mut() = full(Bytes::new());
        }
        Ok(response)
    }

    fn refusal(exchange: &Exchange, status: StatusCode, fault: &Fault) -> Response<Body> {
        if status != StatusCode::UNAUTHORIZED {
            return refusal(status, matches!(fault, Fault::Expired { .. }));
        }
        let wanted = Route::parse(&exchange.path).wanted(&exchange.parts.method);
        let gate = &exchange.shared.gate;
        let challenge = Challenge {
            mount_from: None,
            ..exchange.challenge()
        };
        gate.expired(wanted, challenge).into_response()
    }
}

async fn route(exchange: &mut Exchange) -> Result<Response<Body>, Stop> {
    let method = exchange.parts.method.clone();
    let path = exchange.path.clone();
    let route = Route::parse(&path);
    if route == Route::Token {
        return token::serve(exchange).await;
    }
    let wanted = route.wanted(&method);
    if let Wanted::Repository { name, .. } = wanted {
        check_name(name)?;
    }
    let gate = &exchange.shared.gate;
    exchange.user = gate.check(&exchange.parts.headers, wanted, exchange.challenge())?;
    match (route, method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(with_type(StatusCode::OK, JSON, full("{}"))),
        (Route::Tags(name), "GET") => Ok(manifests::tags(exchange, name)?),
        (Route::Uploads(name), "POST") => Ok(blobs::start(exchange, name)?),
        (Route::Upload(name, id), "PUT") => blobs::finish(exchange, name, id).await,
        (Route::Upload(name, id), "DELETE") => Ok(blobs::cancel(exchange, name, id)?),
        (Route::Blob(name, digest), "GET" | "HEAD") => Ok(blobs::get(exchange, name, digest)?),
        (Route::Manifest(name, reference), "GET" | "HEAD") => {
            Ok(manifests::get(exchange, name, reference)?)
        }
        (Route::Manifest(name, reference), "PUT") => {
            manifests::put(exchange, name, reference).await
        }
        (Route::Manifest(name, reference), "DELETE") => {
            Ok(manifests::delete(exchange, name, reference)?)
        }
        (Route::Unknown, _) => {
            let message = format!("stand-in: {path} is not implemented");
            Err(ApiError::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message).into())
        }
        _ => Err(
            ApiError::unsupported(format!("stand-in: {method} {path} is not implemented")).into(),
        ),
    }
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
