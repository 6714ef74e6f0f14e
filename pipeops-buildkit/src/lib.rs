#![doc = include_str!("../README.md")]

mod address;
mod builder;
pub mod cache;
mod cause;
mod censor;
mod check;
mod classify;
mod client;
mod diagnosis;
mod error;
mod exported;
mod failure;
mod lines;
mod pool;
mod progress;
mod random;
mod run;
mod session;
mod solve;

pub use address::{Address, AddressError};
pub use builder::{Builder, BuilderOptions};
pub use cache::{CacheOutcome, CacheProblem};
pub use cause::Cause;
pub use client::{Client, ConnectOptions, Info, Worker};
pub use error::{CredentialError, Error};
pub use failure::{BuildFailure, SourceLine, SourceLines};
#[cfg(feature = "kubernetes")]
pub use pool::EndpointSliceMembers;
pub use pool::{
    Discover, DnsMembers, Member, MemberState, MemberStatus, Pool, PoolError, PoolOptions,
    StaticMembers,
};
pub use session::patterns::{PatternError, Patterns};
pub use solve::{ContextSent, Solve, Solved};
