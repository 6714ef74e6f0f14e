#![doc = include_str!("../README.md")]

pub mod clone;
pub mod controller;
pub mod deployment;
pub mod git;
pub mod http;
pub mod hub;
pub mod pipeline;
pub mod project;
pub mod queue;
pub mod runner;
pub mod service;
pub mod store;
#[cfg(test)]
mod testing;
pub mod webhook;
pub mod workspace;

pub use controller::{Controller, Refusal, Reply};
pub use deployment::{Deployment, Status};
pub use git::{GitRef, RepositoryUrl};
pub use hub::Hub;
pub use pipeline::{Deployer, Pipeline, PipelineOptions, RolledOut, StepFailure};
pub use pipeops_core::CommitSha;
pub use project::{BuildConfig, Environment, Project};
pub use queue::{Queue, SqliteQueue};
pub use runner::{Runner, RunnerOptions};
pub use service::{Service, ServiceBuilder};
pub use store::{SqliteStore, Store};
