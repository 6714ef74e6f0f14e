#![doc = include_str!("../README.md")]

mod app;
mod error;
mod health;
pub mod names;
mod network;
mod objects;
mod output;
mod quantity;
mod resources;
mod standard;
mod timing;
mod validate;

pub use app::{App, IngressRoute, Kind, PullPolicy, ServiceType, Strategy};
pub use error::{ConfigProblem, InvalidApp};
pub use health::HealthCheck;
pub use network::{Egress, EgressRule, IngressFrom, NetworkRules};
pub use objects::{KubeObject, REVISION_ANNOTATION};
pub use output::{SecretValues, to_json, to_json_with, to_yaml, to_yaml_with};
pub use resources::Resources;
pub use standard::{ManifestGenerator, StandardManifests};
pub use timing::Timing;
