//! The kinds of build failures.

use pipeops_core::RetryClass;

/// What kind of failure a build had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A command of the Dockerfile ended with an error.
    Instruction,
    /// A command was killed because it wanted more memory than there is.
    OutOfMemory,
    /// A command of the Dockerfile is for another processor.
    ForeignPlatform,
    /// The daemon's disk is full.
    DiskFull,
    /// The Dockerfile cannot be read, or says something that makes no sense.
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
    /// A base image is not there, or nobody may know that it is.
    BaseImageMissing {
        /// Its name.
        image: String,
    },
    /// A registry wants a (better) credential.
    Unauthorized {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// A registry knows who asks and refuses.
    Denied {
        /// The registry, when it is known.
        host: Option<String>,
    },
    /// A registry wants fewer requests.
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
    /// A build cache refuses its reader, or gives other bytes than its manifest says.
    CacheUnreadable,
    /// The server of a build cache takes connections and does not answer. Until it does, or hangs up, the daemon goes on with
    /// none of its builds.
    CacheSilent {
        /// The cache that was to be read: `s3:NAME`, or the name of an image.
        cache: String,
    },
    /// The daemon cannot even begin to write a build cache, or its server does not take it.
    CacheUnwritable,
    /// A part of an image or of a cache has other bytes than its digest says. The daemon may keep them and fail again, while
    /// another one does not.
    ContentDamaged,
    /// Somebody cancelled the build at the daemon.
    Cancelled,
    /// The daemon lost this process's session.
    SessionLost,
    /// None of these.
    Unknown,
}

impl Cause {
    /// A short name, for titles.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Instruction => "InstructionFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::ForeignPlatform => "ForeignPlatform",
            Self::DiskFull => "DiskFull",
            Self::Dockerfile { .. } => "InvalidDockerfile",
            Self::FileMissing { .. } => "FileMissing",
            Self::SecretMissing { .. } => "SecretMissing",
            Self::BaseImageMissing { .. } => "BaseImageMissing",
            Self::Unauthorized { .. } => "Unauthorized",
            Self::Denied { .. } => "Denied",
            Self::RateLimited { .. } => "RateLimited",
            Self::RepositoryMissing { .. } => "RepositoryMissing",
            Self::TagImmutable { .. } => "TagImmutable",
            Self::RegistryDown { .. } => "RegistryDown",
            Self::Network { .. } => "NetworkUnreachable",
            Self::CacheMissing => "CacheMissing",
            Self::CacheUnreadable => "CacheUnreadable",
            Self::CacheSilent { .. } => "CacheSilent",
            Self::CacheUnwritable => "CacheUnwritable",
            Self::ContentDamaged => "ContentDamaged",
            Self::Cancelled => "Cancelled",
            Self::SessionLost => "SessionLost",
            Self::Unknown => "BuildError",
        }
    }

    /// Whether trying again can help.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            // A build that this process cancels has nobody left to read its error: here the daemon was stopped.
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
