//! Authentication and authorization: anonymous, HTTP Basic, or bearer tokens.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use pipeops_core::SecretString;

use super::error::ApiError;
use super::options::{Auth, RegistryOptions, User};
use crate::serve::{basic_credentials, lock};

/// The name under which the registry and its token server know each other.
pub(super) const SERVICE: &str = "pipeops-testkit";

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// To have logged in, where that is asked for: `GET /v2/`.
    Login,
    /// To do this in a repository.
    Repository { name: &'a str, action: Action },
}

/// What a challenge tells the client beside the scope.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Challenge<'a> {
    /// Where the client finds the token server.
    pub(super) host: &'a str,
    /// The repository from which a blob is to be mounted: the token should allow to pull there, too.
    pub(super) mount_from: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

impl Wanted<'_> {
    /// The scope that a challenge asks for; a push needs to pull as well.
    fn scope(self) -> Option<String> {
        match self {
            Self::Login => None,
            Self::Repository { name, action } => {
                let actions = match action {
                    Action::Push => "pull,push",
                    other => other.as_str(),
                };
                Some(format!("repository:{name}:{actions}"))
            }
        }
    }

    fn allowed_to(self, user: &User) -> bool {
        match self {
            Self::Login => true,
            Self::Repository { action, .. } => user.may(action),
        }
    }

    fn allowed_by(self, grant: &Grant) -> bool {
        match self {
            Self::Login => true,
            Self::Repository { name, action } => {
                let access = format!("repository:{name}:{}", action.as_str());
                grant.access.contains(&access)
            }
        }
    }
}

impl User {
    fn may(&self, action: Action) -> bool {
        action == Action::Pull || !self.read_only
    }
}

/// What a token allows, as `type:name:action`.
#[derive(Debug)]
struct Grant {
    user: Option<String>,
    access: BTreeSet<String>,
    expires: Instant,
}

/// A token, as the token server answers it.
#[derive(Debug)]
pub(super) struct IssuedToken {
    pub(super) token: String,
    pub(super) lifetime: Duration,
    pub(super) refresh: Option<String>,
}

/// Checks requests and issues tokens.
#[derive(Debug)]
pub(super) struct Gate {
    mode: Auth,
    anonymous_pull: bool,
    users: Mutex<Vec<User>>,
    tokens: Mutex<HashMap<String, Grant>>,
}

impl Gate {
    pub(super) fn new(options: &RegistryOptions) -> Self {
        Self {
            mode: options.auth,
            anonymous_pull: options.anonymous_pull,
            users: Mutex::new(options.users.clone()),
            tokens: Mutex::default(),
        }
    }

    /// The user's name (none when anonymous), or the answer that refuses.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        wanted: Wanted<'_>,
        challenge: Challenge<'_>,
    ) -> Result<Option<String>, ApiError> {
        let header = headers.get(AUTHORIZATION).and_then(|h| h.to_str().ok());
        let pull = matches!(
            wanted,
            Wanted::Repository {
                action: Action::Pull,
                ..
            }
        );
        match self.mode {
            Auth::None => Ok(None),
            Auth::Basic if header.is_none() && self.anonymous_pull && pull => Ok(None),
            Auth::Basic => self.check_basic(headers, wanted),
            Auth::Token { .. } => self
                .check_bearer(header, wanted)
                .map_err(|why| bearer_challenge(wanted, challenge, why)),
        }
    }

    /// The 401 to credentials that are no longer good.
    pub(super) fn expired(&self, wanted: Wanted<'_>, challenge: Challenge<'_>) -> ApiError {
        match self.mode {
            Auth::Token { .. } => bearer_challenge(wanted, challenge, Some("invalid_token")),
            Auth::None | Auth::Basic => basic_challenge(),
        }
    }

    fn check_basic(
        &self,
        headers: &HeaderMap,
        wanted: Wanted<'_>,
    ) -> Result<Option<String>, ApiError> {
        let user =
            basic_credentials(headers).and_then(|(name, password)| self.login(&name, &password));
        let Some(user) = user else {
            return Err(basic_challenge());
        };
        if wanted.allowed_to(&user) {
            return Ok(Some(user.name.clone()));
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "DENIED",
            "requested access to the resource is denied",
        ))
    }

    fn check_bearer(
        &self,
        header: Option<&str>,
        wanted: Wanted<'_>,
    ) -> Result<Option<String>, Option<&'static str>> {
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let token = token.ok_or(None)?;
        let tokens = lock(&self.tokens);
        let grant = tokens.get(token).filter(|g| Instant::now() < g.expires);
        let grant = grant.ok_or(Some("invalid_token"))?;
        if wanted.allowed_by(grant) {
            Ok(grant.user.clone())
        } else {
            Err(Some("insufficient_scope"))
        }
    }

    /// Issues a token for as much of the scopes as this login may have; `None` for a wrong login.
    pub(super) fn issue(&self, login: Login<'_>, scopes: &[String]) -> Option<IssuedToken> {
        let Auth::Token { lifetime } = self.mode else {
            return None;
        };
        let user = match login {
            Login::Anonymous => None,
            Login::Password(name, password) => Some(self.login(name, password)?),
            Login::Refresh(token) => Some(self.login_by_identity(token)?),
        };
        let access = scopes.iter().flat_map(|scope| split_scope(scope));
        let access = access.filter(|access| self.grants(user.as_ref(), access));
        let access = access.collect();
        let token = format!("{:032x}", rand::random::<u128>());
        let grant = Grant {
            user: user.as_ref().map(|user| user.name.clone()),
            access,
            expires: Instant::now() + lifetime,
        };
        lock(&self.tokens).insert(token.clone(), grant);
        let refresh = user.and_then(|user| user.identity_token);
        Some(IssuedToken {
            token,
            lifetime,
            refresh: refresh.map(|token| token.expose().to_owned()),
        })
    }

    /// Whether one `type:name:action` is given to this user.
    fn grants(&self, user: Option<&User>, access: &str) -> bool {
        let Some((kind_and_name, action)) = access.rsplit_once(':') else {
            return false;
        };
        match (kind_and_name.split_once(':'), action, user) {
            (Some(("repository", _)), "pull", Some(_)) => true,
            (Some(("repository", _)), "pull", None) => self.anonymous_pull,
            (Some(("repository", _)), "push" | "delete", Some(user)) => user.may(Action::Push),
            _ => false,
        }
    }

    fn login(&self, name: &str, password: &str) -> Option<User> {
        let users = lock(&self.users);
        let user = users.iter().find(|user| user.name == name)?;
        (user.password.expose() == password).then(|| user.clone())
    }

    fn login_by_identity(&self, token: &str) -> Option<User> {
        let users = lock(&self.users);
        let matches = |user: &&User| {
            user.identity_token
                .as_ref()
                .is_some_and(|t| t.expose() == token)
        };
        users.iter().find(matches).cloned()
    }

    /// Changes a password; true when there is such a user.
    pub(super) fn set_password(&self, name: &str, password: SecretString) -> bool {
        let mut users = lock(&self.users);
        let user = users.iter_mut().find(|user| user.name == name);
        user.map(|user| user.password = password).is_some()
    }

    /// Makes every token issued so far invalid.
    pub(super) fn expire_tokens(&self) {
        lock(&self.tokens).clear();
    }
}

/// How somebody presents themselves to the token server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Login<'a> {
    Anonymous,
    Password(&'a str, &'a str),
    Refresh(&'a str),
}

pub(super) fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// `repository:team/app:pull,push` as one entry per action. The name may hold a colon, the actions may not.
fn split_scope(scope: &str) -> Vec<String> {
    let Some((kind_and_name, actions)) = scope.rsplit_once(':') else {
        return Vec::new();
    };
    let entry = |action| format!("{kind_and_name}:{action}");
    actions.split(',').map(entry).collect()
}

fn basic_challenge() -> ApiError {
    unauthorized("authentication required")
        .header(WWW_AUTHENTICATE, format!("Basic realm=\"{SERVICE}\""))
}

fn bearer_challenge(
    wanted: Wanted<'_>,
    challenge: Challenge<'_>,
    why: Option<&'static str>,
) -> ApiError {
    let host = challenge.host;
    let mut value = format!("Bearer realm=\"http://{host}/token\",service=\"{SERVICE}\"");
    if let Some(mut scope) = wanted.scope() {
        if let Some(from) = challenge.mount_from {
            scope.push_str(&format!(" repository:{from}:pull"));
        }
        value.push_str(&format!(",scope=\"{scope}\""));
    }
    if let Some(why) = why {
        value.push_str(&format!(",error=\"{why}\""));
    }
    unauthorized("authentication required").header(WWW_AUTHENTICATE, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(options: RegistryOptions) -> Gate {
        Gate::new(&options.user(User::new("ci", "pw")))
    }

    fn push(name: &str) -> Wanted<'_> {
        Wanted::Repository {
            name,
            action: Action::Push,
        }
    }

    fn bearer(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        headers
    }

    #[test]
    fn a_token_is_good_for_what_it_was_issued_for_and_no_more() {
        let gate = gate(RegistryOptions::default().token_auth(Duration::from_secs(60)));
        let scopes = ["repository:team/a:pull,push".to_owned()];
        let token = gate.issue(Login::Password("ci", "pw"), &scopes).unwrap();
        let headers = bearer(&token.token);
        let user = gate
            .check(&headers, push("team/a"), Challenge::default())
            .unwrap();
        assert_eq!(user.as_deref(), Some("ci"));
        assert!(
            gate.check(&headers, push("team/b"), Challenge::default())
                .is_err()
        );
        gate.expire_tokens();
        assert!(
            gate.check(&headers, push("team/a"), Challenge::default())
                .is_err()
        );
    }

    #[test]
    fn a_lifetime_of_zero_issues_expired_tokens() {
        let gate = gate(RegistryOptions::default().token_auth(Duration::ZERO));
        let token = gate.issue(Login::Anonymous, &[]).unwrap();
        assert!(
            gate.check(&bearer(&token.token), Wanted::Login, Challenge::default())
                .is_err()
        );
    }
}
