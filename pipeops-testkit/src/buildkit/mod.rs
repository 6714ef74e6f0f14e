//! A BuildKit daemon: sessions, file sync, Dockerfiles, pushed images, and commands that are scripted instead of run.
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
//! # What it does
//! The Control service: `Solve` with the frontend `dockerfile.v0`, `Status`, `Session`, `Info`, `ListWorkers`,
//! `DiskUsage`, `Prune`. A build dials back through the session as a real daemon does: health, file sync (files that
//! have not changed are not asked for again), credentials and tokens. The Dockerfile is read by
//! [`pipeops_dockerfile`]; `FROM`, `COPY`, `ADD` of local files and archives, `WORKDIR` and everything that only
//! changes the configuration make a real image with real layers, which is pushed over plain HTTP. Steps are cached by
//! their content. Errors have the words and the details of the real daemon.
//!
//! # What it does not do
//! **`RUN` runs nothing.** A [`RunScript`] says what commands print, leave and return; a command that it does not speak
//! of is skipped, and the log of the step says so. Files that a skipped command might have made, and users that it might
//! have added, are then missing: a `COPY --from` of such a file copies nothing, and says so in its log, too. For
//! `--mount=type=ssh` the client is asked for its agent.
//!
//! Answered with an error that names the stand-in: several platforms at once, exporters other than `image` and `tar`, LLB
//! and gateway builds, foreign frontends, attestations, remote contexts and `ADD` sources, named contexts other than images,
//! base images with `ONBUILD`, `--exclude`, build history, filters of `Prune` and `DiskUsage`, registries that are neither
//! loopback nor mirrors.
//!
//! Remote caches of type `s3` are read and written, over plain HTTP, in BuildKit's layout, with its errors: an import that
//! fails shows it and the build goes on, a blob that is missing fails the build, and so does an export that fails unless it
//! has `ignore-error=true`. Their records are this daemon's own: a real daemon finds nothing in them. Caches of other types
//! end like one that cannot be reached.
//!
//! # Operations for fault rules
//! Calls by their method: `solve`, `status`, `session`, `info`, `list-workers`, `disk-usage`, `prune`. Points of a build,
//! with method `BUILD` and the step's name as path: `build.definition`, `build.ignore`, `build.context`, `build.resolve`,
//! `build.step`, `build.export`, `build.push`; there `Refuse` and `Cut` end the client's session. Messages of a session's
//! tunnel, with method `TUNNEL` and the session's id as path: `tunnel.receive`, `tunnel.send`; there everything but
//! `Delay` and `Crash` ends the session, and `Cut` lets so many bytes of the message through.

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
mod options;
mod owner;
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

/// A BuildKit daemon on a free port of 127.0.0.1. It stops when it is dropped.
pub struct BuildkitDaemon {
    server: Server,
    daemon: Arc<Daemon>,
}

impl BuildkitDaemon {
    /// Starts a daemon.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(options: BuildkitOptions) -> io::Result<Self> {
        let base = Base::default();
        let daemon = Arc::new(Daemon::new(options, base.clone()));
        let server = serve::start(&base, &daemon).await?;
        Ok(Self { server, daemon })
    }

    /// `tcp://127.0.0.1:PORT`, as clients and `BUILDKIT_HOST` take it.
    pub fn address(&self) -> String {
        format!("tcp://{}", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.daemon.base.faults
    }

    /// The builds that were asked for, oldest first; the last 1,000 of them.
    pub fn builds(&self) -> Vec<SeenBuild> {
        self.daemon.builds()
    }

    /// Forgets all cached steps, contexts and blobs, as `buildctl prune` does.
    pub fn prune(&self) {
        self.daemon.prune();
    }

    /// Cuts all connections, and with them all builds, and refuses new ones until [`BuildkitDaemon::restart`]. The cache
    /// stays.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Refuses new connections and tells the open ones to finish (GOAWAY): running builds end well, as after SIGTERM.
    pub fn drain(&self) {
        self.daemon.base.switch.drain();
    }

    /// Listens again, at the same port, after [`BuildkitDaemon::crash`] or [`BuildkitDaemon::drain`].
    ///
    /// # Errors
    /// When another process has taken the port.
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
