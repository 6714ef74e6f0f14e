#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod error;
mod registries;

// Types of pipeops-core that this crate's API shows.
#[doc(no_inline)]
pub use pipeops_core::{
    Credential, CredentialProvider, Diagnose, Diagnosis, Digest, Failure, ImageRef, ImageRegistry,
    RegistryScope, RetryClass, SecretString, credential::CredentialKind, tls::install_ring,
};

pub use client::{ClientOptions, Manifest, RegistryClient};
pub use credentials::{Chain, DockerConfig, StaticCredentials, pull_secret_json};
pub use error::{Action, CredentialError, Error};
pub use registries::Registries;
