#![doc = include_str!("../README.md")]

mod api_error;
mod app_locks;
mod app_states;
mod app_watch;
mod apply;
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
mod rollout;
mod run;
pub mod state;
mod status;
mod strategy;
mod target;
mod text;
mod watches;

pub use api_error::{Action, ApiError, ApiProblem, FieldConflict, FieldProblem};
pub use app_watch::{AppWatch, WatchHealth};
pub use cluster::{ApplyMode, Cluster, LogQuery, ObjectId};
pub use error::Error;
pub use kube_cluster::KubeCluster;
pub use lease::LeaseOptions;
pub use options::{FirstFailure, RolloutOptions};
pub use outcome::Outcome;
pub use progress::{Progress, ProgressPhase};
pub use rollout::Rollout;
pub use status::{PodSummary, RolloutPhase, RolloutStatus};
pub use strategy::{PlanStep, Recreate, RollingUpdate, RolloutStrategy};
pub use watches::Watches;

/// The field manager under which all objects are applied.
pub const FIELD_MANAGER: &str = "pipeops";
/// The label that tells who manages an object.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value on PipeOps' objects.
pub(crate) const MANAGER: &str = "pipeops";
/// The label that tells which application's set an object is part of.
pub(crate) const PART_OF: &str = "applyset.kubernetes.io/part-of";
