//! Each error with what to do about it.

use pipeops_core::{Diagnose, Diagnosis, RetryClass};

use crate::cause::Cause;
use crate::error::{CredentialError, Error};
use crate::failure::BuildFailure;

const REGISTRY_UPDATE: &str = "pipeops project registry update";
const DOCTOR: &str = "pipeops doctor";

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Address(error) => error.diagnosis(),
            Self::Build(failure) => failure.diagnosis(),
            Self::Credentials { host, source } => credentials(host, source),
            Self::Exhausted { attempts, source } => {
                let inner = source.diagnosis();
                let reason = format!("{} ({attempts} attempts)", inner.reason);
                inner.reason(reason).class(RetryClass::Exhausted)
            }
            Self::Connect { .. }
            | Self::DaemonLost { .. }
            | Self::Call { .. }
            | Self::Session { .. }
            | Self::Timeout { .. } => self.daemon(),
            Self::Invalid { .. }
            | Self::DockerfileMissing { .. }
            | Self::Context { .. }
            | Self::ContextChanged { .. }
            | Self::Output { .. }
            | Self::Certificate { .. } => self.input(),
            Self::ForeignRealm { .. } | Self::NoDigest | Self::NoRandomness => self.rest(),
        }
    }
}

impl Error {
    /// Errors of the daemon and of the way to it.
    fn daemon(&self) -> Diagnosis {
        let diagnosis =
            Diagnosis::new(format!("Build failed: {}", self.name())).error(with_source(self));
        match self {
            Self::Connect { address, .. } => diagnosis
                .reason("nobody answers at this address")
                .fix(format!("Start buildkitd, and let it listen at {address}"))
                .fix("Set BUILDKIT_HOST to where it listens")
                .run(DOCTOR)
                .class(RetryClass::Transient),
            Self::DaemonLost { .. } => diagnosis
                .reason("buildkitd was stopped, crashed, or the network to it broke")
                .fix("Build again; finished steps come from the daemon's cache")
                .fix("Look into the daemon's log: an out-of-memory kill is the likeliest cause")
                .run(DOCTOR)
                .class(RetryClass::Transient),
            Self::Session { .. } => diagnosis
                .reason("the daemon is overloaded or shutting down")
                .fix("Build again; give buildkitd more CPU if it happens often")
                .class(RetryClass::Transient),
            Self::Timeout { .. } => diagnosis
                .reason("the limit for this build was reached")
                .fix("Look at the last lines of the log for a step that waits")
                .fix("Raise the build's time limit if the build really needs longer"),
            _ => diagnosis
                .reason("the daemon refused the call")
                .fix("Check that the daemon is BuildKit v0.13 or newer")
                .run(DOCTOR),
        }
    }

    /// Errors of what was to be built.
    fn input(&self) -> Diagnosis {
        let diagnosis =
            Diagnosis::new(format!("Build failed: {}", self.name())).error(with_source(self));
        match self {
            Self::DockerfileMissing { path } => diagnosis
                .reason("the repository has no such file")
                .fix(format!(
                    "Add {path} to the repository, or set the project's Dockerfile path"
                ))
                .fix("Without any Dockerfile, let one be generated")
                .run("pipeops dockerfile generate ."),
            Self::Context { path, .. } => diagnosis
                .reason("the file cannot be read by the user that runs the build")
                .fix(format!("Make {path} readable, or list it in .dockerignore")),
            Self::Certificate { path, .. } => diagnosis
                .reason("the daemon is spoken to with certificates, and one of their files is missing or not readable")
                .fix(format!("Put ca.pem, cert.pem and key.pem where {path} is expected, readable by this user")),
            Self::Output { path, .. } => diagnosis
                .reason("the result was built, but this machine did not take it")
                .fix(format!(
                    "Make {path} writable, with enough room on its disk"
                )),
            Self::ContextChanged { path } => diagnosis
                .reason("another program writes into the build context")
                .fix(format!(
                    "List {path} in .dockerignore if the image does not need it"
                ))
                .fix("Build again when nothing writes into the folder")
                .class(RetryClass::Transient),
            Self::Invalid { field, why } => diagnosis
                .reason(why)
                .fix(format!("Correct {field} in the build's configuration")),
            _ => diagnosis,
        }
    }

    fn rest(&self) -> Diagnosis {
        let diagnosis =
            Diagnosis::new(format!("Build failed: {}", self.name())).error(self.to_string());
        match self {
            Self::ForeignRealm { host, realm } => diagnosis
                .reason(format!("credentials of {host} are not sent to other hosts"))
                .fix(format!("If {realm} is this registry's own token server, name its host as trusted in the builder's options"))
                .fix("Check the registry's name for a typing error"),
            Self::NoDigest => diagnosis
                .reason("the daemon is older than BuildKit v0.11, or its answer was changed on the way")
                .fix("Use BuildKit v0.13 or newer"),
            _ => diagnosis.reason("getrandom failed").class(RetryClass::Transient),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Address(_) => "InvalidAddress",
            Self::Connect { .. } => "DaemonUnreachable",
            Self::DaemonLost { .. } => "DaemonLost",
            Self::Call { .. } => "CallRefused",
            Self::Session { .. } => "SessionRefused",
            Self::Timeout { .. } => "Timeout",
            Self::Invalid { .. } => "InvalidRequest",
            Self::DockerfileMissing { .. } => "DockerfileMissing",
            Self::Context { .. } => "ContextUnreadable",
            Self::ContextChanged { .. } => "ContextChanged",
            Self::Output { .. } => "OutputNotWritten",
            Self::Certificate { .. } => "CertificateUnreadable",
            Self::Credentials { .. } => "CredentialUnavailable",
            Self::ForeignRealm { .. } => "ForeignTokenServer",
            Self::Build(failure) => failure.cause.name(),
            Self::NoDigest => "NoDigest",
            Self::NoRandomness => "NoRandomness",
            Self::Exhausted { source, .. } => source.name(),
        }
    }
}

/// A credential that could not be had: the provider's own diagnosis, where it has one.
fn credentials(host: &str, source: &CredentialError) -> Diagnosis {
    let plain = || {
        Diagnosis::new("Build failed: CredentialUnavailable")
            .error(format!("no credential for {host}: {}", with_source(source)))
            .run(REGISTRY_UPDATE)
    };
    match source {
        CredentialError::Provider(failure) => failure.diagnosis(),
        CredentialError::Slow(_) => plain()
            .reason("whatever provides the credential hangs")
            .fix("Check the credential helper or cloud account behind this registry")
            .class(RetryClass::Transient),
        CredentialError::TokenServer { refused: true, .. } => plain()
            .reason(format!(
                "{host} knows no such user, or the password or token has expired"
            ))
            .fix("Verify registry credentials in project settings")
            .class(RetryClass::NeedsCredential),
        CredentialError::TokenServer { transient, .. } => plain()
            .reason(format!("the token server of {host} does not work"))
            .fix("Build again in a few minutes")
            .class(if *transient {
                RetryClass::Transient
            } else {
                RetryClass::Permanent
            }),
    }
}

impl Diagnose for BuildFailure {
    fn diagnosis(&self) -> Diagnosis {
        let mut log: Vec<String> = Vec::new();
        if let Some(source) = &self.source {
            log.extend(source.to_string().lines().map(str::to_owned));
        }
        log.extend(self.log.iter().cloned());
        let diagnosis = Diagnosis::new(format!("Build failed: {}", self.cause.name()))
            .error(self.message.lines().next().unwrap_or_default())
            .log(log)
            .class(self.cause.retry_class());
        self.advise(diagnosis)
    }
}

impl BuildFailure {
    fn advise(&self, diagnosis: Diagnosis) -> Diagnosis {
        let place = self.source.as_ref().map_or_else(
            || "the Dockerfile".to_owned(),
            |source| format!("{}:{}", source.file, source.line),
        );
        match &self.cause {
            Cause::Instruction => {
                let code = self.exit_code.map_or_else(|| "an error".to_owned(), |code| format!("exit code {code}"));
                diagnosis
                    .reason(format!("the command at {place} ended with {code}"))
                    .fix("Read the command's last output: it says why")
                    .fix("Run the same command on your machine, or in the image of the step before it")
            }
            Cause::OutOfMemory => diagnosis
                .reason(format!("the command at {place} was killed: it wanted more memory than the daemon may use"))
                .fix("Give buildkitd more memory")
                .fix("Make the command use less: fewer parallel jobs, a smaller heap (for Node.js NODE_OPTIONS=--max-old-space-size)"),
            Cause::ForeignPlatform => diagnosis
                .reason(format!("the program started at {place} is for another processor than the daemon's"))
                .fix("Build for the daemon's platform, or use a base image that has this one")
                .fix("Let the daemon's machine emulate it (qemu and binfmt_misc)"),
            Cause::DiskFull => diagnosis
                .reason("the daemon's disk is full")
                .fix("Free space: prune the daemon's cache, and set its gc policy so that it does so by itself")
                .fix("Give the daemon a larger disk")
                .run("buildctl prune"),
            Cause::SessionLost => diagnosis
                .reason("the daemon lost the connection through which it reads the build context")
                .fix("Build again; give buildkitd more CPU if it happens often"),
            Cause::ContentDamaged => diagnosis
                .reason("a part of an image or cache has other bytes than its digest says; the daemon may keep them and fail again")
                .fix("Build at another daemon, or prune this one's cache")
                .fix("If every daemon fails, push the base image again: its registry keeps the damaged part")
                .run("buildctl prune --all"),
            Cause::Cancelled => diagnosis.reason("somebody cancelled it, or the daemon was stopped").fix("Build again"),
            Cause::Dockerfile { .. } | Cause::FileMissing { .. } | Cause::SecretMissing { .. } => self.advise_author(diagnosis, &place),
            Cause::Unknown => diagnosis.reason("the daemon gives no other reason").fix("Look into the daemon's log").run(DOCTOR),
            _ => self.advise_registry(diagnosis),
        }
    }

    /// For who wrote the Dockerfile.
    fn advise_author(&self, diagnosis: Diagnosis, place: &str) -> Diagnosis {
        match &self.cause {
            Cause::FileMissing { path } => diagnosis
                .reason(format!("{path} is not in the build context, or .dockerignore keeps it out"))
                .fix(format!("Check the path at {place}: it is read from the context's root, not from the Dockerfile's folder"))
                .fix("Check that the file is committed, and that no pattern of .dockerignore matches it"),
            Cause::SecretMissing { id } => diagnosis
                .reason(format!("the step requires the secret {id:?}, which was not given"))
                .fix(format!("Add a build secret with the id {id:?} to the project")),
            _ => diagnosis
                .reason(format!("{place} is not a valid instruction"))
                .fix(format!("Correct {place}"))
                .run("pipeops dockerfile args Dockerfile"),
        }
    }

    /// For who gave access to the registry.
    fn advise_registry(&self, diagnosis: Diagnosis) -> Diagnosis {
        let at = |host: &Option<String>| host.clone().unwrap_or_else(|| "the registry".to_owned());
        match &self.cause {
            Cause::BaseImageMissing { image } => diagnosis
                .reason(format!(
                    "{image} does not exist, or may not be read with this credential"
                ))
                .fix("Check the image's name and tag after FROM")
                .fix("If it is private, add a credential for its registry in project settings")
                .run(REGISTRY_UPDATE),
            Cause::Unauthorized { host } => diagnosis
                .reason(format!("{} refused the credential, or has none", at(host)))
                .fix("Verify registry credentials in project settings")
                .fix("Check that the token has not expired and may write packages")
                .run(REGISTRY_UPDATE),
            Cause::Denied { host } => diagnosis
                .reason(format!(
                    "{} knows the account and does not let it write here",
                    at(host)
                ))
                .fix("Give the account the right to push to this repository")
                .fix("Check the repository's name for a typing error")
                .run(REGISTRY_UPDATE),
            Cause::RateLimited { host } => diagnosis
                .reason(format!("{} wants fewer requests", at(host)))
                .fix("Wait some minutes, then build again")
                .fix("Log in: anonymous clients have lower limits")
                .fix("Let the daemon pull base images through a mirror"),
            Cause::RepositoryMissing { host } => diagnosis
                .reason(format!("{} creates no repositories by itself", at(host)))
                .fix("Create the repository, then build again"),
            Cause::TagImmutable { host } => diagnosis
                .reason(format!("{} does not let a tag change", at(host)))
                .fix("Deploy the image that is there, or push under another tag"),
            Cause::RegistryDown { host } => diagnosis
                .reason(format!("{} does not work at the moment", at(host)))
                .fix("Build again in a few minutes"),
            Cause::CacheMissing => diagnosis
                .reason("the bucket lost a part of the build cache, and the build needed it")
                .fix("Build without this cache once; it is written anew"),
            Cause::CacheUnreadable => diagnosis
                .reason("the server of the build cache refuses, or gives other bytes than were written")
                .fix("Build without this cache")
                .fix("Check the cache's keys and that the daemon reaches its server"),
            Cause::CacheSilent { cache } => diagnosis
                .reason(format!("the server of the build cache {cache} takes connections and does not answer"))
                .fix("Check the server of the cache: until it answers or hangs up, the daemon goes on with none of its builds")
                .fix("Build without this cache, at another daemon"),
            Cause::CacheUnwritable => diagnosis
                .reason("the daemon does not know this kind of cache, or one of its settings")
                .fix("Correct the cache in the build's configuration, or build without it"),
            Cause::Network { host } => diagnosis
                .reason(format!(
                    "the daemon cannot reach {}",
                    host.clone().unwrap_or_else(|| "a server".to_owned())
                ))
                .fix("Check the server's name, and that the daemon's network lets it out")
                .run(DOCTOR),
            _ => diagnosis,
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
        let failure = Failure::from_diagnosis(Diagnosis::new("IAM role expired").fix("Renew it"));
        let error = Error::Credentials {
            host: "h".into(),
            source: CredentialError::Provider(failure),
        };
        assert_eq!(error.diagnosis().title, "IAM role expired");
        assert_eq!(with_source(&error), "no credential for h: IAM role expired");
    }
}
