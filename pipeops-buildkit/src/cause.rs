//! The kinds of build failures.

use pipeops_core::RetryClass;

/// What kind of failure a build had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A command of the Dockerfile ended with an error.
    Instruction,
    /// A command was killed because it needed more memory than the daemon has.
    OutOfMemory,
    /// A command of the Dockerfile is for another processor.
    ForeignPlatform,
    /// The daemon's disk is full.
    DiskFull,
    /// The Dockerfile cannot be parsed, or an instruction is invalid.
    Dockerfile {
        /// The line, when the daemon said which.
        line: Option<usize>,
    },
    /// There is no such file in the build context (or `.dockerignore` keeps it out).
    FileMissing {
        /// Its path.
        path: String,
    },
    /// A secret that a step requires was not given.
    SecretMissing {
        /// Its id.
        id: String,
    },
    /// A base image does not exist, or is private.
    BaseImageMissing {
        /// Its name.
        image: String,
    },
    /// A registry requires a credential, or another one.
    Unauthorized {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// A registry accepted the credential but denies access.
    Denied {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// A registry throttles.
    RateLimited {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// The repository does not exist and the registry does not create it.
    RepositoryMissing {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// The tag exists and must not change.
    TagImmutable {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// A registry failed: an answer of 500 or above.
    RegistryDown {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// The daemon cannot reach a server.
    Network {
        /// The server, when it is known.
        host: Option<String>,
    },
    /// A part of the build cache is gone from its bucket or registry.
    CacheMissing,
    /// The server of a build cache refuses access, or returns other bytes than its manifest says.
    CacheUnreadable,
    /// The server of a build cache accepts connections but never responds. It stalls every build of the daemon until it
    /// responds or hangs up.
    CacheSilent {
        /// The cache that was to be read: `s3:NAME`, or the name of an image.
        cache: String,
    },
    /// The daemon cannot write a build cache, or its server does not accept it.
    CacheUnwritable,
    /// A part of an image or cache does not match its digest. The daemon may keep it and fail again.
    ContentDamaged,
    /// The build was cancelled at the daemon.
    Cancelled,
    /// The daemon lost this process's session.
    SessionLost,
    /// None of these.
    Unknown,
}

impl Cause {
    /// Whether a retry can help.
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
