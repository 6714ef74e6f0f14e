//! How a daemon starts.

use super::remote::Hosts;
use super::run::RunScript;
use crate::oci::native_architecture;

/// How a [`BuildkitDaemon`](super::BuildkitDaemon) starts. Default: no mirrors, no scripted commands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildkitOptions {
    /// What the commands of `RUN` do.
    pub run: RunScript,
    /// The platforms that `ListWorkers` reports, such as `linux/arm64`. Builds accept any platform, because nothing runs.
    /// Default: this machine's platform.
    pub platforms: Vec<String>,
    pub(super) hosts: Hosts,
}

impl Default for BuildkitOptions {
    fn default() -> Self {
        Self {
            run: RunScript::default(),
            platforms: vec![format!("linux/{}", native_architecture())],
            hosts: Hosts::default(),
        }
    }
}

impl BuildkitOptions {
    /// Pulls the images of one registry host (`docker.io`, `gcr.io`) from another, as `mirrors` in buildkitd.toml does.
    #[must_use]
    pub fn mirror(mut self, host: impl Into<String>, mirror: impl Into<String>) -> Self {
        let mirror = mirror.into();
        self.hosts.plain_http.push(mirror.clone());
        self.hosts.mirrors.insert(host.into(), mirror);
        self
    }

    /// Sets the platforms that `ListWorkers` reports. Default: this machine's platform.
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
