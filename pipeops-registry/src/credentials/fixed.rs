//! Fixed credentials.

use async_trait::async_trait;
use pipeops_core::registry::host;
use pipeops_core::{Credential, CredentialProvider, Failure, RegistryScope};

use super::is_below;

/// Fixed credentials, each for a registry or for some of its repositories.
///
/// The entry with the longest matching repository is used; other repositories get [`Credential::anonymous`]. If the caller
/// doesn't know the repository, as when BuildKit requests a login for a host, the registry's first entry is used.
///
/// ```
/// use pipeops_core::Credential;
/// use pipeops_registry::StaticCredentials;
///
/// let credentials = StaticCredentials::new()
///     .with("docker.io", Credential::basic("bob", "token"))
///     .with_repository("registry.example.com", "team/shop", Credential::basic("ci", "secret"));
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct StaticCredentials {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    host: String,
    /// The repository and all below it; empty for all of the registry.
    repository: String,
    credential: Credential,
}

impl StaticCredentials {
    /// No credentials.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a credential for all repositories of a registry. Docker Hub's aliases are the same registry.
    #[must_use]
    pub fn with(self, host: &str, credential: Credential) -> Self {
        self.with_repository(host, "", credential)
    }

    /// Adds a credential for a repository and those below it: `team` includes `team/shop`.
    #[must_use]
    pub fn with_repository(mut self, host: &str, repository: &str, credential: Credential) -> Self {
        self.entries.push(Entry {
            host: host::canonical(host),
            repository: repository.trim_matches('/').to_owned(),
            credential,
        });
        self
    }

    fn find(&self, host: &str, scope: &RegistryScope) -> Option<&Credential> {
        let host = host::canonical(host);
        let mut entries = self.entries.iter().filter(|entry| entry.host == host);
        let entry = match &scope.repository {
            Some(repository) => entries
                .filter(|entry| is_below(repository, &entry.repository))
                // The first of equals.
                .min_by_key(|entry| std::cmp::Reverse(entry.repository.len())),
            None => entries.next(),
        };
        entry.map(|entry| &entry.credential)
    }
}

#[async_trait]
impl CredentialProvider for StaticCredentials {
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure> {
        Ok(self
            .find(host, scope)
            .cloned()
            .unwrap_or_else(Credential::anonymous))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(
        credentials: &StaticCredentials,
        host: &str,
        repository: Option<&str>,
    ) -> Option<String> {
        let scope = repository.map_or_else(RegistryScope::default, RegistryScope::pull);
        match &credentials.find(host, &scope)?.kind {
            pipeops_core::credential::CredentialKind::Basic { username, .. } => {
                Some(username.clone())
            }
            _ => None,
        }
    }

    fn credentials() -> StaticCredentials {
        StaticCredentials::new()
            .with_repository("r.io", "team", Credential::basic("team", "x"))
            .with_repository("r.io", "team/shop", Credential::basic("shop", "x"))
            .with("docker.io", Credential::basic("hub", "x"))
    }

    #[test]
    fn the_longest_repository_wins_and_others_get_nothing() {
        let user = |repository| user(&credentials(), "r.io", repository);
        assert_eq!(user(Some("team/shop")).as_deref(), Some("shop"));
        assert_eq!(user(Some("team/other")).as_deref(), Some("team"));
        assert_eq!(user(Some("teams/shop")), None);
        assert_eq!(user(None).as_deref(), Some("team"));
    }

    #[test]
    fn other_hosts_get_nothing_and_docker_hub_is_one() {
        assert_eq!(user(&credentials(), "r.io.evil.com", Some("team")), None);
        assert_eq!(
            user(&credentials(), "registry-1.docker.io", Some("library/x")).as_deref(),
            Some("hub")
        );
    }
}
