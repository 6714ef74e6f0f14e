//! Fetches one commit of a repository, without its history.
//!
//! A [`SourceFetcher`] writes the files of a commit to a workspace. The built-in `GitFetcher` (feature `git`) uses
//! [gix](https://docs.rs/gix): no git binary, no git configuration, no hooks, filters or submodules. It sends credentials in
//! a request header, never in a URL, an argument or a file, and doesn't follow redirects with them.

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

/// The folder of the source in the workspace.
const SOURCE: &str = "source";

/// Fetches the files of a commit.
#[async_trait]
pub trait SourceFetcher: fmt::Debug + Send + Sync + 'static {
    /// Writes the files of the commit to the [`source_folder`] of the workspace, which doesn't exist yet.
    ///
    /// # Errors
    /// When the commit can't be fetched. [`CloneError`] lists the usual causes.
    async fn fetch(
        &self,
        workspace: &Arc<Workspace>,
        request: &CloneRequest,
    ) -> Result<Cloned, Failure>;
}

/// A commit to fetch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CloneRequest {
    /// The repository.
    pub url: RepositoryUrl,
    /// The commit.
    pub commit: CommitSha,
    /// User name and token; `None` for a public repository.
    pub login: Option<Login>,
    /// Limits of time and size.
    pub limits: CloneLimits,
}

impl CloneRequest {
    /// A commit of a public repository, with the default limits.
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

    /// Sets the limits of time and size.
    #[must_use]
    pub fn limits(mut self, limits: CloneLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// A fetched commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cloned {
    /// The time of the commit.
    pub commit_time: Timestamp,
    /// The number of files, including symlinks.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

impl Cloned {
    /// A commit with this time, number of files and size in bytes.
    pub fn new(commit_time: Timestamp, files: u64, bytes: u64) -> Self {
        Self {
            commit_time,
            files,
            bytes,
        }
    }
}

/// The folder to which a [`SourceFetcher`] writes the files of a commit. It contains no `.git`.
pub fn source_folder(workspace: &Workspace) -> PathBuf {
    workspace.path().join(SOURCE)
}

#[cfg(test)]
#[cfg(feature = "git")]
mod tests;
