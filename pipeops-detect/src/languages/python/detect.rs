//! Python: what a project is. [`start`] finds how it is started.

use toml::{Table, Value};

use super::packages::{CONDA, Packages, REQUIREMENTS, at};
use super::{django, frameworks, manager, source, start, version, workspace};
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::languages::nodejs::frontend::Frontend;
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// Looks for a Python project, or for programs without one.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Python);
    let packages = Packages::read(folder);
    let pyproject = folder.toml("pyproject.toml");
    manifests(&mut found, folder, pyproject.as_ref());
    versions(&mut found, folder);
    framework(&mut found, folder, &packages);
    let members_only = pyproject.as_ref().is_some_and(workspace::has_members_only);
    if members_only {
        let says = "the root of a workspace, which isn't a project itself";
        found.add(weight::NONE, folder, "pyproject.toml", says);
    } else if !site(&mut found, folder, &packages) && !django::find(&mut found, folder, &packages) {
        let sources = source::read(folder, found.found());
        let scripts = pyproject.as_ref().map(scripts).unwrap_or_default();
        let project = start::Project {
            folder,
            packages: &packages,
            sources: &sources,
            scripts: &scripts,
            name: pyproject.as_ref().and_then(name),
        };
        start::find(&mut found, &project);
        old(&mut found, folder, &sources);
    }
    if !found.found() {
        return found;
    }
    if found.plan.start.is_none() && found.framework.is_none() {
        let settings = pyproject.is_some_and(|table| !manager::is_project(&table));
        found.role = match settings && folder.first(REQUIREMENTS).is_none() {
            true => Role::Tools,
            false => Role::Library,
        };
    }
    let (manager, install) = manager::manager(folder);
    if manager == "conda" {
        let file = CONDA.iter().find(|file| folder.has(file)).unwrap_or(&".");
        let says = "conda packages and the pip list are installed; activation scripts don't run";
        found.add(weight::NONE, folder, file, says);
    }
    if manager == "uv"
        && let Some((holder, encoding)) = version::unreadable(folder)
    {
        let says = format!(
            "is {encoding}, which uv can't read: the image says the version instead. Save it as UTF-8"
        );
        found.add(weight::NONE, &holder, version::PYENV, says);
    }
    found.package_manager = Some(manager.to_owned());
    found.plan.install = install;
    let serves = found.plan.start.is_some() && found.plan.install.is_some();
    if let Some(frontend) = Frontend::read(folder, "").filter(|_| serves) {
        frontend.describe(&mut found, folder);
    }
    found
}

/// The version that the project asks for, or the root of its workspace.
fn versions(found: &mut Findings, folder: &Folder<'_>) {
    found.version(folder, version::asked(folder));
    if let Some(member) = workspace::member(folder).filter(|_| found.version.is_none()) {
        let root = folder.in_tree(&member.root);
        found.version(&root, version::asked(&root));
    }
}

fn manifests(found: &mut Findings, folder: &Folder<'_>, pyproject: Option<&Table>) {
    let lists = "lists Python packages";
    found.add_file(weight::MANIFEST, folder, REQUIREMENTS, lists);
    if let Some(pyproject) = pyproject {
        let (weight, says) = match manager::is_project(pyproject) {
            true => (weight::MANIFEST, "a Python project"),
            false => (weight::HINT, "configures Python tools"),
        };
        found.add(weight, folder, "pyproject.toml", says);
    }
    let files: &[(f64, &[&'static str], &str)] = &[
        (
            weight::MANIFEST,
            &["Pipfile"],
            "lists Python packages for pipenv",
        ),
        (
            weight::LOCKFILE,
            &["setup.py", "setup.cfg"],
            "a Python package",
        ),
        (weight::LOCKFILE, CONDA, "a conda environment"),
        (weight::LOCKFILE, &["uv.lock"], "written by uv"),
        (weight::LOCKFILE, &["poetry.lock"], "written by poetry"),
        (weight::LOCKFILE, &["pdm.lock"], "written by pdm"),
        (weight::LOCKFILE, &["Pipfile.lock"], "written by pipenv"),
    ];
    for (weight, names, says) in files {
        found.add_file(*weight, folder, names, says);
    }
}

/// The framework that the project asks for; the file that creates its app says it better, where there is one.
fn framework(found: &mut Findings, folder: &Folder<'_>, packages: &Packages) {
    let first = match packages.has("django") {
        true => Some(("django", "django")),
        false => frameworks::asked(packages)
            .find(|framework| framework.alone)
            .map(|framework| (framework.package, framework.name)),
    };
    if let Some((package, name)) = first {
        let says = format!("depends on {package}");
        found.add(weight::FRAMEWORK, folder, packages.asked_by(package), says);
        found.framework = Some(name.to_owned());
    }
}

/// Documents that are built into files. They accompany projects of every language; they are the app only where they
/// stand alone.
fn site(found: &mut Findings, folder: &Folder<'_>, packages: &Packages) -> bool {
    const MKDOCS: &[&str] = &["mkdocs.yml", "mkdocs.yaml"];
    if found.framework.is_some() {
        return false;
    }
    let (package, name, build) = if packages.has("mkdocs") || packages.has("mkdocs-material") {
        let package = if packages.has("mkdocs") {
            "mkdocs"
        } else {
            "mkdocs-material"
        };
        let built = folder
            .first(MKDOCS)
            .map(|_| (Command::new("mkdocs build"), "site".to_owned()));
        (package, "mkdocs", built)
    } else if packages.has("sphinx") {
        let source = folder.first(&[
            "source/conf.py",
            "docs/conf.py",
            "docs/source/conf.py",
            "conf.py",
        ]);
        let dir = source.map(|file| file.trim_end_matches("conf.py").trim_end_matches('/'));
        let built = dir.map(|dir| {
            let dir = if dir.is_empty() { "." } else { dir };
            (
                Command::new("sphinx-build -b html").arg(dir).arg("site"),
                "site".to_owned(),
            )
        });
        (("sphinx"), "sphinx", built)
    } else if packages.has("pelican") {
        let built = folder
            .first(&["publishconf.py", "pelicanconf.py"])
            .map(|settings| {
                (
                    Command::new("pelican content --output output --settings").arg(settings),
                    "output".to_owned(),
                )
            });
        ("pelican", "pelican", built)
    } else {
        return false;
    };
    // A program or a package of its own: the documents are its.
    let own = ["main.py", "app.py", "setup.py", "manage.py"];
    let alone = folder.first(&own).is_none() && !folder.has_dir("src");
    let Some((build, output)) = build.filter(|_| alone) else {
        return false;
    };
    let says = format!("depends on {package}: builds static files");
    found.add(weight::HINT, folder, packages.asked_by(package), says);
    found.plan.build = Some(build.into());
    found.output = Some(output);
    found.port = Some(DEFAULT_PORT);
    found.framework = Some(name.to_owned());
    found.role = Role::Library;
    true
}

/// A statement that only Python 2 has says what no file says.
fn old(found: &mut Findings, folder: &Folder<'_>, sources: &[source::Source]) {
    let file = found
        .plan
        .start
        .as_ref()
        .and_then(|start| start.arguments.last());
    let program = sources.iter().find(|source| Some(&source.path) == file);
    let Some(program) = program.filter(|_| found.version.is_none()) else {
        return;
    };
    let prints = |line: &str| {
        let line = line.trim_start();
        line.starts_with("print \"") || line.starts_with("print '")
    };
    if program.text.lines().any(prints) {
        let says = "a print statement: Python 2, which has had no fixes since 2020";
        found.add(weight::NONE, folder, &program.path, says);
        found.version = Some("2.7".to_owned());
    }
}

/// Commands that the project installs.
fn scripts(pyproject: &Table) -> Vec<String> {
    let tables = [
        at(pyproject, &["project", "scripts"]),
        at(pyproject, &["tool", "poetry", "scripts"]),
    ];
    let tables = tables.into_iter().flatten().filter_map(Value::as_table);
    tables.flat_map(Table::keys).cloned().collect()
}

fn name(pyproject: &Table) -> Option<&str> {
    let name = at(pyproject, &["project", "name"]);
    name.or_else(|| at(pyproject, &["tool", "poetry", "name"]))?
        .as_str()
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const PACKAGE: (&str, &str) = ("src/shop/__init__.py", "");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Settings of linters are no project.
        (&[("pyproject.toml", "[tool.ruff]\nline-length = 100")], &["role Tools", "confidence 0.1"]),
        // Documents are the app only where they stand alone.
        (&[("requirements.txt", "mkdocs-material"), ("mkdocs.yml", "")], &["output site"]),
        (&[("requirements.txt", "mkdocs"), ("mkdocs.yml", ""), ("main.py", "")], &["output"]),
        (&[("requirements.txt", "sphinx"), ("source/conf.py", "")], &["output site"]),
        (&[("requirements.txt", "sphinx")], &["output"]),
        // Old programs say so.
        (&[("main.py", "print 'x'\n")], &["version 2.7"]),
        (&[("main.py", "print('x')\n")], &["version"]),
        // Commands of the project start it.
        (&[("pyproject.toml", "[project]\nname = 'shop'\n[project.scripts]\ntool = 'shop:main'"), PACKAGE], &["start tool"]),
        (&[("pyproject.toml", "[project]\nname = 'shop'\n[project.scripts]\na = 'a:b'\nshop = 'shop:main'"), PACKAGE], &["start shop"]),
        (&[("pyproject.toml", "[project]\nname = 'shop'\n[project.scripts]\na = 'a:b'\nb = 'shop:main'"), PACKAGE], &["start"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
