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
mod exported;
mod failure;
mod frontend;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod history;
mod image_options;
mod layout;
mod leak;
mod lines;
mod live_redactor;
mod output;
mod pool;
mod progress;
mod random;
mod remote;
mod run;
mod session;
mod solve;
mod store;
mod subrequest;
mod times;
mod tls;
mod usage;
mod view;

pub use address::{Address, AddressError};
pub use builder::{Builder, BuilderOptions};
pub use cache::{CacheOutcome, CacheProblem};
pub use cause::Cause;
pub use client::{Client, ConnectOptions, DaemonInfo, Worker};
pub use error::{CredentialError, Error};
pub use excerpt::{Pointer, SourceLine, SourceLines};
pub use failure::BuildFailure;
pub use frontend::{NamedContext, Network, Provenance, ResolveMode};
pub use history::BuildRecord;
pub use image_options::{AnnotationLevel, Compression, ImageOptions};
pub use leak::{Leak, LeakCheck, LeakPlace, LeakReport, LeakSearch};
pub use output::{Output, OutputStats, OutputTarget};
#[cfg(feature = "kubernetes")]
pub use pool::EndpointSliceMembers;
pub use pool::{
    Discover, DnsMembers, Member, MemberState, MemberStatus, Pool, PoolError, PoolOptions,
    StaticMembers,
};
pub use session::patterns::{PatternError, Patterns};
pub use solve::{ContextSent, Solve, Solved};
pub use subrequest::{
    BuildTarget, Lint, LintError, LintWarning, Outline, OutlineArg, OutlineCache, OutlineMount,
};
pub use tls::Tls;
pub use usage::{CacheRecord, PruneOptions};
pub use view::View;
