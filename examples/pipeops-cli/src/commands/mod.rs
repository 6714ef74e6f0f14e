//! One file for each command.

pub mod base_images;
pub mod build;
pub mod cache;
pub mod deploy;
pub mod detect;
pub mod dockerfile;
pub mod doctor;
pub mod explain;
pub mod files;
pub mod manifests;
pub mod project;
pub mod revision;
pub mod rollout;
pub mod serve;
