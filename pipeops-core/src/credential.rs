//! The one trait through which a registry credential reaches whoever needs it.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::diagnosis::Failure;
use crate::secret::SecretString;

/// What a credential is wanted for: one repository, to read or to write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct RegistryScope {
    /// The path inside the registry, such as `team/app`; `None` when the caller cannot know it.
    pub repository: Option<String>,
    /// Whether the caller is going to push.
    pub push: bool,
}

impl RegistryScope {
    /// To read one repository.
    pub fn pull(repository: impl Into<String>) -> Self {
        Self {
            repository: Some(repository.into()),
            push: false,
        }
    }

    /// To read and write one repository.
    pub fn push(repository: impl Into<String>) -> Self {
        Self {
            repository: Some(repository.into()),
            push: true,
        }
    }
}

/// How to log in at a registry. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credential {
    /// What to present.
    pub kind: CredentialKind,
    /// When it stops working; `None` when it does not expire, or when that is unknown.
    pub expires: Option<Timestamp>,
}

/// What is presented to the registry or to its token server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialKind {
    /// Nothing: public repositories only.
    Anonymous,
    /// User name and password (or access token).
    Basic {
        /// The user name.
        username: String,
        /// The password or access token.
        password: SecretString,
    },
    /// An OAuth refresh token, exchanged at the registry's token server (docker's `identitytoken`).
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

    /// Sets when it stops working.
    #[must_use]
    pub fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// The secrets in it, for a [`Redactor`](crate::Redactor).
    pub fn secrets(&self) -> impl Iterator<Item = SecretString> + use<> {
        let secret = match &self.kind {
            CredentialKind::Anonymous => None,
            CredentialKind::Basic { password, .. } => Some(password.clone()),
            CredentialKind::IdentityToken(token) => Some(token.clone()),
        };
        secret.into_iter()
    }
}

/// Where credentials come from.
///
/// Implementations cache inside and renew before expiry: callers ask on each use and keep nothing.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// The credential for `host` (`docker.io`, `127.0.0.1:5000`), good for `scope`.
    ///
    /// Answers [`Credential::anonymous`] for a host that it has nothing for.
    ///
    /// # Errors
    /// When a credential is configured for this host and could not be had.
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure>;

    /// Forgets what is cached for `host`, because the registry refused it.
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
