//! The address of a registry, and the hosts that it may refer a client to.

use pipeops_core::registry::{RealmPolicy, host};
use url::Url;

use super::options::ClientOptions;
use crate::error::Error;

/// A registry's name and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its canonical name, for messages and credentials.
    pub(super) name: String,
    /// Host and port of its API.
    authority: String,
    /// Whether it's used without TLS.
    plain_http: bool,
}

impl Endpoint {
    pub(super) fn new(registry: &str, options: &ClientOptions) -> Self {
        let name = host::canonical(registry);
        Self {
            authority: host::api_host(&name),
            plain_http: host::speaks_plain_http(&name, &options.plain_http),
            name,
        }
    }

    /// `path` begins with `/v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        let scheme = if self.plain_http { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{}{path}", self.authority)).map_err(|error| {
            Error::InvalidImage {
                image: format!("{}{path}", self.name),
                why: error.to_string(),
            }
        })
    }

    /// Whether scheme, host and port of the URL are this registry's.
    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.url("/v2/")
            .is_ok_and(|own| own.origin() == url.origin())
    }

    /// Checks that a token server may get a request with a credential, or an anonymous one.
    pub(super) fn check_realm(
        &self,
        realm: &Url,
        secret: bool,
        options: &ClientOptions,
    ) -> Result<(), Error> {
        let policy = self.policy(options);
        let allowed = match secret {
            true => policy.allows_secret(realm),
            false => policy.allows_anonymous(realm),
        };
        self.check(allowed, realm, "for login")
    }

    /// Checks an upload location or the target of a redirect.
    pub(super) fn check_storage(&self, target: &Url, options: &ClientOptions) -> Result<(), Error> {
        let allowed = self.policy(options).allows_storage(target);
        self.check(allowed, target, "for storage")
    }

    fn policy<'a>(&'a self, options: &'a ClientOptions) -> RealmPolicy<'a> {
        RealmPolicy::new(&self.name, self.plain_http, &options.trusted_realms)
    }

    fn check(&self, allowed: bool, target: &Url, purpose: &'static str) -> Result<(), Error> {
        if allowed {
            return Ok(());
        }
        Err(Error::ForeignHost {
            host: self.name.clone(),
            target: format!(
                "{}://{}",
                target.scheme(),
                target.host_str().unwrap_or_default()
            ),
            purpose,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_is_asked_where_its_api_is() {
        let url = |registry: &str| {
            let endpoint = Endpoint::new(registry, &ClientOptions::default());
            endpoint.url("/v2/").unwrap().to_string()
        };
        assert_eq!(url("docker.io"), "https://registry-1.docker.io/v2/");
        assert_eq!(url("127.0.0.1:5000"), "http://127.0.0.1:5000/v2/");
        assert_eq!(url("[::1]:5000"), "http://[::1]:5000/v2/");
    }

    #[test]
    fn a_trusted_realm_is_of_one_registry() {
        let options = ClientOptions::default().trust_realm("docker.io", "login.example.net");
        let realm: Url = "https://login.example.net/token".parse().unwrap();
        let check = |registry: &str, secret| {
            Endpoint::new(registry, &options).check_realm(&realm, secret, &options)
        };
        assert!(check("registry-1.docker.io", true).is_ok());
        assert!(matches!(
            check("ghcr.io", true),
            Err(Error::ForeignHost { .. })
        ));
        assert!(check("ghcr.io", false).is_ok(), "nothing secret is sent");
    }
}
