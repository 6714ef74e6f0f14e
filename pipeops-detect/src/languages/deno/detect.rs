//! Deno.

use serde_json::Value;

use super::super::nodejs::command::split;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::port::{Port, port};
use crate::repository::relaxed::without_comments;
use crate::repository::version::managed;

const PROGRAMS: &[&str] = &[
    "main.ts",
    "server.ts",
    "mod.ts",
    "index.ts",
    "app.ts",
    "src/main.ts",
    "src/server.ts",
    "src/mod.ts",
    "src/index.ts",
    "src/app.ts",
    "main.tsx",
    "server.tsx",
    "main.js",
    "server.js",
    "dev.ts",
];

/// What only a program for Deno says.
const MARKS: &[&str] = &[
    "Deno.",
    "from \"https://",
    "from 'https://",
    "import \"https://",
    "from \"jsr:",
    "from 'jsr:",
    "from \"npm:",
    "from 'npm:",
    "env -S deno",
    "env deno",
];

/// Settings of a configuration that only tools of developers read.
const TOOLS: &[&str] = &[
    "$schema",
    "lint",
    "fmt",
    "test",
    "bench",
    "exclude",
    "include",
    "lock",
    "compilerOptions",
];

/// What names a framework in imports, and the framework.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("$fresh/", "fresh"),
    ("@fresh/core", "fresh"),
    ("lume/", "lume"),
    ("@oak/oak", "oak"),
    ("/x/oak@", "oak"),
    ("/x/oak/", "oak"),
    ("danet", "danet"),
    ("@hono/hono", "hono"),
    ("npm:hono", "hono"),
    ("/x/hono", "hono"),
    ("npm:express", "express"),
    ("npm:fastify", "fastify"),
    ("npm:koa", "koa"),
];

/// Looks for Deno's configuration, and for programs that only Deno runs.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Deno);
    let config = folder.first(&["deno.json", "deno.jsonc"]);
    let json = config
        .and_then(|file| folder.json(file))
        .unwrap_or_default();
    let is_tool = json
        .as_object()
        .is_some_and(|all| !all.is_empty() && all.keys().all(|key| TOOLS.contains(&key.as_str())));
    let program = program(folder);
    if let Some(file) = config {
        if is_tool && program.is_none() {
            found.add(weight::HINT, folder, file, "configures only Deno's tools");
            found.role = Role::Tools;
            return found;
        }
        found.add(weight::MANIFEST, folder, file, "a Deno project");
    }
    found.lockfile(folder, &["deno.lock"], "Deno");
    if let Some((file, text)) = &program {
        if MARKS.iter().any(|mark| text.contains(mark)) {
            found.add(weight::ENTRY, folder, file, "a Deno program");
        } else if config.is_some() {
            found.add(weight::LOCKFILE, folder, file, "the program");
        }
    }
    if !found.found() {
        return found;
    }
    let project = Project {
        folder,
        config,
        json,
        program,
    };
    project.describe(&mut found);
    found
}

/// The first program of a usual name that only Deno runs, or else the first one.
fn program(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    let texts = || {
        let files = PROGRAMS.iter().filter(|file| **file != "dev.ts");
        files.filter_map(|file| Some((*file, without_comments_but_first(&folder.text(file)?))))
    };
    let own = texts().find(|(_, text)| MARKS.iter().any(|mark| text.contains(mark)));
    own.or_else(|| texts().next())
}

/// The first line may say how the program is run: `#!/usr/bin/env -S deno run --allow-net`.
fn without_comments_but_first(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match first.starts_with("#!") {
        true => format!("{first}\n{}", without_comments(rest)),
        false => without_comments(text),
    }
}

struct Project<'a> {
    folder: &'a Folder<'a>,
    config: Option<&'static str>,
    json: Value,
    program: Option<(&'static str, String)>,
}

impl Project<'_> {
    fn describe(&self, found: &mut Findings) {
        found.package_manager = Some("deno".to_owned());
        let version = managed(self.folder, &["deno"]);
        let own = || {
            Some((
                ".dvmrc",
                crate::repository::version::number(&self.folder.text(".dvmrc")?)?,
            ))
        };
        found.version(self.folder, version.or_else(own));
        self.framework(found);
        self.members(found);
        self.start(found);
        self.port(found);
    }

    fn framework(&self, found: &mut Findings) {
        let text = self.program.as_ref().map_or("", |(_, text)| text.as_str());
        let map = self.json.get("importMap").and_then(Value::as_str);
        let map = map
            .map(|map| map.trim_start_matches("./"))
            .unwrap_or("import_map.json");
        let imports = format!(
            "{}{}",
            self.json.get("imports").cloned().unwrap_or_default(),
            self.folder.text(map).unwrap_or_default()
        );
        let known = FRAMEWORKS
            .iter()
            .find(|(mark, _)| text.contains(mark) || imports.contains(mark));
        let fresh = self.folder.has("fresh.gen.ts").then_some("fresh");
        let name = known.map(|(_, name)| *name).or(fresh);
        if let Some(name) = name {
            found.framework = Some(name.to_owned());
        }
        if self.task("build").is_some() {
            found.plan.build = Some(Command::new("deno task build").into());
        }
        if name == Some("lume") {
            found
                .plan
                .build
                .get_or_insert_with(|| Command::new("deno task lume").into());
        }
        if name == Some("lume") && self.server().is_none() {
            found.output = Some("_site".to_owned());
            found.role = Role::Frontend;
        }
    }

    /// The members of a workspace that run by themselves.
    fn members(&self, found: &mut Findings) {
        let workspace = self.json.get("workspace");
        let list =
            workspace.and_then(|all| all.as_array().or_else(|| all.get("members")?.as_array()));
        let paths = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .take(100);
        for path in paths {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            let folder = self.folder.sub(path);
            if folder.path() != self.folder.path() && detect(&folder).plan.start.is_some() {
                found.members.push(path.to_owned());
            }
        }
    }

    /// The command of a task: a text, or an object with one.
    fn task(&self, name: &str) -> Option<&str> {
        let task = self.json.get("tasks")?.get(name)?;
        task.as_str().or_else(|| task.get("command")?.as_str())
    }

    /// Tasks that start the app, the usual one first.
    fn starts(&self) -> impl Iterator<Item = &'static str> {
        let develops = |command: &str| {
            ["--watch", "dev.ts", "vite", "--hmr"]
                .iter()
                .any(|word| command.contains(word))
        };
        ["start", "serve", "prod", "production", "preview", "server"]
            .into_iter()
            .filter(move |name| self.task(name).is_some_and(|command| !develops(command)))
    }

    /// Whether a task runs a program of the project, and not only a tool.
    fn runs_file(&self, task: &str) -> bool {
        let all = split(self.task(task).unwrap_or_default());
        all.last().is_some_and(|last| {
            let mut words = last.words.iter().skip(1);
            last.program() == "deno"
                && words.any(|word| self.folder.has(word.trim_start_matches("./")))
        })
    }

    /// The server of a site: a task runs it, or its name and what it imports say that it is one.
    fn server(&self) -> Option<&'static str> {
        if let Some(task) = self.starts().find(|name| self.runs_file(name)) {
            return Some(task);
        }
        let (file, text) = self.program.as_ref()?;
        let serves = ["core/server", "Deno.serve(", "new Server("]
            .iter()
            .any(|mark| text.contains(mark));
        serves.then_some(*file)
    }

    fn start(&self, found: &mut Findings) {
        let config = self.config.unwrap_or("deno.json");
        if found.output.is_some() {
            return;
        }
        let site = found.framework.as_deref() == Some("lume");
        let own = |name: &&str| !site || self.runs_file(name);
        if let Some(name) = self.starts().find(own) {
            found.add(
                weight::ENTRY,
                self.folder,
                config,
                format!("has a task `{name}`"),
            );
            found.plan.start = Some(Command::new("deno task").arg(name));
        } else if found.framework.as_deref() == Some("fresh")
            && found.plan.build.is_some()
            && self.folder.has("vite.config.ts")
        {
            found.plan.start = Some(Command::new("deno serve -A _fresh/server.js"));
        } else if let Some((file, text)) = &self.program {
            let told = self.developers_command();
            let fresh = found.framework.as_deref() == Some("fresh");
            found.plan.start = Some(told.unwrap_or_else(|| run(file, text, fresh)));
        } else {
            found.role = if found.members.is_empty() {
                Role::Library
            } else {
                Role::Server
            };
        }
    }

    /// The command of a developer's task, without watching: it has the permissions that the program needs.
    fn developers_command(&self) -> Option<Command> {
        let (file, _) = self.program.as_ref()?;
        let task = ["start", "dev"].iter().find_map(|name| self.task(name))?;
        let commands = split(task);
        let [command] = commands.as_slice() else {
            return None;
        };
        if command.program() != "deno" || !command.has(file) {
            return None;
        }
        let mut words = command.words.iter().cloned();
        let mut command = Command::program(words.next()?);
        command.arguments = words.filter(|word| !word.starts_with("--watch")).collect();
        Some(command)
    }

    fn port(&self, found: &mut Findings) {
        found.port = found.output.is_some().then_some(DEFAULT_PORT);
        let Some(start) = &found.plan.start else {
            return;
        };
        let command = match task(start).and_then(|name| self.task(name)) {
            Some(task) => split(task).pop().unwrap_or_default(),
            None => start.into(),
        };
        let text = self.program.as_ref().map_or("", |(_, text)| text.as_str());
        let told = command
            .option(&["--port", "-p"])
            .and_then(|value| value.parse().ok());
        let fresh = found.framework.as_deref() == Some("fresh");
        let file = self.program.as_ref().map(|(file, _)| *file);
        let file = file.or(self.config).unwrap_or_default();
        found.port = match (told, port(text)) {
            (Some(told), _) => {
                return found.listens_on(self.folder, self.config.unwrap_or(file), told);
            }
            (None, Some(Port::FromEnvironment)) => {
                return found.listens_on_variable(self.folder, file);
            }
            (None, Some(Port::Fixed(port))) => return found.listens_on(self.folder, file, port),
            // Deno's own default: it reads no variable. Fresh reads PORT.
            _ if command.argument(0) == "serve" => Some(8000),
            _ if !fresh
                && ["Deno.serve(", "serve(", "export default {"]
                    .iter()
                    .any(|mark| text.contains(mark)) =>
            {
                Some(8000)
            }
            _ => Some(DEFAULT_PORT),
        };
    }
}

/// The task that a command runs.
pub(crate) fn task(start: &Command) -> Option<&str> {
    match start.arguments.as_slice() {
        [task, name] if start.program == "deno" && task == "task" => Some(name),
        _ => None,
    }
}

/// The command that runs a program: as its first line says, or with the permissions of a server.
fn run(file: &str, text: &str, all: bool) -> Command {
    let told = text.lines().next().filter(|line| line.starts_with("#!"));
    if let Some((_, flags)) = told.and_then(|line| line.split_once("deno run")) {
        return Command::new("deno run").args(flags).arg(file);
    }
    let flags = match all || text.contains("npm:") {
        true => "--allow-all",
        false => "--allow-net --allow-env --allow-read",
    };
    Command::new("deno run").args(flags).arg(file)
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const LUME: (&str, &str) = (
        "deno.json",
        r#"{"imports": {"lume/": "https://deno.land/x/lume@v3.0.0/"}, "tasks": {"lume": "deno run -A lume/cli.ts", "build": "deno task lume", "prod": "deno run --allow-read --allow-env --allow-net server.ts"}}"#,
    );
    const SERVE: (&str, &str) = ("main.ts", "Deno.serve(f)");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Only Deno's own programs count.
        (&[("main.ts", "Deno.serve(() => new Response())")], &["found true"]),
        (&[("main.ts", "import express from 'express'")], &["found false"]),
        (&[("main.ts", "// Deno.serve\nimport 'x'")], &["found false"]),
        (&[("deno.json", r#"{"lint": {}, "fmt": {}}"#)], &["role Tools"]),
        // The command is a task or the program.
        (&[("deno.json", r#"{"tasks": {"start": "x"}}"#)], &["start deno task start", "port 8080"]),
        (&[("deno.jsonc", "{\n// x\n\"tasks\": {\"start\": {\"command\": \"deno run main.ts\"},},}"), SERVE], &["start deno task start", "port 8000"]),
        (&[("deno.json", r#"{"tasks": {"dev": "deno run -A --watch main.ts"}}"#), SERVE], &["start deno run -A main.ts", "port 8000"]),
        (&[SERVE], &["start deno run --allow-net --allow-env --allow-read main.ts", "port 8000"]),
        (&[("main.ts", "#!/usr/bin/env -S deno run --allow-net\nDeno.serve({ port: 3000 }, f)")], &["start deno run --allow-net main.ts", "port 3000"]),
        (&[("main.ts", "Deno.serve({ port: Number(Deno.env.get(\"PORT\")) }, f)")], &["start deno run --allow-net --allow-env --allow-read main.ts", "port 8080"]),
        (&[("deno.json", r#"{"imports": {"lume/": "https://deno.land/x/lume/"}}"#)], &["start", "port 8080"]),
        // A site with a server of its own is served by that.
        (&[LUME, ("server.ts", "import Server from \"lume/core/server.ts\";\nnew Server({ root: \"_site\", port: Number(Deno.env.get(\"PORT\") ?? 8000) }).start()")], &["output", "start deno task prod", "build deno task build", "port 8080"]),
        (&[("deno.json", r#"{"imports": {"lume/": "https://deno.land/x/lume/"}}"#), ("server.ts", "import Server from 'lume/core/server.ts'; new Server({ port: 3000 })")], &["output", "start deno run --allow-net --allow-env --allow-read server.ts", "build deno task lume", "port 3000"]),
        (&[("deno.json", r#"{"imports": {"lume/": "https://deno.land/x/lume/"}, "tasks": {"lume": "deno run -A lume/cli.ts", "serve": "deno task lume -s"}}"#)], &["output _site", "start"]),
        (&[("deno.json", r#"{"imports": {"lume/": "https://deno.land/x/lume/"}, "tasks": {"start": "deno run -A ./api/main.ts"}}"#), ("api/main.ts", "Deno.serve(f)")], &["output", "start deno task start"]),
        // Frameworks and members.
        (&[("deno.json", r#"{"imports": {"$fresh/": "https://deno.land/x/fresh/"}, "tasks": {"start": "deno run -A --watch=static/ dev.ts"}}"#), ("main.ts", "import { start } from '$fresh/server.ts'")], &["framework fresh", "port 8080"]),
        (&[("deno.json", r#"{"workspace": ["./api", "./lib"]}"#), ("api/deno.json", "{}"), ("api/main.ts", "Deno.serve(f)"), ("lib/deno.json", r#"{"exports": "./x.ts"}"#)], &["members api"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
