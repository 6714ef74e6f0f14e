//! Folders with files that programs read at run time.

use super::app::App;
use super::script::{Script, quote};
use crate::repository::folder::Folder;

/// Names that such folders have, over all languages that are compiled.
const NAMES: &[&str] = &[
    "assets",
    "conf",
    "config",
    "configs",
    "data",
    "locales",
    "migrations",
    "priv",
    "public",
    "resources",
    "static",
    "templates",
    "translations",
    "views",
    "web",
    "www",
];

/// How deep files are looked for.
const DEPTH: usize = 3;

/// Copies the folders that hold more than sources (files that end in `source`), unless `embedded` says that they are
/// part of the program.
pub(crate) fn copy(
    app: &App<'_>,
    script: &mut Script,
    source: &str,
    embedded: impl Fn(&str) -> bool,
) {
    for name in NAMES {
        let inside = app.folder.sub(name);
        if holds_data(&inside, source, DEPTH) && !embedded(name) {
            let name = quote(name);
            script.line(
                &format!("COPY {name} ./{name}"),
                "files that the program reads at run time",
            );
        }
    }
}

/// Copies those of these folders that the app has.
pub(crate) fn folders(app: &App<'_>, script: &mut Script, names: &[&str]) {
    for name in names.iter().filter(|name| app.folder.has_dir(name)) {
        let why = "files that the program reads at run time";
        script.line(&format!("COPY {name} ./{name}"), why);
    }
}

fn holds_data(folder: &Folder<'_>, source: &str, depth: usize) -> bool {
    // A folder with a manifest of its own is another app: it has its own image.
    if ["package.json", "go.mod", "Cargo.toml"]
        .iter()
        .any(|manifest| folder.has(manifest))
    {
        return false;
    }
    let is_data =
        |name: &str| !name.ends_with(source) && !name.starts_with('.') && !name.ends_with(".md");
    folder.ending("").any(is_data)
        || (depth > 1
            && folder
                .own_dirs()
                .any(|name| holds_data(&folder.sub(name), source, depth - 1)))
}
