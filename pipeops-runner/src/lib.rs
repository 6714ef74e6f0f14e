#![cfg_attr(
    all(feature = "git", feature = "http", feature = "sqlite"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "git", feature = "http", feature = "sqlite")),
    doc = "From a signed webhook to a watched rollout."
)]

pub mod clone;
mod commands;
pub mod controller;
pub mod deployment;
pub mod git;
#[cfg(feature = "http")]
pub mod http;
pub mod hub;
pub mod pipeline;
pub mod project;
pub mod queue;
pub mod runner;
pub mod service;
pub mod store;
#[cfg(test)]
#[cfg(all(feature = "git", feature = "sqlite"))]
mod testing;
pub mod webhook;
pub mod workspace;

pub use commands::Commands;
pub use controller::{Controller, ControllerError, Reply};
pub use deployment::{Deployment, Status};
pub use git::{GitRef, RepositoryUrl};
pub use hub::Hub;
pub use pipeline::{Deployer, Pipeline, PipelineOptions, RolledOut, StepFailure};
pub use pipeops_core::tls::install_ring;
// Types of pipeops-core that this crate's API shows.
#[doc(no_inline)]
pub use pipeops_core::{
    CommitSha, CredentialProvider, Detection, Diagnose, Diagnosis, Event, EventKind, EventSink,
    Failure, ImageBuilder, ImageRef, LanguageDetector, RetryClass, Revision, SecretString, Stack,
    Step, detection::Language, event::VertexState,
};
pub use project::{BuildConfig, Environment, Project};
pub use queue::Queue;
#[cfg(feature = "sqlite")]
pub use queue::SqliteQueue;
pub use runner::{Runner, RunnerOptions};
pub use service::{Service, ServiceBuilder};
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::Store;
