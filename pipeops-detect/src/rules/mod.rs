//! The rules, one file per language.

use super::findings::Findings;
use super::folder::Folder;

mod choice;
mod clojure;
mod cobol;
mod cpp;
mod crystal;
mod dart;
mod deno;
pub(crate) mod dotnet;
pub(crate) mod dotnet_project;
pub(crate) mod elixir;
mod gleam;
mod go;
pub(crate) mod go_module;
mod go_program;
mod haskell;
pub(crate) mod java;
mod java_gradle;
mod java_maven;
pub(crate) mod java_project;
mod java_version;
pub(crate) mod nodejs;
pub(crate) mod php;
pub(crate) mod python;
pub(crate) mod ruby;
mod rust;
pub(crate) mod rust_manifest;
mod rust_port;
mod scala;
mod scheme;
mod servers;
mod shell;
mod static_site;
mod swift;
mod zig;

/// The rules of one language: what they find in a folder.
pub(super) type Rules = fn(&Folder<'_>) -> Findings;

/// All rules. Where two languages count the same, the earlier one wins: Node.js comes late because its files accompany
/// other languages more than theirs accompany it.
pub(super) const ALL: &[Rules] = &[
    go::look,
    java::look,
    scala::look,
    clojure::look,
    python::look,
    ruby::look,
    php::look,
    dotnet::look,
    elixir::look,
    rust::look,
    gleam::look,
    crystal::look,
    dart::look,
    swift::look,
    haskell::look,
    zig::look,
    deno::look,
    nodejs::look,
    cpp::look,
    cobol::look,
    scheme::look,
    static_site::look,
    shell::look,
];

/// The port of an app that asks for none: it is told by the variable `PORT`.
pub(super) const DEFAULT_PORT: u16 = 8080;
