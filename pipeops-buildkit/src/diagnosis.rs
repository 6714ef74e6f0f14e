//! Diagnoses of errors: the page in the book of codes, and the reason.

use std::borrow::Cow;

use pipeops_core::diagnosis::Page;
use pipeops_core::diagnosis::codes::{build, cache};
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

use crate::cause::Cause;
use crate::error::{CredentialError, Error};
use crate::failure::BuildFailure;

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        let page = match self {
            Self::Address(error) => return error.diagnosis(),
            Self::Build(failure) => return failure.diagnosis(),
            #[cfg(feature = "pool")]
            Self::Pool(error) => return error.diagnosis(),
            Self::Credentials { host, source } => return credentials(host, source),
            Self::Exhausted { attempts, source } => {
                let inner = source.diagnosis();
                let reason = format!("{} ({attempts} attempts)", inner.reason);
                return inner.reason(reason).class(RetryClass::Exhausted);
            }
            Self::Connect { .. } => &build::DAEMON_UNREACHABLE,
            Self::DaemonLost { .. } => &build::DAEMON_LOST,
            Self::Session { .. } => &build::SESSION_REFUSED,
            Self::Timeout { .. } => &build::TIMEOUT,
            Self::Call { .. } => &build::CALL_REFUSED,
            Self::DockerfileMissing { .. } => &build::DOCKERFILE_MISSING,
            Self::Context { .. } => &build::CONTEXT_UNREADABLE,
            Self::ContextChanged { .. } => &build::CONTEXT_CHANGED,
            Self::Certificate { .. } => &build::CERTIFICATE_UNREADABLE,
            Self::Output { .. } => &build::OUTPUT_NOT_WRITTEN,
            Self::Invalid { .. } => &build::INVALID_REQUEST,
            Self::ForeignRealm { .. } => &build::FOREIGN_TOKEN_SERVER,
            Self::NoDigest => &build::NO_DIGEST,
            Self::NoRandomness => &build::NO_RANDOMNESS,
        };
        let is_transient = matches!(
            self,
            Self::Connect { .. }
                | Self::DaemonLost { .. }
                | Self::Session { .. }
                | Self::ContextChanged { .. }
                | Self::NoRandomness
        );
        Diagnosis::new(page)
            .error(with_source(self))
            .reason(self.reason())
            .class(match is_transient {
                true => RetryClass::Transient,
                false => RetryClass::Permanent,
            })
    }
}

impl Error {
    /// The reason, unless a nested error has its own diagnosis.
    fn reason(&self) -> Cow<'_, str> {
        let reason = match self {
            Self::Invalid { why, .. } => why,
            Self::ForeignRealm { host, .. } => {
                return format!("credentials of {host} are not sent to other hosts").into();
            }
            Self::Connect { .. } => "no daemon answers at this address",
            Self::DaemonLost { .. } => {
                "buildkitd stopped or crashed, or the network connection broke"
            }
            Self::Session { .. } => "the daemon is overloaded or shutting down",
            Self::Timeout { .. } => "the time limit was reached",
            Self::Call { .. } => "the daemon rejected the call",
            Self::DockerfileMissing { .. } => "the repository has no such file",
            Self::Context { .. } => "the user that runs the build can't read the file",
            Self::ContextChanged { .. } => "another program is writing to the build context",
            Self::Certificate { .. } => "a certificate file is missing or unreadable",
            Self::Output { .. } => {
                "the build succeeded, but its result can't be written on this machine"
            }
            Self::NoDigest => {
                "the daemon is older than BuildKit v0.11, or a proxy changed its response"
            }
            Self::NoRandomness => "getrandom failed",
            _ => "",
        };
        reason.into()
    }
}

/// A credential that is not available: the provider's own diagnosis, if it has one.
fn credentials(host: &str, source: &CredentialError) -> Diagnosis {
    let (class, reason) = match source {
        CredentialError::Provider(failure) => return failure.diagnosis(),
        CredentialError::Slow(_) => (
            RetryClass::Transient,
            "the credential provider does not respond".to_owned(),
        ),
        CredentialError::TokenServer { refused: true, .. } => (
            RetryClass::NeedsCredential,
            format!("{host} doesn't know the user, or the password or token is wrong or expired"),
        ),
        CredentialError::TokenServer { transient, .. } => (
            match transient {
                true => RetryClass::Transient,
                false => RetryClass::Permanent,
            },
            format!("the token server of {host} failed"),
        ),
    };
    Diagnosis::new(&build::CREDENTIAL_UNAVAILABLE)
        .error(format!("no credential for {host}: {}", with_source(source)))
        .reason(reason)
        .context("host", host)
        .class(class)
}

impl Diagnose for BuildFailure {
    fn diagnosis(&self) -> Diagnosis {
        let mut log: Vec<String> = Vec::new();
        if let Some(source) = &self.source {
            log.extend(source.to_string().lines().map(str::to_owned));
        }
        log.extend(self.log.iter().cloned());
        let diagnosis = Diagnosis::new(self.cause.page())
            .error(self.message.lines().next().unwrap_or_default())
            .reason(self.reason())
            .log(log)
            .class(self.cause.retry_class());
        match self.cause.host() {
            Some(host) => diagnosis.context("host", host),
            None => diagnosis,
        }
    }
}

impl BuildFailure {
    fn reason(&self) -> String {
        let place = self.source.as_ref().map_or_else(
            || "the Dockerfile".to_owned(),
            |source| format!("{}:{}", source.file, source.line),
        );
        let host = self.cause.host().unwrap_or("the registry");
        match &self.cause {
            Cause::Instruction => match self.exit_code {
                Some(code) => format!("the command at {place} ended with exit code {code}"),
                None => format!("the command at {place} ended with an error"),
            },
            Cause::OutOfMemory => {
                format!("the command at {place} was killed because it needed more memory than the daemon has")
            }
            Cause::ForeignPlatform => {
                format!("the program started at {place} is for a different processor than the daemon's")
            }
            Cause::DiskFull => "the daemon's disk is full".to_owned(),
            Cause::SessionLost => {
                "the daemon lost the connection through which it reads the build context".to_owned()
            }
            Cause::ContentDamaged => "a blob of an image or cache doesn't match its digest; the daemon may keep it and fail again".to_owned(),
            Cause::Cancelled => "the build was cancelled, or the daemon was stopped".to_owned(),
            Cause::Dockerfile { .. } => format!("{place} is not a valid instruction"),
            Cause::FileMissing { path } => {
                format!("{path}, copied at {place}, doesn't exist in the build context, or .dockerignore excludes it")
            }
            Cause::SecretMissing { id } => format!("the step requires the secret {id:?}, which the request doesn't have"),
            Cause::BaseImageMissing { image } => {
                format!("{image} doesn't exist, or the credential isn't allowed to pull it")
            }
            Cause::Unauthorized { .. } => format!("{host} refused the credential, or requires one"),
            Cause::Denied { .. } => {
                format!("{host} accepted the credential, but the account isn't permitted to do this")
            }
            Cause::RateLimited { .. } => format!("{host} throttles requests"),
            Cause::RepositoryMissing { .. } => format!("{host} doesn't create repositories on push"),
            Cause::TagImmutable { .. } => format!("{host} doesn't allow existing tags to change"),
            Cause::RegistryDown { .. } => format!("{host} is down"),
            Cause::CacheMissing => {
                "a blob of the build cache is missing, and the build needs it".to_owned()
            }
            Cause::CacheUnreadable => "the server of the build cache refuses access, or returns data that doesn't match the manifest".to_owned(),
            Cause::CacheSilent { cache } => {
                format!("the server of the build cache {cache} accepts connections but never responds")
            }
            Cause::CacheUnwritable => {
                "the daemon doesn't support this kind of cache, or one of its settings".to_owned()
            }
            Cause::Network { host } => {
                format!("the daemon can't reach {}", host.as_deref().unwrap_or("a server"))
            }
            Cause::Unknown => "the daemon reported no further reason".to_owned(),
        }
    }
}

impl Cause {
    /// Returns its page in the book of codes.
    pub fn page(&self) -> &'static Page {
        match self {
            Self::Instruction => &build::INSTRUCTION,
            Self::OutOfMemory => &build::OUT_OF_MEMORY,
            Self::ForeignPlatform => &build::FOREIGN_PLATFORM,
            Self::DiskFull => &build::DISK_FULL,
            Self::Dockerfile { .. } => &build::INVALID_DOCKERFILE,
            Self::FileMissing { .. } => &build::FILE_MISSING,
            Self::SecretMissing { .. } => &build::SECRET_MISSING,
            Self::BaseImageMissing { .. } => &build::BASE_IMAGE_MISSING,
            Self::Unauthorized { .. } => &build::REGISTRY_AUTH,
            Self::Denied { .. } => &build::REGISTRY_DENIED,
            Self::RateLimited { .. } => &build::REGISTRY_RATE_LIMITED,
            Self::RepositoryMissing { .. } => &build::REPOSITORY_MISSING,
            Self::TagImmutable { .. } => &build::TAG_IMMUTABLE,
            Self::RegistryDown { .. } => &build::REGISTRY_DOWN,
            Self::Network { .. } => &build::NETWORK,
            Self::CacheMissing => &cache::MISSING,
            Self::CacheUnreadable => &cache::UNREADABLE,
            Self::CacheSilent { .. } => &cache::SILENT,
            Self::CacheUnwritable => &cache::UNWRITABLE,
            Self::ContentDamaged => &build::CONTENT_DAMAGED,
            Self::Cancelled => &build::CANCELLED,
            Self::SessionLost => &build::SESSION_LOST,
            Self::Unknown => &build::BUILD_ERROR,
        }
    }

    /// The registry or server, if known.
    fn host(&self) -> Option<&str> {
        match self {
            Self::Unauthorized { host }
            | Self::Denied { host }
            | Self::RateLimited { host }
            | Self::RepositoryMissing { host }
            | Self::TagImmutable { host }
            | Self::RegistryDown { host }
            | Self::Network { host } => host.as_deref(),
            _ => None,
        }
    }
}

/// An error and its sources in one line.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use pipeops_core::Failure;

    use super::*;
    use crate::failure::Details;
    use crate::live_redactor::LiveRedactor;

    fn build(message: &str) -> Error {
        Error::Build(Box::new(Details::default().into_failure(
            message,
            None,
            &LiveRedactor::default(),
        )))
    }

    #[test]
    fn every_cause_has_a_reason_and_a_fix() {
        for message in [
            "process \"x\" did not complete successfully: exit code: 1",
            "process \"x\" did not complete successfully: cannot allocate memory",
            "dockerfile parse error on line 3: x",
            "failed to calculate checksum of ref a::b: \"/x\": not found",
            "secret a: not found",
            "a: failed to resolve source metadata for a: a: not found",
            "failed to push h/x:1: 401 Unauthorized",
            "failed to push h/x:1: denied",
            "failed to push h/x:1: toomanyrequests",
            "failed to push h/x:1: name unknown",
            "failed to push h/x:1: the repository is immutable",
            "unexpected status from GET request to http://h/v2/: 503 x",
            "dial tcp: connection refused",
            "no space left on device",
            "api error NoSuchKey",
            "context canceled",
            "no active session for x",
            "?",
        ] {
            let diagnosis = build(message).diagnosis();
            assert!(diagnosis.title.starts_with("Build failed: "), "{diagnosis}");
            assert!(
                !diagnosis.reason.is_empty() && !diagnosis.fixes.is_empty(),
                "{message}: {diagnosis}"
            );
        }
    }

    #[test]
    fn after_the_last_attempt_nobody_tries_again() {
        let error = Error::Exhausted {
            attempts: 3,
            source: Box::new(build("failed to push h/x:1: toomanyrequests")),
        };
        let diagnosis = error.diagnosis();
        assert_eq!(diagnosis.class, RetryClass::Exhausted);
        assert!(diagnosis.reason.ends_with("(3 attempts)"), "{diagnosis}");
        assert!(error.build_failure().is_some());
    }

    #[test]
    fn a_providers_own_diagnosis_is_kept() {
        let failure = Failure::from_diagnosis(
            Diagnosis::new(&build::CREDENTIAL_UNAVAILABLE).title("IAM role expired"),
        );
        let error = Error::Credentials {
            host: "h".into(),
            source: CredentialError::Provider(failure),
        };
        assert_eq!(error.diagnosis().title, "IAM role expired");
        assert_eq!(with_source(&error), "no credential for h: IAM role expired");
    }
}
