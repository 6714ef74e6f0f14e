//! The error type.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use pipeops_core::Failure;

use crate::address::{Address, AddressError};
use crate::failure::BuildFailure;

/// Why a build or a call failed. Its texts contain no secrets.
///
/// [`Diagnose::diagnosis`](crate::Diagnose::diagnosis) explains it to a user. To react in code, match on the variants and on
/// the [`Cause`](crate::Cause) of a failed build:
///
/// ```
/// use pipeops_buildkit::{Cause, Diagnose, Error};
///
/// fn tell(error: &Error) -> String {
///     match error.build_failure() {
///         Some(failure) if failure.cause == Cause::Instruction => {
///             format!("{} failed with exit code {:?}", failure.step.as_deref().unwrap_or("a step"), failure.exit_code)
///         }
///         _ => error.diagnosis().to_string(),
///     }
/// }
/// # assert!(tell(&Error::NoDigest).contains("digest"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Invalid daemon address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No daemon answers at the address, or its certificates don't match. Retried.
    #[error("cannot connect to the BuildKit daemon at {address}")]
    Connect {
        /// The daemon's address.
        address: Address,
        /// The underlying error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A certificate or key for the daemon can't be read.
    #[error("cannot read {path}")]
    Certificate {
        /// The file.
        path: String,
        /// The underlying error.
        source: io::Error,
    },
    /// The connection to the daemon was lost after it had been established: the daemon stopped or crashed, or the network broke.
    /// Retried; a pool uses another daemon.
    #[error("the connection to the BuildKit daemon at {address} was lost: {why}")]
    DaemonLost {
        /// The daemon's address.
        address: Address,
        /// How the loss was noticed.
        why: String,
    },
    /// The daemon refused a short call, such as [`Client::prune`](crate::Client::prune) with an invalid filter.
    #[error("the BuildKit daemon at {address} refused {call}: {why}")]
    Call {
        /// The daemon's address.
        address: Address,
        /// The gRPC method.
        call: &'static str,
        /// The daemon's message.
        why: String,
    },
    /// The daemon didn't open the session that a build needs. Retried; a pool uses another daemon.
    #[error("the BuildKit daemon did not open a session: {why}")]
    Session {
        /// The daemon's message.
        why: String,
    },
    /// A time limit was reached: [`Solve::timeout`](crate::Solve::timeout) for builds,
    /// [`ConnectOptions::call_timeout`](crate::ConnectOptions::call_timeout) for calls. Not retried.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// The operation, such as `the build`.
        what: String,
        /// The time limit.
        limit: Duration,
    },
    /// The request is invalid, regardless of the daemon.
    #[error("invalid build request: {field}: {why}")]
    Invalid {
        /// The field or setter.
        field: &'static str,
        /// The rule that it breaks.
        why: String,
    },
    /// The build context has no such Dockerfile.
    #[error("there is no {path} in the build context")]
    DockerfileMissing {
        /// Its path from the context's root.
        path: String,
    },
    /// A file of the build context can't be read.
    #[error("cannot read {path} of the build context")]
    Context {
        /// Its path from the context's root.
        path: String,
        /// The underlying error.
        source: io::Error,
    },
    /// A file of the build context changed while it was sent, so the daemon would have received a mixture. Retried.
    #[error("{path} changed while the build read it")]
    ContextChanged {
        /// Its path from the context's root.
        path: String,
    },
    /// An [`Output`](crate::Output) of the build can't be written.
    #[error("cannot write {path}")]
    Output {
        /// The file or folder.
        path: String,
        /// The underlying error.
        source: io::Error,
    },
    /// No credential for a registry is available.
    #[error("no credential for {host}")]
    Credentials {
        /// The registry's host.
        host: String,
        /// The underlying error.
        source: CredentialError,
    },
    /// A registry names a token server on a host that isn't trusted: see [`Solve::trust_realm`](crate::Solve::trust_realm).
    #[error("the registry {host} names a token server on another host: {realm}")]
    ForeignRealm {
        /// The registry's host.
        host: String,
        /// The token server's address.
        realm: String,
    },
    /// The build itself failed. The [`Cause`](crate::Cause) says why, and whether it was retried.
    #[error(transparent)]
    Build(#[from] Box<BuildFailure>),
    /// The pool could not run the build.
    #[cfg(feature = "pool")]
    #[error(transparent)]
    Pool(#[from] crate::pool::error::PoolError),
    /// The daemon pushed an image but didn't report its digest.
    #[error("the daemon did not report the digest of the image that it pushed")]
    NoDigest,
    /// The operating system's random number generator failed.
    #[error("the operating system's random number generator failed")]
    NoRandomness,
    /// All attempts failed. [`Error::build_failure`] also finds the failure of the last one.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// The number of attempts.
        attempts: u32,
        /// The error of the last attempt.
        source: Box<Error>,
    },
}

/// Why no credential is available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The credential provider failed.
    #[error("{}", ProviderError(.0))]
    Provider(Failure),
    /// The credential provider didn't respond.
    #[error("the credential provider did not respond within {0:?}")]
    Slow(Duration),
    /// The registry's token server issued no token.
    #[error("{source}")]
    TokenServer {
        /// Whether it refused the credential.
        refused: bool,
        /// Whether a retry may help.
        transient: bool,
        /// The underlying error.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Displays a provider's failure with its source, because a [`Failure`] isn't part of the error chain.
struct ProviderError<'a>(&'a Failure);

impl fmt::Display for ProviderError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.as_error().source() {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error {
    pub(crate) fn call(address: &Address, call: &'static str, status: &tonic::Status) -> Self {
        let why = status.message().to_owned();
        if is_transport_loss(status) {
            return Self::DaemonLost {
                address: address.clone(),
                why,
            };
        }
        Self::Call {
            address: address.clone(),
            call,
            why,
        }
    }

    pub(crate) fn session(why: impl Into<String>) -> Self {
        Self::Session { why: why.into() }
    }

    /// Returns the failure of the build itself, including that of the last of several attempts; `None` for other errors.
    pub fn build_failure(&self) -> Option<&BuildFailure> {
        match self {
            Self::Build(failure) => Some(failure),
            Self::Exhausted { source, .. } => source.build_failure(),
            _ => None,
        }
    }
}

/// Whether a status means a broken connection instead of an error of the daemon.
pub(crate) fn is_transport_loss(status: &tonic::Status) -> bool {
    // The daemon's own statuses have no source: tonic sets one when the transport failed below it.
    let broken = status.source().is_some();
    match status.code() {
        tonic::Code::Unavailable => true,
        tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::Cancelled => broken,
        _ => false,
    }
}
