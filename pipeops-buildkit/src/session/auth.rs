//! Authenticates the daemon to registries, with no more access than the build needs.
//!
//! If a registry has a token server, the credential stays in this process and the daemon gets tokens for single repositories
//! (BuildKit's token authority). The daemon gets user name and password only for registries without a token server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bollard_buildkit_proto::moby::filesync::v1 as proto;
use pipeops_core::credential::CredentialKind;
use pipeops_core::registry::host;
use pipeops_core::{Credential, CredentialProvider, RegistryScope, SecretString};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{hmac, rand::SecureRandom, rand::SystemRandom};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::access::Access;
use super::notes::Notes;
use super::token::{TokenClient, TokenRequest};
use crate::error::{CredentialError, Error};
use crate::live_redactor::LiveRedactor;

/// Time limit for the credential provider. The daemon gives up after 60 s.
const PROVIDER_LIMIT: Duration = Duration::from_secs(45);

/// The service.
#[derive(Debug)]
pub(crate) struct Auth {
    provider: Arc<dyn CredentialProvider>,
    access: Access,
    tokens: TokenClient,
    seed: Seed,
    notes: Notes,
    redactor: LiveRedactor,
}

/// A secret of this session. The daemon shares tokens between sessions that prove the same key, so no other build gets its
/// tokens.
struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

impl Auth {
    /// Serves `provider`'s credentials for the hosts that the daemon asks for.
    pub(crate) fn new(
        provider: Arc<dyn CredentialProvider>,
        access: Access,
        notes: Notes,
        redactor: LiveRedactor,
    ) -> Result<Self, Error> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| Error::NoRandomness)?;
        Ok(Self {
            provider,
            access,
            tokens: TokenClient::default(),
            seed: Seed(seed),
            notes,
            redactor,
        })
    }

    /// Asks the provider, redacts its answer, and reports its failure to the build.
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Status> {
        let result = match timeout(PROVIDER_LIMIT, self.provider.credential(host, scope)).await {
            Ok(Ok(credential)) => Ok(credential),
            Ok(Err(failure)) => Err(CredentialError::Provider(failure)),
            Err(_) => Err(CredentialError::Slow(PROVIDER_LIMIT)),
        };
        result
            .inspect(|credential| self.hide(credential))
            .map_err(|source| {
                let status = Status::unauthenticated(format!("no credential for {host}: {source}"));
                self.notes.error(Error::Credentials {
                    host: host.to_owned(),
                    source,
                });
                status
            })
    }

    fn hide(&self, credential: &Credential) {
        self.redactor.hide(credential.secrets());
        if let CredentialKind::Basic { username, password } = &credential.kind {
            let header = BASE64.encode(format!("{username}:{}", password.expose()));
            self.redactor.hide([SecretString::from(header)]);
        }
    }

    /// The key that proves that this session may use the tokens of `host`.
    fn key(&self, salt: &[u8]) -> Result<Ed25519KeyPair, Status> {
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), &self.seed.0);
        Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| Status::internal("no key"))
    }
}

#[async_trait]
impl proto::auth_server::Auth for Auth {
    async fn credentials(
        &self,
        request: Request<proto::CredentialsRequest>,
    ) -> Result<Response<proto::CredentialsResponse>, Status> {
        // The daemon names the server that it talks to; credentials are kept under the name that people write.
        let host = host::canonical(&request.get_ref().host);
        let credential = self
            .credential(&host, &self.access.scope_of_host(&host))
            .await?;
        let (username, secret) = match &credential.kind {
            CredentialKind::Basic { username, password } => {
                (username.clone(), password.expose().to_owned())
            }
            // An identity token goes as a secret without user.
            CredentialKind::IdentityToken(token) => (String::new(), token.expose().to_owned()),
            _ => Default::default(),
        };
        Ok(Response::new(proto::CredentialsResponse {
            username,
            secret,
        }))
    }

    async fn get_token_authority(
        &self,
        request: Request<proto::GetTokenAuthorityRequest>,
    ) -> Result<Response<proto::GetTokenAuthorityResponse>, Status> {
        let request = request.into_inner();
        let host = host::canonical(&request.host);
        let credential = self
            .credential(&host, &self.access.scope_of_host(&host))
            .await?;
        if credential.kind == CredentialKind::Anonymous {
            // The daemon then fetches anonymous tokens itself, so no registry makes this process call another server.
            return Err(Status::unavailable("nothing to protect for this host"));
        }
        let key = self.key(&request.salt)?;
        Ok(Response::new(proto::GetTokenAuthorityResponse {
            public_key: key.public_key().as_ref().to_vec(),
        }))
    }

    async fn verify_token_authority(
        &self,
        request: Request<proto::VerifyTokenAuthorityRequest>,
    ) -> Result<Response<proto::VerifyTokenAuthorityResponse>, Status> {
        let request = request.into_inner();
        if request.payload.len() > 1024 {
            return Err(Status::invalid_argument("the payload is too long"));
        }
        // NaCl's signed message: the signature, then the message.
        let mut signed = self
            .key(&request.salt)?
            .sign(&request.payload)
            .as_ref()
            .to_vec();
        signed.extend_from_slice(&request.payload);
        Ok(Response::new(proto::VerifyTokenAuthorityResponse {
            signed,
        }))
    }

    async fn fetch_token(
        &self,
        request: Request<proto::FetchTokenRequest>,
    ) -> Result<Response<proto::FetchTokenResponse>, Status> {
        let request = request.into_inner();
        let host = host::canonical(&request.host);
        let (scopes, scope) = self.access.narrow(&host, &request.scopes);
        let credential = self.credential(&host, &scope).await?;
        let wanted = TokenRequest {
            host: &host,
            realm: &request.realm,
            service: &request.service,
            scopes: &scopes,
            credential: &credential,
        };
        let token = self
            .tokens
            .fetch(&wanted, &self.access)
            .await
            .map_err(|error| {
                if error.is_refused() {
                    self.provider.refused(&host);
                }
                let status = Status::unauthenticated(format!("no token for {host}: {error}"));
                self.notes.error(error.into_error(&host));
                status
            })?;
        self.redactor.hide([token.secret.clone()]);
        Ok(Response::new(proto::FetchTokenResponse {
            token: token.secret.expose().to_owned(),
            expires_in: token.expires_in,
            issued_at: token.issued_at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use pipeops_core::Failure;
    use proto::auth_server::Auth as _;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[derive(Debug)]
    struct One;

    #[async_trait]
    impl CredentialProvider for One {
        async fn credential(
            &self,
            host: &str,
            scope: &RegistryScope,
        ) -> Result<Credential, Failure> {
            Ok(match host {
                "docker.io" => Credential::basic("bob", format!("pull-{:?}", scope.repository)),
                "reg.io" => Credential::basic(
                    "bob",
                    if scope.push {
                        "push-secret"
                    } else {
                        "pull-secret"
                    },
                ),
                "bad.io" => return Err(Error::NoRandomness.into()),
                _ => Credential::anonymous(),
            })
        }
    }

    fn access() -> Access {
        Access {
            writes: [("reg.io".to_owned(), "team/app".to_owned())].into(),
            ..Access::default()
        }
    }

    fn auth() -> (Auth, tokio::sync::mpsc::Receiver<Error>) {
        let (notes, seen) = Notes::new();
        (
            Auth::new(Arc::new(One), access(), notes, LiveRedactor::default()).unwrap(),
            seen,
        )
    }

    async fn credentials(auth: &Auth, host: &str) -> proto::CredentialsResponse {
        let request = proto::CredentialsRequest { host: host.into() };
        auth.credentials(Request::new(request))
            .await
            .unwrap()
            .into_inner()
    }

    #[tokio::test]
    async fn push_is_wanted_only_where_the_build_pushes() {
        let (auth, _) = auth();
        assert_eq!(credentials(&auth, "reg.io").await.secret, "push-secret");
        assert_eq!(
            credentials(&auth, "registry-1.docker.io").await.secret,
            "pull-None"
        );
        assert_eq!(
            credentials(&auth, "other.io").await,
            proto::CredentialsResponse::default()
        );
        assert_eq!(auth.redactor.clean("x push-secret"), "x [redacted]");
    }

    #[tokio::test]
    async fn the_key_signs_as_nacl_does_and_differs_between_sessions() {
        let (one, two) = (auth().0, auth().0);
        let ask = proto::GetTokenAuthorityRequest {
            host: "reg.io".into(),
            salt: vec![7; 32],
        };
        let key = one
            .get_token_authority(Request::new(ask.clone()))
            .await
            .unwrap()
            .into_inner()
            .public_key;
        let other = two
            .get_token_authority(Request::new(ask))
            .await
            .unwrap()
            .into_inner()
            .public_key;
        assert_ne!(key, other);
        let verify = proto::VerifyTokenAuthorityRequest {
            host: "reg.io".into(),
            payload: b"nonce".to_vec(),
            salt: vec![7; 32],
        };
        let signed = one
            .verify_token_authority(Request::new(verify))
            .await
            .unwrap()
            .into_inner()
            .signed;
        let (signature, message) = signed.split_at(64);
        assert_eq!(message, b"nonce");
        UnparsedPublicKey::new(&ED25519, &key)
            .verify(message, signature)
            .unwrap();
    }

    #[tokio::test]
    async fn a_host_without_secret_has_no_token_authority() {
        let ask = proto::GetTokenAuthorityRequest {
            host: "other.io".into(),
            salt: vec![1],
        };
        let status = auth()
            .0
            .get_token_authority(Request::new(ask))
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn a_provider_that_fails_is_noted() {
        let (auth, mut seen) = auth();
        let request = proto::CredentialsRequest {
            host: "bad.io".into(),
        };
        assert!(auth.credentials(Request::new(request)).await.is_err());
        assert!(
            matches!(seen.try_recv().unwrap(), Error::Credentials { host, .. } if host == "bad.io")
        );
    }
}
