//! What can go wrong between PipeOps and a registry.

use std::fmt;
use std::time::Duration;

use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};

/// The command that changes a project's registry credentials.
const UPDATE: &str = "pipeops project registry update";

/// What was to be done with a repository.
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
    /// The registry wants other credentials, or any at all.
    #[error("{host} refused to let us {action} {repository}: {message}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What was to be done.
        action: Action,
        /// Whether credentials were presented; false means that there are none for this registry.
        presented: bool,
        /// What the registry said.
        message: String,
    },
    /// The credentials are good and do not allow this. Never tried again.
    #[error("{host} does not allow us to {action} {repository}: {message}")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What was to be done.
        action: Action,
        /// What the registry said.
        message: String,
    },
    /// The registry has no such repository, and does not create it on a push.
    #[error("{host} has no repository {repository}: {message}")]
    NameUnknown {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// What the registry said.
        message: String,
    },
    /// The image, or a part of it, is not there.
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
    /// The registry has trouble of its own.
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
    /// An answer that no registry gives, or one that is too large.
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
    /// A credential is configured and could not be had.
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
    /// It may have passed by itself, but did not in as many attempts.
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

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        let diagnosis = match self {
            Self::NoCredential { source, .. } => return source.0.diagnosis(),
            Self::Exhausted { attempts, source } => {
                let inner = source.diagnosis();
                let reason = format!("{} (after {attempts} attempts)", inner.reason);
                inner.reason(reason)
            }
            Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::NameUnknown { .. }
            | Self::HelperUnsupported { .. } => access_diagnosis(self),
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. } => connection_diagnosis(self),
            _ => content_diagnosis(self),
        };
        diagnosis.class(self.retry_class())
    }
}

/// Who may do what.
fn access_diagnosis(error: &Error) -> Diagnosis {
    let block = |title: &str, reason: &str| {
        Diagnosis::new(title)
            .error(error.to_string())
            .reason(reason)
            .run(UPDATE)
    };
    match error {
        Error::Unauthorized {
            presented: false,
            host,
            ..
        } => block(
            "Registry login failed: Unauthorized",
            "authentication required, and there are no credentials for this registry",
        )
        .fix(format!("Add credentials for {host} to the project")),
        Error::Unauthorized { host, .. } => block(
            "Registry login failed: Unauthorized",
            "the credentials are wrong or have expired",
        )
        .fix(format!(
            "Verify the registry credentials for {host} in the project settings"
        ))
        .fix("Check that the token has not expired or been revoked"),
        Error::Denied {
            repository, action, ..
        } => block(
            "Registry access failed: Denied",
            "the credentials are valid but do not allow this",
        )
        .fix(format!(
            "Give the user or token the right to {action} {repository}"
        ))
        .fix("Check the name of the repository: registries also say denied where there is none"),
        Error::NameUnknown { repository, .. } => block(
            "Registry access failed: NameUnknown",
            "the repository does not exist",
        )
        .fix(format!(
            "Create the repository {repository} in the registry"
        ))
        .fix("Check the repository's name in the project settings"),
        _ => block(
            "Registry login failed: HelperUnsupported",
            "credential helpers are not supported yet",
        )
        .fix("Give the user name and a token to the project directly"),
    }
}

/// Whether the registry can be reached and is well.
fn connection_diagnosis(error: &Error) -> Diagnosis {
    let cause = std::error::Error::source(error).map(root_cause);
    let block = |title: &str, reason: &str| {
        let reason = cause.as_deref().unwrap_or(reason);
        Diagnosis::new(title)
            .error(error.to_string())
            .reason(reason)
    };
    match error {
        Error::RateLimited { .. } => block(
            "Registry access failed: RateLimited",
            "too many requests in a short time",
        )
        .fix("Wait until the limit is lifted")
        .fix("Log in: anonymous users have lower limits")
        .run(UPDATE),
        Error::Unavailable { .. } => block(
            "Registry access failed: Unavailable",
            "the registry has trouble of its own",
        )
        .fix("Try again later")
        .fix("Check the registry's status page or its logs"),
        Error::Tls { host, .. } => block(
            "Registry access failed: Tls",
            "the certificate is not trusted",
        )
        .fix(format!(
            "Check that {host} presents a valid certificate for its name"
        ))
        .fix("Add the registry's own certificate authority to the trusted ones")
        .run("pipeops doctor"),
        Error::Timeout { .. } => block("Registry access failed: Timeout", "no answer in time")
            .fix("Check the network between PipeOps and the registry")
            .run("pipeops doctor"),
        _ => block("Registry access failed: Unreachable", "no connection")
            .fix("Check the registry's host name and port")
            .fix("Check that the registry is running and that a firewall lets us through")
            .run("pipeops doctor"),
    }
}

/// What was asked for, and what was answered.
fn content_diagnosis(error: &Error) -> Diagnosis {
    let block = |title: &str| Diagnosis::new(title).error(error.to_string());
    match error {
        Error::NotFound { .. } => block("Image missing: NotFound")
            .reason("the registry has no such image")
            .fix("Check the image's name, tag and digest")
            .fix("Build and push it again"),
        Error::ImmutableTag { .. } => block("Push refused: ImmutableTag")
            .reason("the repository does not let tags move")
            .fix("Deploy the image that this tag already names")
            .fix("Allow tags to move in the repository's settings"),
        Error::ForeignHost { .. } => block("Registry login failed: ForeignHost")
            .reason("credentials are only sent to hosts that belong to the registry")
            .fix("Check the registry's host name")
            .fix("If the host is right, add it to the trusted hosts of this registry"),
        Error::InvalidImage { why, .. } => block("Invalid image name: InvalidImage")
            .reason(why)
            .fix("Write the image as host/path:tag or host/path@sha256:…"),
        Error::Configuration { why, .. } => block("Registry configuration failed: InvalidConfiguration")
            .reason(why)
            .fix("Correct the file or option that is named"),
        _ => block("Registry access failed: BadAnswer")
            .reason("the answer does not follow the distribution specification")
            .fix("Check that the host is a container registry and that no proxy answers in its place"),
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
    fn missing_credentials_are_named_as_such_with_the_command() {
        let diagnosis = unauthorized(false).diagnosis();
        assert!(diagnosis.reason.contains("no credentials"), "{diagnosis}");
        assert_eq!(
            diagnosis.run.as_deref(),
            Some("pipeops project registry update")
        );
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
        let failure =
            Failure::from_diagnosis(Diagnosis::new("key store down").class(RetryClass::Transient));
        let error = Error::NoCredential {
            host: "r.io".to_owned(),
            source: CredentialError(failure),
        };
        assert_eq!(error.diagnosis().title, "key store down");
        assert_eq!(error.retry_class(), RetryClass::Transient);
    }
}
