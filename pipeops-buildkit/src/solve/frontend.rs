//! The attributes of the Dockerfile frontend: from the request, and options for stages, attestations and the containers of build
//! steps.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pipeops_core::BuildRequest;

use crate::error::Error;

/// How much detail a provenance attestation has. `docker buildx imagetools inspect IMAGE --format '{{json .Provenance}}'` shows
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provenance {
    /// Sources and steps, without the build's configuration.
    Min,
    /// Everything, including build arguments and the Dockerfile. Don't use it if an argument is secret.
    Max,
}

/// The network of the containers that run build steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// An isolated network; the default.
    Sandbox,
    /// No network.
    None,
    /// The daemon's network. The daemon must allow it (`insecure-entitlements = ["network.host"]`).
    Host,
}

/// When the daemon asks the registry for a base image that it already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResolveMode {
    /// For tags always, for digests never; the default.
    Default,
    /// Always.
    Pull,
    /// Never: only for images that it doesn't have.
    PreferLocal,
}

/// The frontend's options: see the setters of [`Solve`](super::Solve).
#[derive(Debug, Clone, Default)]
pub(crate) struct Frontend {
    pub(super) no_cache_stages: Vec<String>,
    pub(super) provenance: Option<Provenance>,
    /// The scanner image; empty for BuildKit's default.
    pub(super) sbom: Option<String>,
    pub(super) hosts: Vec<(String, IpAddr)>,
    pub(super) shm_size: Option<u64>,
    /// Name, soft limit, hard limit.
    pub(super) ulimits: Vec<(String, i64, i64)>,
    pub(super) network: Option<Network>,
    pub(super) resolve_mode: Option<ResolveMode>,
    pub(super) cgroup_parent: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) insecure: bool,
}

/// Names of resource limits, as the frontend knows them.
const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Frontend {
    /// Whether the result gets an index because of what is attached to it.
    pub(super) fn has_attestations(&self) -> bool {
        self.provenance.is_some() || self.sbom.is_some()
    }

    /// Permissions that the build needs beyond the default.
    pub(super) fn entitlements(&self) -> Vec<String> {
        let host = (self.network == Some(Network::Host)).then_some("network.host");
        let insecure = self.insecure.then_some("security.insecure");
        host.into_iter()
            .chain(insecure)
            .map(str::to_owned)
            .collect()
    }

    /// The attributes that the frontend reads, except those of contexts and caches.
    pub(super) fn attributes(
        &self,
        request: &BuildRequest,
    ) -> Result<BTreeMap<String, String>, Error> {
        self.check()?;
        let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(","));
        let hosts = self.hosts.iter();
        let limits = self.ulimits.iter();
        let options = [
            ("target", request.target.clone()),
            ("platform", list(request.platforms.clone())),
            (
                "no-cache",
                match request.no_cache {
                    // Empty means every stage.
                    true => Some(String::new()),
                    false => list(self.no_cache_stages.clone()),
                },
            ),
            (
                "attest:provenance",
                self.provenance.map(|provenance| match provenance {
                    Provenance::Min => "mode=min".to_owned(),
                    Provenance::Max => "mode=max".to_owned(),
                }),
            ),
            (
                "attest:sbom",
                self.sbom.as_ref().map(|scanner| match scanner.as_str() {
                    "" => String::new(),
                    scanner => format!("generator={scanner}"),
                }),
            ),
            (
                "add-hosts",
                list(
                    hosts
                        .map(|(name, address)| format!("{name}={address}"))
                        .collect(),
                ),
            ),
            ("shm-size", self.shm_size.map(|bytes| bytes.to_string())),
            (
                "ulimit",
                list(
                    limits
                        .map(|(name, soft, hard)| format!("{name}={soft}:{hard}"))
                        .collect(),
                ),
            ),
            (
                "force-network-mode",
                self.network.map(|network| match network {
                    Network::Sandbox => "sandbox".to_owned(),
                    Network::None => "none".to_owned(),
                    Network::Host => "host".to_owned(),
                }),
            ),
            (
                "image-resolve-mode",
                self.resolve_mode.map(|mode| match mode {
                    ResolveMode::Default => "default".to_owned(),
                    ResolveMode::Pull => "pull".to_owned(),
                    ResolveMode::PreferLocal => "local".to_owned(),
                }),
            ),
            ("cgroup-parent", self.cgroup_parent.clone()),
            ("hostname", self.hostname.clone()),
        ];
        let options = options
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let args = request.build_args.iter();
        let labels = request.labels.iter();
        Ok(options
            .chain(args.map(|(key, value)| (format!("build-arg:{key}"), value.clone())))
            .chain(labels.map(|(key, value)| (format!("label:{key}"), value.clone())))
            .collect())
    }

    /// Rejects what the frontend would misread or refuse.
    fn check(&self) -> Result<(), Error> {
        let refuse = |field, why: String| Err(Error::Invalid { field, why });
        let odd = |text: &str| {
            text.is_empty()
                || text.contains(|c: char| {
                    c == ',' || c == '"' || c == '=' || c.is_whitespace() || c.is_control()
                })
        };
        if let Some(name) = self.no_cache_stages.iter().find(|name| odd(name)) {
            return refuse(
                "no_cache_stage",
                format!("{name:?} is not the name of a stage"),
            );
        }
        if let Some((name, _)) = self.hosts.iter().find(|(name, _)| odd(name)) {
            return refuse("add_host", format!("{name:?} is not the name of a host"));
        }
        for (name, soft, hard) in &self.ulimits {
            if !LIMITS.contains(&name.as_str()) {
                return refuse(
                    "ulimit",
                    format!("{name:?} is none of {}", LIMITS.join(", ")),
                );
            }
            if *soft < -1 || *hard < -1 || (*hard != -1 && (*soft == -1 || soft > hard)) {
                return refuse(
                    "ulimit",
                    format!("{name}: the soft limit {soft} is above the hard limit {hard}"),
                );
            }
        }
        for (field, value) in [
            ("cgroup_parent", &self.cgroup_parent),
            ("hostname", &self.hostname),
        ] {
            if let Some(value) = value
                .as_ref()
                .filter(|value| value.is_empty() || value.contains(char::is_control))
            {
                return refuse(
                    field,
                    format!("{value:?} is empty or has control characters"),
                );
            }
        }
        Ok(())
    }
}
