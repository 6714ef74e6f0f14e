//! The languages that have rules of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language with rules of its own.
///
/// ```
/// use pipeops_core::detection::Language;
///
/// assert_eq!("nodejs".parse(), Ok(Language::Nodejs));
/// assert_eq!(Language::Go.to_string(), "go");
/// ```
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
    /// Rust.
    Rust,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// C#, F# and Visual Basic on .NET.
    Dotnet,
    /// Elixir.
    Elixir,
    /// JavaScript and TypeScript on Deno.
    Deno,
    /// Files that a web server serves as they are, or a site generator's.
    Static,
    /// Scala, built by sbt or Mill.
    Scala,
    /// Clojure, built by Leiningen or its own tools.
    Clojure,
    /// Gleam.
    Gleam,
    /// Crystal.
    Crystal,
    /// Dart.
    Dart,
    /// Swift.
    Swift,
    /// Haskell, built by Stack or Cabal.
    Haskell,
    /// Zig.
    Zig,
    /// C and C++, built by CMake, Meson or make.
    Cpp,
    /// COBOL.
    Cobol,
    /// Scheme.
    Scheme,
    /// Scripts for a shell.
    Shell,
}

impl Language {
    /// Every language, in the order of the enum.
    pub const ALL: &'static [Self] = &[
        Self::Nodejs,
        Self::Python,
        Self::Go,
        Self::Java,
        Self::Rust,
        Self::Ruby,
        Self::Php,
        Self::Dotnet,
        Self::Elixir,
        Self::Deno,
        Self::Static,
        Self::Scala,
        Self::Clojure,
        Self::Gleam,
        Self::Crystal,
        Self::Dart,
        Self::Swift,
        Self::Haskell,
        Self::Zig,
        Self::Cpp,
        Self::Cobol,
        Self::Scheme,
        Self::Shell,
    ];

    /// The name, as in JSON and on the command line: `nodejs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nodejs => "nodejs",
            Self::Python => "python",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Dotnet => "dotnet",
            Self::Elixir => "elixir",
            Self::Deno => "deno",
            Self::Static => "static",
            Self::Scala => "scala",
            Self::Clojure => "clojure",
            Self::Gleam => "gleam",
            Self::Crystal => "crystal",
            Self::Dart => "dart",
            Self::Swift => "swift",
            Self::Haskell => "haskell",
            Self::Zig => "zig",
            Self::Cpp => "cpp",
            Self::Cobol => "cobol",
            Self::Scheme => "scheme",
            Self::Shell => "shell",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no [`Language`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language `{0}`: expected one of {known}", known = known())]
pub struct UnknownLanguage(String);

fn known() -> String {
    let names: Vec<&str> = Language::ALL.iter().map(|known| known.as_str()).collect();
    names.join(", ")
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|language| language.as_str() == name)
            .ok_or_else(|| UnknownLanguage(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_one_name_everywhere() {
        for &language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{language}\""));
        }
        let error = "fortran".parse::<Language>().unwrap_err().to_string();
        for language in Language::ALL {
            assert!(error.contains(language.as_str()), "{language} missing");
        }
    }
}
