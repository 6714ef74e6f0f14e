//! The kinds of build failures.

use pipeops_core::RetryClass;

/// The kind of a build failure.
///
/// Match on it to react to a failure; [`Error`](crate::Error) has an example. [`Cause::retry_class`] says whether a retry can help.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A command of the Dockerfile failed. [`BuildFailure::exit_code`](crate::BuildFailure::exit_code) has its exit code,
    /// [`BuildFailure::log`](crate::BuildFailure::log) its last output.
    Instruction,
    /// A command was killed because it needed more memory than the daemon has. Raise the daemon's memory limit, or run fewer
    /// builds at once ([`PoolOptions::capacity`](crate::PoolOptions::capacity)).
    OutOfMemory,
    /// A program in the Dockerfile is for another processor architecture, so the kernel refused to start it (`exec format
    /// error`). Usually the base image is for another platform and the daemon has no emulation.
    ForeignPlatform,
    /// The daemon's disk is full. Free space with [`Client::prune`](crate::Client::prune).
    DiskFull,
    /// The Dockerfile can't be parsed, or an instruction is invalid. [`BuildFailure::source`](crate::BuildFailure::source) shows
    /// the lines.
    Dockerfile {
        /// The line number, if known.
        line: Option<usize>,
    },
    /// A copied file doesn't exist in the build context, or `.dockerignore` excludes it.
    FileMissing {
        /// The file's path.
        path: String,
    },
    /// A secret that a step requires is missing from the request. Add it with
    /// [`BuildRequest::secret`](crate::BuildRequest::secret).
    SecretMissing {
        /// The secret's id.
        id: String,
    },
    /// A base image doesn't exist or is private. Many registries don't distinguish the two without a credential.
    BaseImageMissing {
        /// The image's name.
        image: String,
    },
    /// A registry requires a credential or refused it. A [`Builder`](crate::Builder) asks the request's credential provider for
    /// a new one and retries once.
    Unauthorized {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// A registry accepted the credential but denies access: the account lacks a permission.
    Denied {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// A registry throttles requests (status 429 or `TOOMANYREQUESTS`). Retried with increasing waits.
    RateLimited {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// The repository doesn't exist, and the registry doesn't create it on push.
    RepositoryMissing {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// The tag exists and the registry doesn't allow it to change.
    TagImmutable {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// A registry returned a server error (5xx). Retried with increasing waits.
    RegistryDown {
        /// The registry's host, if known.
        host: Option<String>,
    },
    /// The daemon can't reach a server: DNS, routing, a refused connection, or TLS. Retried with increasing waits.
    Network {
        /// The server's host, if known.
        host: Option<String>,
    },
    /// A blob of a build cache is missing from its bucket or registry. A [`Builder`](crate::Builder) retries without that cache.
    CacheMissing,
    /// The server of a build cache refuses access, or returns data that doesn't match its manifest. A
    /// [`Builder`](crate::Builder) retries without that cache.
    CacheUnreadable,
    /// The server of a build cache accepts connections but never responds. It stalls every build of the daemon until it
    /// responds or closes the connection.
    CacheSilent {
        /// The cache: `s3:NAME`, or the name of an image.
        cache: String,
    },
    /// The daemon can't write a build cache, or its server doesn't accept it.
    CacheUnwritable,
    /// A blob of an image or cache doesn't match its digest. The daemon may keep it and fail again.
    ContentDamaged,
    /// The build was cancelled on the daemon, for example because the daemon is shutting down. Retried.
    Cancelled,
    /// The daemon lost the session with this process, through which it reads the context. Retried.
    SessionLost,
    /// Any other failure.
    Unknown,
}

impl Cause {
    /// Returns whether a retry can help.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            // A build that this process cancels reports no error, so here the daemon was stopped.
            Self::Cancelled | Self::SessionLost => RetryClass::Transient,
            Self::RateLimited { .. }
            | Self::RegistryDown { .. }
            | Self::Network { .. }
            | Self::CacheMissing
            | Self::CacheUnreadable
            | Self::CacheSilent { .. }
            | Self::ContentDamaged => RetryClass::Transient,
            Self::Unauthorized { .. } => RetryClass::NeedsCredential,
            _ => RetryClass::Permanent,
        }
    }
}
