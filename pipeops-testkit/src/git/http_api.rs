//! Smart HTTP: which repository, who asks, and what for.
//!
//! See [http-protocol](https://git-scm.com/docs/http-protocol).

use std::io::Read;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::Shared;
use super::pktline::{self, Writer};
use super::repo::RepoState;
use super::upload_pack::{self, Refusal};
use crate::fault::Call;
use crate::seen::SeenRequest;
use crate::serve::{Answer, Body, full, lock, parse_query, with_fault};

/// The largest request that is read, packed or not: a list of wants and haves.
const REQUEST_LIMIT: usize = 4 << 20;

/// Answers one request.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = read(&parts, body).await;
    let ask = Ask::new(&parts, body.as_deref().unwrap_or_default());
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut seen = SeenRequest {
        method: parts.method.to_string(),
        path: path.to_owned(),
        operation: ask.operation(),
        user: None,
        status: None,
    };
    let call = Call::new(seen.method.clone(), path, seen.operation);
    let fault = shared.faults.next(&call);
    let answer = async {
        Ok(match &body {
            Ok(body) => respond(&shared, &parts, &ask, body, &mut seen.user),
            Err(refusal) => plain(StatusCode::BAD_REQUEST, &refusal.0),
        })
    };
    let answer = match fault {
        None => answer.await,
        Some(fault) => with_fault(fault, &shared.switch, answer, refusal).await,
    };
    seen.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    shared.seen.push(seen);
    answer
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask<'a> {
    Refs { name: &'a str, version_2: bool },
    LsRefs(&'a str),
    Fetch(&'a str),
    Push,
    Unknown,
}

impl<'a> Ask<'a> {
    fn new(parts: &'a Parts, body: &[u8]) -> Self {
        let path = parts.uri.path();
        let query = parse_query(parts.uri.query().unwrap_or_default());
        let service = query.get("service").map(String::as_str);
        if path.ends_with("/git-receive-pack") || service == Some("git-receive-pack") {
            return Self::Push;
        }
        let version_2 = parts
            .headers
            .get("git-protocol")
            .and_then(|header| header.to_str().ok())
            .is_some_and(|header| header.split(':').any(|part| part == "version=2"));
        if let Some(name) = repository(path, "/info/refs") {
            return match (&parts.method, service) {
                (&Method::GET, Some("git-upload-pack")) => Self::Refs { name, version_2 },
                _ => Self::Unknown,
            };
        }
        match repository(path, "/git-upload-pack") {
            Some(name) if parts.method == Method::POST => match command(body).as_deref() {
                Some("ls-refs") => Self::LsRefs(name),
                _ => Self::Fetch(name),
            },
            _ => Self::Unknown,
        }
    }

    /// The word for fault rules and the log.
    fn operation(self) -> &'static str {
        match self {
            Self::Refs { .. } => "refs",
            Self::LsRefs(_) => "ls-refs",
            Self::Fetch(_) => "fetch",
            Self::Push => "push",
            Self::Unknown => "unknown",
        }
    }
}

/// The repository's name in a path that ends so.
fn repository<'a>(path: &'a str, end: &str) -> Option<&'a str> {
    let name = path.strip_suffix(end)?.trim_matches('/');
    Some(name.strip_suffix(".git").unwrap_or(name))
}

fn command(body: &[u8]) -> Option<String> {
    let packets = pktline::parse(body).ok()?;
    upload_pack::command(&packets).map(str::to_owned)
}

fn respond(
    shared: &Shared,
    parts: &Parts,
    ask: &Ask<'_>,
    body: &[u8],
    user: &mut Option<String>,
) -> Response<Body> {
    match login(shared, parts) {
        Ok(name) => *user = name,
        Err(()) => return refusal(StatusCode::UNAUTHORIZED),
    }
    match *ask {
        Ask::Refs { name, version_2 } => with_repository(shared, name, |repo| {
            let body = match version_2 {
                true => upload_pack::advertise_v2(),
                false => upload_pack::advertise_v0(repo),
            };
            git_answer("application/x-git-upload-pack-advertisement", body)
        }),
        Ask::LsRefs(name) | Ask::Fetch(name) => with_repository(shared, name, |repo| {
            let body = serve(repo, body).unwrap_or_else(|Refusal(message)| {
                let mut out = Writer::default();
                out.error(&message);
                out.into_bytes()
            });
            git_answer("application/x-git-upload-pack-result", body)
        }),
        Ask::Push => plain(StatusCode::FORBIDDEN, "this stand-in takes no pushes"),
        Ask::Unknown => plain(
            StatusCode::NOT_FOUND,
            "this stand-in serves git-upload-pack over smart HTTP only",
        ),
    }
}

fn serve(repo: &RepoState, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let packets = pktline::parse(body)?;
    match upload_pack::command(&packets) {
        Some(_) => upload_pack::serve_v2(repo, &packets),
        None => upload_pack::serve_v0(repo, &packets),
    }
}

fn with_repository(
    shared: &Shared,
    name: &str,
    answer: impl FnOnce(&RepoState) -> Response<Body>,
) -> Response<Body> {
    let repository: Option<Arc<Mutex<RepoState>>> = lock(&shared.repositories).get(name).cloned();
    match repository {
        Some(state) => answer(&lock(&state)),
        None => plain(StatusCode::NOT_FOUND, "Repository not found."),
    }
}

/// The user's name where logins are asked for; an error for a wrong or missing one.
fn login(shared: &Shared, parts: &Parts) -> Result<Option<String>, ()> {
    let logins = lock(&shared.logins);
    if logins.is_empty() {
        return Ok(None);
    }
    let header = parts.headers.get(AUTHORIZATION).ok_or(())?;
    let encoded = header.to_str().ok().and_then(|h| h.strip_prefix("Basic "));
    let decoded = encoded.and_then(|text| STANDARD.decode(text.trim()).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (name, password) = text
        .as_deref()
        .and_then(|text| text.split_once(':'))
        .ok_or(())?;
    let known = logins
        .iter()
        .any(|(user, secret)| (user.is_empty() || user == name) && secret.expose() == password);
    known.then(|| Some(name.to_owned())).ok_or(())
}

/// The body, unpacked: git compresses long requests.
async fn read(parts: &Parts, body: Incoming) -> Result<Bytes, Refusal> {
    let body = Limited::new(body, REQUEST_LIMIT).collect().await;
    let bytes = body
        .map_err(|error| format!("the request could not be read: {error}"))?
        .to_bytes();
    let encoding = parts.headers.get(CONTENT_ENCODING);
    if encoding.is_none_or(|encoding| encoding != "gzip") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&bytes[..])
        .take(REQUEST_LIMIT as u64)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("the request is not gzip: {error}"))?;
    Ok(unpacked.into())
}

fn git_answer(content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn plain(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{message}\n")));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn refusal(status: StatusCode) -> Response<Body> {
    let message = status.canonical_reason().unwrap_or("scripted fault");
    let mut response = plain(status, message);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"pipeops-testkit\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
