#![doc = include_str!("../README.md")]

mod address;
mod builder;
pub mod cache;
mod cause;
mod check;
mod classify;
mod client;
mod diagnosis;
mod error;
mod excerpt;
mod failure;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod history;
mod hook;
mod image_options;
mod layout;
mod leak;
mod lines;
mod live_redactor;
mod output;
#[cfg(feature = "pool")]
mod pool;
mod progress;
mod random;
mod session;
mod solve;
mod store;
mod subrequest;
mod times;
mod tls;
mod usage;
mod view;

// Types of pipeops-core that this crate's API shows.
#[doc(no_inline)]
pub use pipeops_core::{
    Backoff, BuildRequest, BuiltImage, CommitSha, Credential, CredentialProvider, Diagnose,
    Diagnosis, Digest, EventKind, EventSink, Failure, ImageBuilder, ImageRef, ImageRegistry,
    RegistryScope, RetryClass, SecretString, Step, build::DockerfileSource,
    credential::CredentialKind, event::Discard, event::VertexState, tls::install_ring,
};

pub use address::{Address, AddressError};
pub use builder::{Builder, BuilderOptions};
pub use cache::{CacheOutcome, CacheProblem};
pub use cause::Cause;
pub use client::{Client, ConnectOptions, DaemonInfo, Worker};
pub use error::{CredentialError, Error};
pub use excerpt::{Pointer, SourceLine, SourceLines};
pub use failure::BuildFailure;
pub use history::BuildRecord;
pub use image_options::{AnnotationLevel, Compression, ImageOptions};
pub use leak::{Leak, LeakCheck, LeakPlace, LeakReport, LeakSearch};
pub use output::{Output, OutputStats, OutputTarget};
#[cfg(feature = "kubernetes")]
pub use pool::EndpointSliceMembers;
#[cfg(feature = "pool")]
pub use pool::{
    Discover, DnsMembers, Member, MemberState, MemberStatus, Pool, PoolError, PoolOptions,
    StaticMembers,
};
pub use session::patterns::{PatternError, Patterns};
pub use solve::{ContextSent, NamedContext, Network, Provenance, ResolveMode, Solve, Solved};
pub use subrequest::{
    BuildTarget, Lint, LintError, LintWarning, Outline, OutlineArg, OutlineCache, OutlineMount,
};
pub use tls::Tls;
pub use usage::{CacheRecord, PruneOptions};
pub use view::View;
