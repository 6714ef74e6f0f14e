//! Which hosts a registry may send us to.
//!
//! A registry names other hosts in three places: the realm of a challenge (which gets credentials), the location of an
//! upload, and redirects to where blobs are stored. A hostile one could so collect passwords, or have us call services
//! inside our own network.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::options::ClientOptions;
use super::transport::Endpoint;
use crate::error::Error;
use crate::host::without_port;

/// Token servers on another site than their registry.
const KNOWN_REALMS: [(&str, &str); 1] = [("registry-1.docker.io", "auth.docker.io")];

/// What a registry names a host for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It gets credentials.
    Realm,
    /// It gets requests without credentials.
    Storage,
}

/// Lets `target` pass, or says why not.
///
/// TLS is demanded, which also keeps out services that have no certificate for a public name, such as the metadata service
/// of clouds. A registry without TLS may only send us to its own host.
pub(super) fn check(
    registry: &Endpoint,
    target: &Url,
    purpose: Purpose,
    options: &ClientOptions,
) -> Result<(), Error> {
    if registry.is_origin_of(target) {
        return Ok(());
    }
    let host = target.host_str().unwrap_or_default();
    let own = without_port(&registry.authority);
    let same_host = host == own;
    let secure = target.scheme() == "https";
    let allowed = match purpose {
        _ if !target.username().is_empty() || target.password().is_some() => false,
        _ if registry.plain_http => same_host && matches!(target.scheme(), "http" | "https"),
        Purpose::Realm => {
            secure && (same_host || same_site(own, host) || is_known(registry, own, host, options))
        }
        Purpose::Storage => secure && (same_host || !is_internal(target)),
    };
    if allowed {
        return Ok(());
    }
    Err(Error::ForeignHost {
        host: registry.name.clone(),
        target: format!("{}://{}", target.scheme(), host),
        purpose: match purpose {
            Purpose::Realm => "to log in at",
            Purpose::Storage => "as its storage",
        },
    })
}

/// `registry.example.com` and `login.example.com`, or `example.com` itself.
fn same_site(registry: &str, realm: &str) -> bool {
    let is_name = |host: &str| host.parse::<IpAddr>().is_err();
    match registry.split_once('.') {
        Some((_, site)) if site.contains('.') && is_name(registry) => {
            realm == site
                || realm
                    .strip_suffix(site)
                    .is_some_and(|rest| rest.ends_with('.'))
        }
        _ => false,
    }
}

fn is_known(registry: &Endpoint, own: &str, realm: &str, options: &ClientOptions) -> bool {
    let trusted = options.trusted_realms.get(&registry.name);
    KNOWN_REALMS.contains(&(own, realm)) || trusted.is_some_and(|realms| realms.contains(realm))
}

/// Addresses and names that only exist inside of a network or a machine.
fn is_internal(target: &Url) -> bool {
    match target.host() {
        Some(Host::Ipv4(address)) => is_internal_v4(address),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(is_internal_v4)
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            !name.contains('.')
                || name.ends_with(".localhost")
                || name.ends_with(".internal")
                || name.ends_with(".local")
        }
        None => true,
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is shared by carriers and cluster networks.
    let shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
    shared
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(registry: &str, target: &str, purpose: Purpose) -> bool {
        let options = ClientOptions::default().trust_realm("r.example.org", "login.elsewhere.net");
        check(
            &Endpoint::new(registry, &options),
            &target.parse().unwrap(),
            purpose,
            &options,
        )
        .is_ok()
    }

    #[test]
    fn credentials_go_to_the_registrys_own_site() {
        for (registry, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            (
                "registry.example.com:5000",
                "https://login.example.com/token",
            ),
            ("r.example.org", "https://login.elsewhere.net/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token"),
        ] {
            assert!(
                passes(registry, realm, Purpose::Realm),
                "{registry} {realm}"
            );
        }
    }

    #[test]
    fn credentials_go_nowhere_else() {
        for (registry, realm) in [
            ("ghcr.io", "https://evil.example.com/token"),
            ("ghcr.io", "http://ghcr.io/token"),
            ("registry.example.com", "http://login.example.com/token"),
            ("registry.example.com", "https://evilexample.com/token"),
            ("registry.example.com", "http://169.254.169.254/latest"),
            ("r.example.com", "https://login.elsewhere.net/token"),
            ("example.com", "https://other.com/token"),
            ("10.1.2.3:5000", "https://9.1.2.3/token"),
            ("127.0.0.1:5000", "http://169.254.169.254/latest"),
            ("127.0.0.1:5000", "http://127.0.0.2/token"),
            ("ghcr.io", "https://bob:pw@ghcr.io.evil.com/token"),
            ("ghcr.io", "ftp://ghcr.io/token"),
        ] {
            assert!(
                !passes(registry, realm, Purpose::Realm),
                "{registry} {realm}"
            );
        }
    }

    #[test]
    fn storage_is_anywhere_but_inside() {
        assert!(passes(
            "ghcr.io",
            "https://pkg-containers.githubusercontent.com/x",
            Purpose::Storage
        ));
        assert!(passes("ghcr.io", "https://52.1.2.3/x", Purpose::Storage));
        for inside in [
            "http://pkg.githubusercontent.com/x",
            "https://169.254.169.254/x",
            "https://10.0.0.1/x",
            "https://100.64.1.1/x",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://[fd00::1]/x",
            "https://metadata/x",
            "https://metadata.google.internal/x",
            "https://2130706433/x",
        ] {
            assert!(!passes("ghcr.io", inside, Purpose::Storage), "{inside}");
        }
    }
}
