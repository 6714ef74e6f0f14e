//! Which packages a Python project depends on, and which file says so.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::repository::folder::{Folder, resolve};

/// Files with a list of packages, the one for deployment first.
pub(crate) const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/requirements.txt",
    "requirements/base.txt",
    "requirements/main.txt",
    "requirements/common.txt",
    "requirements-prod.txt",
    "requirements_prod.txt",
    "requirements.in",
];

/// Files of conda's environments.
pub(crate) const CONDA: &[&str] = &["environment.yml", "environment.yaml"];

/// Packages that bring a server along.
const BRING: &[(&str, &str)] = &[
    ("fastapi[standard]", "uvicorn"),
    ("fastapi[all]", "uvicorn"),
    ("litestar[standard]", "uvicorn"),
    ("starlette[full]", "uvicorn"),
    ("chainlit", "uvicorn"),
    ("gradio", "uvicorn"),
    ("nicegui", "uvicorn"),
    ("python-fasthtml", "uvicorn"),
    ("quart", "hypercorn"),
    ("fastmcp", "uvicorn"),
];

/// The packages of a Python project.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    /// Those that it asks for, with the file that does. Names as the package index normalizes them.
    asked: BTreeMap<String, String>,
    /// Those that come with them, as a lock file says.
    locked: BTreeSet<String>,
}

impl Packages {
    /// Reads every file of the folder that lists packages.
    pub(crate) fn read(folder: &Folder<'_>) -> Self {
        let mut packages = Self::default();
        if let Some(file) = folder.first(REQUIREMENTS) {
            packages.requirements(folder, file, 0);
        }
        if let Some(pyproject) = folder.toml("pyproject.toml") {
            packages.pyproject(&pyproject);
        }
        if let Some(pipfile) = folder.toml("Pipfile") {
            packages.table(pipfile.get("packages"), "Pipfile");
        }
        packages.setuptools(folder);
        if let Some(file) = folder.first(CONDA) {
            let text = folder.text(file).unwrap_or_default();
            let lines = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- "));
            packages.add(lines.map(|line| line.trim_matches('"')), file);
        }
        packages.lock_files(folder);
        packages
    }

    /// Whether the project asks for this package itself.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.asked.contains_key(name)
    }

    /// Whether the package will be there: asked for, or brought by another one.
    pub(crate) fn installs(&self, name: &str) -> bool {
        let brought = || {
            BRING
                .iter()
                .any(|(by, brings)| *brings == name && self.has(by))
        };
        self.has(name) || self.locked.contains(name) || brought()
    }

    /// The file that asks for a package.
    pub(crate) fn asked_by(&self, name: &str) -> &str {
        self.asked.get(name).map_or(".", String::as_str)
    }

    fn add<'t>(&mut self, lines: impl IntoIterator<Item = &'t str>, file: &str) {
        for line in lines {
            let Some((name, extras)) = requirement(line) else {
                continue;
            };
            for extra in extras {
                self.asked
                    .entry(format!("{name}[{extra}]"))
                    .or_insert_with(|| file.to_owned());
            }
            self.asked.entry(name).or_insert_with(|| file.to_owned());
        }
    }

    fn requirements(&mut self, folder: &Folder<'_>, file: &str, depth: usize) {
        // PowerShell writes UTF-16, which pip reads: here each second character is none.
        let text = folder.text(file).unwrap_or_default().replace('\0', "");
        self.add(
            text.trim_start_matches(['\u{FEFF}', '\u{FFFD}']).lines(),
            file,
        );
        if depth < 4 {
            for other in included(&text, file) {
                self.requirements(folder, &other, depth + 1);
            }
        }
    }

    fn pyproject(&mut self, pyproject: &Table) {
        const FILE: &str = "pyproject.toml";
        let listed = at(pyproject, &["project", "dependencies"]).and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        self.add(listed.collect::<Vec<_>>(), FILE);
        self.table(at(pyproject, &["tool", "poetry", "dependencies"]), FILE);
    }

    /// A table of names and versions, as Poetry and pipenv write it.
    fn table(&mut self, table: Option<&Value>, file: &str) {
        for (name, value) in table.and_then(Value::as_table).into_iter().flatten() {
            let extras = value.get("extras").and_then(Value::as_array);
            let extras = extras.into_iter().flatten().filter_map(Value::as_str);
            let extras = extras.collect::<Vec<_>>().join(",");
            self.add([format!("{name}[{extras}]").as_str()], file);
        }
    }

    /// `install_requires` of `setup.py` and `setup.cfg`.
    fn setuptools(&mut self, folder: &Folder<'_>) {
        let python = folder.text("setup.py").unwrap_or_default();
        if let Some((_, list)) = python.split_once("install_requires") {
            let list = list.split(']').next().unwrap_or_default();
            // What stands between quotes: every second piece.
            self.add(list.split(['"', '\'']).skip(1).step_by(2), "setup.py");
        }
        let config = folder.text("setup.cfg").unwrap_or_default();
        if let Some((_, list)) = config.split_once("install_requires") {
            let lines = list.lines().skip(1);
            let lines = lines.take_while(|line| line.starts_with([' ', '\t']));
            self.add(lines.collect::<Vec<_>>(), "setup.cfg");
        }
    }

    fn lock_files(&mut self, folder: &Folder<'_>) {
        for file in ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"] {
            let text = folder.text(file).unwrap_or_default();
            let names = text.lines().filter_map(|line| line.strip_prefix("name = "));
            self.locked
                .extend(names.map(|name| normalize(name.trim_matches('"'))));
        }
        if let Some(lock) = folder.json("Pipfile.lock") {
            let names = lock.get("default").and_then(serde_json::Value::as_object);
            let names = names.into_iter().flat_map(|all| all.keys());
            self.locked.extend(names.map(|name| normalize(name)));
        }
    }
}

/// The value at a path of tables.
pub(crate) fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// The other lists that a requirements file includes, from the project's folder.
pub(crate) fn included(text: &str, file: &str) -> Vec<String> {
    let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
    let flags = ["-r", "-c", "--requirement", "--constraint"];
    let others = text.lines().filter_map(|line| {
        let line = line.split(" #").next()?.trim();
        let rest = flags.iter().find_map(|flag| line.strip_prefix(flag))?;
        // Lists outside of the folder are those of the build context.
        resolve(dir, rest.trim_start_matches(['=', ' ']))
    });
    others.collect()
}

/// The package that one line of a requirements file asks for, and its extras.
fn requirement(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.split('#').next()?.trim();
    let end = line
        .find(|ch: char| !(ch.is_ascii_alphanumeric() || "-_.".contains(ch)))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(['-', '.']) || rest.starts_with([':', '/']) {
        return None;
    }
    let extras = rest.trim_start().strip_prefix('[');
    let extras = extras.and_then(|rest| Some(rest.split_once(']')?.0));
    let extras = extras.into_iter().flat_map(|extras| extras.split(','));
    let extras = extras.map(normalize).filter(|extra| !extra.is_empty());
    Some((normalize(name), extras.collect()))
}

/// The name of a package that is asked for in any version, as the package index compares names.
pub(crate) fn bare(line: &str) -> Option<String> {
    let line = line.split('#').next()?.trim();
    let extras = line.find('[').filter(|_| line.ends_with(']'));
    let name = &line[..extras.unwrap_or(line.len())];
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
    let is_name =
        name.starts_with(|ch: char| ch.is_ascii_alphanumeric()) && name.chars().all(plain);
    is_name.then(|| normalize(name))
}

/// Lower case, and one dash for each run of `-`, `_` and `.`: as the package index compares names.
fn normalize(name: &str) -> String {
    let parts = name.trim().split(['-', '_', '.']);
    let parts = parts.filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn read(files: &[(&str, &str)]) -> Packages {
        let tree: MemTree = files.iter().copied().collect();
        Packages::read(&Folder::open(&tree, ""))
    }

    #[test]
    fn requirements_are_compared_as_the_index_does() {
        for (line, expected) in [
            ("Flask==3.0 # web", Some("flask")),
            ("python_FastHTML>=0.1", Some("python-fasthtml")),
            ("uvicorn[standard]", Some("uvicorn")),
            ("-r other.txt", None),
            ("--index-url x", None),
            ("./libs/own", None),
            ("https://example.com/a.whl", None),
            ("# x", None),
        ] {
            let name = requirement(line).map(|(name, _)| name);
            assert_eq!(name.as_deref(), expected, "{line}");
        }
        assert!(!read(&[("requirements.txt", "flask-cors\n")]).has("flask"));
    }

    #[test]
    fn every_place_of_a_dependency_counts() {
        for files in [
            &[("requirements.txt", "fastapi\n")] as &[_],
            &[
                ("requirements/production.txt", "-r base.txt\n"),
                ("requirements/base.txt", "fastapi"),
            ],
            &[(
                "pyproject.toml",
                "[project]\ndependencies = [\"fastapi>=0.1\"]",
            )],
            &[(
                "pyproject.toml",
                "[tool.poetry.dependencies]\nfastapi = \"*\"",
            )],
            &[("Pipfile", "[packages]\nfastapi = \"*\"")],
            &[("setup.py", "setup(install_requires=['fastapi>=0.1', 'x'])")],
            &[(
                "setup.cfg",
                "[options]\ninstall_requires =\n    fastapi>=0.1\n",
            )],
            &[(
                "environment.yml",
                "dependencies:\n  - python=3.11\n  - pip:\n      - fastapi==0.1\n",
            )],
        ] {
            assert!(read(files).has("fastapi"), "{files:?}");
        }
    }

    #[test]
    fn servers_come_with_other_packages() {
        assert!(read(&[("requirements.txt", "fastapi[standard]")]).installs("uvicorn"));
        assert!(!read(&[("requirements.txt", "fastapi")]).installs("uvicorn"));
        assert!(read(&[("uv.lock", "[[package]]\nname = \"uvicorn\"\n")]).installs("uvicorn"));
        let extras = "[tool.poetry.dependencies]\nfastapi = {extras = [\"all\"], version = \"1\"}";
        assert!(read(&[("pyproject.toml", extras)]).installs("uvicorn"));
    }
}
