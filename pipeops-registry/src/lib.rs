#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod error;
mod registries;

/// The vocabulary of this crate's API.
pub use pipeops_core::{
    Credential, CredentialProvider, Diagnose, Diagnosis, Digest, ImageRef, RegistryScope,
    SecretString,
};

pub use client::{ClientOptions, Manifest, RegistryClient};
pub use credentials::{Chain, DockerConfig, StaticCredentials, pull_secret_json};
pub use error::{Action, CredentialError, Error};
pub use registries::Registries;
