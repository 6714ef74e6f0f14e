//! How a registry starts, and its users.

use std::time::Duration;

use pipeops_core::SecretString;

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// No authentication: everyone may push and pull.
    None,
    /// HTTP Basic at the registry, as with htpasswd.
    Basic,
    /// Bearer tokens from the registry's own token server at `/token`.
    Token {
        /// How long a token is valid.
        lifetime: Duration,
    },
}

/// A user of a registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct User {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: SecretString,
    /// Accepted by the token server instead of the password (`grant_type=refresh_token`). Default: none.
    pub identity_token: Option<SecretString>,
    /// Whether pushes and deletions are denied. Default: false.
    pub read_only: bool,
}

impl User {
    /// A user who may push, pull and delete.
    pub fn new(name: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            identity_token: None,
            read_only: false,
        }
    }

    /// Also accepts an identity token instead of the password.
    #[must_use]
    pub fn identity_token(mut self, token: impl Into<SecretString>) -> Self {
        self.identity_token = Some(token.into());
        self
    }

    /// Denies pushes and deletions.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// How a [`Registry`](super::Registry) starts. Default: no authentication, no users.
///
/// ```
/// use std::time::Duration;
/// use pipeops_testkit::registry::{RegistryOptions, User};
///
/// // As Docker Hub: everyone may pull, and pushes need a token of the user.
/// let options = RegistryOptions::default()
///     .token_auth(Duration::from_secs(300))
///     .user(User::new("ci", "s3cr3t"))
///     .anonymous_pull();
/// assert_eq!(options.users.len(), 1);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// How clients authenticate.
    pub auth: Auth,
    /// The users.
    pub users: Vec<User>,
    /// Whether anonymous pulls are allowed. Default: false.
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
    /// Requires HTTP Basic, with the name and password of one of the users.
    #[must_use]
    pub fn basic_auth(mut self) -> Self {
        self.auth = Auth::Basic;
        self
    }

    /// Requires bearer tokens from the registry's own token server, each valid for `lifetime`.
    #[must_use]
    pub fn token_auth(mut self, lifetime: Duration) -> Self {
        self.auth = Auth::Token { lifetime };
        self
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Allows anonymous pulls. Default: with authentication, pulls need a login too.
    #[must_use]
    pub fn anonymous_pull(mut self) -> Self {
        self.anonymous_pull = true;
        self
    }
}
