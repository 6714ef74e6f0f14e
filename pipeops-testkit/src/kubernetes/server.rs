//! The HTTP side: faults, authentication, and which handler answers.

use std::time::Duration;

use http::header::{WARNING, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use serde_json::Value;

use super::asked::{Asked, Reply};
use super::request::{Route, route};
use super::shared::Shared;
use super::status::{ApiError, ApiResult};
use super::{discovery, objects, watch};
use crate::fault::Fault;
use crate::serve::{Answer, Body, BodyError, Service, full, lock, with_type};

/// As on a real server.
const LARGEST_BODY: usize = 3 << 20;

/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(60);

impl Service for Shared {
    async fn operation(exchange: &mut Asked) -> String {
        operation(exchange)
    }

    async fn answer(exchange: &mut Asked) -> Answer {
        let answer = match prepare(exchange).await {
            Ok(()) => answer(exchange),
            Err(error) => Err(error),
        };
        Ok(match answer {
            Ok(answer) => reply(answer),
            Err(error) => failure(&error),
        })
    }

    fn refusal(exchange: &Asked, status: StatusCode, fault: &Fault) -> Response<Body> {
        match fault {
            // A watch is told in its stream that its version is gone.
            Fault::Gone if exchange.operation.starts_with("watch ") => {
                reply(Reply::Stream(watch::gone()))
            }
            _ => failure(&ApiError::scripted(status.as_u16())),
        }
    }
}

/// Reads the body.
async fn prepare(asked: &mut Asked) -> ApiResult<()> {
    match tokio::time::timeout(BODY_TIME, asked.read(LARGEST_BODY)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(BodyError::TooLarge)) => Err(ApiError::too_large()),
        Ok(Err(error)) => Err(ApiError::bad_request(format!("{error:?}"))),
        Err(_) => Err(ApiError::new(408, "Timeout", "timed out reading the body")),
    }
}

fn answer(asked: &Asked) -> ApiResult<Reply> {
    let shared = &asked.shared;
    asked.form()?;
    let route = route(asked.parts.uri.path());
    let method = &asked.parts.method;
    if let Route::Objects(target) = &route {
        let verb = objects::verb(target, method, &asked.query);
        lock(&shared.denials).check(verb, target)?;
        return objects::answer(target, asked);
    }
    if route == Route::NoResource {
        return Err(ApiError::no_resource());
    }
    if method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let found = match route {
        Route::Health => return Ok(Reply::Text(StatusCode::OK, "ok".into())),
        Route::Groups { core: true } => Some(discovery::core_versions()),
        Route::Groups { core: false } => Some(discovery::groups()),
        Route::Resources { group, version } => discovery::resources(&group, &version),
        Route::Objects(_) | Route::NoResource | Route::Unknown => None,
    };
    Ok(match found {
        Some(value) => Reply::Json(StatusCode::OK, value),
        // A real server answers unknown paths in plain text.
        None => Reply::Text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
    })
}

fn reply(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Json(status, value) => json_reply(status, &value),
        Reply::Written(status, value, unknown) => {
            let mut answer = json_reply(status, &value);
            warn(&mut answer, &unknown);
            answer
        }
        Reply::Text(status, text) => text_reply(status, text),
        Reply::Stream(body) => with_type(StatusCode::OK, "application/json", body),
    }
}

/// Warns of fields that were dropped.
fn warn(answer: &mut Response<Body>, unknown: &[String]) {
    for field in unknown {
        let text = format!("299 - \"unknown field \\\"{field}\\\"\"");
        if let Ok(value) = http::HeaderValue::try_from(text) {
            answer.headers_mut().append(WARNING, value);
        }
    }
}

fn failure(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_reply(status, &error.to_json());
    warn(&mut answer, &error.unknown);
    if status == StatusCode::UNAUTHORIZED {
        let realm = http::HeaderValue::from_static("Bearer realm=\"pipeops-testkit\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    }
    answer
}

fn json_reply(status: StatusCode, value: &Value) -> Response<Body> {
    let mut text = value.to_string();
    text.push('\n');
    with_type(status, "application/json", full(text))
}

fn text_reply(status: StatusCode, text: String) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", full(text))
}

/// `list pods`, `apply deployments`, `update deployments/status`.
fn operation(asked: &Asked) -> String {
    let target = match route(asked.parts.uri.path()) {
        Route::Health => return "health".to_owned(),
        Route::Groups { .. } | Route::Resources { .. } => return "discover".to_owned(),
        Route::NoResource | Route::Unknown => return "unknown".to_owned(),
        Route::Objects(target) => target,
    };
    let verb = objects::verb(&target, &asked.parts.method, &asked.query);
    let verb = match asked.media() {
        "application/apply-patch+yaml" if verb == "patch" => "apply",
        _ => verb,
    };
    let plural = target.resource.plural;
    if target.subresource.is_empty() {
        format!("{verb} {plural}")
    } else {
        format!("{verb} {plural}/{}", target.subresource)
    }
}
