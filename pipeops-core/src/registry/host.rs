//! Names of registries. Each registry has one canonical name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Docker Hub's name in image references.
pub const DOCKER_HUB: &str = "docker.io";

/// Docker Hub's API.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Docker Hub's key in docker's `config.json`.
const DOCKER_HUB_CONFIG_KEY: &str = "https://index.docker.io/v1/";

/// Docker Hub's names in image references, in `config.json` and in BuildKit's requests for credentials.
const DOCKER_HUB_ALIASES: [&str; 4] = [
    DOCKER_HUB,
    "index.docker.io",
    DOCKER_HUB_API,
    "registry.hub.docker.com",
];

/// The canonical name of a registry: lower case, without scheme and path. Docker Hub's aliases become `docker.io`.
///
/// ```
/// use pipeops_core::registry::host::canonical;
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

/// The registry's key in docker's `config.json` and in Kubernetes pull secrets.
pub fn config_key(name: &str) -> String {
    match canonical(name) {
        hub if hub == DOCKER_HUB => DOCKER_HUB_CONFIG_KEY.to_owned(),
        host => host,
    }
}

/// The host, with its port, that serves this registry's API.
pub fn api_host(name: &str) -> String {
    match canonical(name) {
        hub if hub == DOCKER_HUB => DOCKER_HUB_API.to_owned(),
        host => host,
    }
}

/// Host and path of a key such as `https://registry.example.com/team`.
pub fn split(key: &str) -> (&str, &str) {
    let key = key.trim();
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (host.trim(), path.trim_matches('/'))
}

/// The host without its port. IPv6 addresses keep their brackets.
pub fn without_port(host: &str) -> &str {
    if let (true, Some(end)) = (host.starts_with('['), host.find(']')) {
        return &host[..=end];
    }
    match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`, with or without a port.
///
/// Names below `localhost` don't count: some resolvers ask the network for them.
///
/// ```
/// use pipeops_core::registry::host::is_loopback;
///
/// assert!(is_loopback("127.0.0.1:5000") && is_loopback("[::1]:5000") && is_loopback("localhost"));
/// assert!(!is_loopback("127.0.0.1.example.com") && !is_loopback("10.0.0.1:5000"));
/// ```
pub fn is_loopback(host: &str) -> bool {
    match address(host) {
        Some(address) => address.to_canonical().is_loopback(),
        None => {
            let name = without_port(host);
            name.strip_suffix('.')
                .unwrap_or(name)
                .eq_ignore_ascii_case("localhost")
        }
    }
}

/// Whether a registry uses plain HTTP: it is on this machine, which is Docker's and BuildKit's rule, or `listed` contains its
/// [`canonical`] name.
pub fn speaks_plain_http(registry: &str, listed: &BTreeSet<String>) -> bool {
    is_loopback(registry) || listed.contains(&canonical(registry))
}

/// Suffixes of names that exist only in private networks.
const INTERNAL_SUFFIXES: [&str; 8] = [
    ".consul",
    ".home.arpa",
    ".internal",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
    ".svc",
];

/// Whether the host exists only inside a network or a machine: private, link-local, loopback, metadata and reserved
/// addresses, names without a dot, services of a cluster, and names below `.internal`, `.local` and the like.
pub fn is_internal(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(address)) => is_internal_v4(address),
        Some(IpAddr::V6(address)) => is_internal_v6(address),
        None => {
            let name = without_port(host).to_ascii_lowercase();
            let name = name.trim_end_matches('.');
            !name.contains('.')
                || name.contains(".svc.")
                || INTERNAL_SUFFIXES.iter().any(|end| name.ends_with(end))
        }
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    let reserved = match address.octets() {
        // This network; then multicast, reserved addresses and broadcast.
        [0 | 224.., ..] => true,
        // Shared by carriers and cluster networks.
        [100, 64..128, ..] => true,
        // Protocol assignments, benchmarks, Azure's services for virtual machines.
        [192, 0, 0, _] | [198, 18 | 19, ..] | [168, 63, 129, 16] => true,
        _ => false,
    };
    reserved || address.is_loopback() || address.is_private() || address.is_link_local()
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let internal_v4 = |high: u16, low: u16| {
        is_internal_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
    };
    match address.segments() {
        // Unspecified, loopback, and IPv4-compatible addresses, which are no longer in use.
        [0, 0, 0, 0, 0, 0, ..] => true,
        // IPv4 addresses: mapped, translated, behind NAT64 and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => internal_v4(high, low),
        // A network's own NAT64.
        [0x64, 0xff9b, 1, ..] => true,
        // Site-local.
        [0xfec0..0xff00, ..] => true,
        _ => address.is_unique_local() || address.is_unicast_link_local() || address.is_multicast(),
    }
}

/// The address that a host is, if it is one.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    let bare = without_port(host);
    let inner = bare.strip_prefix('[').and_then(|b| b.strip_suffix(']'));
    inner.unwrap_or(bare).parse().ok()
}

/// Whether the host is a private registry of Amazon: `123456789012.dkr.ecr.eu-west-1.amazonaws.com` and its variants for
/// FIPS, China, the European cloud and dual stack.
pub fn is_ecr(host: &str) -> bool {
    let host = without_port(host).to_ascii_lowercase();
    let Some((account, rest)) = host.split_at_checked(12) else {
        return false;
    };
    let service = [".dkr.ecr.", ".dkr-ecr.", ".dkr.ecr-fips.", ".dkr-ecr-fips."];
    let domain = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazonaws.eu",
        ".on.aws",
        ".on.amazonwebservices.com.cn",
    ];
    account.bytes().all(|b| b.is_ascii_digit())
        && service.iter().any(|part| rest.starts_with(part))
        && domain.iter().any(|end| rest.ends_with(end))
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
    fn other_hosts_keep_their_names() {
        for host in ["ghcr.io", "127.0.0.1:5000", "[::1]:5000", "my-docker.io"] {
            assert_eq!(
                (canonical(host), api_host(host), config_key(host)),
                (host.to_owned(), host.to_owned(), host.to_owned())
            );
        }
    }

    #[test]
    fn ports_are_cut_off_names_and_addresses() {
        for (host, bare) in [
            ("ghcr.io", "ghcr.io"),
            ("ghcr.io:443", "ghcr.io"),
            ("10.0.0.1:5000", "10.0.0.1"),
            ("[::1]:5000", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(host), bare);
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in [
            "127.0.0.1:5000",
            "127.8.8.8",
            "localhost",
            "localhost:80",
            "LocalHost.:80",
            "[::1]",
            "[::1]:5000",
            "::1",
            "[::ffff:127.0.0.1]:5000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example.com",
            "10.0.0.1:5000",
            "localhost.example.com",
            "registry.localhost",
            "128.0.0.1",
            "[fd00::1]:5000",
            "[::2]",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_listed_registries() {
        let listed = BTreeSet::from(["registry.internal:5000".to_owned()]);
        for host in ["[::1]:5000", "localhost", "Registry.internal:5000"] {
            assert!(speaks_plain_http(host, &listed), "{host}");
        }
        for host in ["registry.internal", "ghcr.io"] {
            assert!(!speaks_plain_http(host, &listed), "{host}");
        }
    }

    #[test]
    fn internal_hosts_are_told_from_public_ones() {
        for host in [
            "169.254.169.254",
            "10.0.0.1",
            "100.64.1.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[fd00::1]",
            "metadata",
            "metadata.google.internal",
            "x.svc.cluster.local.",
            "0.1.2.3",
            "192.0.0.192",
            "198.19.0.1",
            "168.63.129.16",
            "224.0.0.1",
            "250.0.0.1",
            "255.255.255.255",
            "[64:ff9b::a00:1]",
            "[64:ff9b:1::1]",
            "[::10.0.0.1]",
            "[::ffff:0:10.0.0.1]",
            "[2002:a9fe:a9fe::1]",
            "[fec0::1]",
            "[ff02::1]",
            "x.svc",
            "x.a.svc.example.com",
            "x.service.consul",
            "nas.lan",
            "x.home.arpa",
            "localhost.localdomain",
        ] {
            assert!(is_internal(host), "{host}");
        }
        for host in [
            "52.1.2.3",
            "100.128.0.1",
            "192.0.1.1",
            "ghcr.io",
            "[2606:4700::1]:443",
            "[64:ff9b::3401:203]",
            "[2002:3401:203::1]",
            "internal.io",
            "svc.example.com",
        ] {
            assert!(!is_internal(host), "{host}");
        }
    }

    #[test]
    fn hosts_of_ecr() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.us-east-1.on.aws",
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(is_ecr(host), "{host}");
        }
        for host in [
            "12345678901x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com",
            "123456789012.s3.amazonaws.com",
            "public.ecr.aws",
            "ö.dkr.ecr.x.amazonaws.com",
        ] {
            assert!(!is_ecr(host), "{host}");
        }
    }
}
