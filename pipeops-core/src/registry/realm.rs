//! Realms: which token servers may receive a registry's credential.
//!
//! A registry names its token server in a challenge. A hostile registry could collect passwords that way, or make this
//! process call internal services. See [`RealmPolicy`] for the rule.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::host::{address, api_host, canonical, is_ecr, is_internal, without_port};

/// Suffixes whose hosts can belong to different customers, so each host trusts only itself. The public suffix list lacks
/// them. Amazon's private registries are [`is_ecr`].
const SHARED_SUFFIXES: &[&str] = &[
    // Alibaba Cloud: registry.REGION.aliyuncs.com, NAME.REGION.cr.aliyuncs.com, and buckets of everybody.
    "aliyuncs.com",
    // Azure: NAME.azurecr.io.
    "azurecr.cn",
    "azurecr.de",
    "azurecr.io",
    "azurecr.us",
    // Cloudsmith: docker.cloudsmith.io, and domains of customers.
    "cloudsmith.io",
    // Services of a cluster: NAME.NAMESPACE.svc.cluster.local.
    "cluster.local",
    // OVHcloud: NAME.ZONE.container-registry.ovh.net.
    "container-registry.ovh.net",
    // Google: gcr.io, eu.gcr.io, REGION-docker.pkg.dev.
    "gcr.io",
    "pkg.dev",
    // GitHub Enterprise Cloud: containers.NAME.ghe.com.
    "ghe.com",
    // JFrog: NAME.jfrog.io.
    "jfrog.io",
    // Huawei Cloud: swr.REGION.myhuaweicloud.com, and buckets of everybody.
    "myhuaweicloud.com",
    // Tencent Cloud: NAME.tencentcloudcr.com.
    "tencentcloudcr.com",
    // Vultr: REGION.vultrcr.com.
    "vultrcr.com",
];

/// Hosts that a caller trusts with the credentials of a registry, in addition to those that [`RealmPolicy`] allows.
///
/// ```
/// use pipeops_core::registry::TrustedRealms;
///
/// let mut trusted = TrustedRealms::default();
/// trusted.insert("registry.example.com", "login.example.net");
/// assert!(trusted.contains("registry.example.com", "login.example.net"));
/// assert!(!trusted.contains("ghcr.io", "login.example.net"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedRealms(BTreeMap<String, BTreeSet<String>>);

impl TrustedRealms {
    /// Trusts the token server on the host `realm` with the credentials of `registry`, over TLS.
    pub fn insert(&mut self, registry: &str, realm: &str) {
        let realms = self.0.entry(canonical(registry)).or_default();
        realms.insert(realm.to_ascii_lowercase());
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (registry, realms) in &other.0 {
            let known = self.0.entry(registry.clone()).or_default();
            known.extend(realms.iter().cloned());
        }
    }

    /// Whether `realm` is trusted with the credentials of `registry`.
    pub fn contains(&self, registry: &str, realm: &str) -> bool {
        let realms = self.0.get(&canonical(registry));
        realms.is_some_and(|realms| realms.contains(realm))
    }
}

/// Decides where a registry may send a client.
///
/// A credential goes only to a realm
///
/// - on the registry's own host, or
/// - on a host with the same registrable domain (`registry.gitlab.com` and `gitlab.com`, `registry-1.docker.io` and
///   `auth.docker.io`), by the [public suffix list] plus the suffixes below which cloud registries serve their customers
///   (`azurecr.io`, Amazon's ECR, …), or
/// - that the caller trusts for this registry.
///
/// TLS is required, except for the registry's own host if the registry uses plain HTTP. A request without a secret may also go
/// to any public host over TLS. URLs with a user name or password are refused.
///
/// ```
/// use pipeops_core::registry::{RealmPolicy, TrustedRealms};
///
/// let trusted = TrustedRealms::default();
/// let policy = |registry| RealmPolicy::new(registry, false, &trusted);
/// assert!(policy("docker.io").allows_secret(&"https://auth.docker.io/token".parse()?));
/// assert!(!policy("a.azurecr.io").allows_secret(&"https://b.azurecr.io/oauth2/token".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [public suffix list]: https://publicsuffix.org
#[derive(Debug, Clone, Copy)]
pub struct RealmPolicy<'a> {
    registry: &'a str,
    plain_http: bool,
    trusted: &'a TrustedRealms,
}

impl<'a> RealmPolicy<'a> {
    /// The policy of one registry. `plain_http` is true for a registry without TLS.
    pub fn new(registry: &'a str, plain_http: bool, trusted: &'a TrustedRealms) -> Self {
        Self {
            registry,
            plain_http,
            trusted,
        }
    }

    /// Whether a request with a credential may go to this token server.
    pub fn allows_secret(&self, realm: &Url) -> bool {
        let Some(target) = clean_host(realm) else {
            return false;
        };
        if self.is_own_host(target) {
            return self.own_scheme(realm);
        }
        if realm.scheme() != "https" {
            return false;
        }
        // Whoever can change the answers of a registry without TLS could name any host of its site.
        let shared = |own: &String| same_site(own, target) || is_aliyun_login(own, target);
        let same_site = !self.plain_http && self.own_hosts().iter().any(shared);
        same_site || self.is_trusted(realm, target)
    }

    /// Whether a request for an anonymous token may go to this token server.
    pub fn allows_anonymous(&self, realm: &Url) -> bool {
        self.allows_secret(realm)
            || clean_host(realm)
                .is_some_and(|target| realm.scheme() == "https" && !is_internal(target))
    }

    /// Whether a request without credentials may follow the registry to its storage: an upload location or a redirect.
    ///
    /// TLS is required, which also keeps out services without a certificate for a public name, such as the metadata
    /// services of clouds. A registry without TLS may only name its own host.
    pub fn allows_storage(&self, target: &Url) -> bool {
        let Some(host) = clean_host(target) else {
            return false;
        };
        if self.is_own_host(host) {
            return self.own_scheme(target);
        }
        !self.plain_http && target.scheme() == "https" && !is_internal(host)
    }

    fn own_hosts(&self) -> [String; 2] {
        [canonical(self.registry), api_host(self.registry)]
    }

    fn is_own_host(&self, target: &str) -> bool {
        self.own_hosts()
            .iter()
            .any(|own| without_port(own) == target)
    }

    fn own_scheme(&self, target: &Url) -> bool {
        target.scheme() == "https" || (self.plain_http && target.scheme() == "http")
    }

    fn is_trusted(&self, realm: &Url, target: &str) -> bool {
        let port = realm.port().map(|port| format!("{target}:{port}"));
        self.trusted.contains(self.registry, target)
            || port.is_some_and(|target| self.trusted.contains(self.registry, &target))
    }
}

/// The host of a URL that carries no login.
fn clean_host(url: &Url) -> Option<&str> {
    let clean = url.username().is_empty() && url.password().is_none();
    url.host_str().filter(|host| clean && !host.is_empty())
}

/// Whether two hosts share a registrable domain.
fn same_site(one: &str, other: &str) -> bool {
    match (site(one), site(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// Whether `target` is the token server of Alibaba Cloud for the region of this registry.
fn is_aliyun_login(registry: &str, target: &str) -> bool {
    let region = target.strip_prefix("dockerauth.");
    let Some(region) = region.and_then(|rest| rest.strip_suffix(".aliyuncs.com")) else {
        return false;
    };
    let suffixes = [
        format!(".{region}.aliyuncs.com"),
        format!(".{region}.cr.aliyuncs.com"),
    ];
    !region.contains('.') && suffixes.iter().any(|suffix| registry.ends_with(suffix))
}

/// The registrable domain of a host: that of the public suffix list, or the host itself below a shared suffix and in a
/// cluster of any domain (`NAME.NAMESPACE.svc.DOMAIN`). `None` for
/// addresses and for suffixes.
fn site(host: &str) -> Option<String> {
    let name = without_port(host).to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    if address(name).is_some() {
        return None;
    }
    let shared = |suffix: &str| {
        name.strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let in_cluster = name.contains(".svc.") || name.ends_with(".svc");
    if in_cluster || is_ecr(name) || SHARED_SUFFIXES.iter().any(|suffix| shared(suffix)) {
        return Some(name.to_owned());
    }
    psl::domain_str(name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::host::is_loopback;
    use super::*;

    fn trusted() -> TrustedRealms {
        let mut trusted = TrustedRealms::default();
        trusted.insert("r.example.org", "login.elsewhere.net");
        trusted.insert("127.0.0.1:5000", "login.elsewhere.net:8443");
        trusted
    }

    /// What may be sent.
    struct Allowed {
        secret: bool,
        anonymous: bool,
        storage: bool,
    }

    fn allowed(registry: &str, target: &str) -> Allowed {
        let plain = is_loopback(registry) || registry == "plain.example.com";
        let (trusted, target) = (trusted(), target.parse().unwrap());
        let policy = RealmPolicy::new(registry, plain, &trusted);
        Allowed {
            secret: policy.allows_secret(&target),
            anonymous: policy.allows_anonymous(&target),
            storage: policy.allows_storage(&target),
        }
    }

    #[test]
    fn credentials_go_to_the_registrys_own_site() {
        for (registry, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("registry-1.docker.io", "https://auth.docker.io/token"),
            ("index.docker.io", "https://auth.docker.io/token"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("public.ecr.aws", "https://public.ecr.aws/token/"),
            ("eu.gcr.io", "https://eu.gcr.io/v2/token"),
            ("us-docker.pkg.dev", "https://us-docker.pkg.dev/v2/token"),
            ("a.azurecr.io", "https://a.azurecr.io/oauth2/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            (
                "registry.digitalocean.com",
                "https://api.digitalocean.com/v2/registry/auth",
            ),
            (
                "registry.example.com:5000",
                "https://login.example.com/token",
            ),
            ("registry.example.com", "https://example.com:8443/token"),
            (
                "registry.example.co.uk",
                "https://login.example.co.uk/token",
            ),
            (
                "registry.example.corp",
                "https://gitlab.example.corp/jwt/auth",
            ),
            ("reg.io", "https://reg.io:5001/token"),
            (
                "registry.cn-hangzhou.aliyuncs.com",
                "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            ),
            (
                "a-registry.cn-hangzhou.cr.aliyuncs.com",
                "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            ),
            ("10.1.2.3:5000", "https://10.1.2.3/token"),
            ("r.example.org", "https://login.elsewhere.net/token"),
            ("r.example.org", "https://login.elsewhere.net:8443/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("127.0.0.1:5000", "https://login.elsewhere.net:8443/token"),
            ("[::1]:5000", "http://[::1]:5001/token"),
            ("localhost:5000", "http://localhost:5001/token"),
            ("plain.example.com", "http://plain.example.com:5001/token"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",
            ),
        ] {
            assert!(allowed(registry, realm).secret, "{registry} {realm}");
            assert!(allowed(registry, realm).anonymous, "{registry} {realm}");
        }
    }

    #[test]
    fn credentials_go_nowhere_else() {
        for (registry, realm) in [
            ("ghcr.io", "https://evil.example.com/token"),
            ("ghcr.io", "http://ghcr.io/token"),
            ("a.azurecr.io", "https://b.azurecr.io/oauth2/token"),
            ("a.azurecr.io", "https://azurecr.io/oauth2/token"),
            ("eu.gcr.io", "https://evil.gcr.io/token"),
            ("us-docker.pkg.dev", "https://eu-docker.pkg.dev/token"),
            ("a.jfrog.io", "https://b.jfrog.io/token"),
            ("a.azurecr.de", "https://b.azurecr.de/token"),
            ("ams.vultrcr.com", "https://evil.vultrcr.com/token"),
            ("docker.cloudsmith.io", "https://evil.cloudsmith.io/token"),
            (
                "registry.cn-hangzhou.aliyuncs.com",
                "https://evil.oss-cn-hangzhou.aliyuncs.com/token",
            ),
            (
                "registry.cn-hangzhou.aliyuncs.com",
                "https://dockerauth.oss-cn-hangzhou.aliyuncs.com/token",
            ),
            (
                "a.cn-hangzhou.cr.aliyuncs.com",
                "https://b.cn-hangzhou.cr.aliyuncs.com/token",
            ),
            (
                "swr.cn-north-4.myhuaweicloud.com",
                "https://evil.obs.cn-north-4.myhuaweicloud.com/token",
            ),
            (
                "registry.a.svc.k8s.example.com",
                "https://x.b.svc.k8s.example.com/token",
            ),
            ("registry.a.svc", "https://x.a.svc/token"),
            ("containers.a.ghe.com", "https://containers.b.ghe.com/token"),
            ("registry.example.co.uk", "https://login.other.co.uk/token"),
            ("example.co.uk", "https://other.co.uk/token"),
            ("registry.a.github.io", "https://b.github.io/token"),
            (
                "registry.a.svc.cluster.local",
                "https://x.b.svc.cluster.local/token",
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "https://210987654321.dkr.ecr.eu-west-1.amazonaws.com/token",
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "https://evil.execute-api.eu-west-1.amazonaws.com/token",
            ),
            ("registry.example.com", "http://login.example.com/token"),
            ("registry.example.com", "https://evilexample.com/token"),
            ("registry.example.com", "http://169.254.169.254/latest"),
            ("registry.example.com", "https://com/token"),
            ("r.example.com", "https://login.elsewhere.net/token"),
            ("r.example.org", "http://login.elsewhere.net/token"),
            ("10.1.2.3:5000", "https://9.1.2.3/token"),
            ("localhost:5000", "http://127.0.0.1:5001/token"),
            ("127.0.0.1:5000", "http://169.254.169.254/latest"),
            ("127.0.0.1:5000", "http://127.0.0.2/token"),
            ("127.0.0.1:5000", "https://login.elsewhere.net/token"),
            ("plain.example.com", "https://login.example.com/token"),
            ("ghcr.io", "https://bob:pw@ghcr.io/token"),
            ("ghcr.io", "https://bob@ghcr.io/token"),
            ("ghcr.io", "ftp://ghcr.io/token"),
        ] {
            assert!(!allowed(registry, realm).secret, "{registry} {realm}");
        }
    }

    #[test]
    fn requests_without_a_secret_go_to_any_public_host() {
        for realm in ["https://evil.example.com/token", "https://52.1.2.3/token"] {
            for registry in ["ghcr.io", "127.0.0.1:5000"] {
                assert!(allowed(registry, realm).anonymous, "{registry} {realm}");
            }
        }
        for realm in [
            "http://evil.example.com/token",
            "http://169.254.169.254/latest",
            "https://169.254.169.254/latest",
            "https://10.0.0.1/token",
            "https://[::ffff:10.0.0.1]/token",
            "https://metadata.google.internal/token",
            "https://2130706433/token",
            "https://bob:pw@evil.example.com/token",
        ] {
            assert!(!allowed("ghcr.io", realm).anonymous, "{realm}");
        }
        // The registry itself is inside.
        assert!(allowed("10.0.0.1:5000", "https://10.0.0.1/token").anonymous);
    }

    #[test]
    fn storage_is_on_any_public_host() {
        for target in [
            "https://pkg-containers.githubusercontent.com/x",
            "https://52.1.2.3/x",
            "https://ghcr.io:8443/x",
        ] {
            assert!(allowed("ghcr.io", target).storage, "{target}");
        }
        for target in [
            "http://pkg.githubusercontent.com/x",
            "http://ghcr.io/x",
            "https://169.254.169.254/x",
            "https://10.0.0.1/x",
            "https://100.64.1.1/x",
            "https://[::1]/x",
            "https://[fd00::1]/x",
            "https://metadata/x",
            "https://2130706433/x",
        ] {
            assert!(!allowed("ghcr.io", target).storage, "{target}");
        }
        assert!(allowed("127.0.0.1:5000", "http://127.0.0.1:9000/x").storage);
        assert!(!allowed("127.0.0.1:5000", "https://storage.example.com/x").storage);
    }
}
