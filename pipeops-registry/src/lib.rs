#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod error;
mod registries;

pub use client::{ClientOptions, Manifest, RegistryClient};
pub use credentials::{Chain, DockerConfig, StaticCredentials, pull_secret_json};
pub use error::{Action, CredentialError, Error};
pub use registries::Registries;
