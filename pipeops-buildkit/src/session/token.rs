//! Fetches tokens from a registry's token server.
//!
//! The protocol is that of [distribution's token authentication]: a POST with the secret in a form, or a GET with Basic
//! authentication where the server does not know POST. The registry names the server ("realm"); a realm is trusted when it
//! is on the registry's own host, on that host's parent domain (`registry.gitlab.com` → `gitlab.com`), is Docker Hub's, or
//! was named as trusted. Secrets go nowhere else.
//!
//! [distribution's token authentication]: https://distribution.github.io/distribution/spec/auth/token/

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pipeops_core::credential::CredentialKind;
use pipeops_core::{Backoff, Credential, SecretString};
use reqwest::{Response, StatusCode, Url};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::Deserialize;

use super::auth::Access;
use crate::error::{CredentialError, Error};
use crate::random;

/// Longest time for one answer of a token server.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A token is a few KiB; more is not read.
const BODY_LIMIT: usize = 1 << 20;

/// What the specification says a token lives when its server does not say.
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

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("its token server {0} is on a foreign host")]
    ForeignRealm(String),
    #[error("its token server answered {0}")]
    Status(StatusCode),
    #[error("its token server cannot be reached")]
    Http(#[source] reqwest::Error),
    #[error("its token server's answer is no token: {0}")]
    Malformed(&'static str),
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl TokenError {
    /// The server knew the credential and refused it.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        )
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
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
        let begin = Instant::now();
        for attempt in 1.. {
            let result = fetch_once(http, &realm, request).await;
            let wait = match &result {
                Err(error) if error.is_transient() => {
                    backoff.delay(attempt, begin.elapsed(), random::fraction())
                }
                _ => None,
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return result,
            }
        }
        Err(TokenError::Malformed("never asked"))
    }

    pub(crate) fn http(&self) -> Result<&reqwest::Client, TokenError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(TokenError::Tls)?
            .with_no_client_auth();
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
        return Err(TokenError::Status(response.status()));
    }
    read_token(response).await
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

async fn read_token(mut response: Response) -> Result<Token, TokenError> {
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
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(TokenError::Http)? {
        body.extend_from_slice(&piece);
        if body.len() > BODY_LIMIT {
            return Err(TokenError::Malformed("it is too long"));
        }
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| TokenError::Malformed("it is not the JSON of a token"))?;
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

/// Refuses a token server that is not the registry's.
fn check_realm(request: &TokenRequest<'_>, access: &Access) -> Result<Url, TokenError> {
    let refuse = || TokenError::ForeignRealm(request.realm.chars().take(200).collect());
    let realm = Url::parse(request.realm).map_err(|_| refuse())?;
    let registry = Url::parse(&format!("https://{}", request.host)).map_err(|_| refuse())?;
    let (Some(realm_host), Some(host)) = (realm.host_str(), registry.host_str()) else {
        return Err(refuse());
    };
    let own = realm_host == host
        || is_parent_domain(realm_host, host)
        || (host == "docker.io" && realm_host == "auth.docker.io");
    let trusted = own || access.trusted_realms.contains(realm_host);
    let plain_allowed = access.plain_http.contains(request.host) || is_loopback(host);
    let secure = realm.scheme() == "https" || (realm.scheme() == "http" && plain_allowed);
    let anonymous = realm.username().is_empty() && realm.password().is_none();
    if trusted && secure && anonymous {
        Ok(realm)
    } else {
        Err(refuse())
    }
}

/// `gitlab.com` is the parent of `registry.gitlab.com`. A parent of one label (`com`) is nobody's host.
fn is_parent_domain(parent: &str, host: &str) -> bool {
    parent.contains('.') && host.split_once('.').is_some_and(|(_, rest)| rest == parent)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, realm: &str) -> Result<Url, TokenError> {
        let credential = Credential::anonymous();
        let request = TokenRequest {
            host,
            realm,
            service: "",
            scopes: &[],
            credential: &credential,
        };
        let access = Access {
            trusted_realms: ["sso.example.org".to_owned()].into(),
            ..Access::default()
        };
        check_realm(&request, &access)
    }

    #[test]
    fn a_registrys_own_token_servers_are_trusted() {
        for (host, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("reg.io", "https://sso.example.org/token"),
        ] {
            assert!(check(host, realm).is_ok(), "{host} {realm}");
        }
    }

    #[test]
    fn foreign_and_plain_realms_are_refused() {
        for (host, realm) in [
            ("reg.io", "https://evil.io/token"),
            ("reg.io", "http://reg.io/token"),
            ("a.azurecr.io", "https://b.azurecr.io/token"),
            ("reg.io", "http://169.254.169.254/latest"),
            ("reg.io", "https://io/token"),
            ("reg.io", "https://u:p@reg.io/token"),
            ("reg.io", "not a url"),
            ("127.0.0.1:5000", "http://10.0.0.1/token"),
        ] {
            assert!(
                matches!(check(host, realm), Err(TokenError::ForeignRealm(_))),
                "{host} {realm}"
            );
        }
    }
}
