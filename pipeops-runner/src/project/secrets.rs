//! The secrets of a project, apart from its configuration.

use std::collections::BTreeMap;

use pipeops_core::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// A user name and its password or access token. Its `Debug` shows no secret.
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

/// The secrets of a project. Its `Debug` shows none, and it has no JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectSecrets {
    /// What the forge signs webhooks with.
    pub webhook: Option<SecretString>,
    /// The login for fetching the source.
    pub git: Option<Login>,
    /// The login for the image's registry.
    pub registry: Option<Login>,
    /// Secrets for `RUN --mount=type=secret,id=…`, by id.
    pub build: BTreeMap<String, SecretString>,
    /// Secret environment variables, by environment and name.
    pub variables: BTreeMap<String, BTreeMap<String, SecretString>>,
}

impl ProjectSecrets {
    /// Every secret in it, for a [`Redactor`](pipeops_core::Redactor).
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

    /// All secrets as plain JSON, for a store to encrypt. The memory is cleared on drop.
    pub fn expose(&self) -> Zeroizing<Vec<u8>> {
        let exposed = Exposed::from(self);
        // Strings and maps of strings always serialize.
        Zeroizing::new(serde_json::to_vec(&exposed).unwrap_or_default())
    }

    /// Reads what [`ProjectSecrets::expose`] wrote.
    ///
    /// # Errors
    /// When it is other JSON.
    pub fn from_exposed(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Exposed>(json).map(|mut exposed| exposed.take())
    }
}

/// The same in plain text. It is private, so no other code can serialize secrets by accident.
#[derive(Serialize, Deserialize, Default)]
struct Exposed {
    webhook: Option<String>,
    git: Option<(String, String)>,
    registry: Option<(String, String)>,
    build: BTreeMap<String, String>,
    variables: BTreeMap<String, BTreeMap<String, String>>,
}

impl From<&ProjectSecrets> for Exposed {
    fn from(secrets: &ProjectSecrets) -> Self {
        let login = |login: &Login| (login.username.clone(), login.password.expose().to_owned());
        Self {
            webhook: secrets.webhook.as_ref().map(|s| s.expose().to_owned()),
            git: secrets.git.as_ref().map(login),
            registry: secrets.registry.as_ref().map(login),
            build: plain(&secrets.build),
            variables: secrets
                .variables
                .iter()
                .map(|(environment, map)| (environment.clone(), plain(map)))
                .collect(),
        }
    }
}

impl Exposed {
    fn take(&mut self) -> ProjectSecrets {
        let login = |(username, password): (String, String)| Login::new(username, password);
        let wrap = |map: BTreeMap<String, String>| {
            map.into_iter()
                .map(|(key, value)| (key, SecretString::from(value)))
                .collect()
        };
        ProjectSecrets {
            webhook: self.webhook.take().map(SecretString::from),
            git: self.git.take().map(login),
            registry: self.registry.take().map(login),
            build: wrap(std::mem::take(&mut self.build)),
            variables: std::mem::take(&mut self.variables)
                .into_iter()
                .map(|(environment, map)| (environment, wrap(map)))
                .collect(),
        }
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        self.webhook.zeroize();
        for (_, password) in [&mut self.git, &mut self.registry].into_iter().flatten() {
            password.zeroize();
        }
        self.build.values_mut().for_each(Zeroize::zeroize);
        let variables = self.variables.values_mut().flat_map(BTreeMap::values_mut);
        variables.for_each(Zeroize::zeroize);
    }
}

fn plain(map: &BTreeMap<String, SecretString>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.expose().to_owned()))
        .collect()
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
