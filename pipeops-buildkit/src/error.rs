//! What can go wrong.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use pipeops_core::Failure;

use crate::address::{Address, AddressError};
use crate::failure::BuildFailure;

/// Why a daemon did not do what it was asked for. Its texts contain no secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No daemon answers at the address.
    #[error("cannot connect to the BuildKit daemon at {address}")]
    Connect {
        /// Where.
        address: Address,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A certificate or key for the daemon cannot be read.
    #[error("cannot read {path}")]
    Certificate {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The daemon was there and is gone.
    #[error("the connection to the BuildKit daemon at {address} was lost: {why}")]
    DaemonLost {
        /// Where.
        address: Address,
        /// How that was noticed.
        why: String,
    },
    /// The daemon refused a short call.
    #[error("the BuildKit daemon at {address} refused {call}: {why}")]
    Call {
        /// Where.
        address: Address,
        /// The gRPC method.
        call: &'static str,
        /// What it said.
        why: String,
    },
    /// The daemon did not take the session that a build needs.
    #[error("the BuildKit daemon did not open a session: {why}")]
    Session {
        /// What it said.
        why: String,
    },
    /// A time limit was reached.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// What.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The request is invalid, whichever daemon builds it.
    #[error("the build request is not valid: {field}: {why}")]
    Invalid {
        /// Which part of it.
        field: &'static str,
        /// Which rule it breaks.
        why: String,
    },
    /// The context has no such Dockerfile.
    #[error("there is no {path} in the build context")]
    DockerfileMissing {
        /// Its path from the context's root.
        path: String,
    },
    /// A file of the context cannot be read.
    #[error("cannot read {path} of the build context")]
    Context {
        /// Its path from the context's root.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file of the context changed while it was sent. The daemon would have kept a mixture.
    #[error("{path} changed while the build read it")]
    ContextChanged {
        /// Its path from the context's root.
        path: String,
    },
    /// A result of the build cannot be written here.
    #[error("cannot write {path}")]
    Output {
        /// Which file or folder.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// No credential for a registry is available.
    #[error("no credential for {host}")]
    Credentials {
        /// The registry's host.
        host: String,
        /// Why not.
        source: CredentialError,
    },
    /// A registry names a token server on a foreign host.
    #[error("the registry {host} names a token server on another host: {realm}")]
    ForeignRealm {
        /// The registry's host.
        host: String,
        /// The token server's address.
        realm: String,
    },
    /// The build itself failed.
    #[error(transparent)]
    Build(#[from] Box<BuildFailure>),
    /// The pool could not run the build.
    #[cfg(feature = "pool")]
    #[error(transparent)]
    Pool(#[from] crate::pool::error::PoolError),
    /// The daemon pushed an image but did not report its digest.
    #[error("the daemon did not report the digest of the image that it pushed")]
    NoDigest,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// All attempts failed.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// Number of attempts.
        attempts: u32,
        /// Why the last one failed.
        source: Box<Error>,
    },
}

/// Why no credential is available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The provider failed.
    #[error("{}", ProviderError(.0))]
    Provider(Failure),
    /// The provider did not answer.
    #[error("the credential provider did not answer within {0:?}")]
    Slow(Duration),
    /// The registry's token server gave no token.
    #[error("{source}")]
    TokenServer {
        /// It knew the credential and refused it.
        refused: bool,
        /// Trying again later may help.
        transient: bool,
        /// What happened. Its own source, if any, is not repeated here.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Shows a provider's failure with its source, because a [`Failure`] is not part of the error chain.
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

    /// The failure of the build itself, also that of the last attempt.
    pub fn build_failure(&self) -> Option<&BuildFailure> {
        match self {
            Self::Build(failure) => Some(failure),
            Self::Exhausted { source, .. } => source.build_failure(),
            _ => None,
        }
    }
}

/// Whether a status means a broken connection, and does not come from the daemon.
pub(crate) fn is_transport_loss(status: &tonic::Status) -> bool {
    // The daemon's own statuses have no source: tonic sets one when the transport failed below it.
    let broken = status.source().is_some();
    match status.code() {
        tonic::Code::Unavailable => true,
        tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::Cancelled => broken,
        _ => false,
    }
}
