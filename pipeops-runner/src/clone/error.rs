//! Why a commit can't be fetched.

use std::error::Error;
use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::{CommitSha, Diagnose, Diagnosis, RetryClass};

use crate::git::RepositoryUrl;
use crate::project::Missing;

pub(super) type Source = Box<dyn Error + Send + Sync>;

/// Why a commit can't be fetched or a name can't be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloneError {
    /// The repository doesn't have the commit, for example after a forced push or because its branch was deleted.
    #[error("{url} has no commit {commit}")]
    MissingCommit {
        /// The repository.
        url: RepositoryUrl,
        /// The commit.
        commit: CommitSha,
    },
    /// The repository has no branch, tag or commit of this name.
    #[error("{url} has no branch, tag or commit {revision:?}")]
    UnknownRevision {
        /// The repository.
        url: RepositoryUrl,
        /// The name, cut to 100 characters.
        revision: String,
    },
    /// Several commits of the repository begin with the same digits.
    #[error("several commits of {url} begin with {revision}")]
    AmbiguousRevision {
        /// The repository.
        url: RepositoryUrl,
        /// The digits.
        revision: String,
    },
    /// The project has no repository.
    #[error("project {project} has no repository")]
    NotConfigured {
        /// The project's name.
        project: String,
    },
    /// The server requires a login, and the project has none.
    #[error("{url} requires a login, and the project has none")]
    LoginNeeded {
        /// The repository.
        url: RepositoryUrl,
    },
    /// The server rejected the project's login.
    #[error("{url} rejected the login of user {username:?}")]
    LoginRefused {
        /// The repository.
        url: RepositoryUrl,
        /// The user name.
        username: String,
    },
    /// The repository doesn't exist, or this login can't read it.
    #[error("{url} does not exist, or this login cannot read it")]
    NoRepository {
        /// The repository.
        url: RepositoryUrl,
    },
    /// The server didn't answer, or the connection broke.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The repository.
        url: RepositoryUrl,
        /// The cause.
        source: Source,
    },
    /// The commit exceeds a limit of size.
    #[error("{url} is too large: more than {what}")]
    TooLarge {
        /// The repository.
        url: RepositoryUrl,
        /// The limit.
        what: String,
    },
    /// The clone exceeds the limit of time.
    #[error("cloning {url} took longer than {} s", limit.as_secs())]
    Timeout {
        /// The repository.
        url: RepositoryUrl,
        /// The limit.
        limit: Duration,
    },
    /// A file can't be written.
    #[error("cannot write the file {path:?} of the commit")]
    Write {
        /// The path of the file.
        path: String,
        /// The cause.
        source: Source,
    },
    /// The server's answer isn't valid in the git protocol, or fetching failed for another reason.
    #[error("cannot fetch from {url}")]
    Protocol {
        /// The repository.
        url: RepositoryUrl,
        /// The cause.
        source: Source,
    },
}

impl Diagnose for CloneError {
    fn diagnosis(&self) -> Diagnosis {
        use RetryClass::{NeedsCredential, Permanent, Transient};
        let (page, class) = match self {
            Self::MissingCommit { .. } => (&codes::clone::COMMIT_NOT_FOUND, Permanent),
            Self::UnknownRevision { .. } => (&codes::clone::COMMIT_NOT_FOUND, Permanent),
            Self::AmbiguousRevision { .. } => (&codes::clone::COMMIT_NOT_FOUND, Permanent),
            Self::NotConfigured { .. } => (&codes::project::INCOMPLETE, Permanent),
            Self::LoginNeeded { .. } => (&codes::clone::LOGIN_NEEDED, NeedsCredential),
            Self::LoginRefused { .. } => (&codes::clone::LOGIN_REFUSED, NeedsCredential),
            Self::NoRepository { .. } => (&codes::clone::REPOSITORY_NOT_FOUND, Permanent),
            Self::Unreachable { .. } => (&codes::clone::UNREACHABLE, Transient),
            Self::TooLarge { .. } => (&codes::clone::TOO_LARGE, Permanent),
            Self::Timeout { .. } => (&codes::clone::TIMEOUT, Transient),
            Self::Write { .. } => (&codes::clone::WRITE, Permanent),
            Self::Protocol { .. } => (&codes::clone::PROTOCOL, Permanent),
        };
        let diagnosis = Diagnosis::new(page)
            .error(self.to_string())
            .reason(self.reason())
            .class(class);
        match self {
            Self::UnknownRevision { .. } => diagnosis.fixes([
                "Check the name of the branch or tag",
                "Push the commit, and write its full SHA if no branch or tag points to it",
            ]),
            Self::AmbiguousRevision { .. } => diagnosis.fixes(["Write more digits of the SHA"]),
            Self::NotConfigured { .. } => diagnosis.fixes([Missing::Repository.fix()]),
            _ => diagnosis,
        }
    }
}

impl CloneError {
    fn reason(&self) -> String {
        let reason = match self {
            Self::MissingCommit { .. } => {
                "the commit was never pushed, or its branch was rewritten or deleted"
            }
            Self::UnknownRevision { .. } => "the repository exists, but no ref matches the name",
            Self::AmbiguousRevision { .. } => "the short SHA is not unique",
            Self::NotConfigured { .. } => "the URL of the repository is not set",
            Self::LoginNeeded { .. } => "the repository is private",
            Self::LoginRefused { .. } => "authentication failed",
            Self::NoRepository { .. } => "not found",
            Self::TooLarge { .. } => "the commit exceeds the limits of clones",
            Self::Timeout { .. } => "the server is slow, or the repository is large",
            Self::Unreachable { source, .. }
            | Self::Write { source, .. }
            | Self::Protocol { source, .. } => return chain_text(&**source),
        };
        reason.to_owned()
    }
}

/// The texts of an error and its sources, without repetitions.
pub(super) fn chain_text(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|seen| seen.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
