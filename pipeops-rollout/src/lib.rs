#![doc = include_str!("../README.md")]

mod api_error;
mod app_locks;
mod app_states;
mod app_watch;
mod apply;
mod client;
mod cluster;
pub mod diagnose;
mod error;
mod explain;
mod failure_detector;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fixtures;
mod kube_cluster;
mod lease;
mod options;
mod outcome;
mod progress;
mod prune;
mod record;
mod record_store;
mod references;
mod rollout;
mod run;
mod snapshot;
pub mod state;
mod status;
mod strategy;
mod target;
mod text;
mod watches;

/// The crate that this crate's API uses, in the version that it needs.
pub use kube;
// Types of pipeops-core that this crate's API shows.
#[doc(no_inline)]
pub use pipeops_core::{
    Code, CommitSha, Diagnose, Diagnosis, EventKind, EventSink, Object, Redactor, RetryClass,
    Revision, SecretString, Stack, Step, event::Discard, event::VertexState,
};

pub use api_error::{Action, ApiError, ApiProblem, FieldConflict, FieldProblem};
pub use app_watch::{AppWatch, WatchHealth};
pub use client::{client, client_from};
pub use cluster::{ApplyMode, ClusterApi, ListQuery, LogQuery, ObjectId};
pub use error::Error;
pub use kube_cluster::KubeCluster;
pub use lease::LeaseOptions;
pub use options::{FirstFailure, RolloutOptions};
pub use outcome::Outcome;
pub use progress::{Progress, ProgressPhase};
pub use rollout::Rollout;
pub use status::{PodSummary, RolloutPhase, RolloutStatus};
pub use strategy::{DeploymentUpdate, PlanStep, RolloutStrategy};
pub use watches::Watches;
