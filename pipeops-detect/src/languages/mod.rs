//! The languages: one folder each, one row of [`ALL`] each.
//!
//! A folder has at least `detect.rs`, which reads the repository, and `recipe.rs`, which writes the Dockerfile.

use crate::Language;
use crate::findings::Findings;
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::repository::folder::Folder;

pub(crate) mod clojure;
pub(crate) mod cobol;
pub(crate) mod cpp;
pub(crate) mod crystal;
pub(crate) mod dart;
pub(crate) mod deno;
pub(crate) mod dotnet;
pub(crate) mod elixir;
pub(crate) mod gleam;
pub(crate) mod go;
pub(crate) mod haskell;
pub(crate) mod java;
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

/// What PipeOps knows of one language.
pub(crate) struct Rules {
    pub(crate) language: Language,
    /// Finds the language in a folder.
    pub(crate) detect: fn(&Folder<'_>) -> Findings,
    /// Writes the Dockerfile.
    pub(crate) recipe: fn(&App<'_>, &mut Script) -> Result<(), GenerateError>,
}

/// Every language. Where two have the same confidence, the earlier one wins: Node.js comes late because its files accompany
/// other languages more than theirs accompany it.
pub(crate) const ALL: &[Rules] = &[
    Rules {
        language: Language::Go,
        detect: go::detect::detect,
        recipe: go::recipe::write,
    },
    Rules {
        language: Language::Java,
        detect: java::detect::detect,
        recipe: java::recipe::write,
    },
    Rules {
        language: Language::Scala,
        detect: scala::detect::detect,
        recipe: scala::recipe::write,
    },
    Rules {
        language: Language::Clojure,
        detect: clojure::detect::detect,
        recipe: clojure::recipe::write,
    },
    Rules {
        language: Language::Python,
        detect: python::detect::detect,
        recipe: python::recipe::write,
    },
    Rules {
        language: Language::Ruby,
        detect: ruby::detect::detect,
        recipe: ruby::recipe::write,
    },
    Rules {
        language: Language::Php,
        detect: php::detect::detect,
        recipe: php::recipe::write,
    },
    Rules {
        language: Language::Dotnet,
        detect: dotnet::detect::detect,
        recipe: dotnet::recipe::write,
    },
    Rules {
        language: Language::Elixir,
        detect: elixir::detect::detect,
        recipe: elixir::recipe::write,
    },
    Rules {
        language: Language::Rust,
        detect: rust::detect::detect,
        recipe: rust::recipe::write,
    },
    Rules {
        language: Language::Gleam,
        detect: gleam::detect::detect,
        recipe: gleam::recipe::write,
    },
    Rules {
        language: Language::Crystal,
        detect: crystal::detect::detect,
        recipe: crystal::recipe::write,
    },
    Rules {
        language: Language::Dart,
        detect: dart::detect::detect,
        recipe: dart::recipe::write,
    },
    Rules {
        language: Language::Swift,
        detect: swift::detect::detect,
        recipe: swift::recipe::write,
    },
    Rules {
        language: Language::Haskell,
        detect: haskell::detect::detect,
        recipe: haskell::recipe::write,
    },
    Rules {
        language: Language::Zig,
        detect: zig::detect::detect,
        recipe: zig::recipe::write,
    },
    Rules {
        language: Language::Deno,
        detect: deno::detect::detect,
        recipe: deno::recipe::write,
    },
    Rules {
        language: Language::Nodejs,
        detect: nodejs::detect::detect,
        recipe: nodejs::recipe::write,
    },
    Rules {
        language: Language::Cpp,
        detect: cpp::detect::detect,
        recipe: cpp::recipe::write,
    },
    Rules {
        language: Language::Cobol,
        detect: cobol::detect::detect,
        recipe: cobol::recipe::write,
    },
    Rules {
        language: Language::Scheme,
        detect: scheme::detect::detect,
        recipe: scheme::recipe::write,
    },
    Rules {
        language: Language::Static,
        detect: static_site::detect::detect,
        recipe: static_site::recipe::write,
    },
    Rules {
        language: Language::Shell,
        detect: shell::detect::detect,
        recipe: shell::recipe::write,
    },
];

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
