//! Packages that an app asks a public registry for although the repository has one of the same name: what the registry has
//! may be anybody's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Language;
use crate::languages::nodejs::manager::LOCKS;
use crate::languages::python::packages::{REQUIREMENTS, bare, included};
use crate::languages::python::workspace;
use crate::repository::folder::Folder;

/// How deep packages of the repository are looked for, and in how many folders.
const DEPTH: usize = 3;
const FOLDERS: usize = 1_000;

/// A package that the repository has, and that a registry would be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stranger {
    pub(crate) name: String,
    /// The file that asks for it, from the app's folder.
    pub(crate) file: String,
    /// Its folder in the repository, from the root of the tree; `.` is the root.
    pub(crate) folder: String,
}

impl Stranger {
    /// What is wrong, as a sentence without its end.
    pub(crate) fn says(&self) -> String {
        let Self { name, file, folder } = self;
        format!(
            "{file} asks for {name} in any version and without a path, so it would be taken from the package registry, although {folder} is a package of this name"
        )
    }
}

/// The first such package of an app. What has a version, a path or an entry of a lock file was chosen by its authors.
pub(crate) fn find(app: &Folder<'_>, language: Language) -> Option<Stranger> {
    let (asked, file) = match language {
        Language::Python => (python(app), "pyproject.toml"),
        Language::Nodejs => (nodejs(app), "package.json"),
        _ => return None,
    };
    if asked.is_empty() || app.path() == "." {
        return None;
    }
    let mut left = FOLDERS;
    search(app, &app.in_tree(""), &asked, file, DEPTH, &mut left)
}

fn search(
    app: &Folder<'_>,
    folder: &Folder<'_>,
    asked: &BTreeMap<String, String>,
    file: &str,
    depth: usize,
    left: &mut usize,
) -> Option<Stranger> {
    *left = left.checked_sub(1)?;
    let name = name(folder, file).filter(|_| folder.path() != app.path());
    if let Some((name, asking)) = name.and_then(|name| asked.get_key_value(&name)) {
        return Some(Stranger {
            name: name.clone(),
            file: asking.clone(),
            folder: folder.path().to_owned(),
        });
    }
    let deeper = depth.checked_sub(1)?;
    folder
        .own_dirs()
        .find_map(|dir| search(app, &folder.sub(dir), asked, file, deeper, left))
}

/// The name of the package in a folder.
fn name(folder: &Folder<'_>, file: &str) -> Option<String> {
    if file == "package.json" {
        return Some(folder.json(file)?.get("name")?.as_str()?.to_owned());
    }
    let table = folder.toml(file)?;
    let poetry = || table.get("tool")?.get("poetry")?.get("name");
    let own = table.get("project").and_then(|project| project.get("name"));
    bare(own.or_else(poetry)?.as_str()?)
}

/// Names without versions and paths, with the file that asks for each.
fn python(app: &Folder<'_>) -> BTreeMap<String, String> {
    let mut asked = BTreeMap::new();
    let locks = [
        "uv.lock",
        "poetry.lock",
        "pdm.lock",
        "Pipfile.lock",
        "pylock.toml",
    ];
    if app.first(&locks).is_some() || workspace::member(app).is_some() {
        return asked;
    }
    let mut lists: Vec<String> = app
        .first(REQUIREMENTS)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut next = 0;
    while let Some(file) = lists.get(next).filter(|_| next < 16).cloned() {
        let text = app.text(&file).unwrap_or_default();
        lists.extend(
            included(&text, &file)
                .into_iter()
                .filter(|other| !lists.contains(other))
                .collect::<Vec<_>>(),
        );
        asked.extend(
            text.lines()
                .filter_map(bare)
                .map(|name| (name, file.clone())),
        );
        next += 1;
    }
    let project = app.toml("pyproject.toml").unwrap_or_default();
    let list = project
        .get("project")
        .and_then(|project| project.get("dependencies")?.as_array());
    let list = list.into_iter().flatten().filter_map(toml::Value::as_str);
    let file = || "pyproject.toml".to_owned();
    asked.extend(list.filter_map(bare).map(|name| (name, file())));
    let poetry = project
        .get("tool")
        .and_then(|tool| tool.get("poetry")?.get("dependencies")?.as_table());
    asked.extend(any(poetry).map(|name| (name, file())));
    let pipfile = app.toml("Pipfile").unwrap_or_default();
    let packages = pipfile.get("packages").and_then(toml::Value::as_table);
    asked.extend(any(packages).map(|name| (name, "Pipfile".to_owned())));
    let sources = project
        .get("tool")
        .and_then(|tool| tool.get("uv")?.get("sources")?.as_table());
    for name in sources
        .into_iter()
        .flat_map(toml::Table::keys)
        .filter_map(|name| bare(name))
    {
        asked.remove(&name);
    }
    asked
}

/// The names of a table that are asked for in any version.
fn any(table: Option<&toml::Table>) -> impl Iterator<Item = String> {
    let all = table.into_iter().flatten();
    all.filter(|(_, version)| version.as_str() == Some("*"))
        .filter_map(|(name, _)| bare(name))
}

fn nodejs(app: &Folder<'_>) -> BTreeMap<String, String> {
    if app.first(LOCKS).is_some() {
        return BTreeMap::new();
    }
    let package = app.json("package.json").unwrap_or_default();
    let any = |version: &Value| matches!(version.as_str(), Some("" | "*" | "latest" | "x"));
    let tables = ["dependencies", "devDependencies"];
    let tables = tables
        .iter()
        .filter_map(|kind| package.get(kind)?.as_object());
    let names = tables.flatten().filter(|(_, version)| any(version));
    names
        .map(|(name, _)| (name.clone(), "package.json".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::{BaseImages, Detector, generate};
    use pipeops_core::source::MemTree;

    const FLASK: (&str, &str) = (
        "apps/api/main.py",
        "from flask import Flask\napp = Flask('x')\n",
    );
    const OWN: (&str, &str) = (
        "libs/greetings/pyproject.toml",
        "[project]\nname = 'Greetings'",
    );
    const UI: (&str, &str) = ("libs/ui/package.json", r#"{"name": "@shop/ui"}"#);
    const MAIN: (&str, &str) = ("apps/web/server.js", "");

    #[test]
    fn a_package_of_the_repository_is_not_taken_from_a_registry() {
        for (files, path, file) in [
            (
                &[
                    ("apps/api/requirements.txt", "flask\ngreetings  # ours\n"),
                    FLASK,
                    OWN,
                ] as &[_],
                "apps/api",
                "requirements.txt",
            ),
            (
                &[
                    (
                        "apps/api/pyproject.toml",
                        "[project]\nname = 'api'\ndependencies = ['flask', 'greetings']",
                    ),
                    FLASK,
                    OWN,
                ],
                "apps/api",
                "pyproject.toml",
            ),
            (
                &[
                    (
                        "apps/api/pyproject.toml",
                        "[tool.poetry.dependencies]\nflask = '*'\ngreetings = '*'",
                    ),
                    FLASK,
                    OWN,
                ],
                "apps/api",
                "pyproject.toml",
            ),
            (
                &[
                    (
                        "apps/api/Pipfile",
                        "[packages]\nflask = '*'\ngreetings = '*'",
                    ),
                    FLASK,
                    OWN,
                ],
                "apps/api",
                "Pipfile",
            ),
            (
                &[
                    (
                        "apps/web/package.json",
                        r#"{"scripts": {"start": "node server.js"}, "dependencies": {"@shop/ui": "*"}}"#,
                    ),
                    MAIN,
                    UI,
                ],
                "apps/web",
                "package.json",
            ),
        ] {
            let tree: MemTree = files.iter().copied().collect();
            let detection = Detector::new().path(path).detect(&tree);
            let says = format!("{file} asks for ");
            assert!(
                detection
                    .evidence
                    .iter()
                    .any(|evidence| evidence.says.starts_with(&says)),
                "{detection}"
            );
            let error = generate(&tree, &detection, &BaseImages::default()).unwrap_err();
            assert!(error.to_string().contains(&says), "{error}");
        }
    }

    #[test]
    fn what_its_authors_chose_is_taken() {
        for (files, path) in [
            (
                &[
                    ("apps/api/requirements.txt", "flask\ngreetings>=1\n"),
                    FLASK,
                    OWN,
                ] as &[_],
                "apps/api",
            ),
            (
                &[
                    ("apps/api/requirements.txt", "flask\n../../libs/greetings\n"),
                    FLASK,
                    OWN,
                ],
                "apps/api",
            ),
            (
                &[
                    (
                        "apps/api/pyproject.toml",
                        "[project]\nname = 'api'\ndependencies = ['flask', 'greetings']",
                    ),
                    ("apps/api/uv.lock", ""),
                    FLASK,
                    OWN,
                ],
                "apps/api",
            ),
            (
                &[
                    (
                        "apps/api/pyproject.toml",
                        "[project]\nname = 'api'\ndependencies = ['flask', 'greetings']\n[tool.uv.sources]\ngreetings = {path = '../../libs/greetings'}",
                    ),
                    FLASK,
                    OWN,
                ],
                "apps/api",
            ),
            (
                &[
                    ("package.json", r#"{"workspaces": ["apps/*", "libs/*"]}"#),
                    (
                        "apps/web/package.json",
                        r#"{"name": "web", "scripts": {"start": "node server.js"}, "dependencies": {"@shop/ui": "*"}}"#,
                    ),
                    MAIN,
                    UI,
                ],
                "apps/web",
            ),
            (
                &[
                    (
                        "apps/web/package.json",
                        r#"{"scripts": {"start": "node server.js"}, "dependencies": {"@shop/ui": "^1.0.0"}}"#,
                    ),
                    MAIN,
                    UI,
                ],
                "apps/web",
            ),
        ] {
            let tree: MemTree = files.iter().copied().collect();
            let detection = Detector::new().path(path).detect(&tree);
            generate(&tree, &detection, &BaseImages::default()).unwrap();
        }
    }
}
