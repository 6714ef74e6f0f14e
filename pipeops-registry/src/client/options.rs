//! Options of a client.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeops_core::Backoff;
use pipeops_core::registry::{TrustedRealms, host};

/// Options of a [`RegistryClient`](crate::RegistryClient).
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
    /// How transient errors are retried. Default: 3 attempts within 2 min.
    pub backoff: Backoff,
    /// Time limit for a connection. Default: 10 s.
    pub connect_timeout: Duration,
    /// Time limit for the start of a response, and for each pause within it. Default: 30 s.
    pub answer_timeout: Duration,
    /// Time limit for the copy of one layer. Default: 30 min.
    pub blob_timeout: Duration,
    /// Registries without TLS. Those on this machine never use TLS. Default: none.
    pub plain_http: BTreeSet<String>,
    /// Certificate authorities to trust besides the system's, in PEM. Default: none.
    pub extra_roots: Vec<String>,
    /// Token servers to trust besides those that [`RealmPolicy`](pipeops_core::registry::RealmPolicy) allows. Default: none.
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
    /// Sets how transient errors are retried.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time limit for the start of a response, and for each pause within it.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = limit;
        self
    }

    /// Uses this registry without TLS. Credentials are then sent unencrypted.
    #[must_use]
    pub fn plain_http(mut self, registry: &str) -> Self {
        self.plain_http.insert(host::canonical(registry));
        self
    }

    /// Trusts this certificate authority (PEM) besides the system's.
    #[must_use]
    pub fn extra_root(mut self, pem: impl Into<String>) -> Self {
        self.extra_roots.push(pem.into());
        self
    }

    /// Allows sending the credentials of `registry` to the token server `realm`, over TLS. Only needed if the two hosts have
    /// different registrable domains.
    #[must_use]
    pub fn trust_realm(mut self, registry: &str, realm: &str) -> Self {
        self.trusted_realms.insert(registry, realm);
        self
    }
}
