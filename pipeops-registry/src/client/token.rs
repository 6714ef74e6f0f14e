//! Tokens: how to request them, and how long they're valid.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipeops_core::credential::CredentialKind;
use pipeops_core::{Credential, SecretString};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::endpoint::Endpoint;
use super::transport::{Request, bad_answer};
use crate::error::{Action, Error};

/// The default lifetime of a token, in seconds, from the specification.
const DEFAULT_LIFETIME: u64 = 60;
/// The scopes of a token: repositories and actions, in the order of the request.
pub(super) type Scopes = Vec<(String, Action)>;

/// A bearer token, and the credential that it was issued for.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) token: SecretString,
    pub(super) credential: Credential,
    pub(super) good_until: Instant,
}

/// GET with Basic (or nothing), as in the specification; POST with a refresh token for identity tokens.
pub(super) fn token_request(
    registry: &Endpoint,
    realm: &Url,
    service: Option<&str>,
    scopes: &Scopes,
    credential: &Credential,
) -> Result<Request, Error> {
    let (repository, action) = scopes
        .first()
        .cloned()
        .unwrap_or_else(|| ("*".to_owned(), Action::Pull));
    let mut request = Request {
        method: Method::GET,
        url: realm.clone(),
        headers: HeaderMap::new(),
        body: None,
        action,
        repository,
    };
    let scopes: Vec<String> = scopes
        .iter()
        .map(|(repository, action)| action.scope(repository).to_string())
        .collect();
    if let CredentialKind::IdentityToken(token) = &credential.kind {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "pipeops")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", token.expose());
        request.method = Method::POST;
        request.body = Some(form.finish().into());
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, form_type);
        return Ok(request);
    }
    if let Some(service) = service {
        request
            .url
            .query_pairs_mut()
            .append_pair("service", service);
    }
    for scope in &scopes {
        request.url.query_pairs_mut().append_pair("scope", scope);
    }
    if let CredentialKind::Basic { username, password } = &credential.kind {
        request
            .headers
            .insert(AUTHORIZATION, basic_header(registry, username, password)?);
    }
    Ok(request)
}

#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl TokenAnswer {
    /// The token, valid for nine tenths of its lifetime from the request on.
    pub(super) fn into_token(self, credential: Credential, asked_at: Instant) -> Option<Token> {
        let token = if self.token.is_empty() {
            self.access_token
        } else {
            self.token
        };
        // At most a day.
        let seconds = self
            .expires_in
            .unwrap_or(DEFAULT_LIFETIME)
            .min(24 * 60 * 60);
        (!token.is_empty()).then(|| Token {
            token: SecretString::from(token),
            credential,
            good_until: asked_at + Duration::from_secs(seconds).mul_f64(0.9),
        })
    }
}

pub(super) fn basic_header(
    registry: &Endpoint,
    username: &str,
    password: &SecretString,
) -> Result<HeaderValue, Error> {
    let encoded = STANDARD.encode(format!("{username}:{}", password.expose()));
    secret_header(registry, &format!("Basic {encoded}"))
}

/// A header that isn't shown, not even by the HTTP library.
pub(super) fn secret_header(registry: &Endpoint, text: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        bad_answer(
            &registry.name,
            "a token with characters that are invalid in a header",
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientOptions;

    fn request(credential: &Credential) -> Request {
        let registry = Endpoint::new("docker.io", &ClientOptions::default());
        let realm = "https://auth.docker.io/token?x=1".parse().unwrap();
        let scopes = vec![
            ("a/b".to_owned(), Action::Push),
            ("c".to_owned(), Action::Pull),
        ];
        token_request(
            &registry,
            &realm,
            Some("registry.docker.io"),
            &scopes,
            credential,
        )
        .unwrap()
    }

    #[test]
    fn a_password_is_exchanged_by_get_with_basic() {
        let request = request(&Credential::basic("bob", "pw"));
        assert_eq!(
            request.url.as_str(),
            "https://auth.docker.io/token?x=1&service=registry.docker.io&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        let header = &request.headers[AUTHORIZATION];
        assert_eq!(header, "Basic Ym9iOnB3");
        assert!(!format!("{header:?}").contains("Ym9iOnB3"), "{header:?}");
    }

    #[test]
    fn an_identity_token_is_exchanged_by_post() {
        let mut credential = Credential::anonymous();
        credential.kind = CredentialKind::IdentityToken("t&t".into());
        let request = request(&credential);
        assert_eq!(request.method, Method::POST);
        let body = String::from_utf8(request.body.unwrap().to_vec()).unwrap();
        assert!(
            body.starts_with("grant_type=refresh_token&") && body.ends_with("&refresh_token=t%26t"),
            "{body}"
        );
        assert!(!request.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn the_lifetime_of_a_token_is_bounded() {
        let asked_at = Instant::now();
        let lifetime = |expires_in| {
            let answer = TokenAnswer {
                token: String::new(),
                access_token: "t".to_owned(),
                expires_in,
            };
            answer
                .into_token(Credential::anonymous(), asked_at)
                .unwrap()
                .good_until
                - asked_at
        };
        assert_eq!(lifetime(Some(100)), Duration::from_secs(90));
        assert_eq!(lifetime(None), Duration::from_secs(54));
        assert!(lifetime(Some(u64::MAX)) < Duration::from_secs(24 * 60 * 60));
    }
}
