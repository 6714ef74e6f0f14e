//! How a daemon starts.

use std::time::Duration;

use pipeops_core::SecretString;

use super::remote::Hosts;
use super::run::RunScript;
use crate::oci::native_architecture;

/// How a [`BuildkitDaemon`](super::BuildkitDaemon) starts. Default: no mirrors, no scripted commands, contexts and blobs up to 1 GiB.
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
    pub(super) hosts: Hosts,
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

    /// Gives the daemon keys for S3 caches, as a role gives them to a real one.
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
