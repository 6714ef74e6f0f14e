//! Which package manager a Python project uses, and how it installs.

use toml::Table;

use super::packages::{CONDA, REQUIREMENTS, at};
use super::workspace;
use crate::plan::Install;
use crate::repository::folder::Folder;

/// The manager and the command that installs. What a tool wrote goes before lists, lists before settings.
pub(crate) fn manager(folder: &Folder<'_>) -> (&'static str, Option<Install>) {
    let pyproject = folder.toml("pyproject.toml");
    let table = |path: &[&str]| {
        pyproject
            .as_ref()
            .is_some_and(|table| at(table, path).is_some())
    };
    let chosen = |name, install: &str| (name, Some(Install::new(install)));
    if folder.has("uv.lock") {
        return chosen("uv", "uv sync --locked --no-dev");
    }
    let own = ["poetry.lock", "pdm.lock", "Pipfile.lock"];
    if let Some(member) = workspace::member(folder).filter(|_| folder.first(&own).is_none()) {
        let sync = match member.locked {
            true => "uv sync --locked --no-dev --package",
            false => "uv sync --no-dev --package",
        };
        return ("uv", Some(Install::new(sync).target(member.package)));
    }
    if folder.has("poetry.lock") {
        return chosen("poetry", "poetry install --only main");
    }
    if folder.has("pdm.lock") {
        return chosen("pdm", "pdm install --prod --frozen-lockfile");
    }
    if folder.has("Pipfile") {
        let deploy = match folder.has("Pipfile.lock") {
            true => "pipenv install --deploy",
            false => "pipenv install --skip-lock",
        };
        return chosen("pipenv", deploy);
    }
    if let Some(file) = folder.first(REQUIREMENTS) {
        return ("pip", Some(Install::new("pip install -r").target(file)));
    }
    if table(&["tool", "poetry"]) {
        return chosen("poetry", "poetry install --only main");
    }
    if table(&["tool", "pdm"]) {
        return chosen("pdm", "pdm install --prod");
    }
    if table(&["tool", "uv"]) {
        return chosen("uv", "uv sync --no-dev");
    }
    if let Some(pyproject) = &pyproject
        && is_project(pyproject)
    {
        let hatch = table(&["tool", "hatch", "envs"]) || folder.has("hatch.toml");
        let name = if hatch { "hatch" } else { "pip" };
        return match is_packaged(pyproject) {
            true => chosen(name, "pip install ."),
            // It cannot be built into a package, but lists what it needs.
            false => {
                let install = Install::new("uv pip install -r").target("pyproject.toml");
                (name, Some(install))
            }
        };
    }
    if folder.first(&["setup.py", "setup.cfg"]).is_some() {
        return chosen("pip", "pip install .");
    }
    if let Some(file) = folder.first(CONDA) {
        return (
            "conda",
            Some(Install::new("conda env create --file").target(file)),
        );
    }
    ("pip", None)
}

/// Whether `pyproject.toml` describes a project, not only settings of tools.
pub(crate) fn is_project(pyproject: &Table) -> bool {
    let has = |path: &[&str]| at(pyproject, path).is_some();
    has(&["project"]) || has(&["build-system"]) || has(&["tool", "poetry"])
}

/// Whether the project can be built into a package.
fn is_packaged(pyproject: &Table) -> bool {
    let dynamic = at(pyproject, &["project", "dynamic"]).is_some();
    at(pyproject, &["build-system"]).is_some() || dynamic
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("uv.lock", ""), ("requirements.txt", "")], &["manager uv", "install uv sync --locked --no-dev"]),
        (&[("poetry.lock", "")], &["manager poetry", "install poetry install --only main"]),
        (&[("pdm.lock", "")], &["manager pdm", "install pdm install --prod --frozen-lockfile"]),
        (&[("Pipfile", "")], &["manager pipenv", "install pipenv install --skip-lock"]),
        (&[("requirements.in", "")], &["manager pip", "install pip install -r requirements.in"]),
        (&[("pyproject.toml", "[tool.poetry]")], &["manager poetry", "install poetry install --only main"]),
        (&[("pyproject.toml", "[project]\n[build-system]")], &["manager pip", "install pip install ."]),
        (&[("pyproject.toml", "[project]")], &["manager pip", "install uv pip install -r pyproject.toml"]),
        (&[("pyproject.toml", "[project]\n[build-system]\n[tool.hatch.envs.x]")], &["manager hatch", "install pip install ."]),
        (&[("setup.cfg", "")], &["manager pip", "install pip install ."]),
        (&[("environment.yml", "")], &["manager conda", "install conda env create --file environment.yml"]),
    ];

    #[test]
    fn managers_leave_traces() {
        check(detect, LAYOUTS);
    }
}
