//! Reads Python sources: the names that they create, and where those are imported from.

use crate::repository::folder::{Folder, is_beside};

/// Names that programs have, the likeliest first.
pub(crate) const PROGRAMS: &[&str] = &[
    "main.py",
    "app.py",
    "server.py",
    "api.py",
    "run.py",
    "wsgi.py",
    "asgi.py",
    "application.py",
    "start.py",
    "bot.py",
    "hello.py",
    "index.py",
    "streamlit_app.py",
    "worker.py",
    "__main__.py",
    "src/main.py",
    "src/app.py",
    "src/bot.py",
    "src/server.py",
    "app/main.py",
    "app/app.py",
    "app/server.py",
    "app/api.py",
    "app/__init__.py",
    "api/main.py",
    "api/app.py",
    "api/index.py",
    "bot/main.py",
    "backend/main.py",
    "backend/app.py",
    "server/main.py",
    "server/app.py",
];

/// Names that programs have in packages of any name.
const IN_PACKAGES: &[&str] = &[
    "main.py",
    "app.py",
    "server.py",
    "api.py",
    "wsgi.py",
    "asgi.py",
    "application.py",
    "factory.py",
    "bot.py",
    "__init__.py",
    "__main__.py",
    "celery.py",
    "celery_app.py",
    "tasks.py",
    "worker.py",
    "web.py",
];

/// Files at the root that are never the program.
const NEVER: &[&str] = &[
    "setup.py",
    "conftest.py",
    "noxfile.py",
    "fabfile.py",
    "dodo.py",
    "gunicorn.conf.py",
    "gunicorn_config.py",
    "gunicorn_conf.py",
];

/// Files that make a folder a project of its own.
const MANIFESTS: &[&str] = &["requirements.txt", "pyproject.toml", "Pipfile", "setup.py"];

/// Folders that belong to what is around them, even where that is no project.
const OWN: &[&str] = &["src", "app"];

/// How many files are read: the tree is untrusted.
const FILES: usize = 120;

/// A source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the app's folder.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The files that may hold the program, the likeliest first. Packages of any name count where `project` says that the
/// folder is a project.
pub(crate) fn read(folder: &Folder<'_>, project: bool) -> Vec<Source> {
    // A folder with packages of its own is an app of its own; one without a project around it may be one.
    let belongs = |path: &&&str| match path.split_once('/') {
        None => true,
        Some((dir, _)) => (project || OWN.contains(&dir)) && !is_project(&folder.sub(dir)),
    };
    let usual = PROGRAMS.iter().filter(belongs);
    let mut paths: Vec<String> = usual.map(|&path| path.to_owned()).collect();
    paths.extend(own_files(folder).map(str::to_owned));
    if project {
        for dir in packages(folder) {
            paths.extend(IN_PACKAGES.iter().map(|name| format!("{dir}/{name}")));
        }
    }
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        if sources.len() == FILES || sources.iter().any(|source| source.path == path) {
            continue;
        }
        if folder.has(&path)
            && let Some(text) = folder.text(&path)
        {
            sources.push(Source { path, text });
        }
    }
    sources
}

/// Whether a folder is a project of its own.
fn is_project(folder: &Folder<'_>) -> bool {
    folder.first(MANIFESTS).is_some() || folder.has("package.json")
}

/// The Python files at the root that may be run.
pub(crate) fn own_files<'a>(folder: &'a Folder<'_>) -> impl Iterator<Item = &'a str> {
    let own = |name: &&str| {
        !NEVER.contains(name) && !name.starts_with("test_") && !name.ends_with("_test.py")
    };
    folder.ending(".py").filter(own)
}

/// The folders that may be packages: of the root, of `src`, and one below each.
fn packages(folder: &Folder<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for name in folder.own_dirs() {
        let inside = folder.sub(name);
        // `charts` may be a package of the app's, and `tests` hold no server.
        let serves = inside.first(&["wsgi.py", "asgi.py"]).is_some();
        if (is_beside(name) && !serves) || is_project(&inside) {
            continue;
        }
        found.push(name.to_owned());
        let below = inside.own_dirs().filter(|below| !is_beside(below));
        found.extend(below.map(|below| format!("{name}/{below}")));
        if found.len() > FILES {
            break;
        }
    }
    // The outer ones first: what is deeper is more often a part.
    found.sort_by_key(|path| path.matches('/').count());
    found
}

/// From where a file is imported, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// The folder that Python must look in; empty is the app's own.
    pub(crate) base: String,
    /// `package.module`.
    pub(crate) name: String,
    /// Whether the file cannot be run by its path: it imports what is beside it as parts of its package.
    pub(crate) in_package: bool,
}

impl Source {
    /// From where the file is imported.
    pub(crate) fn module(&self, folder: &Folder<'_>) -> Module {
        let Some((dir, _)) = self.path.rsplit_once('/') else {
            return Module {
                base: String::new(),
                name: name(&self.path),
                in_package: false,
            };
        };
        let top = dir.split('/').next().unwrap_or(dir);
        let relative = self.imports().any(|module| module.starts_with('.'));
        let of_package = |package: &str| self.imports().any(|module| first(module) == package);
        let base = if of_package(top) {
            ""
        } else if top == "src" && dir != "src" && !folder.has("src/__init__.py") {
            // The layout with `src`: the packages are inside of it.
            "src"
        } else if !relative && self.imports_beside(folder, dir) {
            // Written to be run by its path.
            dir
        } else {
            ""
        };
        let inside = self.path.strip_prefix(base).unwrap_or(&self.path);
        let package = inside.trim_start_matches('/').split('/').next();
        Module {
            base: base.to_owned(),
            name: name(inside.trim_start_matches('/')),
            in_package: base != dir && (relative || package.is_some_and(of_package)),
        }
    }

    /// Whether it imports a file or a folder that stands beside it.
    fn imports_beside(&self, folder: &Folder<'_>, dir: &str) -> bool {
        let beside = folder.sub(dir);
        self.imports().map(first).any(|name| {
            !name.is_empty()
                && (beside.has(&format!("{name}.py")) || beside.has_dir(name))
                && !folder.has(&format!("{name}.py"))
                && !folder.has_dir(name)
        })
    }

    /// Whether it imports a module of this name, or a part of it.
    pub(crate) fn imports_module(&self, module: &str) -> bool {
        self.imports().any(|imported| first(imported) == module)
    }

    /// Whether it imports anything of the project itself.
    pub(crate) fn imports_own(&self, folder: &Folder<'_>) -> bool {
        let dir = self.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let beside = folder.sub(dir);
        self.imports().map(first).any(|name| {
            name.is_empty()
                || [folder, &beside]
                    .iter()
                    .any(|folder| folder.has(&format!("{name}.py")) || folder.has_dir(name))
        })
    }

    /// The server of a Dash app: `server = app.server`, or the Flask app that it is given.
    pub(crate) fn server_of_dash(&self) -> Option<String> {
        let mut assignments = self.assignments();
        let server = assignments.find(|(_, value)| value.trim_end().ends_with(".server"));
        let server = server.map(|(name, _)| name.to_owned());
        server.or_else(|| self.variable(&["Flask("]))
    }

    /// The modules that it imports.
    fn imports(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| {
            let line = line.trim_start();
            let rest = line
                .strip_prefix("from ")
                .or_else(|| line.strip_prefix("import "))?;
            rest.split([' ', ',']).next()
        })
    }

    /// Whether any of these texts is in the code; comments do not count.
    pub(crate) fn contains(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| {
            let lines = self.text.lines().map(|line| line.trim_start());
            let mut code = lines.filter(|line| !line.starts_with('#'));
            code.any(|line| line.contains(text))
        })
    }

    /// Whether it does something when it is run by itself.
    pub(crate) fn is_run(&self) -> bool {
        self.contains(&["__name__ == \"__main__\"", "__name__ == '__main__'"])
    }

    /// The variable at the top level that gets what one of these calls creates.
    pub(crate) fn variable(&self, creates: &[&str]) -> Option<String> {
        let called: Vec<&str> = creates
            .iter()
            .filter_map(|create| create.strip_suffix('('))
            .filter_map(|create| create.rsplit('.').next())
            .collect();
        self.assignments()
            .find(|(_, value)| {
                // `application = app = Flask(…)` as well.
                let call = value.split_once('(').map(|(call, _)| call.trim());
                call.and_then(|call| call.rsplit(['.', '=', ' ']).next())
                    .is_some_and(|call| called.contains(&call))
            })
            .map(|(name, _)| name.to_owned())
    }

    /// The variable at the top level that gets what a factory of the project makes: `app = create_app()`.
    pub(crate) fn made(&self) -> Option<String> {
        let makes = |value: &str| {
            let call = value.split_once('(').map_or("", |(call, _)| call);
            is_factory(call.rsplit('.').next().unwrap_or(call))
        };
        let made = self.assignments().find(|(_, value)| makes(value));
        made.map(|(name, _)| name.to_owned())
    }

    /// The name under which the file offers the app that another one creates: `from shop import app as application`.
    pub(crate) fn offered(&self) -> Option<String> {
        const NAMES: &[&str] = &["app", "application", "server", "api"];
        let assigned = self.assignments().map(|(name, _)| name);
        let imported = self.text.lines().filter_map(|line| {
            let (_, names) = line.strip_prefix("from ")?.split_once(" import ")?;
            Some(names.split('#').next()?.split(','))
        });
        let imported = imported.flatten().map(|name| {
            let name = name.trim();
            name.rsplit_once(" as ").map_or(name, |(_, name)| name)
        });
        let offered: Vec<&str> = assigned.chain(imported).collect();
        let found = NAMES.iter().find(|name| offered.contains(name));
        found.map(|&name| name.to_owned())
    }

    /// The function that makes the app, if it can be called without arguments.
    pub(crate) fn factory(&self) -> Option<String> {
        let mut rest = self.text.as_str();
        while let Some((_, after)) = rest.split_once("def ") {
            rest = after;
            let Some((name, after)) = after.split_once('(') else {
                break;
            };
            let arguments = after.split_once(')').map_or("", |(arguments, _)| arguments);
            let optional = arguments.split(',').all(|argument| {
                let argument = argument.trim();
                argument.is_empty() || argument.starts_with('*') || argument.contains('=')
            });
            if is_factory(name) && optional {
                return Some(name.to_owned());
            }
        }
        None
    }

    /// The names that get a value at the top level, and the values.
    fn assignments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter_map(|line| {
            let (left, value) = line.split_once('=')?;
            // `app: FastAPI = FastAPI()` and `app, rt = fast_app()` as well.
            let name = left.split([':', ',']).next()?.trim_end();
            let is_name = name.starts_with(|ch: char| ch.is_alphabetic() || ch == '_')
                && name.chars().all(|ch| ch.is_alphanumeric() || ch == '_');
            is_name.then_some((name, value.trim_start()))
        })
    }
}

fn is_factory(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "create_app",
        "create_application",
        "make_app",
        "get_app",
        "get_application",
        "build_app",
        "app_factory",
        "create_api",
        "create_server",
    ];
    NAMES.contains(&name)
}

/// The first name of `a.b.c`.
fn first(module: &str) -> &str {
    module.split('.').next().unwrap_or(module)
}

/// `src/app.py` is `src.app`, `app/__init__.py` is `app`.
fn name(path: &str) -> String {
    let path = path.strip_suffix(".py").unwrap_or(path);
    path.strip_suffix("/__init__")
        .unwrap_or(path)
        .replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn files_are_imported_from_where_their_own_imports_work() {
        let tree = MemTree::from([
            ("main.py", ""),
            ("app/config.py", ""),
            ("app/main.py", ""),
            ("src/shop/main.py", ""),
        ]);
        let folder = Folder::open(&tree, "");
        for (path, text, base, name, in_package) in [
            ("main.py", "", "", "main", false),
            ("app/main.py", "", "", "app.main", false),
            (
                "app/main.py",
                "from app.config import x",
                "",
                "app.main",
                true,
            ),
            ("app/main.py", "from .config import x", "", "app.main", true),
            ("app/main.py", "from config import x", "app", "main", false),
            ("src/shop/main.py", "import os", "src", "shop.main", false),
            (
                "src/shop/main.py",
                "from shop.a import b",
                "src",
                "shop.main",
                true,
            ),
            (
                "src/shop/main.py",
                "from src.shop import b",
                "",
                "src.shop.main",
                true,
            ),
            ("src/shop/__init__.py", "", "src", "shop", false),
        ] {
            let module = source(path, text).module(&folder);
            let found = (
                module.base.as_str(),
                module.name.as_str(),
                module.in_package,
            );
            assert_eq!(found, (base, name, in_package), "{path}: {text}");
        }
    }

    #[test]
    fn names_at_the_top_level_are_found() {
        for (text, expected) in [
            ("app = Flask(__name__)", Some("app")),
            ("api: Flask = flask.Flask('x')", Some("api")),
            ("app, rt = Flask()", Some("app")),
            ("application = app = Flask('x')", Some("application")),
            ("app = flask.Flask(\n    __name__,\n)", Some("app")),
            ("    app = Flask(__name__)", None),
            ("# app = Flask(__name__)", None),
            ("if app == Flask(x):", None),
        ] {
            let found = source("a.py", text).variable(&["Flask("]);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let made = source(
            "wsgi.py",
            "from shop import create_app\napp = create_app('prod')",
        );
        assert_eq!(made.made().as_deref(), Some("app"));
        let offered = source("wsgi.py", "from shop import app as application  # x");
        assert_eq!(offered.offered().as_deref(), Some("application"));
    }

    #[test]
    fn factories_must_work_without_arguments() {
        for (text, expected) in [
            ("def create_app():", Some("create_app")),
            (
                "def create_app(config=None, *args) -> Flask:",
                Some("create_app"),
            ),
            ("def create_app(config):", None),
            ("def create_app_context():", None),
        ] {
            let found = source("a.py", text).factory();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
