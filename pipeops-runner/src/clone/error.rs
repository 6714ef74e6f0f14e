//! Causes of failed clones.

use std::error::Error;
use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::{CommitSha, Diagnose, Diagnosis, RetryClass};

use crate::git::RepositoryUrl;

pub(super) type Source = Box<dyn Error + Send + Sync>;

/// A commit cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloneError {
    /// The repository is there, the commit is not: a forced push or a deleted branch took it away.
    #[error("{url} has no commit {commit}")]
    MissingCommit {
        /// The repository.
        url: RepositoryUrl,
        /// The commit.
        commit: CommitSha,
    },
    /// The server wants a login and the project has none.
    #[error("{url} asks for a login and the project has none")]
    LoginNeeded {
        /// The repository.
        url: RepositoryUrl,
    },
    /// The server refused the project's login.
    #[error("{url} refused the login of user {username:?}")]
    LoginRefused {
        /// The repository.
        url: RepositoryUrl,
        /// The user name.
        username: String,
    },
    /// The server does not know the repository, or hides it from this login.
    #[error("{url} does not exist, or this login may not see it")]
    NoRepository {
        /// The repository.
        url: RepositoryUrl,
    },
    /// No answer, or one that ended early.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// The repository.
        url: RepositoryUrl,
        /// Why.
        source: Source,
    },
    /// More than the limits allow.
    #[error("{url} is too large: more than {what}")]
    TooLarge {
        /// The repository.
        url: RepositoryUrl,
        /// The limit.
        what: String,
    },
    /// Slower than the limits allow.
    #[error("{url} was not fetched within {} s", limit.as_secs())]
    Timeout {
        /// The repository.
        url: RepositoryUrl,
        /// The limit.
        limit: Duration,
    },
    /// A file cannot be written.
    #[error("the file {path:?} of the commit cannot be written")]
    Write {
        /// Its path.
        path: String,
        /// Why.
        source: Source,
    },
    /// The server does not speak git as it should.
    #[error("fetching from {url} failed")]
    Protocol {
        /// The repository.
        url: RepositoryUrl,
        /// Why.
        source: Source,
    },
}

impl Diagnose for CloneError {
    fn diagnosis(&self) -> Diagnosis {
        let (page, class) = match self {
            Self::MissingCommit { .. } => (&codes::clone::COMMIT_NOT_FOUND, RetryClass::Permanent),
            Self::LoginNeeded { .. } => (&codes::clone::LOGIN_NEEDED, RetryClass::NeedsCredential),
            Self::LoginRefused { .. } => {
                (&codes::clone::LOGIN_REFUSED, RetryClass::NeedsCredential)
            }
            Self::NoRepository { .. } => {
                (&codes::clone::REPOSITORY_NOT_FOUND, RetryClass::Permanent)
            }
            Self::Unreachable { .. } => (&codes::clone::UNREACHABLE, RetryClass::Transient),
            Self::TooLarge { .. } => (&codes::clone::TOO_LARGE, RetryClass::Permanent),
            Self::Timeout { .. } => (&codes::clone::TIMEOUT, RetryClass::Transient),
            Self::Write { .. } => (&codes::clone::WRITE, RetryClass::Permanent),
            Self::Protocol { .. } => (&codes::clone::PROTOCOL, RetryClass::Permanent),
        };
        Diagnosis::new(page)
            .error(self.to_string())
            .reason(self.reason())
            .class(class)
    }
}

impl CloneError {
    fn reason(&self) -> String {
        match self {
            Self::MissingCommit { .. } => {
                "the branch was rewritten or deleted after the push".to_owned()
            }
            Self::LoginNeeded { .. } => "the repository is private".to_owned(),
            Self::LoginRefused { .. } => "authentication failed".to_owned(),
            Self::NoRepository { .. } => "not found".to_owned(),
            Self::TooLarge { .. } => "the clone's limit is reached".to_owned(),
            Self::Timeout { .. } => "the server is slow, or the repository is large".to_owned(),
            Self::Unreachable { source, .. }
            | Self::Write { source, .. }
            | Self::Protocol { source, .. } => chain_text(&**source),
        }
    }
}

/// The texts of an error and its sources, each once.
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
