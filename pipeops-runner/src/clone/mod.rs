//! Exactly one commit of a repository, without its history.
//!
//! The fetch is made by [gix](https://docs.rs/gix) inside this process: no git binary, no configuration of the machine or
//! the user, no hooks, no filters, no submodules. Credentials go into one request header, never into a URL, an argument
//! or a file, and redirects are refused while they are sent.

mod error;
mod fetch;
mod limits;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

pub use error::CloneError;
pub use limits::CloneLimits;

use crate::git::RepositoryUrl;
use crate::project::Login;
use crate::workspace::{Workspace, usage};
use pipeops_core::CommitSha;

/// The folder of the source inside the workspace.
const SOURCE: &str = "source";

/// How often the size of what was fetched is looked at.
const SIZE_CHECK: Duration = Duration::from_millis(100);

/// What to fetch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CloneRequest {
    /// From where.
    pub url: RepositoryUrl,
    /// Which commit.
    pub commit: CommitSha,
    /// User name and token, unless the repository is public.
    pub login: Option<Login>,
    /// Bounds of time and size.
    pub limits: CloneLimits,
}

impl CloneRequest {
    /// A commit of a public repository, within the default limits.
    pub fn new(url: RepositoryUrl, commit: CommitSha) -> Self {
        Self {
            url,
            commit,
            login: None,
            limits: CloneLimits::default(),
        }
    }

    /// Sets user name and token.
    #[must_use]
    pub fn login(mut self, login: Option<Login>) -> Self {
        self.login = login;
        self
    }

    /// Sets the bounds of time and size.
    #[must_use]
    pub fn limits(mut self, limits: CloneLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cloned {
    /// The committer's time.
    pub commit_time: Timestamp,
    /// Files, symlinks included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The folder into which [`clone`] puts the files of a commit. There is no `.git` in it.
pub fn source_folder(workspace: &Workspace) -> PathBuf {
    workspace.path().join(SOURCE)
}

/// Fetches the commit into the workspace's [`source_folder`].
///
/// Files have git's modes (0644 or 0755). Symlinks are written as they are, also those that lead out of the tree: whoever
/// reads the folder must not follow them. Dropping the future stops the work soon after; the workspace lives until then.
///
/// # Errors
/// A missing commit, a refused login, a server that is not reached, and a repository that is too large are different
/// variants of [`CloneError`].
pub async fn clone(
    workspace: &Arc<Workspace>,
    request: &CloneRequest,
) -> Result<Cloned, CloneError> {
    let stop = StopOnDrop::default();
    let mut work = {
        let (workspace, request) = (Arc::clone(workspace), request.clone());
        let flag = Arc::clone(&stop.0);
        spawn_blocking(move || fetch::fetch(&source_folder(&workspace), &request, &flag))
    };
    let limits = &request.limits;
    tokio::select! {
        done = &mut work => done.unwrap_or_else(|panic| Err(CloneError::internal(request, panic))),
        () = tokio::time::sleep(limits.time) => Err(CloneError::Timeout {
            url: request.url.clone(),
            limit: limits.time,
        }),
        () = grows_beyond(workspace, limits.bytes) => Err(CloneError::TooLarge {
            url: request.url.clone(),
            what: limits::bytes_text(limits.bytes),
        }),
    }
}

/// Ends once the workspace holds more than this. The pack arrives in one file: looking at it costs little.
async fn grows_beyond(workspace: &Arc<Workspace>, bytes: u64) {
    loop {
        tokio::time::sleep(SIZE_CHECK).await;
        let workspace = Arc::clone(workspace);
        let measured = spawn_blocking(move || usage(workspace.path())).await;
        if measured.is_ok_and(|usage| usage.bytes > bytes) {
            return;
        }
    }
}

/// Tells the blocking thread to stop when nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
