//! Several sources of credentials.

use std::sync::Arc;

use async_trait::async_trait;
use pipeops_core::credential::CredentialKind;
use pipeops_core::{Credential, CredentialProvider, Failure, RegistryScope};

/// Several sources of credentials, in order: the first one with a credential for the registry is used.
///
/// If a source fails, the search ends, because the next one might log in as another user.
///
/// ```
/// use pipeops_registry::{Chain, Credential, DockerConfig, StaticCredentials};
///
/// let project = StaticCredentials::new().with("ghcr.io", Credential::basic("bot", "token"));
/// let chain = Chain::new().with(project).with(DockerConfig::parse(r#"{"auths": {}}"#)?);
/// # Ok::<(), pipeops_registry::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Chain {
    providers: Vec<Arc<dyn CredentialProvider>>,
}

impl Chain {
    /// An empty chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a source.
    #[must_use]
    pub fn with(mut self, provider: impl CredentialProvider) -> Self {
        self.providers.push(Arc::new(provider));
        self
    }

    /// Appends a shared source.
    #[must_use]
    pub fn with_shared(mut self, provider: Arc<dyn CredentialProvider>) -> Self {
        self.providers.push(provider);
        self
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure> {
        for provider in &self.providers {
            let credential = provider.credential(host, scope).await?;
            if credential.kind != CredentialKind::Anonymous {
                return Ok(credential);
            }
        }
        Ok(Credential::anonymous())
    }

    fn refused(&self, host: &str) {
        for provider in &self.providers {
            provider.refused(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use pipeops_core::Diagnosis;
    use pipeops_core::diagnosis::codes::UNKNOWN;

    use super::*;
    use crate::StaticCredentials;

    #[derive(Debug, Default)]
    struct Broken(Arc<AtomicU32>);

    #[async_trait]
    impl CredentialProvider for Broken {
        async fn credential(&self, _: &str, _: &RegistryScope) -> Result<Credential, Failure> {
            Err(Failure::from_diagnosis(
                Diagnosis::new(&UNKNOWN).title("no connection to the key store"),
            ))
        }

        fn refused(&self, _: &str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn one(host: &str, user: &str) -> StaticCredentials {
        StaticCredentials::new().with(host, Credential::basic(user, "x"))
    }

    #[tokio::test]
    async fn the_first_that_has_one_answers() {
        let chain = Chain::new()
            .with(one("a.io", "a"))
            .with(one("b.io", "b"))
            .with(one("b.io", "c"));
        let credential = chain
            .credential("b.io", &RegistryScope::default())
            .await
            .unwrap();
        assert_eq!(credential, Credential::basic("b", "x"));
        let none = chain
            .credential("d.io", &RegistryScope::default())
            .await
            .unwrap();
        assert_eq!(none, Credential::anonymous());
    }

    #[tokio::test]
    async fn a_failure_is_not_skipped() {
        let chain = Chain::new().with(Broken::default()).with(one("a.io", "a"));
        assert!(
            chain
                .credential("a.io", &RegistryScope::default())
                .await
                .is_err()
        );
    }

    #[test]
    fn every_source_hears_of_a_refusal() {
        let heard = Arc::new(AtomicU32::new(0));
        Chain::new()
            .with(Broken(heard.clone()))
            .with(Broken(heard.clone()))
            .refused("a.io");
        assert_eq!(heard.load(Ordering::Relaxed), 2);
    }
}
