//! How a Python project is started.

use super::frameworks::{self, ALL, BOT_SIGNS, BOTS, Framework, Kind, WORKERS};
use super::packages::Packages;
use super::ports;
use super::serve::{self, Target};
use super::source::{Source, own_files};
use crate::findings::{Findings, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// What says how the project is started.
pub(crate) struct Project<'a> {
    pub(crate) folder: &'a Folder<'a>,
    pub(crate) packages: &'a Packages,
    pub(crate) sources: &'a [Source],
    /// Commands that the project installs.
    pub(crate) scripts: &'a [String],
    /// The project's own name.
    pub(crate) name: Option<&'a str>,
}

/// Finds the start command.
pub(crate) fn find(found: &mut Findings, project: &Project<'_>) {
    let _ = project.bot(found)
        || project.reflex(found)
        || project.pyramid(found)
        || project.served(found)
        || project.worker(found)
        || project.program(found)
        || project.script(found)
        || project.package(found);
}

/// What serves an app.
struct Served<'a> {
    source: &'a Source,
    command: Command,
    port: u16,
    /// What a reviewer should know.
    note: Option<&'static str>,
}

const DEVELOPMENT: &str =
    "no production server among the packages: uses the framework's development server";
const MISSING: &str = "no server among the packages: the image adds one";

impl Project<'_> {
    /// A program that takes messages: a page beside it, which only says that it is alive, does not win.
    fn bot(&self, found: &mut Findings) -> bool {
        let Some((package, name)) = BOTS.iter().find(|(package, _)| self.packages.has(package))
        else {
            return false;
        };
        let serves = |source: &Source| {
            ALL.iter().any(|framework| {
                let creates = framework.creates.iter().filter(|text| text.ends_with('('));
                matches!(framework.kind, Kind::Wsgi | Kind::Asgi)
                    && source.contains(&creates.copied().collect::<Vec<_>>())
            })
        };
        let mut programs = self.sources.iter();
        let bot = programs.find(|source| source.contains(BOT_SIGNS) && !serves(source));
        let Some(source) = bot else {
            return false;
        };
        let asked = self.packages.asked_by(package).to_owned();
        found.add(
            weight::HINT,
            self.folder,
            &asked,
            format!("depends on {package}"),
        );
        found.framework = Some((*name).to_owned());
        self.run(found, self.main_of(source));
        true
    }

    /// The file that is run where `source` only holds a part: the first program that imports it.
    fn main_of<'s>(&'s self, source: &'s Source) -> &'s Source {
        if source.is_run() || !source.path.contains('/') {
            return source;
        }
        let mut programs = self.sources.iter();
        let main = programs.find(|other| !other.path.contains('/') && other.is_run());
        main.unwrap_or(source)
    }

    fn reflex(&self, found: &mut Findings) -> bool {
        if !self.folder.has("rxconfig.py") {
            return false;
        }
        found.add(
            weight::ENTRY,
            self.folder,
            "rxconfig.py",
            "a Reflex app, which needs Node.js and writes its pages at startup",
        );
        found.framework = Some("reflex".to_owned());
        found.plan.start = Some(Command::new("reflex run --env prod"));
        found.port = Some(3000);
        true
    }

    fn pyramid(&self, found: &mut Findings) -> bool {
        const FILES: &[&str] = &["production.ini"];
        let Some(file) = self
            .folder
            .first(FILES)
            .filter(|_| self.packages.has("pyramid"))
        else {
            return false;
        };
        found.add(
            weight::ENTRY,
            self.folder,
            file,
            "says how the app is served",
        );
        found.framework = Some("pyramid".to_owned());
        found.port = Some(DEFAULT_PORT);
        found.plan.start = Some(if self.packages.installs("gunicorn") {
            Command::new("gunicorn --paste")
                .arg(file)
                .args("--bind 0.0.0.0:$PORT")
        } else {
            let text = self.folder.text(file).unwrap_or_default();
            if let Some(port) = ports::of_ini(&text) {
                found.listens_on(self.folder, file, port);
            }
            Command::new("pserve").arg(file)
        });
        true
    }

    /// An app of a framework. Of several the one in the likeliest file is it.
    fn served(&self, found: &mut Findings) -> bool {
        let known = ALL.iter().filter(|framework| self.uses(framework));
        let hits = known.filter_map(|framework| Some((framework, self.serve(framework)?)));
        let at = |served: &Served<'_>| {
            let mut sources = self.sources.iter();
            sources.position(|source| source.path == served.source.path)
        };
        let Some((framework, served)) = hits.min_by_key(|(_, served)| at(served)) else {
            return false;
        };
        let file = &served.source.path;
        found.add(
            weight::ENTRY,
            self.folder,
            file,
            "creates the app that is served",
        );
        if let Some(note) = served.note {
            found.add(weight::NONE, self.folder, file, note);
        }
        found.framework = Some(framework.name.to_owned());
        found.plan.start = Some(served.command);
        let told = found.plan.start.as_ref().map(Command::shell);
        let told = told.is_some_and(|start| start.contains("PORT"));
        match told || served.port == DEFAULT_PORT {
            true => found.port = Some(served.port),
            false => found.listens_on(self.folder, file, served.port),
        }
        true
    }

    fn uses(&self, framework: &Framework) -> bool {
        let module = |source: &Source| source.imports_module(framework.name);
        self.packages.has(framework.package) || self.sources.iter().any(module)
    }

    fn serve(&self, framework: &Framework) -> Option<Served<'_>> {
        let creates = |source: &&Source| source.contains(framework.creates);
        match framework.kind {
            Kind::Command(command) => {
                let imports = |source: &&Source| {
                    creates(source)
                        && source.imports_module(framework.name)
                        && !source.path.ends_with("__init__.py")
                };
                let own = self
                    .sources
                    .iter()
                    .find(|source| source.path.starts_with(framework.name) && imports(source));
                let source = own.or_else(|| self.sources.iter().find(imports))?;
                let port = match framework.name {
                    "gradio" => ports::fixed(&source.text).unwrap_or(DEFAULT_PORT),
                    _ => DEFAULT_PORT,
                };
                let command = filled(command, "FILE", &quoted(&source.path));
                Some(Served {
                    source,
                    command,
                    port,
                    note: None,
                })
            }
            Kind::Program => {
                let source = self.sources.iter().find(creates)?;
                let reachable = framework.name != "mcp"
                    || source.contains(&[
                        "streamable-http",
                        "\"sse\"",
                        "'sse'",
                        "\"http\"",
                        "'http'",
                    ]);
                if !reachable {
                    // It talks to the process that starts it.
                    return None;
                }
                let main = self.main_of(source);
                let port = ports::fixed(&main.text).or_else(|| ports::fixed(&source.text));
                let default = if framework.name == "mcp" {
                    8000
                } else {
                    DEFAULT_PORT
                };
                let command = python(&main.module(self.folder), &main.path);
                let reads = ports::is_option(&main.text);
                Some(Served {
                    source: main,
                    command: match reads {
                        true => command.arg("--port=$PORT"),
                        false => command,
                    },
                    port: if reads {
                        DEFAULT_PORT
                    } else {
                        port.unwrap_or(default)
                    },
                    note: None,
                })
            }
            Kind::Wsgi if framework.name == "dash" && !self.serves_dash() => {
                let source = self.sources.iter().find(creates)?;
                let port = ports::fixed(&source.text).unwrap_or(DEFAULT_PORT);
                let command = python(&source.module(self.folder), &source.path);
                let command = command.variable("HOST", "0.0.0.0");
                Some(Served {
                    source,
                    command,
                    port,
                    note: Some(DEVELOPMENT),
                })
            }
            Kind::Wsgi => self.by_standard(framework, "wsgi.py", |target, source| {
                self.wsgi(framework, target, source)
            }),
            Kind::Asgi => self.by_standard(framework, "asgi.py", |target, source| {
                self.asgi(framework, target, source)
            }),
        }
    }

    /// Whether a server of the project finds the app of Dash; otherwise it listens itself, where `HOST` says.
    fn serves_dash(&self) -> bool {
        let offers =
            |source: &Source| source.contains(&["Dash("]) && source.server_of_dash().is_some();
        let servers = ["gunicorn", "waitress", "uwsgi", "pyuwsgi", "granian"];
        servers.iter().any(|server| self.packages.installs(server))
            && self.sources.iter().any(offers)
    }

    /// Finds the app in the sources, and serves it.
    fn by_standard<'s>(
        &'s self,
        framework: &Framework,
        file: &str,
        serve: impl Fn(&Target, &Source) -> Option<(Command, Option<&'static str>)>,
    ) -> Option<Served<'s>> {
        let creates = |source: &&Source| source.contains(framework.creates);
        let mut creating = self.sources.iter().filter(creates).peekable();
        // A file of the standard's name says enough: the app's class may be one of the project.
        let offers = |source: &Source| {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            name == file && source.made().or_else(|| source.offered()).is_some()
        };
        if creating.peek().is_none() && !self.sources.iter().any(offers) {
            return None;
        }
        let found = self.app(framework, file);
        // Bottle has an app of its own, which needs no name.
        let unnamed = || {
            let source = creating.next().filter(|_| framework.name == "bottle")?;
            let reads = ports::of(&source.text) == Some(ports::Port::FromEnvironment);
            (!reads).then_some((source, String::new(), false))
        };
        let (source, object, factory) = found.or_else(unnamed)?;
        let module = source.module(self.folder);
        let target = Target {
            base: module.base,
            module: module.name,
            object,
            factory,
        };
        let (command, note) = serve(&target, source)?;
        Some(Served {
            source,
            command,
            port: DEFAULT_PORT,
            note,
        })
    }

    /// The file with the app, its name, and whether that is a function.
    fn app(&self, framework: &Framework, file: &str) -> Option<(&Source, String, bool)> {
        let named = |source: &&Source| {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            name == file || name == "wsgi.py"
        };
        let variable = |source: &Source| match framework.name {
            "dash" => source.server_of_dash(),
            _ => source.variable(framework.creates),
        };
        let offered = |source: &Source| {
            variable(source)
                .or_else(|| source.made())
                .or_else(|| source.offered())
        };
        let with = |source, object: Option<String>, factory| Some((source, object?, factory));
        let standard = self.sources.iter().filter(named);
        let mut standard = standard.filter_map(|source| with(source, offered(source), false));
        let mut variables = self
            .sources
            .iter()
            .filter_map(|source| with(source, variable(source), false));
        let mut made = self
            .sources
            .iter()
            .filter_map(|source| with(source, source.made(), false));
        let factories = self
            .sources
            .iter()
            .filter(|source| source.contains(framework.creates));
        let mut factories = factories.filter_map(|source| with(source, source.factory(), true));
        let found = standard
            .next()
            .or_else(|| variables.next())
            .or_else(|| made.next());
        found.or_else(|| factories.next())
    }

    fn wsgi(
        &self,
        framework: &Framework,
        target: &Target,
        source: &Source,
    ) -> Option<(Command, Option<&'static str>)> {
        let named = !target.object.is_empty();
        if named && let Some(command) = serve::wsgi(self.packages, target) {
            return Some((command, None));
        }
        Some(match framework.name {
            "flask" => (serve::flask(target), Some(DEVELOPMENT)),
            "bottle" => (serve::bottle(target), Some(DEVELOPMENT)),
            // A server of the project's own choice, or of the standard library.
            _ if source.is_run() || source.contains(ports::SERVES) => return None,
            _ => (serve::gunicorn(self.packages, target), Some(MISSING)),
        })
    }

    fn asgi(
        &self,
        framework: &Framework,
        target: &Target,
        source: &Source,
    ) -> Option<(Command, Option<&'static str>)> {
        if framework.name == "sanic" {
            return Some((serve::sanic(target), None));
        }
        if let Some(command) = serve::asgi(self.packages, target) {
            return Some((command, None));
        }
        if self.packages.installs("gunicorn") && source.contains(&["WSGIMiddleware"]) {
            return None;
        }
        Some((serve::uvicorn(target), Some(MISSING)))
    }

    /// A worker of a queue, where nothing is served.
    fn worker(&self, found: &mut Findings) -> bool {
        let known = WORKERS
            .iter()
            .filter(|(package, ..)| self.packages.has(package));
        let mut hits = known.filter_map(|row| {
            let mut sources = self.sources.iter();
            Some((row, sources.find(|source| source.contains(&[row.1]))?))
        });
        let Some(((package, _, command), source)) = hits.next() else {
            return false;
        };
        let module = source.module(self.folder);
        found.add(
            weight::ENTRY,
            self.folder,
            &source.path,
            format!("tasks for {package}"),
        );
        found.framework = Some((*package).to_owned());
        let command = filled(command, "MODULE", &module.name);
        found.plan.start = Some(serve::imports_from(command, &module.base));
        true
    }

    /// A file that is run by itself.
    fn program(&self, found: &mut Findings) -> bool {
        let Some(source) = self.main() else {
            return false;
        };
        self.run(found, source);
        true
    }

    fn main(&self) -> Option<&Source> {
        let find = |path: &str| self.sources.iter().find(|source| source.path == path);
        let usual = super::source::PROGRAMS.iter().filter_map(|path| find(path));
        let mut usual = usual.filter(|source| !source.path.ends_with("__init__.py"));
        if let Some(source) = usual.next() {
            return Some(source);
        }
        if let Some(name) = self.name
            && let Some(source) = find(&format!("{}.py", name.replace('-', "_")))
        {
            return Some(source);
        }
        let own: Vec<&Source> = own_files(self.folder).filter_map(find).collect();
        if let [only] = own[..] {
            return Some(only);
        }
        let mut run = own.into_iter().filter(|source| source.is_run());
        run.next().filter(|_| run.next().is_none())
    }

    /// Starts a file, with the port that it listens on, if it does.
    fn run(&self, found: &mut Findings, source: &Source) {
        found.add(weight::ENTRY, self.folder, &source.path, "the program");
        let command = python(&source.module(self.folder), &source.path);
        found.plan.start = Some(command);
        // The server may be started in a file beside it.
        let beside = self.sources.iter().filter(|other| {
            let module = other.path.trim_end_matches(".py").rsplit('/').next();
            module.is_some_and(|module| source.imports_module(module))
        });
        let port = [source]
            .into_iter()
            .chain(beside)
            .find_map(|source| ports::of(&source.text).map(|port| (port, &source.path)));
        let Some((port, path)) = port else {
            // What it starts may be in its own modules, which are not all read.
            let asked = frameworks::asked(self.packages).any(|framework| framework.alone);
            found.port = (asked && source.imports_own(self.folder)).then_some(DEFAULT_PORT);
            return;
        };
        let says = match port {
            ports::Port::Fixed(port) => format!("listens on port {port}"),
            ports::Port::FromEnvironment => "listens on $PORT".to_owned(),
            ports::Port::Unknown => "listens".to_owned(),
        };
        found.add(weight::HINT, self.folder, path, says);
        found.port = Some(port.number());
    }

    /// A command that the project installs.
    fn script(&self, found: &mut Findings) -> bool {
        const NAMES: &[&str] = &[
            "serve", "server", "start", "web", "api", "app", "run", "main",
        ];
        let named = |script: &&String| {
            self.name == Some(script.as_str()) || NAMES.contains(&script.as_str())
        };
        let script = match self.scripts {
            [only] => only,
            several => match several.iter().find(named) {
                Some(script) => script,
                None => return false,
            },
        };
        let says = format!("installs the command `{script}`");
        found.add(weight::ENTRY, self.folder, "pyproject.toml", says);
        found.plan.start = Some(Command::program(script));
        let serves = frameworks::asked(self.packages).any(|framework| framework.alone);
        found.port = serves.then_some(DEFAULT_PORT);
        true
    }

    /// The only package with a `__main__`.
    fn package(&self, found: &mut Findings) -> bool {
        let is_main = |source: &&Source| source.path.ends_with("/__main__.py");
        let mut packages = self.sources.iter().filter(is_main);
        let (Some(source), None) = (packages.next(), packages.next()) else {
            return false;
        };
        found.add(
            weight::ENTRY,
            self.folder,
            &source.path,
            "a runnable package",
        );
        let module = source.module(self.folder);
        let package = module.name.trim_end_matches(".__main__");
        let command = Command::new("python -m").arg(package);
        found.plan.start = Some(serve::imports_from(command, &module.base));
        let serves = frameworks::asked(self.packages).any(|framework| framework.alone);
        found.port = serves.then_some(DEFAULT_PORT);
        match ports::of(&source.text) {
            Some(ports::Port::FromEnvironment) => {
                found.listens_on_variable(self.folder, &source.path);
            }
            Some(ports::Port::Fixed(port)) => found.listens_on(self.folder, &source.path, port),
            Some(ports::Port::Unknown) => found.port = Some(DEFAULT_PORT),
            None => {}
        }
        true
    }
}

/// By its path, or as a part of its package where its imports ask for that.
fn python(module: &super::source::Module, path: &str) -> Command {
    if !module.in_package {
        return Command::new("python").arg(quoted(path));
    }
    let command = Command::new("python -m").arg(&module.name);
    serve::imports_from(command, &module.base)
}

/// A command of a table, with a value in place of a mark.
fn filled(command: &str, mark: &str, value: &str) -> Command {
    let mut command = Command::new(command);
    for argument in &mut command.arguments {
        *argument = argument.replace(mark, value);
    }
    command
}

/// A path as a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./".contains(ch);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests;
