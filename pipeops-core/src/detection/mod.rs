//! Which language, framework and commands a tree of files stands for.

use serde::{Deserialize, Serialize};

use crate::source::SourceTree;

mod language;
mod report;

pub use language::{Language, UnknownLanguage};

/// What a tree of files is, with the evidence for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Detection {
    /// `nodejs`, `python`, `go`, `java`, …; `None` when nothing was found or several apps stand side by side.
    pub language: Option<Language>,
    /// The framework, in lower case: `flask`, `express`, `spring-boot`.
    pub framework: Option<String>,
    /// The app's folder, from the root of the tree; `.` is the root.
    pub path: String,
    /// From 0 (nothing) to 1 (told explicitly).
    pub confidence: f64,
    /// Which file says what.
    pub evidence: Vec<Evidence>,
    /// Other languages with evidence of their own, the likeliest first.
    pub alternatives: Vec<Alternative>,
    /// The language's version as the project asks for it: `3.12`, `20`, `1.26`.
    pub version: Option<String>,
    /// `npm`, `pnpm`, `yarn`, `bun`, `pip`, `uv`, `poetry`, `maven`, `gradle`, …
    pub package_manager: Option<String>,
    /// The command that fetches the dependencies, as a shell would read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// The command that builds the app, where it needs building.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The command that starts the app, as a shell would read it.
    pub start: Option<String>,
    /// The port that the app listens on.
    pub port: Option<u16>,
    /// The Dockerfile in the tree, if there is one: it is used instead of a generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The folder of files to serve, from the app's folder, where the app is built into such files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Folders of apps, from the root of the tree: those that stand side by side when there is none at the root; or, with
    /// `language` set, the members of a workspace whose root it is and the apps in other languages
    /// beside them, or a front end at the root (`.`) and its back ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
}

/// One conclusion and the file that it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file, from the root of the tree.
    pub path: String,
    /// What it says, for people.
    pub says: String,
}

/// A runner-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The language.
    pub language: Language,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Something that knows what a tree of files is.
pub trait LanguageDetector: Send + Sync {
    /// What `tree` is. Finding nothing is an answer, not an error: `language` is `None`.
    fn detect(&self, tree: &dyn SourceTree) -> Detection;
}
