//! The languages: each has a folder and one row in [`ALL`].
//!
//! Every folder has `detect.rs`, which reads the repository and fills the plan, and `recipe.rs`, which writes the Dockerfile
//! from the plan. Languages with more to read have more files beside them.

use crate::Language;
use crate::findings::Findings;
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::repository::folder::Folder;

pub(crate) mod assets;
pub(crate) mod clojure;
pub(crate) mod cobol;
pub(crate) mod cpp;
pub(crate) mod crystal;
pub(crate) mod dart;
pub(crate) mod deno;
pub(crate) mod dotnet;
pub(crate) mod elixir;
pub(crate) mod frontends;
pub(crate) mod gleam;
pub(crate) mod go;
pub(crate) mod haskell;
pub(crate) mod java;
#[cfg(test)]
pub(crate) mod layouts;
pub(crate) mod nodejs;
pub(crate) mod php;
pub(crate) mod python;
pub(crate) mod ruby;
pub(crate) mod rust;
pub(crate) mod scala;
pub(crate) mod scheme;
pub(crate) mod shell;
pub(crate) mod static_site;
pub(crate) mod swift;
pub(crate) mod zig;

/// Finds a language in a folder.
type Detect = fn(&Folder<'_>) -> Findings;

/// Writes the Dockerfile of an app.
type Recipe = fn(&App<'_>, &mut Script) -> Result<(), GenerateError>;

/// What PipeOps knows of one language.
pub(crate) struct Rules {
    pub(crate) language: Language,
    pub(crate) detect: Detect,
    pub(crate) recipe: Recipe,
}

macro_rules! rows {
    ($($language:ident: $module:ident,)*) => {
        &[$(Rules {
            language: Language::$language,
            detect: $module::detect::detect,
            recipe: $module::recipe::write,
        }),*]
    };
}

/// Every language. Where two have the same confidence, the earlier one wins: Node.js comes late because its files accompany
/// other languages more than theirs accompany it.
pub(crate) const ALL: &[Rules] = rows! {
    Go: go,
    Java: java,
    Scala: scala,
    Clojure: clojure,
    Python: python,
    Ruby: ruby,
    Php: php,
    Dotnet: dotnet,
    Elixir: elixir,
    Rust: rust,
    Gleam: gleam,
    Crystal: crystal,
    Dart: dart,
    Swift: swift,
    Haskell: haskell,
    Zig: zig,
    Deno: deno,
    Nodejs: nodejs,
    Cpp: cpp,
    Cobol: cobol,
    Scheme: scheme,
    Static: static_site,
    Shell: shell,
};

/// The rules of a language.
pub(crate) fn rules(language: Language) -> &'static Rules {
    let row = ALL.iter().find(|rules| rules.language == language);
    row.expect("a test checks that every language has a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_exactly_one_row() {
        for &language in Language::ALL {
            let rows = ALL.iter().filter(|rules| rules.language == language);
            assert_eq!(rows.count(), 1, "{language}");
        }
    }
}
