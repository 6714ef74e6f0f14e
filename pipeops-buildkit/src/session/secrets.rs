//! Secrets for `RUN --mount=type=secret,id=…`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bollard_buildkit_proto::moby::buildkit::secrets::v1 as proto;
use pipeops_core::SecretString;
use tonic::{Request, Response, Status};

use crate::error::Error;

/// The daemon refuses larger ones.
pub(crate) const SECRET_LIMIT: usize = 500 * 1024;

/// The service: secrets by id. They leave the process only when a step asks for one.
#[derive(Debug)]
pub(crate) struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// Serves these.
    pub(crate) fn new(secrets: BTreeMap<String, SecretString>) -> Result<Self, Error> {
        for (id, secret) in &secrets {
            if secret.expose().len() > SECRET_LIMIT {
                let why = format!("the secret {id:?} is larger than BuildKit's limit of 500 KiB");
                return Err(Error::Invalid {
                    field: "secrets",
                    why,
                });
            }
        }
        Ok(Self(secrets))
    }
}

#[async_trait]
impl proto::secrets_server::Secrets for Secrets {
    async fn get_secret(
        &self,
        request: Request<proto::GetSecretRequest>,
    ) -> Result<Response<proto::GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        // Whether an absent secret matters is the Dockerfile's to say: `required` is off by default.
        let secret = self
            .0
            .get(id)
            .ok_or_else(|| Status::not_found(format!("secret {id}: not found")))?;
        Ok(Response::new(proto::GetSecretResponse {
            data: secret.expose().as_bytes().to_vec(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proto::secrets_server::Secrets as _;

    use super::*;

    async fn get(secrets: &Secrets, id: &str) -> Result<Vec<u8>, tonic::Code> {
        let request = proto::GetSecretRequest {
            id: id.into(),
            ..Default::default()
        };
        let answer = secrets.get_secret(Request::new(request)).await;
        answer
            .map(|answer| answer.into_inner().data)
            .map_err(|status| status.code())
    }

    #[tokio::test]
    async fn known_ids_are_served_and_others_are_absent() {
        let secrets =
            Secrets::new([("a".to_owned(), SecretString::from("s3cret"))].into()).unwrap();
        assert_eq!(get(&secrets, "a").await, Ok(b"s3cret".to_vec()));
        assert_eq!(get(&secrets, "b").await, Err(tonic::Code::NotFound));
    }

    #[test]
    fn a_secret_that_no_daemon_takes_is_refused() {
        let long = SecretString::from("x".repeat(SECRET_LIMIT + 1));
        let error = Secrets::new([("big".to_owned(), long)].into()).unwrap_err();
        assert!(error.to_string().contains("500 KiB"), "{error}");
    }
}
