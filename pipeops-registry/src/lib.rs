#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod error;
pub mod host;
pub mod quirks;
mod registries;
mod retry;

pub use client::{ClientOptions, Manifest, RegistryClient};
pub use credentials::{Chain, DockerConfig, StaticCredentials, pull_secret_json};
pub use error::{Action, CredentialError, Error};
pub use registries::Registries;
pub use retry::{Exhausted, Retryable, retry, retry_notified};
