//! Secrets for private package registries: mounted for the step that downloads, never part of the image or its history.

use serde::{Deserialize, Serialize};

use super::App;
use crate::detect::Language;

/// A secret that a generated Dockerfile mounts while dependencies are fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildSecret {
    /// Its id, as `--mount=type=secret,id=…` names it.
    pub id: String,
    /// How the command sees it.
    pub target: SecretTarget,
    /// Which file of the repository refers to it, and how.
    pub why: String,
}

/// How a command of a build sees a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SecretTarget {
    /// As a variable of this name.
    Env(String),
    /// As a file at this path.
    File(String),
}

impl BuildSecret {
    fn env(name: impl Into<String>, why: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            id: name.clone(),
            target: SecretTarget::Env(name),
            why: why.into(),
        }
    }

    fn file(id: &str, path: &str, why: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            target: SecretTarget::File(path.to_owned()),
            why: why.into(),
        }
    }

    /// The mount, as a flag of `RUN` writes it.
    pub(super) fn mount(&self) -> String {
        match &self.target {
            SecretTarget::Env(name) => format!("type=secret,id={},env={name}", self.id),
            SecretTarget::File(path) => format!("type=secret,id={},target={path}", self.id),
        }
    }
}

/// The secrets that the repository's own settings of private registries ask for.
pub(super) fn needed(app: &App<'_>) -> Vec<BuildSecret> {
    let mut secrets = match app.language {
        Language::Nodejs | Language::Deno => nodejs(app),
        _ => Vec::new(),
    };
    secrets.sort();
    secrets.dedup_by(|a, b| a.id == b.id);
    secrets
}

/// `.npmrc` and the like name variables: `//npm.example.com/:_authToken=${NPM_TOKEN}`.
fn nodejs(app: &App<'_>) -> Vec<BuildSecret> {
    variables_of(app, &[".npmrc", ".yarnrc.yml", "bunfig.toml"])
}

/// The variables that these files refer to as `${NAME}`, `${NAME-default}` or `$NAME`.
fn variables_of(app: &App<'_>, files: &[&str]) -> Vec<BuildSecret> {
    let mut found = Vec::new();
    for file in files {
        let text = app.folder.text(file).unwrap_or_default();
        for name in variables(&text) {
            found.push(BuildSecret::env(
                name,
                format!("{file} refers to the variable"),
            ));
        }
    }
    found
}

/// The names in `${NAME}`, `${NAME-default}` and `$NAME`.
fn variables(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for after in text.split('$').skip(1) {
        let name = after.strip_prefix('{').unwrap_or(after);
        let end = name.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
        let name = &name[..end.unwrap_or(name.len())];
        if name.starts_with(|ch: char| ch.is_ascii_uppercase() || ch == '_') {
            names.push(name.to_owned());
        }
    }
    names
}
