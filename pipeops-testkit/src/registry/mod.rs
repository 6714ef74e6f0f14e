//! An in-memory OCI registry: the [distribution specification], logins, and a token server.
//!
//! ```
//! use pipeops_testkit::registry::{Registry, RegistryOptions, User};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let options = RegistryOptions::default().basic_auth().user(User::new("ci", "secret"));
//! let registry = Registry::start(options).await?;
//! let image = format!("{}/team/app:1", registry.host());
//! // Push `image` with the code under test, then check the result:
//! assert_eq!(registry.manifest("team/app", "1"), None, "nothing was pushed as {image}");
//! # Ok(()) }
//! ```
//!
//! # What it implements
//! `/v2/`; GET and HEAD of blobs; uploads with one POST and one PUT, and mounts; PUT, GET, HEAD and DELETE of manifests by tag and
//! digest; lists of tags, in pages. A manifest is rejected (`MANIFEST_BLOB_UNKNOWN`) until everything that it refers to exists.
//! Blobs are limited to 256 MiB, manifests to 4 MiB.
//!
//! Not implemented (404 or 405): uploads in pieces, ranges, the deletion of blobs, the catalog, the referrers API.
//!
//! # Operations for fault rules
//! `ping`, `token`, `tags.list`, `blob.get`, `upload.start`, `upload.finish`, `upload.cancel`, `manifest.get`, `manifest.put`,
//! `manifest.delete`. HEAD counts as `get`. [`Fault::Cut`](crate::fault::Fault::Cut) on a request with a body closes the connection
//! after that many bytes of the request. [`Fault::Expired`](crate::fault::Fault::Expired) is 401 with a challenge, or 403 with
//! the message of Amazon ECR.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod api;
mod auth;
mod blobs;
mod error;
mod manifests;
mod options;
mod request;
mod seed;
mod store;
mod token;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pipeops_core::{Digest, SecretString};

pub use error::Refused;
pub use options::{Auth, RegistryOptions, User};
pub use seed::BaseImage;
pub use store::Manifest;

use crate::fault::Faults;
use crate::seen::SeenRequest;
use crate::serve::{self, Base, Server, lock};
use auth::Gate;
use store::Store;

/// A registry on a free port of 127.0.0.1, over plain HTTP. It stops when it's dropped.
pub struct Registry {
    server: Server,
    base: Base,
    shared: Arc<Shared>,
}

/// What the handlers of requests share.
struct Shared {
    gate: Gate,
    store: Mutex<Store>,
}

impl Registry {
    /// Starts a registry.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(options: RegistryOptions) -> io::Result<Self> {
        let base = Base::default();
        let shared = Arc::new(Shared {
            gate: Gate::new(&options),
            store: Mutex::default(),
        });
        let server = serve::start(&base, &shared).await?;
        Ok(Self {
            server,
            base,
            shared,
        })
    }

    /// The host of image names, `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// The registry as a cluster of this process asks it.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn source(&self) -> Source {
        Source {
            host: self.host(),
            base: self.base.clone(),
            shared: self.shared.clone(),
        }
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// Closes all connections and refuses new ones. [`Registry::manifest`] still returns what was pushed.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Changes a password, as a rotation does. Returns whether the user exists. Tokens that were issued stay valid.
    pub fn set_password(&self, user: &str, password: impl Into<SecretString>) -> bool {
        self.shared.gate.set_password(user, password.into())
    }

    /// Expires every token that was issued.
    pub fn expire_tokens(&self) {
        self.shared.gate.expire_tokens();
    }

    /// The requests, oldest first. Only the last 10,000 are kept.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// The names of all repositories with at least one manifest, sorted.
    pub fn repositories(&self) -> Vec<String> {
        lock(&self.shared.store).repositories().cloned().collect()
    }

    /// The tags of a repository, sorted. Empty if the repository doesn't exist.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let store = lock(&self.shared.store);
        store
            .tags(repository)
            .map(|tags| tags.cloned().collect())
            .unwrap_or_default()
    }

    /// A manifest by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        lock(&self.shared.store)
            .manifest(repository, reference)
            .cloned()
    }

    /// A blob of a repository.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        lock(&self.shared.store).blob(repository, digest)
    }

    /// The configuration (`config.json`) of a single-platform image.
    pub fn config(&self, repository: &str, reference: &str) -> Option<serde_json::Value> {
        let manifest = self.manifest(repository, reference)?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).ok()?;
        let digest = manifest["config"]["digest"].as_str()?.parse().ok()?;
        serde_json::from_slice(&self.blob(repository, &digest)?).ok()
    }
}

/// The way to a registry without a connection. Logins, faults and the log are those of any other request.
#[cfg(feature = "kubernetes")]
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) host: String,
    base: Base,
    shared: Arc<Shared>,
}

#[cfg(feature = "kubernetes")]
impl Source {
    /// Answers a request; none while the registry is down.
    pub(crate) async fn send(&self, request: http::Request<serve::Body>) -> Option<serve::Answer> {
        match self.base.switch.is_on() {
            true => Some(serve::call(&self.base, self.shared.clone(), request).await),
            false => None,
        }
    }
}

#[cfg(feature = "kubernetes")]
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.host).finish()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("host", &self.host())
            .field("repositories", &self.repositories())
            .finish_non_exhaustive()
    }
}
