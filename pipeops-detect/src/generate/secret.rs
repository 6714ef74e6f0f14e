//! A secret that a build takes.

use serde::{Deserialize, Serialize};

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
    pub(crate) fn env(name: impl Into<String>, why: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            id: name.clone(),
            target: SecretTarget::Env(name),
            why: why.into(),
        }
    }

    pub(crate) fn file(id: &str, path: &str, why: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            target: SecretTarget::File(path.to_owned()),
            why: why.into(),
        }
    }

    /// The mount, as a flag of `RUN` writes it.
    pub(crate) fn mount(&self) -> String {
        match &self.target {
            SecretTarget::Env(name) => format!("type=secret,id={},env={name}", self.id),
            SecretTarget::File(path) => format!("type=secret,id={},target={path}", self.id),
        }
    }
}
