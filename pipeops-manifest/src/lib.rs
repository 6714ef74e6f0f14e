#![doc = include_str!("../README.md")]

mod app;
mod error;
#[cfg(test)]
mod fixtures;
mod health;
pub mod names;
mod network;
mod objects;
mod output;
mod quantity;
mod resources;
mod standard;
mod timing;
mod traffic;
mod validate;
mod yaml;

/// The crate of the types in [`KubeObject`], in the version that this crate needs.
pub use k8s_openapi;
// Types of pipeops-core that this crate's API shows.
#[doc(no_inline)]
pub use pipeops_core::{
    Diagnose, Diagnosis, ImageRef, Object, RetryClass, Revision, SecretString, Stack,
    detection::Language, revision::InvalidRevision,
};

pub use app::{App, Kind, PullPolicy, Strategy};
pub use error::{ConfigProblem, InvalidApp};
pub use health::HealthCheck;
pub use network::{Egress, EgressRule, IngressFrom, NetworkRules};
pub use objects::{KubeObject, object};
pub use output::{SecretValues, to_json, to_json_with, to_yaml, to_yaml_with};
pub use resources::Resources;
pub use standard::{ManifestGenerator, StandardManifests};
pub use timing::Timing;
pub use traffic::{IngressRoute, ServiceType};
