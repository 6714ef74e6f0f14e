//! A BuildKit daemon that builds Dockerfiles and pushes images, with scripted instead of executed commands.
//!
//! ```
//! use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
//! use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::start(RegistryOptions::default()).await?;
//! registry.seed("library/python", "3.12-slim", &BaseImage::new())?;
//! let options = BuildkitOptions::default().mirror("docker.io", registry.host());
//! let daemon = BuildkitDaemon::start(options).await?;
//! // Builds of `FROM python:3.12-slim` through `daemon.address()` now find their base image.
//! assert!(daemon.address().starts_with("tcp://127.0.0.1:") && daemon.builds().is_empty());
//! # Ok(()) }
//! ```
//!
//! # What it implements
//! The `Control` service: `Solve` with the frontend `dockerfile.v0`, `Status`, `Session`, `Info` and `ListWorkers`. A build calls
//! the client back through its session as a real daemon does: health checks, file sync (unchanged files aren't sent again),
//! credentials, tokens of a client with a token authority, and the secrets and SSH agents of `RUN --mount`: without a required
//! one the step fails with a real daemon's message. [`pipeops_dockerfile`] parses the Dockerfile. `FROM`,
//! `COPY`, `WORKDIR`, `ARG`, `ENV`, `LABEL`, `EXPOSE`, `USER`, `CMD` and `ENTRYPOINT` create a real image with real layers, which
//! is pushed over plain HTTP. Steps are cached by their content. Errors have the messages and details of a real daemon.
//!
//! **`RUN` executes nothing.** Secrets are fetched, but no command sees them. A [`RunScript`] defines what commands print, which files they create and how they exit. Commands
//! that it doesn't match are skipped, and the step's log says so. Files that a skipped command might have created are missing: a
//! `COPY --from` of such a file copies nothing, and its log says so.
//!
//! Remote caches of type `s3` are read and written over plain HTTP in BuildKit's layout, with BuildKit's errors. Their records
//! use this stand-in's own keys, so a real daemon finds nothing in them.
//!
//! # What it doesn't implement
//! Everything else fails with an error of the form `stand-in: … is not implemented`: `ADD`, `SHELL`, `HEALTHCHECK`, `VOLUME` and
//! the other instructions; flags of `COPY` except `--from` and `--link`; patterns and heredocs; token logins without a token
//! authority; several platforms; exporters except `image` and `tar`; LLB, gateway and foreign frontends; attestations; remote
//! contexts; named contexts except images; base images with `ONBUILD` or `SHELL`; build history, `DiskUsage` and `Prune`; caches
//! of other types. Registries are reached on loopback and as [mirrors](BuildkitOptions::mirror), never elsewhere.
//!
//! Limits: 1 GiB for a transferred context, 1 GiB for a blob of a registry, 5 s for a session to open.
//!
//! # Operations for fault rules
//! - Calls, by method: `solve`, `status`, `session`, `info`, `list-workers`.
//! - Points of a build, with method `BUILD` and the step's name as path: `build.definition`, `build.ignore`, `build.context`,
//!   `build.resolve`, `build.step`, `build.export`, `build.push`. There, `Refuse` and `Cut` end the client's session.
//! - Messages of a session's tunnel, with method `TUNNEL` and the session's ID as path: `tunnel.receive`, `tunnel.send`. There,
//!   every fault except `Delay` and `Crash` ends the session; `Cut` first lets that many bytes of the message through.

mod build;
mod cache;
mod control;
mod copy;
mod daemon;
mod dispatch;
mod error;
mod export;
mod filesync;
mod http_client;
mod instruction;
mod local;
mod mounts;
mod options;
mod plan;
mod progress;
mod registry_auth;
mod remote;
mod remote_cache;
mod request;
mod run;
mod s3_cache;
mod seen;
mod session;
mod solve;
mod stage;
mod tree;
mod words;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use options::BuildkitOptions;
pub use run::{RunRule, RunScript};
pub use seen::SeenBuild;

use crate::fault::Faults;
use crate::serve::{self, Base, Server};
use daemon::Daemon;

/// A BuildKit daemon on a free port of 127.0.0.1. It stops when it's dropped.
pub struct BuildkitDaemon {
    server: Server,
    daemon: Arc<Daemon>,
}

impl BuildkitDaemon {
    /// Starts a daemon.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(options: BuildkitOptions) -> io::Result<Self> {
        let base = Base::default();
        let daemon = Arc::new(Daemon::new(options, base.clone()));
        let server = serve::start(&base, &daemon).await?;
        Ok(Self { server, daemon })
    }

    /// The address, `tcp://127.0.0.1:PORT`, in the form of `BUILDKIT_HOST`.
    pub fn address(&self) -> String {
        format!("tcp://{}", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.daemon.base.faults
    }

    /// The requested builds, oldest first. Only the last 1,000 are kept.
    pub fn builds(&self) -> Vec<SeenBuild> {
        self.daemon.builds()
    }

    /// Removes all cached steps, contexts and blobs, as `buildctl prune` does.
    pub fn prune(&self) {
        self.daemon.prune();
    }

    /// Closes all connections, which ends all builds, and refuses new ones until [`BuildkitDaemon::restart`]. The cache is
    /// kept.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Refuses new connections and drains open ones (GOAWAY), as a daemon does on SIGTERM: running builds finish.
    pub fn drain(&self) {
        self.daemon.base.switch.drain();
    }

    /// Listens on the same port again, after [`BuildkitDaemon::crash`] or [`BuildkitDaemon::drain`].
    ///
    /// # Errors
    /// When another process uses the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.server.restart().await
    }
}

impl fmt::Debug for BuildkitDaemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildkitDaemon")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
