//! Resolves a branch, a tag or a short SHA at the git server.

use std::collections::BTreeSet;

use gix::bstr::BString;
use gix::progress::Discard;
use gix::protocol::LsRefsCommand;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::transport::client::TransportWithoutIO;
use gix::protocol::transport::client::blocking_io::connect::connect;
use pipeops_core::CommitSha;

use super::CloneError;
use super::fetch::http_options;
use super::limits::CloneLimits;
use crate::git::{RepositoryUrl, check_ref_name};
use crate::project::Login;

/// The shortest SHA that is accepted, as in git.
const MIN_DIGITS: usize = 4;

/// Where branches and tags are.
const KINDS: [&str; 2] = ["refs/heads/", "refs/tags/"];

/// A ref of the server with the commit that it points to.
type Target = (String, CommitSha);

/// The commit that `revision` names now.
pub(super) fn resolve(
    url: &RepositoryUrl,
    login: Option<&Login>,
    limits: &CloneLimits,
    revision: &str,
) -> Result<CommitSha, CloneError> {
    let unknown = || CloneError::UnknownRevision {
        url: url.clone(),
        revision: revision.chars().take(100).collect(),
    };
    check_ref_name(revision).map_err(|_| unknown())?;
    let targets = list(url, login, limits, prefixes(revision))
        .map_err(|error| CloneError::remote(url, login, error))?;
    if let Some(commit) = named(&targets, revision) {
        return Ok(commit.clone());
    }
    if !is_short_sha(revision) {
        return Err(unknown());
    }
    let digits = revision.to_ascii_lowercase();
    let commits = targets.iter().map(|(_, commit)| commit);
    let found: BTreeSet<&CommitSha> = commits
        .filter(|commit| commit.as_str().starts_with(&digits))
        .collect();
    match Vec::from_iter(found)[..] {
        [] => Err(unknown()),
        [commit] => Ok(commit.clone()),
        _ => Err(CloneError::AmbiguousRevision {
            url: url.clone(),
            revision: digits,
        }),
    }
}

/// The short names of all branches and tags.
pub(super) fn names(
    url: &RepositoryUrl,
    login: Option<&Login>,
    limits: &CloneLimits,
) -> Result<Vec<String>, CloneError> {
    let mut kinds = RefPrefixes::new();
    kinds.extend(KINDS.map(BString::from));
    let targets =
        list(url, login, limits, kinds).map_err(|error| CloneError::remote(url, login, error))?;
    let short = |name: &str| {
        KINDS
            .iter()
            .find_map(|kind| name.strip_prefix(kind))
            .map(str::to_owned)
    };
    let names = targets.iter().filter_map(|(name, _)| short(name));
    // A hostile server could send control characters for the terminal.
    Ok(names.filter(|name| check_ref_name(name).is_ok()).collect())
}

/// Finds a full ref name, a branch or a tag, in this order.
fn named<'a>(targets: &'a [Target], revision: &str) -> Option<&'a CommitSha> {
    let find = |wanted: &str| targets.iter().find(|(name, _)| name == wanted);
    let found = find(revision)
        .or_else(|| find(&format!("refs/heads/{revision}")))
        .or_else(|| find(&format!("refs/tags/{revision}")));
    found.map(|(_, commit)| commit)
}

fn is_short_sha(revision: &str) -> bool {
    revision.len() >= MIN_DIGITS && revision.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The refs to ask the server for. Servers with protocol version 0 or 1 send all refs.
fn prefixes(revision: &str) -> RefPrefixes {
    let names = if is_short_sha(revision) {
        KINDS.map(str::to_owned).to_vec()
    } else if revision == "HEAD" || revision.starts_with("refs/") {
        vec![revision.to_owned()]
    } else {
        KINDS.map(|kind| format!("{kind}{revision}")).to_vec()
    };
    let mut prefixes = RefPrefixes::new();
    prefixes.extend(names.into_iter().map(BString::from));
    prefixes
}

fn list(
    url: &RepositoryUrl,
    login: Option<&Login>,
    limits: &CloneLimits,
    prefixes: RefPrefixes,
) -> Result<Vec<Target>, gix::Error> {
    let mut transport = connect(url.as_str(), Default::default())?;
    transport.configure(&http_options(login, limits)?)?;
    let service = Service::UploadPack;
    // By default, gix asks credential helpers or the terminal.
    let no_login = |_| Ok(None);
    let handshake =
        gix::protocol::handshake(&mut transport, service, no_login, Vec::new(), &mut Discard)?;
    let refs = match handshake.refs {
        Some(refs) => refs,
        None => {
            let agent = gix::protocol::agent(gix::env::agent());
            let agent = ("agent", Some(agent));
            LsRefsCommand::new(Some(prefixes), &handshake.capabilities, agent).invoke_blocking(
                &mut transport,
                &mut Discard,
                false,
            )?
        }
    };
    Ok(refs.iter().filter_map(target).collect())
}

/// For an annotated tag, its commit; `None` for a branch without commits.
fn target(reference: &Ref) -> Option<Target> {
    let (name, object, peeled) = reference.unpack();
    Some((
        name.to_string(),
        peeled.or(object)?.to_string().parse().ok()?,
    ))
}
