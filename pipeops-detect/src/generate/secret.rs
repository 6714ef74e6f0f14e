//! Build secrets of generated Dockerfiles.

use serde::{Deserialize, Serialize};

/// A secret that a generated Dockerfile mounts in the steps that download dependencies.
///
/// Pass its value to the build under [`id`](Self::id), for example with `docker build --secret id=NPM_TOKEN,env=NPM_TOKEN .`. A
/// secret doesn't become part of the image or its history.
///
/// ```
/// use pipeops_detect::source::MemTree;
/// use pipeops_detect::{BaseImages, Detector, SecretTarget, generate};
///
/// let tree = MemTree::from([
///     ("package.json", r#"{"scripts": {"start": "node a.js"}, "dependencies": {"a": "1"}}"#),
///     (".npmrc", "//npm.example.com/:_authToken=${NPM_TOKEN}\n"),
/// ]);
/// let generated = generate(&tree, &Detector::new().detect(&tree), &BaseImages::default())?;
/// let secret = &generated.secrets[0];
/// assert_eq!(secret.id, "NPM_TOKEN");
/// assert_eq!(secret.target, SecretTarget::Env("NPM_TOKEN".to_owned()));
/// # Ok::<(), pipeops_detect::GenerateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildSecret {
    /// The ID in `--mount=type=secret,id=…`.
    pub id: String,
    /// How the build step receives it.
    pub target: SecretTarget,
    /// Which file of the repository needs it, as text for people.
    pub why: String,
}

/// How a build step receives a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SecretTarget {
    /// As the environment variable with this name.
    Env(String),
    /// As a file at this absolute path.
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
