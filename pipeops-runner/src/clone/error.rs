//! Causes of failed clones.

use std::error::Error;
use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::{CommitSha, Diagnose, Diagnosis, RetryClass};

use crate::git::RepositoryUrl;
use crate::project::Missing;

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
            Self::MissingCommit { .. }
            | Self::UnknownRevision { .. }
            | Self::AmbiguousRevision { .. } => {
                (&codes::clone::COMMIT_NOT_FOUND, RetryClass::Permanent)
            }
            Self::NotConfigured { .. } => (&codes::project::INCOMPLETE, RetryClass::Permanent),
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
        match self {
            Self::MissingCommit { .. } => {
                "the branch was rewritten or deleted after the push".to_owned()
            }
            Self::UnknownRevision { .. } => {
                "the repository exists, but no ref matches the name".to_owned()
            }
            Self::AmbiguousRevision { .. } => "the short SHA is not unique".to_owned(),
            Self::NotConfigured { .. } => "the URL of the repository is not set".to_owned(),
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
