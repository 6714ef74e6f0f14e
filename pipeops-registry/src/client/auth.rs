//! Logins: HTTP Basic, and bearer tokens from a registry's token server.
//!
//! The protocol is the distribution project's [token specification]. The login method of a registry is cached, so only the first
//! request is rejected. Tokens are cached until shortly before they expire.
//!
//! [token specification]: https://distribution.github.io/distribution/spec/auth/token/

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pipeops_core::credential::CredentialKind;
use pipeops_core::registry::{Challenge, RefusalClass};
use pipeops_core::{Credential, CredentialProvider, Redactor, RegistryScope};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::endpoint::Endpoint;
use super::options::ClientOptions;
use super::rejection::Rejection;
use super::token::{Scopes, Token, TokenAnswer, basic_header, secret_header, token_request};
use super::transport::{Transport, bad_answer};
use crate::error::{Action, CredentialError, Error};

/// The largest response of a token server. Tokens have a few kilobytes; Amazon's are the longest.
const MAX_TOKEN_ANSWER: usize = 256 * 1024;
/// The most cached tokens.
const MAX_TOKENS: usize = 1000;

/// The credentials of a request.
#[derive(Clone)]
pub(super) struct Presented {
    header: HeaderValue,
    /// Removes secrets from the registry's messages.
    pub(super) redactor: Redactor,
    /// The credential that they come from.
    credential: Credential,
    /// Whether it's a cached token, which may have expired.
    from_cache: bool,
}

/// Logs in at registries.
pub(super) struct Login {
    provider: Arc<dyn CredentialProvider>,
    transport: Transport,
    options: Arc<ClientOptions>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The login method of each registry, by name.
    methods: HashMap<String, LoginMethod>,
    tokens: HashMap<(String, Scopes), Token>,
}

#[derive(Debug, Clone)]
enum LoginMethod {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

impl Login {
    pub(super) fn new(
        provider: Arc<dyn CredentialProvider>,
        transport: Transport,
        options: Arc<ClientOptions>,
    ) -> Self {
        Self {
            provider,
            transport,
            options,
            state: Mutex::default(),
        }
    }

    /// The credentials for this registry; `None` if it hasn't required any yet, or if there are none.
    pub(super) async fn present(
        &self,
        registry: &Endpoint,
        scopes: &Scopes,
    ) -> Result<Option<Presented>, Error> {
        let method = self.state().methods.get(&registry.name).cloned();
        match method {
            None => Ok(None),
            Some(LoginMethod::Basic) => {
                let credential = self.credential(registry, scopes).await?;
                basic(registry, credential)
            }
            Some(LoginMethod::Bearer { realm, service }) => {
                if let Some(token) = self.cached(registry, scopes) {
                    return Presented::bearer(registry, token, true).map(Some);
                }
                let token = self
                    .token(registry, &realm, service.as_deref(), scopes)
                    .await?;
                self.keep(registry, scopes, token.clone());
                Presented::bearer(registry, token, false).map(Some)
            }
        }
    }

    /// Learns from a rejection, and returns whether another attempt may succeed.
    pub(super) fn learn(
        &self,
        registry: &Endpoint,
        scopes: &Scopes,
        presented: Option<&Presented>,
        headers: &HeaderMap,
    ) -> Result<bool, Error> {
        self.state()
            .tokens
            .remove(&(registry.name.clone(), scopes.clone()));
        let known = self.state().methods.contains_key(&registry.name);
        if let Some(method) = self.asked_method(registry, headers)? {
            self.state().methods.insert(registry.name.clone(), method);
        }
        match presented {
            None => Ok(!known && self.state().methods.contains_key(&registry.name)),
            Some(presented) if presented.from_cache => Ok(true),
            Some(_) => {
                self.provider.refused(&registry.name);
                Ok(false)
            }
        }
    }

    /// Whether the provider has another credential than the rejected one.
    pub(super) async fn has_another(
        &self,
        registry: &Endpoint,
        scopes: &Scopes,
        presented: Option<&Presented>,
    ) -> Result<bool, Error> {
        match presented {
            None => Ok(false),
            Some(presented) => Ok(self.credential(registry, scopes).await? != presented.credential),
        }
    }

    /// The method that the header requires: bearer tokens if there is a choice, because they have a narrower scope.
    fn asked_method(
        &self,
        registry: &Endpoint,
        headers: &HeaderMap,
    ) -> Result<Option<LoginMethod>, Error> {
        let challenges: Vec<Challenge> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Challenge::parse)
            .collect();
        if let Some(bearer) = challenges
            .iter()
            .find(|challenge| challenge.scheme() == "bearer")
        {
            let realm = bearer.get("realm").and_then(|realm| Url::parse(realm).ok());
            let realm =
                realm.ok_or_else(|| bad_answer(&registry.name, "a challenge without a realm"))?;
            let service = bearer.get("service").map(str::to_owned);
            return Ok(Some(LoginMethod::Bearer { realm, service }));
        }
        let basic = challenges
            .iter()
            .any(|challenge| challenge.scheme() == "basic");
        Ok(basic.then_some(LoginMethod::Basic))
    }

    async fn credential(&self, registry: &Endpoint, scopes: &Scopes) -> Result<Credential, Error> {
        let mut scope = RegistryScope::default();
        if let Some((repository, action)) = scopes.first() {
            scope.repository = Some(repository.clone());
            scope.push = *action != Action::Pull;
        }
        let limit = self.options.answer_timeout;
        match tokio::time::timeout(limit, self.provider.credential(&registry.name, &scope)).await {
            Ok(credential) => credential.map_err(|failure| Error::NoCredential {
                host: registry.name.clone(),
                source: CredentialError(failure),
            }),
            Err(_) => Err(Error::Timeout {
                host: format!("the credential provider for {}", registry.name),
                limit,
            }),
        }
    }

    /// A new token. If the token server rejects the credential and the provider then has another one, with that.
    async fn token(
        &self,
        registry: &Endpoint,
        realm: &Url,
        service: Option<&str>,
        scopes: &Scopes,
    ) -> Result<Token, Error> {
        let credential = self.credential(registry, scopes).await?;
        let refused = match self
            .fetch(registry, realm, service, scopes, credential.clone())
            .await
        {
            Err(
                error @ Error::Unauthorized {
                    presented: true, ..
                },
            ) => error,
            other => return other,
        };
        match self.credential(registry, scopes).await? {
            same if same == credential => Err(refused),
            another => self.fetch(registry, realm, service, scopes, another).await,
        }
    }

    /// One request to the token server.
    async fn fetch(
        &self,
        registry: &Endpoint,
        realm: &Url,
        service: Option<&str>,
        scopes: &Scopes,
        credential: Credential,
    ) -> Result<Token, Error> {
        let presented = credential.kind != CredentialKind::Anonymous;
        registry.check_realm(realm, presented, &self.options)?;
        let request = token_request(registry, realm, service, scopes, &credential)?;
        let redactor = Redactor::new(credential.secrets());
        let body = request.body.clone().map(Into::into);
        let asked_at = Instant::now();
        let answer = self
            .transport
            .send(
                request.method.clone(),
                request.url.clone(),
                request.headers.clone(),
                body,
            )
            .await?;
        if !answer.status().is_success() {
            let rejection =
                Rejection::read(&self.transport, &registry.name, answer, &redactor).await;
            // Some token servers respond to a wrong password with 400 only.
            let is_bad_request = rejection.status == reqwest::StatusCode::BAD_REQUEST
                && rejection.class == RefusalClass::Invalid;
            let refused = presented && (rejection.class.refuses_login() || is_bad_request);
            if refused {
                self.provider.refused(&registry.name);
            }
            return Err(rejection
                .meaning(refused.then_some(RefusalClass::Unauthorized))
                .into_error(&registry.name, &request, presented));
        }
        let body = self
            .transport
            .read(&registry.name, answer, MAX_TOKEN_ANSWER)
            .await?;
        // The parser's message may quote the token.
        let parsed: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| bad_answer(&registry.name, "a token response that isn't JSON"))?;
        parsed
            .into_token(credential, asked_at)
            .ok_or_else(|| bad_answer(&registry.name, "a token response without a token"))
    }

    fn cached(&self, registry: &Endpoint, scopes: &Scopes) -> Option<Token> {
        let state = self.state();
        let token = state.tokens.get(&(registry.name.clone(), scopes.clone()))?;
        (Instant::now() < token.good_until).then(|| token.clone())
    }

    fn keep(&self, registry: &Endpoint, scopes: &Scopes, token: Token) {
        let mut state = self.state();
        if state.tokens.len() >= MAX_TOKENS {
            state
                .tokens
                .retain(|_, token| Instant::now() < token.good_until);
        }
        if state.tokens.len() >= MAX_TOKENS {
            state.tokens.clear();
        }
        state
            .tokens
            .insert((registry.name.clone(), scopes.clone()), token);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl Presented {
    /// Adds them to the headers of a request.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.header.clone());
    }

    /// Whether they come from a credential: token servers also issue anonymous tokens.
    pub(super) fn is_authenticated(&self) -> bool {
        self.credential.kind != CredentialKind::Anonymous
    }

    fn bearer(registry: &Endpoint, token: Token, from_cache: bool) -> Result<Self, Error> {
        let redactor = Redactor::new(token.credential.secrets().chain([token.token.clone()]));
        Ok(Self {
            header: secret_header(registry, &format!("Bearer {}", token.token.expose()))?,
            redactor,
            credential: token.credential,
            from_cache,
        })
    }
}

fn basic(registry: &Endpoint, credential: Credential) -> Result<Option<Presented>, Error> {
    let header = match &credential.kind {
        CredentialKind::Basic { username, password } => basic_header(registry, username, password)?,
        CredentialKind::IdentityToken(_) => {
            return Err(bad_answer(
                &registry.name,
                "it requires a user name and password, but there is only an identity token",
            ));
        }
        _ => return Ok(None),
    };
    Ok(Some(Presented {
        header,
        redactor: Redactor::new(credential.secrets()),
        credential,
        from_cache: false,
    }))
}
