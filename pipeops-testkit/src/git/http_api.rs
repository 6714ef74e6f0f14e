//! Smart HTTP: finds the repository, authenticates the client, dispatches the request.
//!
//! See [http-protocol](https://git-scm.com/docs/http-protocol).

use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, Response, StatusCode};

use super::Shared;
use super::pktline::{self, Writer};
use super::repo::RepoState;
use super::upload_pack::{self, Refusal};
use crate::fault::Fault;
use crate::serve::{
    Answer, Body, Exchange, Service, basic_credentials, full, lock, set_headers, with_type,
};

/// The largest request that is read, packed or not: a list of wants and haves.
const REQUEST_LIMIT: usize = 4 << 20;

impl Service for Shared {
    async fn operation(exchange: &mut Exchange<Self>) -> String {
        // Which command a request brings is in its body.
        let body = read(exchange).await.unwrap_or_default();
        Ask::new(exchange, &body).operation().to_owned()
    }

    async fn answer(exchange: &mut Exchange<Self>) -> Answer {
        let (name, body) = (login(exchange), read(exchange).await);
        Ok(match (name, body) {
            (_, Err(Refusal(message))) => plain(StatusCode::BAD_REQUEST, &message),
            (Err(()), _) => refusal(StatusCode::UNAUTHORIZED),
            (Ok(name), Ok(body)) => {
                exchange.user = name;
                respond(exchange, &body)
            }
        })
    }

    fn refusal(_: &Exchange<Self>, status: StatusCode, _: &Fault) -> Response<Body> {
        refusal(status)
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask<'a> {
    /// The first request of a client; `None` for one that does not speak version 2 of the protocol.
    Refs(Option<&'a str>),
    LsRefs(&'a str),
    Fetch(&'a str),
    Push,
    Unknown,
}

impl<'a> Ask<'a> {
    fn new(exchange: &'a Exchange<Shared>, body: &[u8]) -> Self {
        let (path, method) = (exchange.path.as_str(), &exchange.parts.method);
        let service = exchange.query.get("service");
        if path.ends_with("/git-receive-pack") || service == Some("git-receive-pack") {
            return Self::Push;
        }
        let version_2 = exchange
            .header("git-protocol")
            .is_some_and(|header| header.split(':').any(|part| part == "version=2"));
        if let Some(name) = repository(path, "/info/refs") {
            return match (method, service) {
                (&Method::GET, Some("git-upload-pack")) => Self::Refs(version_2.then_some(name)),
                _ => Self::Unknown,
            };
        }
        match repository(path, "/git-upload-pack") {
            Some(name) if method == Method::POST => match command(body).as_deref() {
                Some("ls-refs") => Self::LsRefs(name),
                _ => Self::Fetch(name),
            },
            _ => Self::Unknown,
        }
    }

    /// The word for fault rules and the log.
    fn operation(self) -> &'static str {
        match self {
            Self::Refs(_) => "refs",
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

fn respond(exchange: &Exchange<Shared>, body: &[u8]) -> Response<Body> {
    let shared = &exchange.shared;
    match Ask::new(exchange, body) {
        Ask::Refs(Some(name)) => with_repository(shared, name, |_| {
            let body = upload_pack::advertise();
            git_answer("application/x-git-upload-pack-advertisement", body)
        }),
        Ask::Refs(None) => not_implemented("git protocol version 0 or 1"),
        Ask::LsRefs(name) | Ask::Fetch(name) => with_repository(shared, name, |repo| {
            let body = serve(repo, body).unwrap_or_else(|Refusal(message)| {
                let mut out = Writer::default();
                out.error(&message);
                out.into_bytes()
            });
            git_answer("application/x-git-upload-pack-result", body)
        }),
        Ask::Push => not_implemented("a push"),
        Ask::Unknown => not_implemented("anything but git-upload-pack over smart HTTP"),
    }
}

fn serve(repo: &RepoState, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    upload_pack::serve(repo, &pktline::parse(body)?)
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
fn login(exchange: &Exchange<Shared>) -> Result<Option<String>, ()> {
    let logins = lock(&exchange.shared.logins);
    if logins.is_empty() {
        return Ok(None);
    }
    let (name, password) = basic_credentials(&exchange.parts.headers).ok_or(())?;
    let known = logins
        .iter()
        .any(|(user, secret)| (user.is_empty() || *user == name) && secret.expose() == password);
    known.then_some(Some(name)).ok_or(())
}

/// The body, unpacked: git compresses long requests.
async fn read(exchange: &mut Exchange<Shared>) -> Result<Bytes, Refusal> {
    let read = exchange.read(REQUEST_LIMIT).await;
    read.map_err(|error| format!("the request could not be read: {error:?}"))?;
    if exchange.header("content-encoding") != Some("gzip") {
        return Ok(exchange.body.clone());
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&exchange.body[..])
        .take(REQUEST_LIMIT as u64)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("the request is not gzip: {error}"))?;
    Ok(unpacked.into())
}

fn git_answer(content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = with_type(StatusCode::OK, content_type, full(body));
    set_headers(&mut response, &[("cache-control", "no-cache".to_owned())]);
    response
}

fn plain(status: StatusCode, message: &str) -> Response<Body> {
    let body = full(format!("{message}\n"));
    with_type(status, "text/plain; charset=utf-8", body)
}

fn not_implemented(what: &str) -> Response<Body> {
    let message = format!("stand-in: {what} is not implemented");
    plain(StatusCode::NOT_IMPLEMENTED, &message)
}

fn refusal(status: StatusCode) -> Response<Body> {
    let message = status.canonical_reason().unwrap_or("scripted fault");
    let mut response = plain(status, message);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = "Basic realm=\"pipeops-testkit\"".to_owned();
        set_headers(&mut response, &[("www-authenticate", challenge)]);
    }
    response
}
