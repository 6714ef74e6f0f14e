//! The names of registries: one registry, one name.

use std::net::Ipv4Addr;

/// The name by which PipeOps knows Docker Hub, as it stands in names of images.
pub const DOCKER_HUB: &str = "docker.io";

/// Where Docker Hub's API is.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Docker Hub's key in docker's `config.json`, kept by docker for its own past.
const DOCKER_HUB_CONFIG_KEY: &str = "https://index.docker.io/v1/";

/// Names under which Docker Hub is met in names of images, in `config.json`, and in BuildKit's questions for credentials.
const DOCKER_HUB_ALIASES: [&str; 4] = [
    DOCKER_HUB,
    "index.docker.io",
    DOCKER_HUB_API,
    "registry.hub.docker.com",
];

/// The one name of a registry: lower case, without scheme, path and Docker Hub's aliases.
///
/// ```
/// use pipeops_registry::host::canonical;
///
/// assert_eq!(canonical("https://index.docker.io/v1/"), "docker.io");
/// assert_eq!(canonical("registry-1.docker.io"), "docker.io");
/// assert_eq!(canonical("https://Registry.example.com:5000/v2/"), "registry.example.com:5000");
/// ```
pub fn canonical(name: &str) -> String {
    let host = split(name).0.to_ascii_lowercase();
    if DOCKER_HUB_ALIASES.contains(&host.as_str()) {
        DOCKER_HUB.to_owned()
    } else {
        host
    }
}

/// The key under which docker's `config.json` and pull secrets of Kubernetes hold this registry.
pub fn config_key(name: &str) -> String {
    match canonical(name) {
        hub if hub == DOCKER_HUB => DOCKER_HUB_CONFIG_KEY.to_owned(),
        host => host,
    }
}

/// The host, with its port, to which requests for this registry go.
pub fn api_host(name: &str) -> String {
    match canonical(name) {
        hub if hub == DOCKER_HUB => DOCKER_HUB_API.to_owned(),
        host => host,
    }
}

/// Whether the host is this machine: `localhost` or 127.0.0.0/8, with or without a port. Such registries are spoken to over
/// plain HTTP, as docker and BuildKit do.
pub fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost"
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Host and path of a key such as `https://registry.example.com/team`.
pub(crate) fn split(key: &str) -> (&str, &str) {
    let key = key.trim();
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (host, path.trim_matches('/'))
}

/// The host without its port.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_one_name_one_api_and_one_key() {
        for alias in [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "registry-1.docker.io",
            "https://registry-1.docker.io/v2/",
            "Docker.IO",
        ] {
            assert_eq!(canonical(alias), "docker.io", "{alias}");
            assert_eq!(api_host(alias), "registry-1.docker.io", "{alias}");
            assert_eq!(config_key(alias), "https://index.docker.io/v1/", "{alias}");
        }
    }

    #[test]
    fn other_hosts_stay_what_they_are() {
        for host in ["ghcr.io", "127.0.0.1:5000", "my-docker.io"] {
            assert_eq!(
                (canonical(host), api_host(host), config_key(host)),
                (host.to_owned(), host.to_owned(), host.to_owned())
            );
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in ["127.0.0.1:5000", "127.8.8.8", "localhost", "localhost:80"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example.com",
            "10.0.0.1:5000",
            "localhost.example.com",
            "128.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
