//! A package that runs by itself: its framework, its command, its port, and what it is to its folder.

use super::frameworks::{self, Framework};
use super::ports::{self, Port};
use super::serves::Serves;
use super::site::Site;
use super::start::{self, Does, Script};
use super::{command, entry, kind, nx};
use crate::findings::{Findings, Role, weight};
use crate::plan;
use crate::repository::port::DEFAULT_PORT;

/// What is known about a package that runs by itself.
pub(crate) struct App<'a> {
    site: &'a Site<'a>,
    bun: bool,
    manager: String,
    script: Option<Script>,
    framework: Option<Framework>,
    /// Whether the framework answers requests by a program of the project.
    serves: bool,
}

impl<'a> App<'a> {
    pub(crate) fn read(site: &'a Site<'a>, manager: Option<&str>) -> Self {
        let script = start::script(site);
        let manager = manager.unwrap_or("npm").to_owned();
        let runs = script
            .as_ref()
            .is_some_and(|script| !matches!(script.does, Does::ServeFiles(_)));
        let program = || {
            entry::program(site, true).is_some_and(|program| {
                site.folder.has(&program.file) && !program.file.ends_with(".tsx")
            })
        };
        let pages = frameworks::pages(site);
        let files = frameworks::files(site);
        let server = frameworks::server(site);
        let framework = match (pages, server, files) {
            (Some(pages), ..) => Some(pages),
            (None, Some(server), Some(files))
                if !runs && !program() && !is_program(&files.serves) =>
            {
                // The server is only there for development, or for functions of another platform.
                drop(server);
                Some(files)
            }
            // Angular renders on a server that is an express app.
            (None, Some(_), Some(files))
                if files.name == "angular" && is_program(&files.serves) =>
            {
                Some(files)
            }
            (None, Some(server), _) => Some(server),
            (None, None, files) => files,
        };
        let serves = framework
            .as_ref()
            .is_some_and(|framework| is_program(&framework.serves));
        Self {
            site,
            bun: manager == "bun",
            manager,
            script,
            framework,
            serves,
        }
    }

    pub(crate) fn describe(&self, found: &mut Findings) {
        self.name(found);
        build(found, self.site, self.framework.as_ref());
        self.start(found);
        self.role(found);
        if found.role < Role::Frontend {
            // Nothing of it is deployed.
            found.port = None;
        }
    }

    /// Framework and the files that it builds.
    fn name(&self, found: &mut Findings) {
        let (folder, file) = (self.site.folder, self.site.package.file);
        if let Some(framework) = &self.framework {
            let is_builder = frameworks::pages(self.site).is_none() && !self.serves;
            let weight = if is_builder {
                weight::ENTRY
            } else {
                weight::FRAMEWORK
            };
            found.add(
                weight,
                folder,
                file,
                format!("depends on {}", framework.dependency),
            );
            if let Some((file, says)) = framework
                .because
                .as_ref()
                .filter(|(file, says)| !file.is_empty() && !says.is_empty())
            {
                found.add(weight::NONE, folder, file, says.clone());
            }
            if let Serves::Nothing(why) = &framework.serves {
                let because = framework.because.as_ref().map(|(file, _)| file.as_str());
                let file = because.filter(|file| !file.is_empty()).unwrap_or(file);
                found.stops(weight::NONE, folder, file, why.clone());
            }
            found.framework = Some(framework.name.to_owned());
            if let Serves::Files(output) = &framework.serves
                && !self.runs_program()
            {
                found.output = Some(output.clone());
            }
        } else if self.site.package.json.get("meteor").is_some() {
            let says = "a Meteor app, which only Meteor's own tool builds and starts";
            found.stops(weight::FRAMEWORK, folder, file, says);
            found.framework = Some("meteor".to_owned());
        } else if let Some((dependency, name)) = frameworks::bot(self.site.package) {
            found.add(
                weight::FRAMEWORK,
                folder,
                file,
                format!("depends on {dependency}"),
            );
            found.framework = Some(name.to_owned());
        }
    }

    /// Whether a script runs a program, instead of serving files.
    fn runs_program(&self) -> bool {
        // A framework's own server has nothing to serve where only files are built.
        let own = ["next", "nuxt", "nuxi", "react-router-serve", "remix-serve"];
        let files = matches!(
            self.framework,
            Some(Framework {
                serves: Serves::Files(_),
                ..
            })
        );
        self.script.as_ref().is_some_and(|script| {
            let idle = files && own.contains(&script.runs.program());
            !idle && !matches!(script.does, Does::ServeFiles(_))
        })
    }

    fn start(&self, found: &mut Findings) {
        let site = self.site;
        if let Some(script) = self
            .script
            .as_ref()
            .filter(|script| self.runs_program() || matches!(script.does, Does::ServeFiles(_)))
        {
            found.add(
                weight::ENTRY,
                site.folder,
                site.package.file,
                format!("has a script `{}`", script.name),
            );
            let run = plan::Command::new(&self.manager)
                .arg("run")
                .target(&script.name);
            match &script.does {
                Does::Run => {
                    let nx = nx::served(site, &script.runs);
                    if nx.is_some() {
                        let says = "`nx serve` is for development: what its build makes is run";
                        found.add(weight::NONE, site.folder, "project.json", says);
                    }
                    let built = nx.or_else(|| self.moved_by_build());
                    found.plan.start = Some(built.unwrap_or(run));
                }
                Does::BuildAndRun(build, command) => {
                    let says = format!(
                        "`{}` builds first, which the image build has already done",
                        script.name
                    );
                    found.add(weight::NONE, site.folder, site.package.file, says);
                    found.plan.start = Some(plan::Command::written(command));
                    if !build.is_empty() {
                        found.plan.build = Some(plan::Command::written(build).into());
                    }
                }
                Does::Watch(file) => self.start_watched(found, file, run),
                Does::ServeFiles(folder) => {
                    let output = folder.clone().filter(|folder| folder != ".");
                    found.output = output.or_else(|| found.output.take());
                    found.plan.start = (found.output.is_none() || self.serves).then_some(run);
                }
            }
            self.port(found, Some(&script.runs));
        } else if let Some(Framework {
            serves: Serves::Program(Some(start)),
            ..
        }) = &self.framework
        {
            found.plan.start = Some(start.clone());
            self.port(found, Some(&command::ScriptCommand::from(start)));
        } else if found.output.is_some() {
            found.port = Some(DEFAULT_PORT);
        } else if !matches!(
            self.framework,
            Some(Framework {
                serves: Serves::Nothing(_),
                ..
            })
        ) {
            self.start_program(found);
        }
    }

    /// Adonis builds into a folder that has scripts of its own: `start` is meant to be run there.
    fn moved_by_build(&self) -> Option<plan::Command> {
        let script = self.script.as_ref()?;
        let file = script
            .runs
            .words
            .iter()
            .find(|word| word.ends_with(".js"))?;
        let source = format!("{}.ts", file.trim_end_matches(".js"));
        let adonis = self.site.package.depends("@adonisjs/core");
        let moved = adonis && !self.site.folder.has(file) && self.site.folder.has(&source);
        moved.then(|| plan::Command::new("node").arg(format!("build/{file}")))
    }

    /// The file that a developer's script watches, run without watching.
    fn start_watched(&self, found: &mut Findings, file: &str, run: plan::Command) {
        let site = self.site;
        let built = entry::built(site).filter(|_| found.plan.build.is_some());
        let file = built
            .clone()
            .or_else(|| entry::resolve(site, file).filter(|_| !file.is_empty()));
        let file = file.or_else(|| entry::program(site, self.bun).map(|program| program.file));
        let command = file
            .as_deref()
            .and_then(|file| entry::run(site, file, self.bun));
        if command.is_some() {
            let says = "the script is for development: it watches sources";
            found.add(weight::NONE, site.folder, site.package.file, says);
        }
        found.plan.start = command.or(Some(run));
    }

    /// The program, where no script says how it is started.
    fn start_program(&self, found: &mut Findings) {
        let site = self.site;
        let told = command::commands(
            site.package.script("start").unwrap_or_default(),
            site.package,
        );
        if let Some(command) = told.last().filter(|command| kind::runs_elsewhere(command)) {
            let says = format!("`start` runs {}, which isn't a server", command.program());
            found.stops(weight::NONE, site.folder, site.package.file, says);
            return;
        }
        let program = entry::program(site, self.bun);
        // A library has a main file as well.
        let server = self.framework.is_some() || found.framework.is_some();
        let exported = ["exports", "types", "typings", "publishConfig"];
        let library = !server
            && exported
                .iter()
                .any(|key| site.package.json.get(key).is_some());
        if let Some(program) = program.filter(|_| !library) {
            let evidence = if site.folder.has(&program.file) {
                program.file.as_str()
            } else {
                site.package.file
            };
            let usual = program.says == "the main file"
                || site.package.has_dependencies()
                || server
                || entry::PROGRAMS.contains(&program.file.as_str())
                || self.bun;
            let weight = if usual { weight::ENTRY } else { weight::NONE };
            found.add(weight, site.folder, evidence, program.says);
            found.plan.start = usual.then_some(program.command);
            if usual {
                self.port(found, None);
            }
            return;
        }
        let developed = start::developed(site).filter(|_| !library);
        if let Some((file, command)) =
            developed.and_then(|file| Some((file.clone(), entry::run(site, &file, self.bun)?)))
        {
            found.add(
                weight::ENTRY,
                site.folder,
                &file,
                "the program that the development script runs",
            );
            found.plan.start = Some(command);
            self.port(found, None);
        }
    }

    fn port(&self, found: &mut Findings, command: Option<&command::ScriptCommand>) {
        let site = self.site;
        let told = command.and_then(ports::of_command);
        let own_server = matches!(
            found.framework.as_deref(),
            Some("next" | "nuxt" | "remix" | "react-router" | "sveltekit" | "astro")
        );
        let entry = command.and_then(|command| {
            command
                .words
                .iter()
                .skip(1)
                .rev()
                .find(|word| entry::resolve(site, word).is_some())
                .cloned()
        });
        let port = told.unwrap_or_else(|| {
            match found.output.is_some() || (own_server && entry.is_none()) {
                true => Port::Unknown,
                false => ports::of_sources(site, entry.as_deref()),
            }
        });
        // Where files are served, by a server of ours.
        found.port = match port {
            _ if found.output.is_some() => Some(DEFAULT_PORT),
            Port::Fixed(port, file) => {
                found.listens_on(site.folder, &file, port);
                Some(port)
            }
            Port::FromEnvironment(file) => {
                found.listens_on_variable(site.folder, &file);
                Some(DEFAULT_PORT)
            }
            Port::Silent
                if self.framework.is_none() || found.framework.as_deref() == Some("socket.io") =>
            {
                let file = site.package.file;
                found.add(
                    weight::NONE,
                    site.folder,
                    file,
                    "none of its sources listens on a port",
                );
                None
            }
            // Its server reads no variable.
            Port::Silent | Port::Unknown if found.framework.as_deref() == Some("redwood") => {
                Some(8910)
            }
            Port::Silent | Port::Unknown => Some(DEFAULT_PORT),
        };
    }

    fn role(&self, found: &mut Findings) {
        let package = self.site.package;
        found.role = if found.plan.start.is_some() {
            Role::Server
        } else if found.output.is_some() {
            Role::Frontend
        } else if self.framework.is_some() || found.framework.is_some() {
            if matches!(
                self.framework,
                Some(Framework {
                    serves: Serves::Files(_) | Serves::Nothing(_),
                    ..
                })
            ) {
                Role::Frontend
            } else {
                Role::Server
            }
        } else if !found.members.is_empty() {
            Role::Server
        } else if package.has_dependencies() {
            Role::Library
        } else {
            found.add(
                weight::NONE,
                self.site.folder,
                package.file,
                "only development tools, nothing to run",
            );
            Role::Tools
        };
    }
}

fn is_program(serves: &Serves) -> bool {
    matches!(serves, Serves::Program(_))
}

/// The command that builds: a script, or the framework's own.
pub(crate) fn build(found: &mut Findings, site: &Site<'_>, framework: Option<&Framework>) {
    let manager = found.package_manager.clone().unwrap_or_default();
    if let Some(name) = site.build_script() {
        found.add(
            weight::HINT,
            site.folder,
            site.package.file,
            format!("has a script `{name}`"),
        );
        found.plan.build = Some(plan::Command::new(&manager).arg("run").target(name).into());
    } else if let Some(build) = framework.and_then(|framework| framework.build) {
        found.plan.build = Some(plan::Command::new("npx").args(build).into());
    }
}
