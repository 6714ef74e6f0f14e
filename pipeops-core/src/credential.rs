//! Registry credentials, and the trait that provides them.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::diagnosis::Failure;
use crate::secret::SecretString;

/// What a credential is needed for: reading or writing one repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct RegistryScope {
    /// The path inside the registry, such as `team/app`; `None` if the caller doesn't know it.
    pub repository: Option<String>,
    /// Whether the caller will push.
    pub push: bool,
}

impl RegistryScope {
    /// Read access to one repository.
    pub fn pull(repository: impl Into<String>) -> Self {
        Self {
            repository: Some(repository.into()),
            push: false,
        }
    }

    /// Read and write access to one repository.
    pub fn push(repository: impl Into<String>) -> Self {
        Self {
            repository: Some(repository.into()),
            push: true,
        }
    }
}

/// A login for a registry. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credential {
    /// The login itself.
    pub kind: CredentialKind,
    /// When it expires; `None` if it doesn't, or if that is unknown.
    pub expires: Option<Timestamp>,
}

/// What the client presents to the registry or to its token server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialKind {
    /// Nothing, for public repositories.
    Anonymous,
    /// A user name and a password or access token.
    Basic {
        /// The user name.
        username: String,
        /// The password or access token.
        password: SecretString,
    },
    /// An OAuth refresh token, which the registry's token server exchanges (docker's `identitytoken`).
    IdentityToken(SecretString),
}

impl Credential {
    /// No credential.
    pub fn anonymous() -> Self {
        Self {
            kind: CredentialKind::Anonymous,
            expires: None,
        }
    }

    /// User name and password.
    pub fn basic(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        let kind = CredentialKind::Basic {
            username: username.into(),
            password: password.into(),
        };
        Self {
            kind,
            expires: None,
        }
    }

    /// Sets when it expires.
    #[must_use]
    pub fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// Its secrets, for a [`Redactor`](crate::Redactor).
    pub fn secrets(&self) -> impl Iterator<Item = SecretString> + use<> {
        let secret = match &self.kind {
            CredentialKind::Anonymous => None,
            CredentialKind::Basic { password, .. } => Some(password.clone()),
            CredentialKind::IdentityToken(token) => Some(token.clone()),
        };
        secret.into_iter()
    }
}

/// A source of registry credentials.
///
/// Implementations cache credentials and renew them before they expire. Callers ask before each use and keep nothing.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// The credential for `host` (`docker.io`, `127.0.0.1:5000`) that covers `scope`.
    ///
    /// Returns [`Credential::anonymous`] for hosts without a configured credential.
    ///
    /// # Errors
    /// If a credential is configured for this host but can't be obtained.
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure>;

    /// Drops the cached credential for `host`, because the registry refused it.
    fn refused(&self, host: &str) {
        let _ = host;
    }
}

/// No credentials for any host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

#[async_trait]
impl CredentialProvider for Anonymous {
    async fn credential(&self, _host: &str, _scope: &RegistryScope) -> Result<Credential, Failure> {
        Ok(Credential::anonymous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", Credential::basic("bob", "hunter2"));
        assert!(text.contains("bob") && !text.contains("hunter2"), "{text}");
    }
}
