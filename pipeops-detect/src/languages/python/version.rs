//! Which version of Python a project asks for.

use toml::Table;

use super::packages::{CONDA, at};
use super::workspace;
use crate::encoding;
use crate::repository::folder::Folder;
use crate::repository::version::{compare, managed, number, shorten};

/// The version where the project asks for none, or only for a least one.
pub(crate) const DEFAULT: &str = "3.12";

/// The file in which pyenv keeps a version, which uv reads too.
pub(crate) const PYENV: &str = ".python-version";

/// The folder whose version file uv reads but can't, and how that is encoded.
pub(crate) fn unreadable<'a>(folder: &Folder<'a>) -> Option<(Folder<'a>, &'static str)> {
    let root = workspace::member(folder).map(|member| folder.in_tree(&member.root));
    let own = folder.sub("");
    let mut folders = std::iter::once(own).chain(root);
    folders.find_map(|folder| {
        let encoding = encoding::of(&folder, PYENV)?;
        Some((folder, encoding))
    })
}

/// What the project asks for, and the file that says so: the nearest to deployment first.
pub(crate) fn asked(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    let line = |file: &'static str, from: fn(&str) -> Option<String>| {
        Some((file, folder.text(file).and_then(|text| from(&text))?))
    };
    line(PYENV, pyenv)
        .or_else(|| managed(folder, &["python"]))
        .or_else(|| line("runtime.txt", pyenv))
        .or_else(|| Some(("Pipfile", pipfile(&folder.toml("Pipfile")?)?)))
        .or_else(|| {
            Some((
                "pyproject.toml",
                pyproject(&folder.toml("pyproject.toml")?)?,
            ))
        })
        .or_else(|| line("setup.cfg", setuptools))
        .or_else(|| line("setup.py", setuptools))
        .or_else(|| CONDA.iter().find_map(|file| line(file, conda)))
}

/// The first line that is a version. Others are names of environments on the developer's machine.
fn pyenv(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let version = ["python-", "cpython-", "cpython@"]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix))
            .unwrap_or(line);
        version
            .starts_with(|ch: char| ch.is_ascii_digit())
            .then(|| number(version))?
    })
}

fn pipfile(table: &Table) -> Option<String> {
    let names = ["python_full_version", "python_version"];
    let asked = names
        .iter()
        .find_map(|name| at(table, &["requires", name])?.as_str());
    allowed(asked?)
}

fn pyproject(table: &Table) -> Option<String> {
    let asked = at(table, &["project", "requires-python"])
        .or_else(|| at(table, &["tool", "poetry", "dependencies", "python"]));
    allowed(asked?.as_str()?)
}

fn setuptools(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("python_requires")?;
    let line = rest.lines().next()?;
    allowed(line.trim_matches(|ch: char| " =\"',)".contains(ch) && !"<>~!^".contains(ch)))
}

fn conda(text: &str) -> Option<String> {
    let mut lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    lines.find_map(|line| {
        let rest = line.trim_matches('"').strip_prefix("python")?;
        allowed(rest.trim_start().strip_prefix('=').unwrap_or(rest))
    })
}

/// The version that a specification means: the one that it names (`3.11`, `^3.10`, `==3.9.*`), else the default where it
/// is allowed, else the newest one that is.
fn allowed(spec: &str) -> Option<String> {
    let spec = spec.rsplit("||").next()?;
    let (mut lower, mut upper) = (None, None);
    for part in spec.split(',').map(str::trim) {
        let asked = number(part);
        match part.as_bytes().first() {
            Some(b'>') => lower = asked,
            Some(b'<') => upper = asked.map(|version| (version, part.starts_with("<="))),
            Some(b'!') | None => {}
            Some(_) if asked.is_some() => return asked,
            Some(_) => {}
        }
    }
    let newest = match &upper {
        Some((upper, included)) => below(upper, *included),
        None => DEFAULT.to_owned(),
    };
    let newest = match compare(&newest, DEFAULT).is_lt() {
        true => newest,
        false => DEFAULT.to_owned(),
    };
    match lower {
        Some(lower) if compare(&lower, &newest).is_gt() => Some(lower),
        None if upper.is_none() => None,
        _ => Some(newest),
    }
}

/// The newest minor version below a bound: 3.11 for `<3.12`, the bound itself for `<=3.11`.
fn below(bound: &str, included: bool) -> String {
    let mut parts = bound
        .split('.')
        .map(|part| part.parse::<u64>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(3), parts.next());
    match minor {
        Some(_) if included => shorten(bound, 2),
        Some(minor) if minor > 0 && parts.next().is_none_or(|patch| patch == 0) => {
            format!("{major}.{}", minor - 1)
        }
        Some(minor) if minor > 0 => format!("{major}.{minor}"),
        // The last one before Python 3.
        _ if major <= 3 && !included => "2.7".to_owned(),
        // `<4`: anything that is there today.
        _ => DEFAULT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn specifications_mean_one_version() {
        for (spec, expected) in [
            ("3.11", Some("3.11")),
            ("^3.10", Some("3.10")),
            ("~=3.11.2", Some("3.11.2")),
            ("==3.9.*", Some("3.9")),
            (">=3.8", Some("3.12")),
            (">=3.13", Some("3.13")),
            (">=3.8,<4.0", Some("3.12")),
            (">=3.9,<3.12", Some("3.11")),
            (">=3.9, !=3.9.7, <=3.10", Some("3.10")),
            (">=3.13,<3.15", Some("3.13")),
            ("<3.11", Some("3.10")),
            (">=2.7,<3", Some("2.7")),
            ("*", None),
        ] {
            assert_eq!(allowed(spec).as_deref(), expected, "{spec}");
        }
    }

    #[test]
    fn versions_have_their_order() {
        let all = [
            (".python-version", "# x\n3.13.1\n"),
            (".tool-versions", "nodejs 20\npython 3.9.2\n"),
            ("mise.toml", "[tools]\npython = \"3.8\"\n"),
            ("runtime.txt", "python-3.10.2"),
            ("Pipfile", "[requires]\npython_version = \"3.7\""),
            ("pyproject.toml", "[project]\nrequires-python = \">=3.8\""),
            ("setup.py", "setup(python_requires='>=3.6,<3.11')"),
            ("environment.yml", "dependencies:\n  - python=3.6.1\n"),
        ];
        let expected = [
            "3.13.1", "3.9.2", "3.8", "3.10.2", "3.7", DEFAULT, "3.10", "3.6.1",
        ];
        for (from, expected) in expected.into_iter().enumerate() {
            let tree: MemTree = all[from..].iter().copied().collect();
            let found = asked(&Folder::open(&tree, ""));
            assert_eq!(found.map(|(_, version)| version).as_deref(), Some(expected));
        }
    }

    #[test]
    fn names_of_environments_are_no_versions() {
        assert_eq!(pyenv("my2project\n"), None);
        assert_eq!(pyenv("cpython-3.12.4\n").as_deref(), Some("3.12.4"));
    }
}
