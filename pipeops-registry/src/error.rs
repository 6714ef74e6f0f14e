//! Errors of registries and credentials.

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
    /// Read.
    Pull,
    /// Read and write.
    Push,
    /// Delete.
    Delete,
}

impl Action {
    /// The scope of a token for this action.
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

/// An error of a registry or a credential. Neither `Display` nor `Debug` shows a secret.
///
/// ```
/// use pipeops_registry::{Diagnose, Error};
///
/// let error = Error::NotFound { what: "ghcr.io/acme/shop:1".into() };
/// assert_eq!(error.to_string(), "ghcr.io/acme/shop:1 isn't in the registry");
/// assert_eq!(error.diagnosis().code.as_str(), "registry/image-missing");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry requires credentials, or rejected them.
    #[error("{host} rejected the login to {action} {repository}: {message}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The action.
        action: Action,
        /// Whether the request had credentials. If not, there are none for this registry.
        presented: bool,
        /// The registry's message.
        message: String,
    },
    /// The credentials are valid but don't allow the action. Never retried.
    #[error("{host} denied permission to {action} {repository}: {message}")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The action.
        action: Action,
        /// The registry's message.
        message: String,
    },
    /// The registry has no such repository, and doesn't create it on push.
    #[error("{host} has no repository {repository}: {message}")]
    NameUnknown {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The registry's message.
        message: String,
    },
    /// The registry doesn't have the image, or a part of it.
    #[error("{what} isn't in the registry")]
    NotFound {
        /// The name of the image or blob.
        what: String,
    },
    /// The tag exists, and tags of the repository are immutable.
    #[error("tags of {host}/{repository} are immutable: {message}")]
    ImmutableTag {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The registry's message.
        message: String,
    },
    /// Too many requests.
    #[error("{host} throttles requests: {message}")]
    RateLimited {
        /// The registry.
        host: String,
        /// How long to wait, if the registry says so.
        retry_after: Option<Duration>,
        /// The registry's message.
        message: String,
    },
    /// The registry responded with a server error.
    #[error("{host} responded with status {status}: {message}")]
    Unavailable {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// How long to wait, if the registry says so.
        retry_after: Option<Duration>,
        /// The registry's message.
        message: String,
    },
    /// The connection failed or was cut.
    #[error("cannot reach {host}")]
    Unreachable {
        /// The host.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No response in time.
    #[error("{host} didn't respond within {} s", limit.as_secs())]
    Timeout {
        /// The host.
        host: String,
        /// The time limit.
        limit: Duration,
    },
    /// The registry's certificate isn't trusted, or TLS failed in another way.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The host.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The response violates the specification, or is too large.
    #[error("invalid response from {host}: {what}")]
    BadAnswer {
        /// The host.
        host: String,
        /// What is invalid.
        what: String,
    },
    /// The registry redirects credentials or requests to a host of another domain.
    #[error("{host} refers to {target} {purpose}, a host of another domain")]
    ForeignHost {
        /// The registry.
        host: String,
        /// The other host.
        target: String,
        /// The purpose: `for login`, `for storage`.
        purpose: &'static str,
    },
    /// The image's name is unsuitable for the operation: it has no tag, for example.
    #[error("unsuitable image {image}: {why}")]
    InvalidImage {
        /// The image.
        image: String,
        /// Why it's unsuitable.
        why: String,
    },
    /// The credential provider failed.
    #[error("no credential for {host}")]
    NoCredential {
        /// The registry.
        host: String,
        /// The provider's failure.
        #[source]
        source: CredentialError,
    },
    /// The login is stored in a credential helper. PipeOps doesn't run credential helpers yet.
    #[error("the login for {host} is in credential helper {helper:?}, which isn't supported yet")]
    HelperUnsupported {
        /// The registry.
        host: String,
        /// The helper's name in Docker's configuration.
        helper: String,
    },
    /// A file or an option is invalid.
    #[error("{what} {why}")]
    Configuration {
        /// The file or option.
        what: String,
        /// What is wrong with it: `is larger than 1048576 bytes`.
        why: String,
    },
    /// A transient error that lasted through all attempts.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// The number of attempts.
        attempts: u32,
        /// The last error.
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
    /// Whether a retry can help.
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

    /// How long to wait before a retry, if the registry says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            Self::Exhausted { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// The error itself, or the last one of an exhausted retry.
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
    /// The page of this error, and the reason.
    fn page(&self) -> (&'static Page, &str) {
        match self {
            Self::Unauthorized {
                presented: false, ..
            } => (
                &codes::LOGIN_MISSING,
                "authentication required, but there are no credentials for this registry",
            ),
            Self::Unauthorized { .. } => (
                &codes::LOGIN_REFUSED,
                "the credentials are wrong or have expired",
            ),
            Self::Denied { .. } => (
                &codes::DENIED,
                "the credentials are valid but don't permit this action",
            ),
            Self::NameUnknown { .. } => {
                (&codes::REPOSITORY_MISSING, "the repository doesn't exist")
            }
            Self::HelperUnsupported { .. } => (
                &codes::HELPER_UNSUPPORTED,
                "credential helpers aren't supported yet",
            ),
            Self::RateLimited { .. } => (&codes::RATE_LIMITED, "too many requests in a short time"),
            Self::Unavailable { .. } => (&codes::UNAVAILABLE, "the registry has a server error"),
            Self::Unreachable { .. } => (&codes::UNREACHABLE, "no connection"),
            Self::Timeout { .. } => (&codes::TIMEOUT, "no response in time"),
            Self::Tls { .. } => (&codes::TLS, "the certificate isn't trusted"),
            Self::NotFound { .. } => (&codes::IMAGE_MISSING, "the registry has no such image"),
            Self::ImmutableTag { .. } => (
                &codes::TAG_IMMUTABLE,
                "tags of the repository are immutable",
            ),
            Self::ForeignHost { .. } => (
                &codes::FOREIGN_HOST,
                "credentials are only sent to hosts of the registry's domain",
            ),
            Self::InvalidImage { why, .. } => (&codes::INVALID_IMAGE, why),
            Self::Configuration { why, .. } => (&codes::INVALID_CONFIGURATION, why),
            _ => (
                &codes::BAD_ANSWER,
                "the response violates the distribution specification",
            ),
        }
    }

    /// A first fix with names in it, which replaces that of the page.
    fn first_fix(&self) -> Option<String> {
        Some(match self {
            Self::Unauthorized {
                presented: false,
                host,
                ..
            } => format!("Add credentials for {host}"),
            Self::Unauthorized { host, .. } => {
                format!("Verify the credentials for {host}")
            }
            Self::Denied {
                repository, action, ..
            } => format!("Grant the user or token permission to {action} {repository}"),
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

/// The message of the innermost error.
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
    fn missing_and_rejected_credentials_differ() {
        let diagnosis = unauthorized(false).diagnosis();
        assert!(diagnosis.reason.contains("no credentials"), "{diagnosis}");
        assert_eq!(diagnosis.code.as_str(), "registry/login-missing");
        assert_eq!(diagnosis.fixes, ["Add credentials for r.io"]);
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
        assert!(diagnosis.reason.contains("3 attempts"), "{diagnosis}");
        assert_eq!(diagnosis.title, title);
        assert_eq!(diagnosis.class, RetryClass::Exhausted);
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
