//! Fetches tokens from a registry's token server.
//!
//! The protocol is that of [distribution's token authentication]: a POST with the secret in a form, or a GET with Basic
//! authentication if the server doesn't support POST. The registry names the server ("realm"); [`RealmPolicy`] decides
//! which realms get a secret.
//!
//! [distribution's token authentication]: https://distribution.github.io/distribution/spec/auth/token/

use std::sync::OnceLock;
use std::time::Duration;

use pipeops_core::credential::CredentialKind;
use pipeops_core::registry::refusal::retry_after;
use pipeops_core::registry::{RealmPolicy, Refusal, RefusalClass, host};
use pipeops_core::retry::{Retryable, retry};
use pipeops_core::tls::{self, TlsError};
use pipeops_core::{Backoff, Credential, RetryClass, SecretString};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::access::Access;
use crate::error::{CredentialError, Error};

/// Time limit for one response of a token server.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Limit for the size of a response. Tokens have a few KiB.
const BODY_LIMIT: usize = 1 << 20;

/// Limit for the body of an error response.
const REFUSAL_LIMIT: usize = 16 << 10;

/// The lifetime of a token if the server doesn't state it, from the specification.
const DEFAULT_LIFE: i64 = 60;

/// Asks token servers. Its HTTP client is made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct TokenClient {
    http: OnceLock<reqwest::Client>,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct TokenRequest<'a> {
    pub(crate) host: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) service: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) credential: &'a Credential,
}

/// A token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    /// Seconds from `issued_at`.
    pub(crate) expires_in: i64,
    /// Seconds since 1970; 0 when the server did not say.
    pub(crate) issued_at: i64,
}

/// Why no token could be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("its token server {0} is on a host that isn't trusted")]
    ForeignRealm(String),
    #[error("its token server responded with {status}")]
    Refused {
        status: StatusCode,
        class: RefusalClass,
        retry_after: Option<Duration>,
    },
    #[error("its token server can't be reached")]
    Http(#[source] reqwest::Error),
    #[error("its token server returned no valid token: {0}")]
    Malformed(&'static str),
    #[error("TLS can't be initialized")]
    Tls(#[source] TlsError),
}

impl TokenError {
    /// The server knew the credential and refused it.
    pub(crate) fn is_refused(&self) -> bool {
        let Self::Refused { status, class, .. } = self else {
            return false;
        };
        matches!(status.as_u16(), 400 | 401 | 403) && class.refuses_login()
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Refused { class, .. } => {
                matches!(class, RefusalClass::Throttled | RefusalClass::Unavailable)
            }
            Self::Http(error) => error.is_connect() || error.is_timeout(),
            _ => false,
        }
    }

    pub(crate) fn into_error(self, host: &str) -> Error {
        let host = host.to_owned();
        match self {
            Self::ForeignRealm(realm) => Error::ForeignRealm { host, realm },
            error => {
                let refused = error.is_refused();
                let transient = error.is_transient();
                Error::Credentials {
                    host,
                    source: CredentialError::TokenServer {
                        refused,
                        transient,
                        source: Box::new(error),
                    },
                }
            }
        }
    }
}

impl Retryable for TokenError {
    fn retry_class(&self) -> RetryClass {
        match self.is_transient() {
            true => RetryClass::Transient,
            false => RetryClass::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Stays as it is: the build itself is tried again later.
    fn exhausted(self, _attempts: u32) -> Self {
        self
    }
}

impl TokenClient {
    /// Fetches a token, trying again where that can help.
    pub(crate) async fn fetch(
        &self,
        request: &TokenRequest<'_>,
        access: &Access,
    ) -> Result<Token, TokenError> {
        let realm = check_realm(request, access)?;
        let http = self.http()?;
        let backoff = Backoff::default()
            .base(Duration::from_millis(300))
            .total(Duration::from_secs(20));
        retry(backoff, tokio::time::sleep, || {
            fetch_once(http, &realm, request)
        })
        .await
    }

    pub(crate) fn http(&self) -> Result<&reqwest::Client, TokenError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let tls = tls::client_config(&[]).map_err(TokenError::Tls)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // A redirect would carry the secret to another host.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_LIMIT)
            .user_agent(concat!("pipeops-buildkit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(TokenError::Http)?;
        Ok(self.http.get_or_init(|| http))
    }
}

async fn fetch_once(
    http: &reqwest::Client,
    realm: &Url,
    request: &TokenRequest<'_>,
) -> Result<Token, TokenError> {
    let posted = post(http, realm, request).await?;
    let response = match (&request.credential.kind, posted.status()) {
        // Servers that know only GET say so in one of these ways.
        (
            CredentialKind::Basic { username, password },
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED,
        ) => {
            let get = http
                .get(realm.clone())
                .query(&query(request))
                .basic_auth(username, Some(password.expose()));
            get.send().await.map_err(TokenError::Http)?
        }
        _ => posted,
    };
    if !response.status().is_success() {
        return Err(refused(request.host, response).await);
    }
    read_token(response).await
}

async fn refused(host: &str, response: Response) -> TokenError {
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|value| retry_after(value.to_str().ok()?));
    // Without a readable body the status decides.
    let body = read(response, REFUSAL_LIMIT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let refusal = Refusal::from_response(host, status.as_u16(), &text, wait.is_some());
    TokenError::Refused {
        status,
        class: refusal.class().unwrap_or(RefusalClass::Invalid),
        retry_after: wait,
    }
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, TokenError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(TokenError::Http)? {
        body.extend_from_slice(&piece);
        if body.len() > limit {
            return Err(TokenError::Malformed("the response is too long"));
        }
    }
    Ok(body)
}

async fn post(
    http: &reqwest::Client,
    realm: &Url,
    request: &TokenRequest<'_>,
) -> Result<Response, TokenError> {
    let mut form = vec![
        ("client_id", "pipeops".to_owned()),
        ("service", request.service.to_owned()),
        ("scope", request.scopes.join(" ")),
    ];
    match &request.credential.kind {
        CredentialKind::Basic { username, password } => form.extend([
            ("grant_type", "password".to_owned()),
            ("username", username.clone()),
            ("password", password.expose().to_owned()),
        ]),
        CredentialKind::IdentityToken(token) => {
            form.extend([
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", token.expose().to_owned()),
            ]);
        }
        _ => {
            let get = http.get(realm.clone()).query(&query(request));
            return get.send().await.map_err(TokenError::Http);
        }
    }
    http.post(realm.clone())
        .form(&form)
        .send()
        .await
        .map_err(TokenError::Http)
}

fn query<'a>(request: &'a TokenRequest<'a>) -> Vec<(&'a str, &'a str)> {
    let scopes = request.scopes.iter().map(|scope| ("scope", scope.as_str()));
    [("service", request.service)]
        .into_iter()
        .chain(scopes)
        .collect()
}

async fn read_token(response: Response) -> Result<Token, TokenError> {
    /// Registries call it either way.
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
        expires_in: Option<i64>,
        issued_at: Option<jiff::Timestamp>,
    }
    let body = read(response, BODY_LIMIT).await?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| TokenError::Malformed("the response isn't the JSON of a token"))?;
    let token = if answer.token.is_empty() {
        answer.access_token
    } else {
        answer.token
    };
    if token.is_empty() {
        return Err(TokenError::Malformed("the token is empty"));
    }
    Ok(Token {
        secret: token.into(),
        expires_in: answer
            .expires_in
            .filter(|seconds| *seconds > 0)
            .unwrap_or(DEFAULT_LIFE),
        issued_at: answer.issued_at.map_or(0, jiff::Timestamp::as_second),
    })
}

/// Rejects a token server that isn't trusted with the credential.
fn check_realm(request: &TokenRequest<'_>, access: &Access) -> Result<Url, TokenError> {
    let refuse = || TokenError::ForeignRealm(request.realm.chars().take(200).collect());
    let realm = Url::parse(request.realm).map_err(|_| refuse())?;
    let plain_http = host::speaks_plain_http(request.host, &access.plain_http);
    let policy = RealmPolicy::new(request.host, plain_http, &access.trusted_realms);
    let allowed = match request.credential.kind {
        CredentialKind::Anonymous => policy.allows_anonymous(&realm),
        _ => policy.allows_secret(&realm),
    };
    allowed.then_some(realm).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_login_counts_as_one() {
        for (status, class, refused) in [
            (401, RefusalClass::Unauthorized, true),
            (403, RefusalClass::Denied, true),
            (400, RefusalClass::Unauthorized, true),
            (400, RefusalClass::Invalid, false),
            (403, RefusalClass::Throttled, false),
            (404, RefusalClass::Denied, false),
            (301, RefusalClass::Invalid, false),
            (405, RefusalClass::Invalid, false),
        ] {
            let error = TokenError::Refused {
                status: StatusCode::from_u16(status).unwrap(),
                class,
                retry_after: None,
            };
            assert_eq!(error.is_refused(), refused, "{status} {class:?}");
        }
    }

    #[test]
    fn secrets_go_to_the_registrys_own_token_server_only() {
        let mut access = Access::default();
        access.trusted_realms.insert("reg.io", "sso.example.org");
        let check = |host, realm, credential| {
            let request = TokenRequest {
                host,
                realm,
                service: "",
                scopes: &[],
                credential: &credential,
            };
            check_realm(&request, &access)
        };
        let secret = || Credential::basic("bob", "x");
        for (host, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("[::1]:5000", "http://[::1]:5001/token"),
            ("reg.io", "https://sso.example.org/token"),
        ] {
            assert!(check(host, realm, secret()).is_ok(), "{host} {realm}");
        }
        for (host, realm) in [
            ("a.azurecr.io", "https://b.azurecr.io/token"),
            ("other.io", "https://sso.example.org/token"),
            ("reg.io", "not a url"),
        ] {
            assert!(
                matches!(
                    check(host, realm, secret()),
                    Err(TokenError::ForeignRealm(_))
                ),
                "{host} {realm}"
            );
        }
        let anonymous = Credential::anonymous();
        assert!(check("other.io", "https://sso.example.org/token", anonymous).is_ok());
    }
}
