//! Pull Secrets of Kubernetes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipeops_core::credential::CredentialKind;
use pipeops_core::registry::host;
use pipeops_core::{Credential, SecretString};
use serde_json::{Map, Value, json};

/// The user name that Azure's registry requires if the password is an identity token.
const AZURE_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// The `.dockerconfigjson` of a pull Secret (type `kubernetes.io/dockerconfigjson`) for these registries.
///
/// Anonymous credentials are omitted. The kubelet can't exchange identity tokens. Azure's registry accepts one as a password;
/// for other registries it's written as `identitytoken`, which tools read but nodes don't.
///
/// ```
/// use pipeops_core::Credential;
/// use pipeops_registry::pull_secret_json;
///
/// let secret = pull_secret_json(&[("ghcr.io".to_owned(), Credential::basic("bob", "pw"))]);
/// assert_eq!(secret.expose(), r#"{"auths":{"ghcr.io":{"auth":"Ym9iOnB3","password":"pw","username":"bob"}}}"#);
/// ```
pub fn pull_secret_json(credentials: &[(String, Credential)]) -> SecretString {
    let auths: Map<String, Value> = credentials
        .iter()
        .filter_map(|(host, credential)| Some((host::config_key(host), entry(host, credential)?)))
        .collect();
    SecretString::from(json!({"auths": sorted(auths)}).to_string())
}

fn entry(host: &str, credential: &Credential) -> Option<Value> {
    match &credential.kind {
        CredentialKind::Basic { username, password } => Some(basic(username, password.expose())),
        CredentialKind::IdentityToken(token) if host::canonical(host).ends_with(".azurecr.io") => {
            Some(basic(AZURE_TOKEN_USER, token.expose()))
        }
        CredentialKind::IdentityToken(token) => Some(json!({"identitytoken": token.expose()})),
        _ => None,
    }
}

fn basic(username: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{username}:{password}"));
    json!({"auth": auth, "password": password, "username": username})
}

/// Sorts by key, so that the same credentials give the same bytes.
fn sorted(entries: Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DockerConfig;
    use pipeops_core::{CredentialProvider, RegistryScope};

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        let bob = Credential::basic("bob", "p:w");
        let secret = pull_secret_json(&[
            ("docker.io".to_owned(), bob.clone()),
            ("x.io".to_owned(), Credential::anonymous()),
        ]);
        let config = DockerConfig::parse(secret.expose()).unwrap();
        assert_eq!(config.hosts().collect::<Vec<_>>(), ["docker.io"]);
        let scope = RegistryScope::pull("a");
        assert_eq!(config.credential("docker.io", &scope).await.unwrap(), bob);
    }

    #[test]
    fn azure_gets_its_token_as_a_password() {
        let mut token = Credential::anonymous();
        token.kind = CredentialKind::IdentityToken("t".into());
        let of = |host: &str| {
            pull_secret_json(&[(host.to_owned(), token.clone())])
                .expose()
                .to_owned()
        };
        assert!(of("a.azurecr.io").contains(AZURE_TOKEN_USER));
        assert_eq!(
            of("other.io"),
            r#"{"auths":{"other.io":{"identitytoken":"t"}}}"#
        );
    }

    #[test]
    fn the_order_of_the_input_does_not_matter() {
        let (a, b) = (
            ("a.io".to_owned(), Credential::basic("a", "x")),
            ("b.io".to_owned(), Credential::basic("b", "x")),
        );
        assert_eq!(
            pull_secret_json(&[a.clone(), b.clone()]),
            pull_secret_json(&[b, a])
        );
    }
}
