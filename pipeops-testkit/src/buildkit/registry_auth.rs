//! Registry logins. The daemon has no credentials and asks the client's session for them.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, FetchTokenRequest, GetTokenAuthorityRequest, VerifyTokenAuthorityRequest,
};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use ring::signature::{ED25519, UnparsedPublicKey};
use tonic::Code;

use super::error::{BuildError, BuildResult};
use super::http_client::Response;
use super::session::Session;
use crate::serve::lock;

/// The logins of one build.
#[derive(Debug)]
pub(super) struct Logins {
    session: Option<Session>,
    /// `Authorization` by host and scope.
    known: Mutex<HashMap<(String, String), HeaderValue>>,
}

/// A `WWW-Authenticate` header, taken apart.
#[derive(Debug, Default)]
struct Challenge {
    bearer: bool,
    fields: HashMap<String, String>,
}

/// Salt of the token authority: any value that stays the same.
const SALT: &[u8] = b"pipeops-testkit";

impl Logins {
    pub(super) fn new(session: Option<Session>) -> Self {
        Self {
            session,
            known: Mutex::default(),
        }
    }

    /// The login that was good before, if there is one.
    pub(super) fn known(&self, host: &str, scope: &str) -> Option<HeaderValue> {
        let key = (host.to_owned(), scope.to_owned());
        lock(&self.known).get(&key).cloned()
    }

    /// A login after a 401; none when the client has none, or when the one that it has was just refused.
    pub(super) async fn answer(
        &self,
        host: &str,
        scope: &str,
        refused: &Response,
    ) -> BuildResult<Option<HeaderValue>> {
        let challenge = Challenge::parse(&refused.headers);
        if self.known(host, scope).is_some() {
            // It was refused although it was new: another one will not be better.
            return match challenge.fields.get("error") {
                Some(error) => {
                    let message = format!("server message: {error}: authorization failed");
                    Err(BuildError::new(message))
                }
                None => Ok(None),
            };
        }
        let value = match challenge.bearer {
            true => {
                let token = self.token(host, scope, &challenge).await?;
                format!("Bearer {token}")
            }
            false => {
                let (name, secret) = self.credentials(host).await?;
                if name.is_empty() {
                    return Ok(None);
                }
                basic(&name, &secret)
            }
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| BuildError::new("the credentials are not a valid header value"))?;
        value.set_sensitive(true);
        let key = (host.to_owned(), scope.to_owned());
        lock(&self.known).insert(key, value.clone());
        Ok(Some(value))
    }

    /// Forgets the logins of a host, so that the next 401 asks the session anew.
    pub(super) fn forget(&self, host: &str) {
        lock(&self.known).retain(|(known, _), _| known != host);
    }

    async fn token(&self, host: &str, scope: &str, challenge: &Challenge) -> BuildResult<String> {
        let field = |name: &str| challenge.fields.get(name).cloned().unwrap_or_default();
        let (realm, service) = (field("realm"), field("service"));
        let scopes: Vec<String> = match field("scope") {
            asked if !asked.is_empty() => asked.split(' ').map(str::to_owned).collect(),
            _ => vec![scope.to_owned()],
        };
        if !self.has_authority(host).await? {
            let what = "a token login of a client without a token authority";
            return Err(BuildError::unsupported(what));
        }
        let request = FetchTokenRequest {
            client_id: "buildkit-client".to_owned(),
            host: host.to_owned(),
            realm,
            service,
            scopes,
        };
        Ok(self
            .client()?
            .fetch_token(request)
            .await?
            .into_inner()
            .token)
    }

    /// Whether the client signs for its tokens: then it fetches them itself, and no secret leaves it.
    async fn has_authority(&self, host: &str) -> BuildResult<bool> {
        if self.session.is_none() {
            return Ok(false);
        }
        let mut client = self.client()?;
        let request = GetTokenAuthorityRequest {
            host: host.to_owned(),
            salt: SALT.to_vec(),
        };
        let key = match client.get_token_authority(request).await {
            Ok(answer) => answer.into_inner().public_key,
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Unimplemented) => {
                return Ok(false);
            }
            Err(status) => return Err(status.into()),
        };
        let payload: [u8; 32] = rand::random();
        let request = VerifyTokenAuthorityRequest {
            host: host.to_owned(),
            payload: payload.to_vec(),
            salt: SALT.to_vec(),
        };
        let signed = client
            .verify_token_authority(request)
            .await?
            .into_inner()
            .signed;
        // NaCl's form: the signature, then what was signed.
        let (signature, message) = signed
            .split_at_checked(64)
            .ok_or_else(|| BuildError::new("the session's signature is too short"))?;
        let valid = UnparsedPublicKey::new(&ED25519, &key)
            .verify(message, signature)
            .is_ok();
        if valid && message == payload {
            Ok(true)
        } else {
            Err(BuildError::new(format!(
                "the session's signature for {host} is invalid"
            )))
        }
    }

    /// User name and secret of a host from the session; both empty when it has none.
    async fn credentials(&self, host: &str) -> BuildResult<(String, String)> {
        if self.session.is_none() {
            return Ok(Default::default());
        }
        let request = CredentialsRequest {
            host: host.to_owned(),
        };
        match self.client()?.credentials(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok((answer.username, answer.secret))
            }
            Err(status) if status.code() == Code::Unimplemented => Ok(Default::default()),
            Err(status) => Err(status.into()),
        }
    }

    fn client(&self) -> BuildResult<AuthClient<tonic::transport::Channel>> {
        let session = self.session.as_ref();
        let session = session.ok_or_else(|| BuildError::new("no active sessions"))?;
        Ok(AuthClient::new(session.channel.clone()))
    }
}

impl Challenge {
    /// Reads `Bearer realm="…",service="…",scope="…"`.
    fn parse(headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let bearer = texts.iter().find_map(|text| text.strip_prefix("Bearer "));
        let Some(mut rest) = bearer else {
            return Self::default();
        };
        let mut fields = HashMap::new();
        while let Some((name, after)) = rest.split_once("=\"") {
            let Some((value, after)) = after.split_once('"') else {
                break;
            };
            let name = name.trim_start_matches([',', ' ']);
            fields.insert(name.to_owned(), value.to_owned());
            rest = after;
        }
        Self {
            bearer: true,
            fields,
        }
    }
}

fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_taken_apart() {
        let mut headers = HeaderMap::new();
        let value =
            "Bearer realm=\"http://h/token\",service=\"s\", scope=\"repository:a:pull,push\"";
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        let challenge = Challenge::parse(&headers);
        assert!(challenge.bearer);
        assert_eq!(challenge.fields["scope"], "repository:a:pull,push");
        assert!(!Challenge::parse(&HeaderMap::new()).bearer);
    }
}
