//! How a client behaves.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeops_core::Backoff;
use pipeops_core::registry::{TrustedRealms, host};

/// How a [`RegistryClient`](crate::RegistryClient) behaves.
///
/// ```
/// use pipeops_registry::ClientOptions;
///
/// let options = ClientOptions::default()
///     .plain_http("registry.internal:5000")
///     .trust_realm("registry.example.com", "login.example.net");
/// assert_eq!(options.backoff.attempts, 3);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How transient failures are retried. Default: 3 attempts within 2 minutes.
    pub backoff: Backoff,
    /// Longest time until a connection stands. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest time until an answer begins, and longest silence within one. Default 30 s.
    pub answer_timeout: Duration,
    /// Longest time for one layer to be copied. Default 30 min.
    pub blob_timeout: Duration,
    /// Registries that speak plain HTTP. Those on this machine always do.
    pub plain_http: BTreeSet<String>,
    /// Certificate authorities to trust beside the system's, each in PEM.
    pub extra_roots: Vec<String>,
    /// Hosts of token servers that are trusted beyond [`RealmPolicy`](pipeops_core::registry::RealmPolicy).
    pub trusted_realms: TrustedRealms,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            blob_timeout: Duration::from_secs(30 * 60),
            plain_http: BTreeSet::new(),
            extra_roots: Vec::new(),
            trusted_realms: TrustedRealms::default(),
        }
    }
}

impl ClientOptions {
    /// Sets how transient failures are retried.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the longest time until an answer begins, and the longest silence within one.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = limit;
        self
    }

    /// Speaks to this registry without TLS. Credentials then travel in the clear.
    #[must_use]
    pub fn plain_http(mut self, registry: &str) -> Self {
        self.plain_http.insert(host::canonical(registry));
        self
    }

    /// Trusts this certificate authority (PEM) beside the system's.
    #[must_use]
    pub fn extra_root(mut self, pem: impl Into<String>) -> Self {
        self.extra_roots.push(pem.into());
        self
    }

    /// Lets the credentials of `registry` be sent to a token server on the host `realm`, over TLS. Only needed where the two
    /// hosts have no registrable domain in common.
    #[must_use]
    pub fn trust_realm(mut self, registry: &str, realm: &str) -> Self {
        self.trusted_realms.insert(registry, realm);
        self
    }
}
