//! The HTTP side: faults, authentication, and which handler answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT, WARNING, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::request::{Query, Route, Target, route};
use super::shared::{Seen, Shared};
use super::status::{ApiError, ApiResult};
use super::{discovery, objects, watch};
use crate::fault::{Call, Fault};
use crate::serve::{Answer, Body, full, lock, with_fault};

/// As on a real server.
const LARGEST_BODY: usize = 3 << 20;

/// The media type of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// One request, read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) form: Form,
}

/// In which form the client wants the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    OnlyMetadata,
    AggregatedDiscovery,
}

/// What a handler says.
pub(crate) enum Reply {
    Json(StatusCode, Value),
    /// Everything at once; clients know it by its media type.
    Discovery(Value),
    /// A changed object, and the fields that were dropped from the request.
    Written(StatusCode, Value, Vec<String>),
    Text(StatusCode, String),
    /// Lines of JSON.
    Stream(Body),
    TextStream(Body),
}

/// Serves one request.
pub(crate) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let call = call_of(&request);
    let user_agent = header(request.headers(), &USER_AGENT).to_owned();
    shared.remember(Seen {
        call: call.clone(),
        user_agent,
    });
    match shared.faults.next(&call) {
        None => Ok(respond(&shared, request).await),
        // A watch is told in its stream that its version is gone.
        Some(Fault::Gone) if call.operation.starts_with("watch ") => {
            Ok(reply(Reply::Stream(watch::gone())))
        }
        Some(fault) => {
            let answer = async { Ok(respond(&shared, request).await) };
            let refusal = |status: StatusCode| failure(&ApiError::scripted(status.as_u16()));
            with_fault(fault, &shared.switch, answer, refusal).await
        }
    }
}

async fn respond(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let route = route(parts.uri.path());
    let asked = async {
        authenticate(shared, &parts.headers)?;
        let body = read_body(body).await?;
        Ok(Asked {
            method: parts.method,
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            form: form(&parts.headers)?,
            headers: parts.headers,
            body,
        })
    };
    let answer = match asked.await {
        Ok(asked) => answer(shared, route, &asked),
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => reply(answer),
        Err(error) => failure(&error),
    }
}

fn answer(shared: &Arc<Shared>, route: Route, asked: &Asked) -> ApiResult<Reply> {
    if let Route::Objects(target) = &route {
        let verb = objects::verb(target, &asked.method, &asked.query);
        lock(&shared.denials).check(verb, target)?;
        return objects::answer(shared, target, asked);
    }
    if route == Route::AccessReview && asked.method == Method::POST {
        let review = objects::read_json(asked)?;
        let answer = lock(&shared.denials).review(&review);
        return Ok(Reply::Json(StatusCode::CREATED, answer));
    }
    if route == Route::NoResource {
        return Err(ApiError::no_resource());
    }
    if asked.method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let found = match route {
        Route::Version => Some(discovery::version(shared.options.minor_version)),
        Route::Health => return Ok(Reply::Text(StatusCode::OK, "ok".into())),
        Route::Groups { core } if asked.form == Form::AggregatedDiscovery => {
            Some(discovery::aggregated(core))
        }
        Route::Groups { core: true } => {
            let address = shared.address.get().map(ToString::to_string);
            Some(discovery::core_versions(&address.unwrap_or_default()))
        }
        Route::Groups { core: false } => Some(discovery::groups()),
        Route::Group(name) => discovery::group(&name),
        Route::Resources { group, version } => discovery::resources(&group, &version),
        Route::AccessReview | Route::Objects(_) | Route::NoResource | Route::Unknown => None,
    };
    Ok(match found {
        Some(value) if value["kind"] == "APIGroupDiscoveryList" => Reply::Discovery(value),
        Some(value) => Reply::Json(StatusCode::OK, value),
        // A real server answers unknown paths in plain text.
        None => Reply::Text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
    })
}

fn authenticate(shared: &Shared, headers: &HeaderMap) -> ApiResult<()> {
    let Some(token) = &shared.options.token else {
        return Ok(());
    };
    match header(headers, &AUTHORIZATION).strip_prefix("Bearer ") {
        Some(sent) if sent == token => Ok(()),
        _ => Err(ApiError::unauthorized()),
    }
}

async fn read_body(body: Incoming) -> ApiResult<Bytes> {
    let body = Limited::new(body, LARGEST_BODY).collect();
    match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ApiError::too_large())
        }
        Ok(Err(error)) => Err(ApiError::bad_request(error.to_string())),
        Err(_) => Err(ApiError::new(
            408,
            "Timeout",
            "the body did not come in time",
        )),
    }
}

/// The first form that the client takes and the stand-in can make.
fn form(headers: &HeaderMap) -> ApiResult<Form> {
    let accept = header(headers, &ACCEPT);
    if accept.is_empty() {
        return Ok(Form::Plain);
    }
    let known = accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let wanted = parts.find_map(|part| part.strip_prefix("as="));
        match wanted {
            None => Some(Form::Plain),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Form::OnlyMetadata),
            Some("APIGroupDiscoveryList")
                if range.contains("v=v2") && !range.contains("v2beta1") =>
            {
                Some(Form::AggregatedDiscovery)
            }
            Some(_) => None,
        }
    });
    known.ok_or_else(ApiError::not_acceptable)
}

fn reply(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Json(status, value) => json_reply(status, &value),
        Reply::Written(status, value, unknown) => {
            let mut answer = json_reply(status, &value);
            warn(&mut answer, &unknown);
            answer
        }
        Reply::Discovery(value) => with_type(StatusCode::OK, AGGREGATED, full(value.to_string())),
        Reply::Text(status, text) => text_reply(status, text),
        Reply::Stream(body) => with_type(StatusCode::OK, "application/json", body),
        Reply::TextStream(body) => with_type(StatusCode::OK, "text/plain; charset=utf-8", body),
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

fn with_type(status: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let media = http::HeaderValue::from_static(media);
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

fn call_of(request: &Request<Incoming>) -> Call {
    let uri = request.uri();
    let query = Query::parse(uri.query().unwrap_or_default());
    let operation = match route(uri.path()) {
        Route::Version => "version".to_owned(),
        Route::Health => "health".to_owned(),
        Route::Groups { .. } | Route::Group(_) | Route::Resources { .. } => "discover".to_owned(),
        Route::AccessReview => "review access".to_owned(),
        Route::NoResource | Route::Unknown => "unknown".to_owned(),
        Route::Objects(target) => {
            let media = header(request.headers(), &CONTENT_TYPE);
            operation(&target, request.method(), &query, media)
        }
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Call::new(request.method().as_str(), path, operation)
}

/// `list pods`, `apply deployments`, `update deployments/status`.
fn operation(target: &Target, method: &Method, query: &Query, media: &str) -> String {
    let verb = objects::verb(target, method, query);
    let verb = if verb == "patch" && media.starts_with("application/apply-patch") {
        "apply"
    } else {
        verb
    };
    let plural = target.resource.plural;
    if target.subresource.is_empty() {
        format!("{verb} {plural}")
    } else {
        format!("{verb} {plural}/{}", target.subresource)
    }
}

/// A header as text; empty when it is missing.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
