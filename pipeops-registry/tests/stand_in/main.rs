//! The client against the stand-in registry: logins, refusals, faults.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod faults;
mod images;
mod index;
mod logins;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pipeops_core::credential::{Anonymous, CredentialKind};
use pipeops_core::{
    Backoff, Credential, CredentialProvider, Diagnose, Failure, ImageRef, RegistryScope, RetryClass,
};
use pipeops_registry::{ClientOptions, Error, RegistryClient, StaticCredentials};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};

const REPOSITORY: &str = "team/app";

/// Three attempts without waiting in between.
fn options() -> ClientOptions {
    ClientOptions::default().backoff(Backoff::default().base(Duration::ZERO))
}

fn client(credentials: impl CredentialProvider) -> RegistryClient {
    RegistryClient::new(Arc::new(credentials), options()).unwrap()
}

fn bob(registry: &Registry, password: &str) -> StaticCredentials {
    StaticCredentials::new().with(&registry.host(), Credential::basic("bob", password))
}

fn image(registry: &Registry, tag: &str) -> ImageRef {
    format!("{}/{REPOSITORY}:{tag}", registry.host())
        .parse()
        .unwrap()
}

async fn seeded(options: RegistryOptions) -> Registry {
    let registry = Registry::start(options).await.unwrap();
    let base = BaseImage::new().env("A", "1").file("etc/motd", "hello");
    registry.seed(REPOSITORY, "1", &base).unwrap();
    registry
}

fn basic() -> RegistryOptions {
    RegistryOptions::default()
        .basic_auth()
        .user(User::new("bob", "hunter2"))
}

fn token() -> RegistryOptions {
    RegistryOptions::default()
        .token_auth(Duration::from_secs(300))
        .user(User::new("bob", "hunter2").identity_token("refresh-me"))
        .user(User::new("reader", "hunter2").read_only())
}

/// How often an operation was requested.
fn count(registry: &Registry, operation: &str) -> usize {
    let requests = registry.requests();
    let matching = requests.iter().filter(|seen| seen.operation == operation);
    matching.count()
}

/// Whether the rejected request had credentials; `None` for other errors.
fn presented(error: &Error) -> Option<bool> {
    match error {
        Error::Unauthorized { presented, .. } => Some(*presented),
        _ => None,
    }
}
