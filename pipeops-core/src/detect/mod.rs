//! Which language, framework and commands a tree of files stands for.

use serde::{Deserialize, Serialize};

use crate::source::SourceTree;

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
    /// The command that starts the app, as a shell would read it.
    pub start: Option<String>,
    /// The port that the app listens on.
    pub port: Option<u16>,
    /// The Dockerfile in the tree, if there is one: it is used instead of a generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Folders of apps that stand side by side, when there is none at the root.
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

/// A language with rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Language {
    /// JavaScript and TypeScript on Node.js (bun is one of its package managers).
    Nodejs,
    /// Python.
    Python,
    /// Go.
    Go,
    /// Java, and what else Maven and Gradle build.
    Java,
}

/// Something that knows what a tree of files is.
pub trait LanguageDetector: Send + Sync {
    /// What `tree` is. Finding nothing is an answer, not an error: `language` is `None`.
    fn detect(&self, tree: &dyn SourceTree) -> Detection;
}
