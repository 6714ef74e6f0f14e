//! How a Python project is started.

use std::collections::BTreeSet;

use super::DEFAULT_PORT;
use crate::detect::findings::{Findings, weight};
use crate::detect::folder::Folder;

/// Names that programs have, the likeliest first.
const PROGRAMS: &[&str] = &[
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
    "__main__.py",
    "src/main.py",
    "src/app.py",
    "app/main.py",
    "app/app.py",
    "app/__init__.py",
    "api/main.py",
    "src/server.py",
];

/// Finds the start command of what was found so far.
pub(super) fn find(
    found: &mut Findings,
    folder: &Folder<'_>,
    dependencies: &BTreeSet<String>,
    scripts: &[String],
) {
    if found.output.is_some() {
        return;
    }
    let app = App {
        folder,
        dependencies,
    };
    if folder.has("manage.py") {
        found.add(weight::ENTRY, folder, "manage.py", "Django's manage.py");
        found.framework = Some("django".to_owned());
        found.start = Some(app.django());
        found.port = Some(DEFAULT_PORT);
        return;
    }
    if let Some((file, command)) = app.served(found.framework.as_deref()) {
        found.add(
            weight::ENTRY,
            folder,
            file,
            "creates the app that is served",
        );
        found.start = Some(command);
        found.port = Some(DEFAULT_PORT);
        return;
    }
    if let Some(file) = app.program() {
        found.add(weight::ENTRY, folder, &file, "the program");
        found.start = Some(format!("python {file}"));
        found.listens(folder, &file);
    } else if let [script] = scripts {
        found.add(
            weight::ENTRY,
            folder,
            "pyproject.toml",
            format!("installs the command `{script}`"),
        );
        found.start = Some(script.clone());
        found.port = Some(DEFAULT_PORT);
    } else if let Some(package) = app.package() {
        let file = format!("{package}/__main__.py");
        found.add(weight::ENTRY, folder, &file, "a package that runs");
        found.start = Some(format!("python -m {}", package.trim_start_matches("src/")));
        found.listens(folder, &file);
    }
}

struct App<'a> {
    folder: &'a Folder<'a>,
    dependencies: &'a BTreeSet<String>,
}

impl App<'_> {
    fn has(&self, dependency: &str) -> bool {
        self.dependencies.contains(dependency)
    }

    /// By gunicorn or uvicorn where they are there; by Django itself otherwise.
    fn django(&self) -> String {
        let with = |file: &str| {
            let has = |name: &&str| self.folder.has(&format!("{name}/{file}"));
            self.folder.own_dirs().find(has)
        };
        if self.has("gunicorn")
            && let Some(package) = with("wsgi.py")
        {
            return format!("gunicorn --bind 0.0.0.0:$PORT {package}.wsgi:application");
        }
        if self.has("uvicorn")
            && let Some(package) = with("asgi.py")
        {
            return format!("uvicorn --host 0.0.0.0 --port $PORT {package}.asgi:application");
        }
        "python manage.py runserver 0.0.0.0:$PORT".to_owned()
    }

    /// The file that creates the framework's app, and the command that serves it.
    fn served(&self, framework: Option<&str>) -> Option<(&'static str, String)> {
        match framework? {
            "streamlit" => {
                let (file, _) = self.containing("streamlit")?;
                Some((
                    file,
                    format!(
                        "streamlit run {file} --server.address 0.0.0.0 --server.port $PORT --server.headless true"
                    ),
                ))
            }
            "chainlit" => {
                let (file, _) = self.containing("chainlit")?;
                Some((
                    file,
                    format!("chainlit run {file} --host 0.0.0.0 --port $PORT --headless"),
                ))
            }
            "flask" => self.wsgi("Flask("),
            "fastapi" => self.asgi("FastAPI("),
            "starlette" => self.asgi("Starlette("),
            "litestar" => self.asgi("Litestar("),
            "quart" => self.asgi("Quart("),
            "dash" | "falcon" | "bottle" | "pyramid" => self.other_wsgi(),
            _ => None,
        }
    }

    fn wsgi(&self, constructor: &str) -> Option<(&'static str, String)> {
        let (file, text) = self.containing(constructor)?;
        let module = module(file);
        let variable = variable(&text, constructor);
        let target = match &variable {
            Some(variable) => format!("{module}:{variable}"),
            None => format!("'{module}:{}()'", factory(&text)?),
        };
        let command = if self.has("gunicorn") {
            format!("gunicorn --bind 0.0.0.0:$PORT {target}")
        } else if self.has("waitress") && variable.is_some() {
            format!("waitress-serve --port=$PORT {target}")
        } else {
            // Flask's own server: the app's `app.run()` would listen inside of the container only.
            format!(
                "flask --app {} run --host 0.0.0.0 --port $PORT",
                target.trim_matches('\'')
            )
        };
        Some((file, command))
    }

    /// Frameworks without a server of their own, where gunicorn and its target are clear.
    fn other_wsgi(&self) -> Option<(&'static str, String)> {
        if !self.has("gunicorn") {
            return None;
        }
        let (file, text) = self.containing("server = app.server")?;
        text.contains("Dash(").then(|| {
            (
                file,
                format!("gunicorn --bind 0.0.0.0:$PORT {}:server", module(file)),
            )
        })
    }

    fn asgi(&self, constructor: &str) -> Option<(&'static str, String)> {
        let (file, text) = self.containing(constructor)?;
        let module = module(file);
        let (target, factory) = match variable(&text, constructor) {
            Some(variable) => (format!("{module}:{variable}"), ""),
            None => (format!("{module}:{}", factory(&text)?), " --factory"),
        };
        let command = if self.has("uvicorn") || self.has("fastapi") && !self.has("hypercorn") {
            format!("uvicorn{factory} --host 0.0.0.0 --port $PORT {target}")
        } else if self.has("hypercorn") && factory.is_empty() {
            format!("hypercorn --bind 0.0.0.0:$PORT {target}")
        } else {
            return None;
        };
        Some((file, command))
    }

    fn containing(&self, text: &str) -> Option<(&'static str, String)> {
        PROGRAMS.iter().find_map(|file| {
            let found = self.folder.text(file)?;
            found.contains(text).then_some((*file, found))
        })
    }

    /// A file that is run by itself.
    fn program(&self) -> Option<String> {
        if let Some(file) = PROGRAMS
            .iter()
            .find(|file| self.folder.has(file) && !file.ends_with("__init__.py"))
        {
            return Some((*file).to_owned());
        }
        let own = |name: &&str| {
            !matches!(
                *name,
                "setup.py" | "conftest.py" | "noxfile.py" | "tasks.py"
            ) && !name.starts_with("test_")
        };
        let mut files = self.folder.ending(".py").filter(own);
        match (files.next(), files.next()) {
            (Some(file), None) => Some(file.to_owned()),
            _ => None,
        }
    }

    /// The only package with a `__main__`.
    fn package(&self) -> Option<String> {
        let source = self.folder.sub("src");
        let inside = source.own_dirs().map(|name| format!("src/{name}"));
        let all = self.folder.own_dirs().map(str::to_owned).chain(inside);
        let mut packages = all.filter(|name| self.folder.has(&format!("{name}/__main__.py")));
        packages.next().filter(|_| packages.next().is_none())
    }
}

/// `src/app.py` is `src.app`, `app/__init__.py` is `app`.
fn module(file: &str) -> String {
    let path = file.trim_end_matches(".py").trim_end_matches("/__init__");
    path.replace('/', ".")
}

/// The variable at the start of a line that gets the app.
fn variable(text: &str, constructor: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        // `app: FastAPI = FastAPI()` and `app = module.FastAPI()` as well.
        let name = left.split(':').next()?.trim_end();
        let is_name = !name.is_empty() && name.chars().all(|ch| ch.is_alphanumeric() || ch == '_');
        let right = right.trim_start();
        let called = right.split('(').next()?.rsplit('.').next()?;
        (is_name && format!("{called}(") == constructor).then(|| name.to_owned())
    })
}

/// The function that makes the app.
fn factory(text: &str) -> Option<&'static str> {
    ["create_app", "make_app", "get_app"]
        .into_iter()
        .find(|name| text.contains(&format!("def {name}(")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Language;
    use crate::source::MemTree;

    fn start(framework: &str, dependencies: &[&str], files: &[(&str, &str)]) -> Option<String> {
        let tree: MemTree = files.iter().copied().collect();
        let mut found = Findings::none(Language::Python);
        found.framework = (!framework.is_empty()).then(|| framework.to_owned());
        let dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
        find(
            &mut found,
            &Folder::open(&tree, ""),
            &dependencies,
            &["tool".to_owned()],
        );
        found.start
    }

    #[test]
    fn frameworks_are_served_by_what_is_installed() {
        let flask = (
            "app.py",
            "from flask import Flask\nweb = Flask(__name__)\nif x:\n    web.run()",
        );
        let factory = (
            "app/__init__.py",
            "def create_app():\n    app = Flask(__name__)\n    return app",
        );
        let fast = ("app/main.py", "api: FastAPI = FastAPI(title='x')");
        for (framework, dependencies, file, expected) in [
            (
                "flask",
                &["flask", "gunicorn"] as &[_],
                flask,
                "gunicorn --bind 0.0.0.0:$PORT app:web",
            ),
            (
                "flask",
                &["flask"],
                flask,
                "flask --app app:web run --host 0.0.0.0 --port $PORT",
            ),
            (
                "flask",
                &["flask", "gunicorn"],
                factory,
                "gunicorn --bind 0.0.0.0:$PORT 'app:create_app()'",
            ),
            (
                "fastapi",
                &["fastapi", "uvicorn"],
                fast,
                "uvicorn --host 0.0.0.0 --port $PORT app.main:api",
            ),
            ("", &[], ("main.py", ""), "python main.py"),
            ("", &[], ("other.py", ""), "python other.py"),
            ("", &[], ("pkg/__main__.py", ""), "tool"),
        ] {
            let found = start(framework, dependencies, &[file]);
            assert_eq!(found.as_deref(), Some(expected), "{framework} {file:?}");
        }
    }

    #[test]
    fn django_needs_its_settings_package() {
        let files = [
            ("manage.py", ""),
            ("site1/wsgi.py", ""),
            ("site1/settings.py", ""),
        ];
        assert_eq!(
            start("django", &["gunicorn"], &files).as_deref(),
            Some("gunicorn --bind 0.0.0.0:$PORT site1.wsgi:application")
        );
        assert!(start("django", &[], &files).unwrap().contains("runserver"));
    }
}
