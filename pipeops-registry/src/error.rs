//! What can go wrong between PipeOps and a registry.

use std::fmt;
use std::time::Duration;

use pipeops_core::diagnosis::{Page, codes::registry as codes};
use pipeops_core::registry::Scope;
use pipeops_core::retry::Retryable;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};

/// An action on a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
    /// Deleting.
    Delete,
}

impl Action {
    /// The scope of a token for this.
    pub(crate) fn scope(self, repository: &str) -> Scope {
        match self {
            Self::Pull => Scope::pull(repository),
            Self::Push => Scope::push(repository),
            Self::Delete => Scope::delete(repository),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        })
    }
}

/// What can go wrong between PipeOps and a registry. No message and no `Debug` shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry requires other credentials, or any at all.
    #[error("{host} refused to let us {action} {repository}: {message}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The action.
        action: Action,
        /// Whether credentials were presented; false means that there are none for this registry.
        presented: bool,
        /// What the registry said.
        message: String,
    },
    /// The credentials are valid and don't allow this. Never retried.
    #[error("{host} does not allow us to {action} {repository}: {message}")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The action.
        action: Action,
        /// What the registry said.
        message: String,
    },
    /// The registry has no such repository, and doesn't create it on a push.
    #[error("{host} has no repository {repository}: {message}")]
    NameUnknown {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What the registry said.
        message: String,
    },
    /// The registry doesn't have the image, or a part of it.
    #[error("{what} is not in the registry")]
    NotFound {
        /// The name of the image or blob.
        what: String,
    },
    /// The tag exists and the registry forbids moving it.
    #[error("{host} does not move tags of {repository}: {message}")]
    ImmutableTag {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What the registry said.
        message: String,
    },
    /// Too many requests.
    #[error("{host} limits our requests: {message}")]
    RateLimited {
        /// The registry.
        host: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// What the registry said.
        message: String,
    },
    /// The registry answered with a server error.
    #[error("{host} answered {status}: {message}")]
    Unavailable {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// What the registry said.
        message: String,
    },
    /// No connection, or it was cut.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// The host that was tried.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{host} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// The host that was asked.
        host: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The registry's certificate is not trusted, or TLS failed in another way.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The host that was tried.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that breaks the specification, or is too large.
    #[error("{host} gave an answer that cannot be used: {what}")]
    BadAnswer {
        /// The host that answered.
        host: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The registry named a host that does not belong to it, to send credentials or requests to.
    #[error("{host} names {target} {purpose}, which does not belong to it")]
    ForeignHost {
        /// The registry.
        host: String,
        /// The host that it named.
        target: String,
        /// What for.
        purpose: &'static str,
    },
    /// The name of the image lacks what is needed, such as a tag.
    #[error("{image} cannot be used here: {why}")]
    InvalidImage {
        /// The image.
        image: String,
        /// What is missing.
        why: String,
    },
    /// A credential is configured and the provider failed to give it.
    #[error("no credential for {host}")]
    NoCredential {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: CredentialError,
    },
    /// The login is kept by a credential helper, which PipeOps does not run yet.
    #[error(
        "the login for {host} is in the credential helper {helper:?}, which is not supported yet"
    )]
    HelperUnsupported {
        /// The registry.
        host: String,
        /// The helper's name in the docker configuration.
        helper: String,
    },
    /// A file or an option that cannot be read.
    #[error("{what} {why}")]
    Configuration {
        /// The file or option.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A transient failure that outlasted all attempts.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// Attempts made.
        attempts: u32,
        /// The last failure.
        #[source]
        source: Box<Error>,
    },
}

/// The failure of a [`CredentialProvider`](pipeops_core::CredentialProvider).
pub struct CredentialError(pub Failure);

impl fmt::Debug for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for CredentialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_error().source()
    }
}

impl Error {
    /// Whether trying again can help.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Unauthorized { .. } => RetryClass::NeedsCredential,
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. } => RetryClass::Transient,
            Self::NoCredential { source, .. } => source.0.retry_class(),
            Self::Exhausted { .. } => RetryClass::Exhausted,
            _ => RetryClass::Permanent,
        }
    }

    /// How long the registry asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            Self::Exhausted { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// The error itself, or the last failure of those that were tried again.
    pub fn last(&self) -> &Self {
        match self {
            Self::Exhausted { source, .. } => source.last(),
            other => other,
        }
    }
}

impl Retryable for Error {
    fn retry_class(&self) -> RetryClass {
        Self::retry_class(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }

    fn exhausted(self, attempts: u32) -> Self {
        Self::Exhausted {
            attempts,
            source: Box::new(self),
        }
    }
}

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        if let Self::NoCredential { source, .. } = self {
            return source.0.diagnosis();
        }
        if let Self::Exhausted { attempts, source } = self {
            let inner = source.diagnosis();
            let reason = format!("{} (after {attempts} attempts)", inner.reason);
            return inner.reason(reason).class(self.retry_class());
        }
        let (page, reason) = self.page();
        let cause = std::error::Error::source(self).map(root_cause);
        let mut diagnosis = Diagnosis::new(page)
            .error(self.to_string())
            .reason(cause.as_deref().unwrap_or(reason))
            .class(self.retry_class());
        if let Some(host) = self.host() {
            diagnosis = diagnosis.context("host", host);
        }
        if let Some(fix) = self.first_fix()
            && let Some(first) = diagnosis.fixes.first_mut()
        {
            *first = fix;
        }
        diagnosis
    }
}

impl Error {
    /// The page of this error, and why it happens.
    fn page(&self) -> (&'static Page, &str) {
        match self {
            Self::Unauthorized {
                presented: false, ..
            } => (
                &codes::LOGIN_MISSING,
                "authentication required, and there are no credentials for this registry",
            ),
            Self::Unauthorized { .. } => (
                &codes::LOGIN_REFUSED,
                "the credentials are wrong or have expired",
            ),
            Self::Denied { .. } => (
                &codes::DENIED,
                "the credentials are valid but do not allow this",
            ),
            Self::NameUnknown { .. } => {
                (&codes::REPOSITORY_MISSING, "the repository does not exist")
            }
            Self::HelperUnsupported { .. } => (
                &codes::HELPER_UNSUPPORTED,
                "credential helpers are not supported yet",
            ),
            Self::RateLimited { .. } => (&codes::RATE_LIMITED, "too many requests in a short time"),
            Self::Unavailable { .. } => (&codes::UNAVAILABLE, "the registry answers with an error"),
            Self::Unreachable { .. } => (&codes::UNREACHABLE, "no connection"),
            Self::Timeout { .. } => (&codes::TIMEOUT, "no answer in time"),
            Self::Tls { .. } => (&codes::TLS, "the certificate is not trusted"),
            Self::NotFound { .. } => (&codes::IMAGE_MISSING, "the registry has no such image"),
            Self::ImmutableTag { .. } => (
                &codes::TAG_IMMUTABLE,
                "the repository does not let tags move",
            ),
            Self::ForeignHost { .. } => (
                &codes::FOREIGN_HOST,
                "credentials are only sent to hosts that belong to the registry",
            ),
            Self::InvalidImage { why, .. } => (&codes::INVALID_IMAGE, why),
            Self::Configuration { why, .. } => (&codes::INVALID_CONFIGURATION, why),
            _ => (
                &codes::BAD_ANSWER,
                "the answer does not follow the distribution specification",
            ),
        }
    }

    /// The page's first fix with the names that it is about.
    fn first_fix(&self) -> Option<String> {
        Some(match self {
            Self::Unauthorized {
                presented: false,
                host,
                ..
            } => format!("Add credentials for {host} to the project"),
            Self::Unauthorized { host, .. } => {
                format!("Verify the registry credentials for {host} in the project settings")
            }
            Self::Denied {
                repository, action, ..
            } => format!("Give the user or token the right to {action} {repository}"),
            Self::NameUnknown { repository, .. } => {
                format!("Create the repository {repository} in the registry")
            }
            Self::Tls { host, .. } => {
                format!("Check that {host} presents a valid certificate for its name")
            }
            _ => return None,
        })
    }

    fn host(&self) -> Option<&str> {
        match self {
            Self::Unauthorized { host, .. }
            | Self::Denied { host, .. }
            | Self::NameUnknown { host, .. }
            | Self::ImmutableTag { host, .. }
            | Self::RateLimited { host, .. }
            | Self::Unavailable { host, .. }
            | Self::Unreachable { host, .. }
            | Self::Timeout { host, .. }
            | Self::Tls { host, .. }
            | Self::BadAnswer { host, .. }
            | Self::ForeignHost { host, .. }
            | Self::HelperUnsupported { host, .. } => Some(host),
            _ => None,
        }
    }
}

/// The innermost error's own words.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use pipeops_core::diagnosis::codes::UNKNOWN;

    use super::*;

    fn unauthorized(presented: bool) -> Error {
        Error::Unauthorized {
            host: "r.io".to_owned(),
            repository: "team/app".to_owned(),
            action: Action::Push,
            presented,
            message: "authentication required".to_owned(),
        }
    }

    #[test]
    fn missing_credentials_are_told_from_refused_ones() {
        let diagnosis = unauthorized(false).diagnosis();
        assert!(diagnosis.reason.contains("no credentials"), "{diagnosis}");
        assert_eq!(diagnosis.code.as_str(), "registry/login-missing");
        assert_eq!(diagnosis.fixes, ["Add credentials for r.io to the project"]);
        assert_eq!(diagnosis.context["host"], "r.io");
        let refused = unauthorized(true).diagnosis();
        assert_eq!(refused.code.as_str(), "registry/login-refused");
        assert_eq!(diagnosis.class, RetryClass::NeedsCredential);
    }

    #[test]
    fn what_was_tried_again_keeps_its_diagnosis_but_is_exhausted() {
        let inner = Error::Timeout {
            host: "r.io".to_owned(),
            limit: Duration::from_secs(30),
        };
        let title = inner.diagnosis().title;
        let error = Error::Exhausted {
            attempts: 3,
            source: Box::new(inner),
        };
        let diagnosis = error.diagnosis();
        assert_eq!(
            (diagnosis.title, diagnosis.class),
            (title, RetryClass::Exhausted)
        );
        assert!(
            diagnosis.reason.contains("3 attempts"),
            "{}",
            diagnosis.reason
        );
    }

    #[test]
    fn a_providers_diagnosis_is_passed_on() {
        let failure = Failure::from_diagnosis(
            Diagnosis::new(&UNKNOWN)
                .title("key store down")
                .class(RetryClass::Transient),
        );
        let error = Error::NoCredential {
            host: "r.io".to_owned(),
            source: CredentialError(failure),
        };
        assert_eq!(error.diagnosis().title, "key store down");
        assert_eq!(error.retry_class(), RetryClass::Transient);
    }
}
