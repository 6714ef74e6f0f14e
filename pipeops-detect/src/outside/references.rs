//! Paths that lead out of the app's folder, in the files that describe its dependencies.

use serde_json::Value;

use crate::Language;
use crate::languages::python::packages::REQUIREMENTS;
use crate::repository::folder::{Folder, resolve};

/// How many folders and files are followed: the tree is untrusted.
const FOLLOWED: usize = 60;

/// Something outside of the app's folder that the app needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The folder that it is, or that it is in, from the root of the tree; empty for the root.
    pub(crate) folder: String,
    /// Itself, from the root of the tree.
    pub(crate) path: String,
    /// The file that names it, from the root of the tree.
    pub(crate) file: String,
}

/// What the files of the app name outside of its folder, and what these in turn name.
pub(crate) fn of(app: &Folder<'_>, language: Language) -> Vec<Need> {
    let mut queue: Vec<String> = files(app, language);
    let mut needs: Vec<Need> = Vec::new();
    let mut next = 0;
    while next < queue.len() && next < FOLLOWED {
        let file = queue[next].clone();
        next += 1;
        let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        let text = app.in_tree("").text(&file).unwrap_or_default();
        for path in paths(&file, &text) {
            let Some(path) = resolve(dir, &path) else {
                continue;
            };
            let Some(folder) = folder_of(app, &path) else {
                continue;
            };
            let more = match folder == path {
                true => files(&app.in_tree(&folder), language),
                false => vec![path.clone()],
            };
            queue.extend(
                more.into_iter()
                    .filter(|more| !queue.contains(more))
                    .collect::<Vec<_>>(),
            );
            let own = format!("{}/", app.path());
            if folder != app.path() && !folder.starts_with(&own) {
                needs.push(Need {
                    folder,
                    path,
                    file: file.clone(),
                });
            }
        }
    }
    needs
}

/// The folder at a path, or that of the file there; `None` where nothing is.
fn folder_of(app: &Folder<'_>, path: &str) -> Option<String> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = app.in_tree(dir);
    if path.is_empty() || parent.has_dir(name) {
        return Some(path.to_owned());
    }
    parent.has(name).then(|| dir.to_owned())
}

/// The files of a folder that name dependencies by their paths, from the root of the tree.
fn files(folder: &Folder<'_>, language: Language) -> Vec<String> {
    let names: &[&str] = match language {
        Language::Nodejs => &[
            "package.json",
            "tsconfig.json",
            "tsconfig.app.json",
            "tsconfig.build.json",
        ],
        Language::Python => &["pyproject.toml", "Pipfile", "setup.py"],
        Language::Rust => &["Cargo.toml"],
        Language::Go => &["go.mod", "go.work"],
        Language::Java => &[
            "pom.xml",
            "settings.gradle",
            "settings.gradle.kts",
            "build.gradle",
            "build.gradle.kts",
        ],
        Language::Ruby => &["Gemfile", "gems.rb"],
        Language::Php => &["composer.json"],
        Language::Dart => &["pubspec.yaml", "pubspec_overrides.yaml"],
        Language::Elixir => &["mix.exs"],
        Language::Swift => &["Package.swift"],
        Language::Zig => &["build.zig.zon"],
        Language::Crystal => &["shard.yml"],
        Language::Gleam => &["gleam.toml"],
        Language::Haskell => &["cabal.project", "stack.yaml"],
        Language::Clojure => &["deps.edn"],
        Language::Deno => &["deno.json", "deno.jsonc", "import_map.json"],
        Language::Cpp => &["CMakeLists.txt"],
        _ => &[],
    };
    let mut files: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if language == Language::Python {
        files.extend(folder.first(REQUIREMENTS).map(str::to_owned));
    }
    if language == Language::Dotnet {
        for end in [".csproj", ".fsproj", ".vbproj"] {
            files.extend(folder.ending(end).map(str::to_owned));
        }
    }
    files.retain(|file| folder.has(file));
    files.iter().map(|file| folder.at(file)).collect()
}

/// The paths with `..` in a file.
fn paths(file: &str, text: &str) -> Vec<String> {
    if file.ends_with("package.json") {
        return of_package(text);
    }
    // Files of Windows, and PDM's name of the folder itself.
    let text = text.replace('\\', "/").replace("${PROJECT_ROOT}/", "");
    let ends = |ch: char| ch.is_whitespace() || "\"'`()<>[]{},;=:".contains(ch);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split(ends));
    words.filter_map(path).collect()
}

/// The packages of `package.json` that are folders, and what its own scripts call.
fn of_package(text: &str) -> Vec<String> {
    const SCRIPTS: &[&str] = &[
        "preinstall",
        "install",
        "postinstall",
        "prepare",
        "prebuild",
        "build",
        "postbuild",
        "prestart",
        "start",
    ];
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let tables = ["dependencies", "devDependencies", "optionalDependencies"];
    let tables = tables.iter().filter_map(|name| json.get(name)?.as_object());
    let versions = tables
        .flat_map(|table| table.values())
        .filter_map(Value::as_str);
    let folders = versions.filter_map(|version| {
        let kinds = ["file:", "link:", "portal:"];
        let path = kinds.iter().find_map(|kind| version.strip_prefix(kind));
        path.or(Some(version).filter(|version| version.starts_with("../")))
    });
    let scripts = SCRIPTS
        .iter()
        .filter_map(|name| json.get("scripts")?.get(name)?.as_str());
    let words = scripts.flat_map(|script| {
        let ends = |ch: char| ch.is_whitespace() || "\"'`();=&|".contains(ch);
        script.split(ends)
    });
    folders.chain(words).filter_map(path).collect()
}

/// A word that leads up, up to the first pattern in it.
fn path(word: &str) -> Option<String> {
    let word = word.trim_start_matches('/');
    let word = word.strip_prefix("./").unwrap_or(word);
    if word != ".." && !word.starts_with("../") {
        return None;
    }
    let parts = word
        .split('/')
        .take_while(|part| !part.contains(['*', '$', '?']));
    Some(parts.collect::<Vec<_>>().join("/"))
}
