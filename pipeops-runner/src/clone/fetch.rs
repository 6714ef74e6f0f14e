//! The blocking part, with gix.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gix::clone::{PrepareCheckout, PrepareFetch};
use gix::progress::Discard;
use gix::protocol::transport::client::blocking_io::http;
use gix::remote::fetch::Shallow;
use jiff::Timestamp;
use pipeops_core::tls::client_config;

use super::error::{Source, chain_text};
use super::tally::Tally;
use super::{CloneError, CloneLimits, CloneRequest, Cloned};
use crate::git::RepositoryUrl;
use crate::project::Login;

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer one request may take than the whole work, whose own limit ends first and is the one to report. Without it, a
/// server that sends a byte now and then would keep the blocking thread for ever.
const REQUEST_MARGIN: Duration = Duration::from_secs(1);

/// Fetches into `folder`, which must not exist. Stops soon after `stop` is set.
pub(super) fn fetch(
    folder: &Path,
    request: &CloneRequest,
    stop: &AtomicBool,
) -> Result<Cloned, CloneError> {
    let (mut checkout, _) = prepare(folder, request)?
        .fetch_then_checkout(Discard, stop)
        .map_err(|error| CloneError::git(request, error))?;
    let (commit_time, tree) = commit_of(&checkout, request)?;
    let tally = Tally::of(tree, checkout.repo(), request)?;
    write_files(&mut checkout, request, stop)?;
    // A build context is only the files.
    fs::remove_dir_all(folder.join(".git"))
        .map_err(|error| CloneError::internal(&request.url, error))?;
    Ok(Cloned::new(commit_time, tally.files, tally.bytes))
}

fn prepare(folder: &Path, request: &CloneRequest) -> Result<PrepareFetch, CloneError> {
    let failed = |error| CloneError::git(request, error);
    let depth = Shallow::DepthAtRemote(NonZeroU32::MIN);
    let prepared = PrepareFetch::new(
        request.url.as_str(),
        folder,
        gix::create::Kind::WithWorktree,
        gix::create::Options::default(),
        gix::open::Options::isolated(),
    );
    let prepared = prepared
        .and_then(|prepared| prepared.with_revision(Some(request.commit.as_str())))
        .map_err(failed)?
        .with_shallow(depth);
    let http = http_options(request.login.as_ref(), &request.limits).map_err(failed)?;
    Ok(prepared.configure_connection(move |connection| {
        connection.set_transport_options(Box::new(http.clone()));
        // By default, gix asks credential helpers or the terminal.
        connection.set_credentials(|_| Ok(None));
        Ok(())
    }))
}

pub(super) fn http_options(
    login: Option<&Login>,
    limits: &CloneLimits,
) -> Result<http::Options, gix::Error> {
    let tls = client_config(&[]).map_err(gix::Error::from_error)?;
    let (idle, whole) = (limits.idle, limits.time.saturating_add(REQUEST_MARGIN));
    let configure_client = move |_: reqwest::blocking::ClientBuilder| {
        // The timeout of the async client is that of a whole request, the one of the blocking client that of each read.
        let client = reqwest::ClientBuilder::new().timeout(whole);
        Ok(reqwest::blocking::ClientBuilder::from(client)
            .http1_title_case_headers()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(idle)
            .tls_backend_preconfigured(tls.clone()))
    };
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(configure_client)),
        configure_request: None,
    };
    Ok(http::Options {
        extra_headers: login.into_iter().map(authorization).collect(),
        // With credentials, never follow a redirect to another host.
        follow_redirects: match login {
            Some(_) => http::options::FollowRedirects::None,
            None => http::options::FollowRedirects::Initial,
        },
        backend: Some(Arc::new(Mutex::new(backend))),
        ..http::Options::default()
    })
}

fn authorization(login: &Login) -> String {
    let pair = format!("{}:{}", login.username, login.password.expose());
    format!("Authorization: Basic {}", STANDARD.encode(pair))
}

/// The time and tree of the commit, after checking that it's the requested one.
fn commit_of(
    checkout: &PrepareCheckout,
    request: &CloneRequest,
) -> Result<(Timestamp, gix::ObjectId), CloneError> {
    let failed = |error| CloneError::git(request, error);
    let head = checkout.repo().head_commit().map_err(failed)?;
    let id = head.id.to_string();
    if id != request.commit.as_str() {
        return Err(CloneError::missing_commit(request));
    }
    let seconds = head.time().map_err(failed)?.seconds;
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let tree = head.tree_id().map_err(failed)?.detach();
    Ok((time, tree))
}

fn write_files(
    checkout: &mut PrepareCheckout,
    request: &CloneRequest,
    stop: &AtomicBool,
) -> Result<(), CloneError> {
    let (_, outcome) = checkout
        .main_worktree(Discard, stop)
        .map_err(|error| CloneError::git(request, error))?;
    if let Some(failed) = outcome.errors.into_iter().next() {
        let path = failed.path.to_string();
        return Err(CloneError::Write {
            path,
            source: failed.error.into(),
        });
    }
    if let Some(collision) = outcome.collisions.into_iter().next() {
        let path = collision.path.to_string();
        let source = std::io::Error::from(collision.error_kind);
        return Err(CloneError::Write {
            path,
            source: source.into(),
        });
    }
    Ok(())
}

impl CloneError {
    pub(super) fn missing_commit(request: &CloneRequest) -> Self {
        Self::MissingCommit {
            url: request.url.clone(),
            commit: request.commit.clone(),
        }
    }

    /// A failure on this machine.
    pub(super) fn internal(url: &RepositoryUrl, source: impl Into<Source>) -> Self {
        Self::Protocol {
            url: url.clone(),
            source: source.into(),
        }
    }

    /// The error of a fetch. The server may say that it doesn't have the commit.
    pub(super) fn git(request: &CloneRequest, error: gix::Error) -> Self {
        match is_missing_commit(&chain_text(&error)) {
            true => Self::missing_commit(request),
            false => Self::remote(&request.url, request.login.as_ref(), error),
        }
    }

    /// Classifies an error of gix by its class, or else by the server's message.
    pub(super) fn remote(url: &RepositoryUrl, login: Option<&Login>, error: gix::Error) -> Self {
        let said = chain_text(&error);
        let url = || url.clone();
        if error.is_unauthenticated() {
            return match login {
                None => Self::LoginNeeded { url: url() },
                Some(login) => Self::LoginRefused {
                    url: url(),
                    username: login.username.clone(),
                },
            };
        }
        if error.is_permission_denied() || said.contains("HTTP status 404") {
            return Self::NoRepository { url: url() };
        }
        if error.can_retry_lenient() {
            let source = error.into();
            return Self::Unreachable { url: url(), source };
        }
        Self::internal(&url(), error)
    }
}

/// The messages of git servers for a commit that they don't have or don't show.
fn is_missing_commit(said: &str) -> bool {
    ["not our ref", "unadvertised object", "not a valid object"]
        .iter()
        .any(|phrase| said.contains(phrase))
}
