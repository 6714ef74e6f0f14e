//! The secrets of a project, kept apart from its configuration.

use std::collections::BTreeMap;

use pipeops_core::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A user name with its password or access token. Its `Debug` output is redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password or access token.
    pub password: SecretString,
}

impl Login {
    /// A login.
    pub fn new(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}

/// The secrets of a project. Its `Debug` output is redacted, and it has no JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectSecrets {
    /// The secret that the forge signs webhooks with.
    pub webhook: Option<SecretString>,
    /// The login for the git server.
    pub git: Option<Login>,
    /// The login for the image's registry.
    pub registry: Option<Login>,
    /// Secrets for `RUN --mount=type=secret,id=…`, by id.
    pub build: BTreeMap<String, SecretString>,
    /// Secret environment variables, by environment and name.
    pub variables: BTreeMap<String, BTreeMap<String, SecretString>>,
}

impl ProjectSecrets {
    /// Every secret, for a [`Redactor`](pipeops_core::Redactor).
    pub fn all(&self) -> Vec<SecretString> {
        let logins = [&self.git, &self.registry];
        let passwords = logins
            .into_iter()
            .flatten()
            .map(|login| login.password.clone());
        let variables = self.variables.values().flat_map(BTreeMap::values).cloned();
        let build = self.build.values().cloned();
        self.webhook
            .iter()
            .cloned()
            .chain(passwords)
            .chain(build)
            .chain(variables)
            .collect()
    }

    /// All secrets as plain JSON, for a store to encrypt. The memory is zeroed on drop.
    pub fn expose(&self) -> Zeroizing<Vec<u8>> {
        let exposed = Exposed::from(self);
        // Strings and maps of strings always serialize.
        Zeroizing::new(serde_json::to_vec(&exposed).unwrap_or_default())
    }

    /// Reads what [`ProjectSecrets::expose`] wrote.
    ///
    /// # Errors
    /// When the JSON has another format.
    pub fn from_exposed(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Exposed>(json).map(Self::from)
    }
}

/// The secrets in plain text. The type is private, so that no other code serializes secrets by accident.
#[derive(Serialize, Deserialize)]
struct Exposed {
    webhook: Option<Plain>,
    git: Option<(String, Plain)>,
    registry: Option<(String, Plain)>,
    build: BTreeMap<String, Plain>,
    variables: BTreeMap<String, BTreeMap<String, Plain>>,
}

/// A secret that serializes as plain text. Like every [`SecretString`], it's zeroed on drop.
struct Plain(SecretString);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl From<&ProjectSecrets> for Exposed {
    fn from(secrets: &ProjectSecrets) -> Self {
        let plain = |secret: &SecretString| Plain(secret.clone());
        let login = |login: &Login| (login.username.clone(), plain(&login.password));
        let map = |map: &BTreeMap<String, SecretString>| {
            let entries = map.iter().map(|(key, secret)| (key.clone(), plain(secret)));
            entries.collect()
        };
        let variables = secrets.variables.iter();
        Self {
            webhook: secrets.webhook.as_ref().map(plain),
            git: secrets.git.as_ref().map(login),
            registry: secrets.registry.as_ref().map(login),
            build: map(&secrets.build),
            variables: variables
                .map(|(key, variables)| (key.clone(), map(variables)))
                .collect(),
        }
    }
}

impl From<Exposed> for ProjectSecrets {
    fn from(exposed: Exposed) -> Self {
        let login = |(username, password): (String, Plain)| Login::new(username, password.0);
        let map = |map: BTreeMap<String, Plain>| {
            let entries = map.into_iter().map(|(key, secret)| (key, secret.0));
            entries.collect()
        };
        let variables = exposed.variables.into_iter();
        Self {
            webhook: exposed.webhook.map(|secret| secret.0),
            git: exposed.git.map(login),
            registry: exposed.registry.map(login),
            build: map(exposed.build),
            variables: variables
                .map(|(key, variables)| (key, map(variables)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_comes_back_and_is_listed() {
        let mut secrets = ProjectSecrets {
            webhook: Some("w".into()),
            git: Some(Login::new("u", "g")),
            registry: Some(Login::new("u", "r")),
            ..ProjectSecrets::default()
        };
        secrets.build.insert("npm".into(), "b".into());
        let variables = BTreeMap::from([("KEY".to_owned(), SecretString::from("v"))]);
        secrets.variables.insert("production".into(), variables);

        let back = ProjectSecrets::from_exposed(&secrets.expose()).unwrap();
        assert_eq!(back, secrets);
        let all: Vec<String> = secrets
            .all()
            .iter()
            .map(|s| s.expose().to_owned())
            .collect();
        assert_eq!(all, ["w", "g", "r", "b", "v"]);
    }
}
