//! What the recipe asks about a project.

use super::manager::{Manager, Project};
use super::native::{self, COMPILED};
use super::sources;
use crate::generate::app::App;
use crate::generate::script::quote;
use crate::languages::nodejs::called;
use crate::languages::nodejs::command::{commands, of_plan, split};
use crate::languages::nodejs::config::Config;
use crate::languages::nodejs::package::Package;
use crate::languages::nodejs::stand_ins;
use crate::plan::Start;
use crate::repository::folder::Folder;

/// What of the build the running image takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ships {
    /// Sources, results of the build and dependencies.
    Everything,
    /// The folder `.output` of Nitro, which holds its dependencies.
    Output,
    /// The standalone server of Next.js.
    Standalone,
}

/// A project of Node.js, as the recipe looks at it.
pub(crate) struct Node<'a> {
    pub(crate) app: &'a App<'a>,
    /// The package at the root of the build.
    pub(crate) package: Package,
    /// The folder of the workspace's member that is started.
    pub(crate) member: Option<String>,
    /// The package that is started: the member's, or the root's.
    started: Package,
}

impl<'a> Node<'a> {
    pub(crate) fn read(app: &'a App<'a>) -> Self {
        let member = app
            .plan
            .start
            .as_ref()
            .and_then(|start| start.folder.clone());
        let read = |folder: &Folder<'_>| Package::read(folder).unwrap_or_default();
        Self {
            app,
            package: read(&app.folder),
            started: read(
                &member
                    .as_ref()
                    .map_or_else(|| app.folder.sub(""), |member| app.folder.sub(member)),
            ),
            member,
        }
    }

    /// Whether there is anything to install.
    pub(crate) fn installs(&self) -> bool {
        let kinds = ["dependencies", "devDependencies", "optionalDependencies"];
        kinds.iter().any(|kind| self.package.has_any(kind)) || self.is_workspace()
    }

    pub(crate) fn is_workspace(&self) -> bool {
        let pnpm = || self.app.folder.text("pnpm-workspace.yaml");
        !self.package.workspaces().is_empty()
            || self.app.folder.member().is_some()
            || !self.app.detection.apps.is_empty()
            // Without packages it holds settings only.
            || pnpm().is_some_and(|text| text.lines().any(|line| line.starts_with("packages:")))
    }

    /// The command without folder and manager: one process less, which would stand between signals and the app.
    pub(crate) fn command(&self) -> String {
        if self.ships() == Ships::Standalone {
            return "node server.js".to_owned();
        }
        let Some(start) = self.app.plan.start.as_ref().map(Start::in_place) else {
            return String::new();
        };
        match script(&start) {
            Some((name, arguments)) => {
                called::text(&self.started, self.app.manager(), name, &arguments)
            }
            None if start.environment.is_empty() && ["npx", "yarn"].contains(&start.name()) => {
                start.arguments()
            }
            None => start.start_text(),
        }
    }

    /// How the package manager is used.
    pub(crate) fn manager(&self) -> Manager {
        let install = self.app.detection.install.as_deref();
        Manager::of(&Project {
            folder: &self.app.folder,
            package: &self.package,
            manager: self.app.manager(),
            install: install.unwrap_or("npm install"),
            version: self.app.detection.version.as_deref(),
            workspace: self.is_workspace(),
        })
    }

    fn runs_by_bun(&self) -> bool {
        let command = self.command();
        self.app.manager() == "bun"
            || split(&command)
                .iter()
                .any(|command| command.program() == "bun")
            || command.starts_with("bunx ")
    }

    /// Whether a script needs bun where the image of the build is that of Node.js.
    pub(crate) fn needs_bun(&self) -> bool {
        let build = self.package.script("build").unwrap_or_default();
        let builds = commands(build, &self.package)
            .iter()
            .any(|command| command.program() == "bun");
        self.app.manager() != "bun" && builds
    }

    pub(crate) fn build_role(&self) -> &'static str {
        match self.app.manager() {
            "bun" => "bun.build",
            _ if self.native_reason().is_some() => "nodejs.build.native",
            _ => "nodejs.build",
        }
    }

    pub(crate) fn run_role(&self) -> &'static str {
        if self.runs_by_bun() {
            "bun.run"
        } else if self.uses_prisma_engine() {
            "nodejs.run.openssl"
        } else {
            "nodejs.run"
        }
    }

    /// Why the build needs compilers, Git or OpenSSL.
    pub(crate) fn native_reason(&self) -> Option<String> {
        if let Some(name) = self.first(COMPILED) {
            return Some(native::compiled(name));
        }
        if self.uses_prisma_engine() {
            return Some("Prisma chooses its engine by the installed OpenSSL".to_owned());
        }
        native::repository(&self.package)
    }

    fn first(&self, names: &[&'static str]) -> Option<&'static str> {
        self.package
            .first(names)
            .or_else(|| self.started.first(names))
    }

    fn prisma(&self) -> Option<&str> {
        ["prisma", "@prisma/client"].iter().find_map(|name| {
            self.started
                .asks_for(name)
                .or_else(|| self.package.asks_for(name))
        })
    }

    /// Prisma is TypeScript alone since its version 7.
    fn uses_prisma_engine(&self) -> bool {
        self.prisma().is_some_and(|version| {
            let version = crate::repository::version::number(version).unwrap_or_default();
            crate::repository::version::compare(&version, "7").is_lt() && !version.is_empty()
        })
    }

    /// Whether nothing else makes Prisma's client.
    pub(crate) fn generates_prisma(&self) -> bool {
        let scripts = ["build", "postinstall", "prepare", "prebuild"];
        let own = scripts.iter().any(|name| {
            let script = self.package.script(name).unwrap_or_default();
            script.contains("prisma generate")
                || commands(script, &self.package)
                    .iter()
                    .any(|command| command.program() == "prisma")
        });
        let schema =
            self.app
                .folder
                .first(&["prisma/schema.prisma", "schema.prisma", "prisma.config.ts"]);
        self.member.is_none()
            && self.prisma().is_some()
            && self.package.depends("prisma")
            && schema.is_some()
            && !own
    }

    /// Settings that the build can't do without, with values for it: `NAME=value`.
    pub(crate) fn stand_ins(&self) -> Vec<String> {
        let started = stand_ins::needed(&self.started_folder(), &self.started);
        let root = match self.member {
            Some(_) => stand_ins::needed(&self.app.folder, &self.package),
            None => Vec::new(),
        };
        let pairs = started
            .into_iter()
            .chain(root)
            .filter_map(|setting| Some(format!("{}={}", setting.name, quote(&setting.value?))));
        let mut pairs: Vec<String> = pairs.collect();
        pairs.sort();
        pairs.dedup();
        pairs
    }

    /// Whether installing generates Prisma's client.
    pub(crate) fn generates_while_installing(&self) -> bool {
        sources::has_hook(&self.package, |program| program == "prisma")
    }

    /// Whether installing runs scripts or reads files of the sources.
    pub(crate) fn needs_sources(&self) -> Option<&'static str> {
        if self.is_workspace() {
            return Some("installation needs the workspace members");
        }
        sources::needed(&self.app.folder, &self.package)
    }

    /// Whether something is built behind the sources.
    pub(crate) fn builds(&self) -> bool {
        self.app.detection.build.is_some() || self.generates_prisma()
    }

    /// Whether dependencies of developers are installed as well: scripts of the project may need them.
    pub(crate) fn keeps_all(&self) -> bool {
        self.builds()
            || sources::has_hook(&self.package, |_| true)
            // Members have scripts that run when dependencies are installed as well.
            || self.is_workspace()
            || self.starts_by_dev_dependency()
    }

    /// Whether what only developers need can be taken away again.
    pub(crate) fn may_prune(&self) -> bool {
        let typed = self.app.framework() == "next" && self.started_folder().has("next.config.ts");
        // Next.js reads its configuration at the start, and that in TypeScript by TypeScript.
        self.app.detection.output.is_none()
            && self.ships() == Ships::Everything
            && !typed
            && !self.starts_by_dev_dependency()
    }

    /// Whether the app is started by something that only developers' dependencies bring.
    fn starts_by_dev_dependency(&self) -> bool {
        let start = self.command();
        let words: Vec<&str> = start.split([' ', '/', '=', ':']).collect();
        let bin = |name: &str| match name {
            "@nestjs/cli" => "nest".to_owned(),
            "@redwoodjs/core" => "rw".to_owned(),
            "typescript" => "tsc".to_owned(),
            name => name.rsplit('/').next().unwrap_or(name).to_owned(),
        };
        [&self.package, &self.started].iter().any(|package| {
            let dev = package
                .json
                .get("devDependencies")
                .and_then(|dev| dev.as_object());
            dev.is_some_and(|dev| dev.keys().any(|name| words.contains(&bin(name).as_str())))
        })
    }

    /// What of the build runs.
    pub(crate) fn ships(&self) -> Ships {
        let start = self.app.plan.start.as_ref();
        let name = start.and_then(script);
        let mut commands = match name.and_then(|(name, _)| self.started.script(name)) {
            Some(script) => split(script),
            None => start.map(of_plan).unwrap_or_default(),
        };
        let single = commands.len() == 1;
        let command = commands.pop().unwrap_or_default();
        let alone = self.member.is_none() && single && self.app.plan.build.is_some();
        if alone && command.words == ["node", ".output/server/index.mjs"] {
            return Ships::Output;
        }
        let standalone = |word: &String| word.contains(".next/standalone/server.js");
        let own = command.program() == "next" || command.words.iter().any(standalone);
        if alone
            && own
            && self.app.framework() == "next"
            && self.next_config().is("output", "standalone")
        {
            return Ships::Standalone;
        }
        Ships::Everything
    }

    fn started_folder(&self) -> Folder<'a> {
        self.app
            .folder
            .sub(self.member.as_deref().unwrap_or_default())
    }

    fn next_config(&self) -> Config {
        Config::read(&self.started_folder(), "next.config")
    }

    /// The folder in which Next.js keeps its cache while it runs.
    pub(crate) fn next_folder(&self) -> Option<String> {
        if self.app.framework() != "next" || self.app.detection.output.is_some() {
            return None;
        }
        let built = self
            .next_config()
            .text("distDir")
            .unwrap_or_else(|| ".next".to_owned());
        Some(match (&self.member, self.ships()) {
            (Some(member), _) => format!("{member}/{built}"),
            (None, Ships::Standalone) => ".next/standalone/.next".to_owned(),
            (None, _) => built,
        })
    }

    /// Whether SvelteKit chooses its adapter by the variables of the build.
    pub(crate) fn adapts_to_node(&self) -> bool {
        self.app.framework() == "sveltekit"
            && Config::read(&self.started_folder(), "svelte.config")
                .contains("@sveltejs/adapter-auto")
    }

    /// Settings for servers that listen on the local address only unless they are told otherwise.
    pub(crate) fn listens_everywhere(&self) -> Vec<(&'static str, &'static str)> {
        match self.app.framework() {
            "next" => vec![("HOSTNAME", "0.0.0.0")],
            "nuxt" | "astro" | "adonis" | "strapi" => vec![("HOST", "0.0.0.0")],
            "fastify" if self.command().starts_with("fastify ") => {
                vec![("FASTIFY_ADDRESS", "0.0.0.0")]
            }
            _ => Vec::new(),
        }
    }
}

/// The script of the package that a command runs, and its arguments.
fn script(start: &Start) -> Option<(&str, String)> {
    let manager = ["npm", "pnpm", "yarn", "bun"].contains(&start.program.as_str());
    match start.arguments.as_slice() {
        [run, name, rest @ ..] if manager && run == "run" && start.environment.is_empty() => {
            Some((name, rest.join(" ")))
        }
        _ => None,
    }
}
