//! How a registry starts, and who may log in.

use std::time::Duration;

use pipeops_core::SecretString;

/// How a registry lets clients in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Everybody may do everything.
    None,
    /// HTTP Basic at the registry itself, as with htpasswd.
    Basic,
    /// Bearer tokens from the registry's own token server at `/token`.
    Token {
        /// How long a token is good.
        lifetime: Duration,
    },
}

/// Somebody who may log in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct User {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: SecretString,
    /// What the token server also takes instead of the password (`grant_type=refresh_token`). Default: none.
    pub identity_token: Option<SecretString>,
    /// May not push or delete. Default: false.
    pub read_only: bool,
}

impl User {
    /// A user who may do everything.
    pub fn new(name: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            identity_token: None,
            read_only: false,
        }
    }

    /// Also lets the user in with an identity token.
    #[must_use]
    pub fn identity_token(mut self, token: impl Into<SecretString>) -> Self {
        self.identity_token = Some(token.into());
        self
    }

    /// Forbids to push and to delete.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// How a [`Registry`](super::Registry) starts. Default: no login.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// How clients are let in.
    pub auth: Auth,
    /// Who is let in.
    pub users: Vec<User>,
    /// Whether everybody may pull without login. Default: false.
    pub anonymous_pull: bool,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            users: Vec::new(),
            anonymous_pull: false,
        }
    }
}

impl RegistryOptions {
    /// Asks for HTTP Basic.
    #[must_use]
    pub fn basic_auth(mut self) -> Self {
        self.auth = Auth::Basic;
        self
    }

    /// Asks for bearer tokens, each good for `lifetime`.
    #[must_use]
    pub fn token_auth(mut self, lifetime: Duration) -> Self {
        self.auth = Auth::Token { lifetime };
        self
    }

    /// Adds somebody who may log in.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Lets everybody pull without login.
    #[must_use]
    pub fn anonymous_pull(mut self) -> Self {
        self.anonymous_pull = true;
        self
    }
}
