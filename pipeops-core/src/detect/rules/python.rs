//! Python: what a project is. [`python_start`](super::python_start) finds how it is started.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{framework, python_start};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::{resolve, tool};

/// The version where the project asks for none, or only for a least one.
const DEFAULT_VERSION: &str = "3.12";

/// Dependencies that answer requests.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("django", "django"),
    ("fastapi", "fastapi"),
    ("streamlit", "streamlit"),
    ("gradio", "gradio"),
    ("chainlit", "chainlit"),
    ("dash", "dash"),
    ("flask", "flask"),
    ("litestar", "litestar"),
    ("sanic", "sanic"),
    ("quart", "quart"),
    ("starlette", "starlette"),
    ("aiohttp", "aiohttp"),
    ("tornado", "tornado"),
    ("bottle", "bottle"),
    ("falcon", "falcon"),
    ("pyramid", "pyramid"),
    ("python-fasthtml", "fasthtml"),
    ("reflex", "reflex"),
    ("robyn", "robyn"),
];

/// Dependencies that build a site out of documents.
const SITES: &[(&str, &str)] = &[
    ("mkdocs", "mkdocs"),
    ("mkdocs-material", "mkdocs"),
    ("pelican", "pelican"),
    ("sphinx", "sphinx"),
];

/// Looks for a Python project, or for programs without one.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Python);
    let project = Project::read(folder);
    manifests(&mut found, folder, &project);
    found.version(folder, version(folder, &project));
    frameworks(&mut found, folder, &project);
    python_start::find(
        &mut found,
        folder,
        &project.dependencies,
        &project.scripts(),
    );
    if !found.found() {
        return found;
    }
    if found.start.is_none() && found.framework.is_none() {
        found.role = if project.is_only_settings() && folder.first(REQUIREMENTS).is_none() {
            Role::Tools
        } else {
            Role::Library
        };
    }
    manager(&mut found, folder);
    found
}

/// Files with a list of packages, the one for deployment first.
const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
];

fn manifests(found: &mut Findings, folder: &Folder<'_>, project: &Project) {
    found.add_file(
        weight::MANIFEST,
        folder,
        REQUIREMENTS,
        "lists Python packages",
    );
    if project.pyproject.is_some() {
        let (weight, says) = match project.is_only_settings() {
            true => (weight::HINT, "settings of Python tools"),
            false => (weight::MANIFEST, "a Python project"),
        };
        found.add(weight, folder, "pyproject.toml", says);
    }
    found.add_file(
        weight::MANIFEST,
        folder,
        &["Pipfile"],
        "lists Python packages for pipenv",
    );
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["setup.py", "setup.cfg"],
        "a Python package",
    );
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["environment.yml", "environment.yaml"],
        "a conda environment",
    );
    for (file, tool) in [
        ("uv.lock", "uv"),
        ("poetry.lock", "poetry"),
        ("pdm.lock", "pdm"),
        ("Pipfile.lock", "pipenv"),
    ] {
        found.add_file(
            weight::LOCKFILE,
            folder,
            &[file],
            &format!("written by {tool}"),
        );
    }
}

/// What the project's files say together.
struct Project {
    pyproject: Option<Table>,
    pipfile: Option<Table>,
    /// Names as the package index normalizes them.
    dependencies: BTreeSet<String>,
}

impl Project {
    fn read(folder: &Folder<'_>) -> Self {
        let mut project = Self {
            pyproject: folder.toml("pyproject.toml"),
            pipfile: folder.toml("Pipfile"),
            dependencies: BTreeSet::new(),
        };
        for file in REQUIREMENTS {
            let text = folder.text(file).unwrap_or_default();
            project
                .dependencies
                .extend(text.lines().filter_map(requirement));
        }
        project.read_tables();
        project
    }

    fn read_tables(&mut self) {
        let mut names = Vec::new();
        if let Some(pyproject) = &self.pyproject {
            let project = pyproject.get("project");
            let listed = project.and_then(|project| project.get("dependencies"));
            let optional =
                project.and_then(|project| project.get("optional-dependencies")?.as_table());
            let lists = listed
                .into_iter()
                .chain(optional.into_iter().flat_map(|groups| groups.values()));
            let lists = lists.filter_map(Value::as_array).flatten();
            names.extend(lists.filter_map(Value::as_str).filter_map(requirement));
            let poetry =
                at(pyproject, &["tool", "poetry", "dependencies"]).and_then(Value::as_table);
            names.extend(
                poetry
                    .into_iter()
                    .flat_map(Table::keys)
                    .map(|name| normalize(name)),
            );
        }
        let packages = self
            .pipfile
            .as_ref()
            .and_then(|pipfile| pipfile.get("packages")?.as_table());
        names.extend(
            packages
                .into_iter()
                .flat_map(Table::keys)
                .map(|name| normalize(name)),
        );
        self.dependencies.extend(names);
    }

    /// Whether `pyproject.toml` only sets up linters and the like.
    fn is_only_settings(&self) -> bool {
        let Some(pyproject) = &self.pyproject else {
            return false;
        };
        pyproject.get("project").is_none()
            && pyproject.get("build-system").is_none()
            && at(pyproject, &["tool", "poetry"]).is_none()
    }

    /// Commands that the project installs.
    fn scripts(&self) -> Vec<String> {
        let Some(pyproject) = &self.pyproject else {
            return Vec::new();
        };
        let tables = [
            at(pyproject, &["project", "scripts"]),
            at(pyproject, &["tool", "poetry", "scripts"]),
        ];
        let tables = tables.into_iter().flatten().filter_map(Value::as_table);
        tables.flat_map(Table::keys).cloned().collect()
    }
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// The package that one line of a requirements file asks for.
fn requirement(line: &str) -> Option<String> {
    let line = line.split('#').next()?.trim();
    let end = line
        .find(|ch: char| !(ch.is_ascii_alphanumeric() || "-_.".contains(ch)))
        .unwrap_or(line.len());
    let name = &line[..end];
    (!name.is_empty() && !name.starts_with('-')).then(|| normalize(name))
}

/// Lower case, and one dash for each run of `-`, `_` and `.`: as the package index compares names.
fn normalize(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

fn version(folder: &Folder<'_>, project: &Project) -> Option<(&'static str, String)> {
    let resolve = |text: &str| resolve(text, DEFAULT_VERSION);
    if let Some(version) = folder
        .text(".python-version")
        .and_then(|text| resolve(text.lines().next()?))
    {
        return Some((".python-version", version));
    }
    for file in [".tool-versions", "mise.toml", ".mise.toml"] {
        if let Some(version) = folder.text(file).and_then(|text| tool(&text, &["python"])) {
            return Some((file, version));
        }
    }
    if let Some(version) = folder
        .text("runtime.txt")
        .and_then(|text| resolve(text.trim().strip_prefix("python-")?))
    {
        return Some(("runtime.txt", version));
    }
    let pipfile = project.pipfile.as_ref();
    let required = pipfile.and_then(|table| at(table, &["requires", "python_version"])?.as_str());
    if let Some(version) = required.and_then(resolve) {
        return Some(("Pipfile", version));
    }
    let pyproject = project.pyproject.as_ref()?;
    let required = at(pyproject, &["project", "requires-python"])
        .or_else(|| at(pyproject, &["tool", "poetry", "dependencies", "python"]));
    Some(("pyproject.toml", resolve(required?.as_str()?)?))
}

fn frameworks(found: &mut Findings, folder: &Folder<'_>, project: &Project) {
    let has = |name: &str| project.dependencies.contains(name);
    let file = folder
        .first(&["requirements.txt", "pyproject.toml", "Pipfile"])
        .unwrap_or(".");
    if let Some((dependency, name)) = framework(FRAMEWORKS, has) {
        found.add(
            weight::FRAMEWORK,
            folder,
            file,
            format!("depends on {dependency}"),
        );
        found.framework = Some(name);
    } else if let Some((dependency, name)) = framework(SITES, has) {
        found.add(
            weight::HINT,
            folder,
            file,
            format!("depends on {dependency}: built into files"),
        );
        // Documentation accompanies projects of every language; it is the app only where it stands alone.
        if name == "mkdocs" && folder.first(&["mkdocs.yml", "mkdocs.yaml"]).is_some() {
            found.build = Some("mkdocs build".to_owned());
            found.output = Some("site".to_owned());
            found.port = Some(super::DEFAULT_PORT);
        }
        found.framework = Some(name);
        found.role = Role::Library;
    }
}

fn manager(found: &mut Findings, folder: &Folder<'_>) {
    let choices: &[(&[&str], &str, &str)] = &[
        (&["uv.lock"], "uv", "uv sync --locked --no-dev"),
        (&["poetry.lock"], "poetry", "poetry install --only main"),
        (&["pdm.lock"], "pdm", "pdm install --prod --frozen-lockfile"),
        (&["Pipfile"], "pipenv", "pipenv install --deploy"),
        (
            &["requirements.txt"],
            "pip",
            "pip install -r requirements.txt",
        ),
        (
            &["requirements/production.txt"],
            "pip",
            "pip install -r requirements/production.txt",
        ),
        (
            &["requirements/prod.txt"],
            "pip",
            "pip install -r requirements/prod.txt",
        ),
        (
            &["requirements/base.txt"],
            "pip",
            "pip install -r requirements/base.txt",
        ),
        (&["pyproject.toml", "setup.py"], "pip", "pip install ."),
    ];
    let chosen = choices
        .iter()
        .find(|(files, ..)| folder.first(files).is_some());
    found.package_manager = Some(chosen.map_or("pip", |(_, name, _)| name).to_owned());
    found.install = chosen.map(|(.., install)| (*install).to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    fn found(files: &[(&str, &str)]) -> Findings {
        let tree: MemTree = files.iter().copied().collect();
        look(&Folder::open(&tree, ""))
    }

    #[test]
    fn requirements_are_compared_as_the_index_does() {
        for (line, expected) in [
            ("Flask==3.0 # web", Some("flask")),
            ("python_FastHTML>=0.1", Some("python-fasthtml")),
            ("uvicorn[standard]", Some("uvicorn")),
            ("-r other.txt", None),
            ("--index-url x", None),
            ("# x", None),
        ] {
            assert_eq!(requirement(line).as_deref(), expected, "{line}");
        }
        assert_eq!(
            found(&[("requirements.txt", "flask-cors\n")]).framework,
            None
        );
    }

    #[test]
    fn every_place_of_a_dependency_counts() {
        for files in [
            &[("requirements.txt", "fastapi\n")] as &[_],
            &[(
                "pyproject.toml",
                "[project]\ndependencies = [\"fastapi>=0.1\"]",
            )],
            &[(
                "pyproject.toml",
                "[tool.poetry.dependencies]\nfastapi = \"*\"",
            )],
            &[("Pipfile", "[packages]\nfastapi = \"*\"")],
        ] {
            assert_eq!(
                found(files).framework.as_deref(),
                Some("fastapi"),
                "{files:?}"
            );
        }
    }

    #[test]
    fn versions_have_their_order() {
        let all = [
            (".python-version", "3.13.1\n"),
            ("runtime.txt", "python-3.10.2"),
            ("Pipfile", "[requires]\npython_version = \"3.9\""),
            ("pyproject.toml", "[project]\nrequires-python = \">=3.8\""),
        ];
        for (from, expected) in [
            (0, "3.13.1"),
            (1, "3.10.2"),
            (2, "3.9"),
            (3, DEFAULT_VERSION),
        ] {
            assert_eq!(found(&all[from..]).version.as_deref(), Some(expected));
        }
    }

    #[test]
    fn settings_of_linters_are_no_project() {
        let linted = found(&[("pyproject.toml", "[tool.ruff]\nline-length = 100")]);
        assert_eq!(linted.role, Role::Tools);
        assert!(linted.confidence() < 0.2);
    }

    #[test]
    fn managers_leave_traces() {
        let project = ("pyproject.toml", "[project]\nname = \"x\"");
        for (lock, manager) in [
            ("uv.lock", "uv"),
            ("poetry.lock", "poetry"),
            ("pdm.lock", "pdm"),
            ("Pipfile", "pipenv"),
            ("x", "pip"),
        ] {
            let found = found(&[project, (lock, "")]);
            assert_eq!(found.package_manager.as_deref(), Some(manager));
        }
    }
}
