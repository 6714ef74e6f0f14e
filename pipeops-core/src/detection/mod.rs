//! The result of language detection, and the trait that provides it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::source::SourceTree;

mod language;
mod report;

pub use language::{Language, UnknownLanguage};

/// What a source tree contains, with the evidence for it.
///
/// All fields can be changed before a Dockerfile is generated: a command that you set is used as you wrote it. `Display` prints
/// a report for people.
///
/// ```
/// use pipeops_core::detection::{Detection, Language};
///
/// let mut detection = Detection::default(); // what a detector of your own starts with
/// detection.language = Some(Language::Go);
/// detection.start = Some("./bin/api".to_owned());
/// assert!(detection.to_string().contains("./bin/api"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Detection {
    /// `nodejs`, `python`, `go`, `java`, …; `None` if nothing was found, or if there are several apps and none at the root.
    pub language: Option<Language>,
    /// The framework in lower case: `flask`, `express`, `spring-boot`.
    pub framework: Option<String>,
    /// The app's folder, from the root of the tree; `.` is the root.
    pub path: String,
    /// The folder that a generated Dockerfile is built from, if it isn't the app's folder but one above it: the root of the
    /// app's workspace, or the nearest folder that holds every file that the app needs. `install`, `build`, `start` and
    /// `output` are relative to it. See [`build_context`](Self::build_context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// From 0 (nothing found) to 1 (set explicitly). The built-in rules reach at most 0.99.
    pub confidence: f64,
    /// The evidence: which file says what. It's for people: an entry doesn't name the field that it supports.
    pub evidence: Vec<Evidence>,
    /// Other possible languages, most likely first.
    pub alternatives: Vec<Alternative>,
    /// The version of the language that the project asks for: `3.12`, `20`, `1.26`. `None` if it asks for none: the generated
    /// Dockerfile then uses the version of its base image.
    pub version: Option<String>,
    /// `npm`, `pnpm`, `yarn`, `bun`, `pip`, `uv`, `poetry`, `maven`, `gradle`, …
    pub package_manager: Option<String>,
    /// The shell command that installs the dependencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// The shell command that builds the app, if it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The shell command that starts the app. It may refer to the port as `$PORT`.
    pub start: Option<String>,
    /// The shell command to run once before a new version starts, such as the migration of a database: `release:` of a
    /// Procfile. PipeOps doesn't run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The TCP port that the app listens on: the one that its files name, or a default. `None` for an app that serves no requests, such
    /// as a worker.
    pub port: Option<u16>,
    /// Whether [`port`](Self::port) is only a default, of the framework or of PipeOps, because nothing in the tree names a port.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub port_default: bool,
    /// The tree's own Dockerfile, if there is one, relative to the root of the tree. PipeOps builds it instead of a
    /// generated one. The build's context is the folder [`path`](Self::path), or the root if the Dockerfile is outside of that folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// For apps that build static files: the folder to serve, relative to the app's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Folders that the app writes to, relative to its own folder. They are empty when a pod starts, and nothing in them
    /// outlives it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<String>,
    /// Folders of apps, relative to the root. Without a `language`: the apps to choose from, because the root has none. With
    /// a `language`: the members of the workspace and the apps in other languages beside it, or a front end at the root (`.`)
    /// and its back ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
}

impl Detection {
    /// The folder that a generated Dockerfile is built from, from the root of the tree: [`context`](Self::context), or the
    /// app's folder.
    ///
    /// ```
    /// use pipeops_core::detection::Detection;
    ///
    /// let mut detection = Detection::default();
    /// detection.path = "apps/api".to_owned();
    /// assert_eq!(detection.build_context(), "apps/api");
    /// detection.context = Some(".".to_owned());
    /// assert_eq!(detection.build_context(), ".");
    /// ```
    pub fn build_context(&self) -> &str {
        self.context.as_deref().unwrap_or(&self.path)
    }
}

/// A conclusion, and the file that supports it.
///
/// ```
/// use pipeops_core::detection::Evidence;
///
/// let evidence = Evidence { path: "requirements.txt".into(), says: "depends on flask".into() };
/// assert_eq!(evidence.to_string(), "requirements.txt: depends on flask");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file or folder, relative to the root of the tree.
    pub path: String,
    /// What the file says, as text for people. The wording may change.
    pub says: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.says)
    }
}

/// A language that is possible too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The language.
    pub language: Language,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Detects the language of a source tree.
pub trait LanguageDetector: Send + Sync {
    /// Detects what `tree` contains. Finding nothing isn't an error: `language` is `None`.
    fn detect(&self, tree: &dyn SourceTree) -> Detection;
}
