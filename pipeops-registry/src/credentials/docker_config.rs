//! Docker's `config.json`, and Kubernetes' pull Secrets, which have the same format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use pipeops_core::credential::CredentialKind;
use pipeops_core::registry::host;
use pipeops_core::{Credential, CredentialProvider, Failure, RegistryScope, SecretString};
use serde::Deserialize;

use super::is_below;
use crate::error::Error;

/// The largest file.
const MAX_BYTES: u64 = 1024 * 1024;
/// The user name by which Docker marks a password as an identity token.
const IDENTITY_USER: &str = "<token>";

/// The logins in Docker's `config.json`: `auths` with user and password, or with an identity token.
///
/// As in Podman and Kubernetes, keys may have a path (`registry.example.com/team`). The longest one that matches the repository
/// is used. Credential helpers (`credHelpers`, `credsStore`) aren't supported yet: if a registry's login is in one,
/// [`Error::HelperUnsupported`] is returned.
///
/// ```
/// use pipeops_registry::DockerConfig;
///
/// let config = DockerConfig::parse(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"Ym9iOnRva2Vu"}}}"#)?;
/// assert_eq!(config.hosts().collect::<Vec<_>>(), ["docker.io"]);
/// # Ok::<(), pipeops_registry::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    host: String,
    path: String,
    login: Login,
}

#[derive(Debug, Clone)]
enum Login {
    Known(Credential),
    InHelper(String),
}

impl DockerConfig {
    /// Parses a `config.json` or `.dockerconfigjson`.
    ///
    /// # Errors
    /// [`Error::Configuration`] if it's invalid. The message never quotes it.
    pub fn parse(json: &str) -> Result<Self, Error> {
        // serde's message may quote a value, so only the position is shown.
        let file: File = serde_json::from_str(json).map_err(|error| {
            invalid(format!(
                "is invalid at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        let mut entries = Vec::new();
        for (key, auth) in &file.auths {
            let (_, path) = host::split(key);
            entries.push(Entry {
                host: host::canonical(key),
                path: if is_api_version(path) {
                    String::new()
                } else {
                    path.to_owned()
                },
                login: file.login(key, auth)?,
            });
        }
        for (key, helper) in &file.cred_helpers {
            let host = host::canonical(key);
            entries.retain(|entry| entry.host != host);
            entries.push(Entry {
                host,
                path: String::new(),
                login: Login::InHelper(helper.clone()),
            });
        }
        Ok(Self { entries })
    }

    /// Reads a file. It blocks the thread, so call it when the program starts.
    ///
    /// # Errors
    /// [`Error::Configuration`] if it can't be read, is larger than 1 MiB, or is invalid.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let named = |why: String| Error::Configuration {
            what: path.display().to_string(),
            why,
        };
        let size = std::fs::metadata(path)
            .map_err(|error| named(error.to_string()))?
            .len();
        if size > MAX_BYTES {
            return Err(named(format!("is larger than {MAX_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(|error| match error {
            Error::Configuration { why, .. } => named(why),
            other => other,
        })
    }

    /// The path of Docker's file: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
    pub fn default_path() -> Option<PathBuf> {
        let folder = match std::env::var_os("DOCKER_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => std::env::home_dir()?.join(".docker"),
        };
        Some(folder.join("config.json"))
    }

    /// The registries with a login, by canonical name.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.host.as_str())
    }

    fn find(&self, host: &str, scope: &RegistryScope) -> Option<&Entry> {
        let host = host::canonical(host);
        let of_host = self.entries.iter().filter(|entry| entry.host == host);
        match &scope.repository {
            Some(repository) => of_host
                .filter(|entry| is_below(repository, &entry.path))
                .max_by_key(|entry| entry.path.len()),
            None => of_host.min_by_key(|entry| entry.path.len()),
        }
    }
}

#[async_trait]
impl CredentialProvider for DockerConfig {
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure> {
        match self.find(host, scope).map(|entry| &entry.login) {
            None => Ok(Credential::anonymous()),
            Some(Login::Known(credential)) => Ok(credential.clone()),
            Some(Login::InHelper(helper)) => Err(Error::HelperUnsupported {
                host: host.to_owned(),
                helper: helper.clone(),
            }
            .into()),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl File {
    fn login(&self, key: &str, auth: &Auth) -> Result<Login, Error> {
        if !auth.identitytoken.is_empty() {
            return Ok(Login::Known(identity_token(auth.identitytoken.as_str())));
        }
        if !auth.auth.is_empty() {
            return decode(&auth.auth).map(Login::Known).ok_or_else(|| {
                invalid(format!(
                    "has an \"auth\" for {} that isn't base64 of user:password",
                    host::canonical(key)
                ))
            });
        }
        if !auth.username.is_empty() {
            return Ok(Login::Known(login(&auth.username, auth.password.as_str())));
        }
        // Docker writes an empty entry if the login is in its store.
        match self.creds_store.as_str() {
            "" => Ok(Login::Known(Credential::anonymous())),
            store => Ok(Login::InHelper(store.to_owned())),
        }
    }
}

fn decode(auth: &str) -> Option<Credential> {
    let bytes = STANDARD
        .decode(auth.trim())
        .or_else(|_| STANDARD_NO_PAD.decode(auth.trim()))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker pads with NUL bytes.
    Some(login(user, password.trim_end_matches('\0')))
}

fn login(user: &str, password: &str) -> Credential {
    if user == IDENTITY_USER {
        identity_token(password)
    } else {
        Credential::basic(user, password)
    }
}

fn identity_token(token: &str) -> Credential {
    let mut credential = Credential::anonymous();
    credential.kind = CredentialKind::IdentityToken(SecretString::from(token));
    credential
}

fn is_api_version(path: &str) -> bool {
    matches!(path, "v1" | "v2")
}

fn invalid(why: String) -> Error {
    Error::Configuration {
        what: "Docker's configuration".to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn credential(
        config: &DockerConfig,
        host: &str,
        repository: &str,
    ) -> Result<Credential, Failure> {
        config
            .credential(host, &RegistryScope::pull(repository))
            .await
    }

    #[tokio::test]
    async fn every_notation_of_a_login_is_read() {
        let config = DockerConfig::parse(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "Ym9iOnRvOmtlbg=="},
                "plain.io": {"username": "ann", "password": "pw"},
                "https://azure.io": {"auth": "MDAwOg==", "identitytoken": "refresh"},
                "marked.io": {"username": "<token>", "password": "refresh"}
            }, "HttpHeaders": {"x": "y"}}"#,
        )
        .unwrap();
        let of = |host: &'static str| {
            let config = config.clone();
            async move { credential(&config, host, "a").await.unwrap() }
        };
        assert_eq!(of("docker.io").await, Credential::basic("bob", "to:ken"));
        assert_eq!(of("plain.io").await, Credential::basic("ann", "pw"));
        assert_eq!(of("azure.io").await, identity_token("refresh"));
        assert_eq!(of("marked.io").await, identity_token("refresh"));
        assert_eq!(of("other.io").await, Credential::anonymous());
    }

    #[tokio::test]
    async fn the_longest_path_wins() {
        let config = DockerConfig::parse(
            r#"{"auths": {"r.io": {"username": "all", "password": "x"}, "r.io/team/shop": {"username": "shop", "password": "x"}}}"#,
        )
        .unwrap();
        for (repository, user) in [("team/shop", "shop"), ("team/shopping", "all")] {
            let found = credential(&config, "r.io", repository).await.unwrap();
            assert_eq!(found, Credential::basic(user, "x"));
        }
    }

    #[tokio::test]
    async fn a_login_in_a_helper_is_an_error_that_names_it() {
        let config = DockerConfig::parse(
            r#"{"auths": {"stored.io": {}}, "credsStore": "pass", "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login"}}"#,
        )
        .unwrap();
        for (host, helper) in [
            ("stored.io", "pass"),
            ("1.dkr.ecr.eu-west-1.amazonaws.com", "ecr-login"),
        ] {
            let error = credential(&config, host, "a").await.unwrap_err();
            assert!(error.to_string().contains(helper), "{error}");
        }
        let other = credential(&config, "other.io", "a").await.unwrap();
        assert_eq!(other, Credential::anonymous());
    }

    #[test]
    fn errors_do_not_repeat_the_content() {
        for json in [
            r#"{"auths": {"r.io": {"auth": "aHVudGVyMg=="}}}"#,
            r#"{"auths": {"r.io": {"password": hunter2}}}"#,
            r#"{"auths": "hunter2"}"#,
        ] {
            let error = DockerConfig::parse(json).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_is_read_up_to_a_limit() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(br#"{"auths": {"r.io": {"username": "a", "password": "b"}}}"#)
            .unwrap();
        let config = DockerConfig::load(file.path()).unwrap();
        assert_eq!(config.hosts().collect::<Vec<_>>(), ["r.io"]);
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        let error = DockerConfig::load(file.path()).unwrap_err().to_string();
        assert!(error.contains("larger"), "{error}");
    }
}
