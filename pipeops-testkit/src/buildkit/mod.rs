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
mod owner;
mod plan;
mod progress;
mod registry_auth;
mod remote;
mod remote_cache;
mod request;
mod run;
mod s3_cache;
mod session;
mod solve;
mod stage;
mod tree;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::SolveRequest;
use pipeops_core::SecretString;

pub use run::{RunRule, RunScript};

use crate::fault::Faults;
use crate::oci::native_architecture;
use crate::serve::{self, Base, Server};
use daemon::Daemon;
use remote::Hosts;

/// How a [`BuildkitDaemon`] starts. Default: no mirrors, no scripted commands, contexts and blobs up to 1 GiB.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildkitOptions {
    /// What the commands of `RUN` do.
    pub run: RunScript,
    /// The most bytes of files that one transfer from a client may bring.
    pub max_context: u64,
    /// The largest layer that is taken from a registry, in bytes.
    pub max_blob: usize,
    /// How long a build waits for its session to come up. Default: 5 s, as in real daemons.
    pub session_wait: Duration,
    /// Key id and secret of the daemon itself, for S3 caches whose attributes bring none. Default: none.
    pub s3_role: Option<(String, SecretString)>,
    /// What `ListWorkers` says that it builds for: `linux/arm64`. It builds for any platform all the same, as nothing runs.
    /// Default: this machine's.
    pub platforms: Vec<String>,
    hosts: Hosts,
}

impl Default for BuildkitOptions {
    fn default() -> Self {
        Self {
            run: RunScript::default(),
            max_context: 1 << 30,
            max_blob: 1 << 30,
            session_wait: Duration::from_secs(5),
            s3_role: None,
            platforms: vec![format!("linux/{}", native_architecture())],
            hosts: Hosts::default(),
        }
    }
}

impl BuildkitOptions {
    /// Takes the images of one host (`docker.io`, `gcr.io`) from another one, as `mirrors` in buildkitd.toml does.
    #[must_use]
    pub fn mirror(mut self, host: impl Into<String>, mirror: impl Into<String>) -> Self {
        let mirror = mirror.into();
        self.hosts.plain_http.push(mirror.clone());
        self.hosts.mirrors.insert(host.into(), mirror);
        self
    }

    /// Gives the daemon keys of its own for S3 caches, as a role gives them to a real one.
    #[must_use]
    pub fn s3_role(mut self, id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.s3_role = Some((id.into(), secret.into()));
        self
    }

    /// Sets what it says that it builds for.
    #[must_use]
    pub fn platforms(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.platforms = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what the commands of `RUN` do.
    #[must_use]
    pub fn run(mut self, script: RunScript) -> Self {
        self.run = script;
        self
    }
}

/// One build that the daemon was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenBuild {
    /// The build's name, chosen by the client (`ref`).
    pub id: String,
    /// The frontend's attributes, as they came: a real daemon keeps them in its history.
    pub frontend_attrs: BTreeMap<String, String>,
    /// Type and attributes of each exporter.
    pub exporters: Vec<(String, BTreeMap<String, String>)>,
    /// Ids of the SSH agents that steps used.
    pub ssh_agents: Vec<String>,
    /// Type and attributes of each remote cache to read.
    pub cache_imports: Vec<(String, BTreeMap<String, String>)>,
    /// Type and attributes of each remote cache to write.
    pub cache_exports: Vec<(String, BTreeMap<String, String>)>,
    /// The image's digest or the error; none while it runs, and when it was canceled.
    pub outcome: Option<Result<String, String>>,
}

impl SeenBuild {
    fn new(request: &SolveRequest) -> Self {
        let sorted =
            |map: &std::collections::HashMap<String, String>| map.clone().into_iter().collect();
        let cache = request.cache.clone().unwrap_or_default();
        let entries = |entries: Vec<_>| {
            let entry = |entry: bollard_buildkit_proto::moby::buildkit::v1::CacheOptionsEntry| {
                (entry.r#type, entry.attrs.into_iter().collect())
            };
            entries.into_iter().map(entry).collect()
        };
        let exporters = request.exporters.iter();
        Self {
            id: request.r#ref.clone(),
            frontend_attrs: sorted(&request.frontend_attrs),
            exporters: exporters
                .map(|exporter| (exporter.r#type.clone(), sorted(&exporter.attrs)))
                .collect(),
            ssh_agents: Vec::new(),
            cache_imports: entries(cache.imports),
            cache_exports: entries(cache.exports),
            outcome: None,
        }
    }
}

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
