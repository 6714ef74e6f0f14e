//! Exactly one commit of a repository, without its history.
//!
//! A [`SourceFetcher`] puts the files of a commit into a workspace. The built-in one, `GitFetcher` (feature `git`), runs
//! [gix](https://docs.rs/gix) inside this process: no git binary, no configuration of the machine or the user, no hooks,
//! no filters, no submodules. It sends credentials in one request header, never in a URL, an argument or a file, and
//! refuses redirects while it sends them.

mod error;
#[cfg(feature = "git")]
mod fetch;
#[cfg(feature = "git")]
mod fetcher;
mod limits;
#[cfg(feature = "git")]
mod resolve;
#[cfg(feature = "git")]
mod tally;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use pipeops_core::{CommitSha, Failure};
use serde::{Deserialize, Serialize};

pub use error::CloneError;
#[cfg(feature = "git")]
pub use fetcher::{GitFetcher, clone};
pub use limits::CloneLimits;

use crate::git::RepositoryUrl;
use crate::project::Login;
use crate::workspace::Workspace;

/// The folder of the source inside the workspace.
const SOURCE: &str = "source";

/// Fetches the files of one commit.
#[async_trait]
pub trait SourceFetcher: fmt::Debug + Send + Sync + 'static {
    /// Puts the files of the commit into the workspace's [`source_folder`], which does not exist yet.
    ///
    /// # Errors
    /// When the commit cannot be fetched; [`CloneError`] has the usual causes.
    async fn fetch(
        &self,
        workspace: &Arc<Workspace>,
        request: &CloneRequest,
    ) -> Result<Cloned, Failure>;
}

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

impl Cloned {
    /// A commit of this time, with this many files and bytes.
    pub fn new(commit_time: Timestamp, files: u64, bytes: u64) -> Self {
        Self {
            commit_time,
            files,
            bytes,
        }
    }
}

/// The folder into which a [`SourceFetcher`] puts the files of a commit. There is no `.git` in it.
pub fn source_folder(workspace: &Workspace) -> PathBuf {
    workspace.path().join(SOURCE)
}

#[cfg(test)]
#[cfg(feature = "git")]
mod tests;
