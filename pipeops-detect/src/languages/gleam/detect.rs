//! Gleam.

use toml::{Table, Value};

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, resolve};

/// The version where the project asks for none, or only for a least one.
const DEFAULT_VERSION: &str = "1.13.0";

/// Dependencies that answer requests, and the port of their examples.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("wisp", "wisp"),
    ("mist", "mist"),
    ("ewe", "ewe"),
    ("glen", "glen"),
];

/// Looks for a Gleam project.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Gleam);
    if !folder.has("gleam.toml") {
        return found;
    }
    let manifest = folder.toml("gleam.toml").unwrap_or_default();
    found.add(weight::MANIFEST, folder, "gleam.toml", "a Gleam project");
    found.lockfile(folder, &["manifest.toml"], "Gleam");
    found.version(folder, version(folder, &manifest));
    found.package_manager = Some("gleam".to_owned());
    found.plan.install = Some(Command::new("gleam deps download"));
    let depends = |name: &str| {
        let table = manifest.get("dependencies");
        table.is_some_and(|table| table.get(name).is_some())
    };
    found.framework(folder, "gleam.toml", FRAMEWORKS, depends);
    let in_browser = manifest.get("target").and_then(Value::as_str) == Some("javascript");
    if in_browser {
        browser(&mut found, folder, depends("lustre"));
    } else {
        program(&mut found, folder, &manifest);
    }
    found
}

fn version(folder: &Folder<'_>, manifest: &Table) -> Option<(&'static str, String)> {
    if let Some(told) = managed(folder, &["gleam"]) {
        return Some(told);
    }
    let asked = manifest.get("gleam")?.as_str()?.replace(" and ", " ");
    Some(("gleam.toml", resolve(&asked, DEFAULT_VERSION)?))
}

/// An app of Lustre is built into files; other JavaScript has no way to run that can be known.
fn browser(found: &mut Findings, folder: &Folder<'_>, lustre: bool) {
    if !lustre {
        found.role = Role::Library;
        return;
    }
    let says = "builds browser assets";
    found.add(weight::ENTRY, folder, "gleam.toml", says);
    found.role = Role::Frontend;
    found.framework = Some("lustre".to_owned());
    found.plan.build = Some(Command::new("gleam run -m lustre/dev build").into());
    found.output = Some("dist".to_owned());
    found.port = Some(DEFAULT_PORT);
}

/// The module of the project's name is what `gleam run` runs, if it has a `main`.
fn program(found: &mut Findings, folder: &Folder<'_>, manifest: &Table) {
    let name = manifest.get("name").and_then(Value::as_str).unwrap_or("");
    let file = format!("src/{name}.gleam");
    let source = folder.text(&file).unwrap_or_default();
    if !source.contains("pub fn main(") {
        found.role = Role::Library;
        return;
    }
    found.add(weight::ENTRY, folder, &file, "has a `main` function");
    found.plan.build = Some(Command::new("gleam export erlang-shipment").into());
    found.plan.start = Some(Command::new("./build/erlang-shipment/entrypoint.sh run"));
    let usual = found.framework.as_ref().map(|_| DEFAULT_PORT);
    found.listens_or(folder, &file, usual);
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const MAIN: (&str, &str) = (
        "src/app.gleam",
        "pub fn main() { mist.new(f) |> mist.port(4000) }",
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("gleam.toml", "name = \"app\"\ngleam = \">= 1.4.0\"\n[dependencies]\nwisp = \"1\""), MAIN], &["framework wisp", "port 4000", "version 1.13.0"]),
        (&[("gleam.toml", "name = \"app\"\ntarget = \"javascript\"\n[dependencies]\nlustre = \"5\""), MAIN], &["output dist"]),
        (&[("gleam.toml", "name = \"app\""), ("src/app.gleam", "pub fn add() {}")], &["role Library"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
