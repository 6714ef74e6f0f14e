//! The script that starts the app.

use super::command::{ScriptCommand, commands};
use super::entry;
use super::kind::{Kind, kind};
use super::site::Site;

/// Scripts that start what was built, the usual one first.
const STARTS: &[&str] = &[
    "start",
    "start:prod",
    "start:production",
    "prod",
    "production",
    "serve:prod",
    "start:server",
    "server:start",
    "start:node",
    "start:dist",
    "server",
    "serve",
    "bot",
    "worker",
];

/// A script, and what it comes down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) name: String,
    /// The command that goes on running.
    pub(crate) runs: ScriptCommand,
    pub(crate) does: Does,
}

/// What a script that is called like one that starts does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Does {
    /// Runs the app.
    Run,
    /// Builds the app by these commands, and then runs it by this one.
    BuildAndRun(String, String),
    /// Runs this file, and starts it again when sources change.
    Watch(String),
    /// Serves a folder of built files.
    ServeFiles(Option<String>),
}

/// The script that starts the app: one that runs it goes before one that serves its files or watches its sources.
pub(crate) fn script(site: &Site<'_>) -> Option<Script> {
    // `nest start` compiles first; what runs the result is called so by its generator.
    let nest = site.package.depends("@nestjs/core");
    let first: &[&str] = if nest { &["start:prod"] } else { &[] };
    let serve = site
        .package
        .scripts()
        .filter(|name| name.starts_with("serve:ssr"));
    let names: Vec<&str> = first.iter().chain(STARTS).copied().chain(serve).collect();
    let found: Vec<Script> = names.iter().filter_map(|name| detect(site, name)).collect();
    let runs = |script: &&Script| matches!(script.does, Does::Run | Does::BuildAndRun(..));
    let chosen = found.iter().find(runs).or_else(|| found.first());
    chosen.cloned()
}

fn detect(site: &Site<'_>, name: &str) -> Option<Script> {
    let all = commands(site.package.script(name)?, site.package);
    let runs = all.last()?.clone();
    let generic = matches!(name, "server" | "serve" | "bot" | "worker");
    let does = match kind(&runs) {
        Kind::Run => {
            before(site, name, &all).map_or(Does::Run, |(build, run)| Does::BuildAndRun(build, run))
        }
        Kind::Watch(file) if !generic => Does::Watch(file),
        Kind::ServeFiles(folder) => Does::ServeFiles(folder),
        _ => return None,
    };
    Some(Script {
        name: name.to_owned(),
        runs,
        does,
    })
}

/// What is built before the app runs, in the script itself or in the one that is run before it, and what runs then.
///
/// The image is built once and is read-only then: building belongs into it. Migrations belong to the start.
fn before(site: &Site<'_>, name: &str, all: &[ScriptCommand]) -> Option<(String, String)> {
    let script = site
        .package
        .script(&format!("pre{name}"))
        .unwrap_or_default();
    let earlier = commands(script, site.package);
    let (last, own) = all.split_last()?;
    let trivial = |step: &&ScriptCommand| step.program() != "echo";
    let steps: Vec<&ScriptCommand> = earlier.iter().chain(own).filter(trivial).collect();
    if steps.is_empty()
        || !steps
            .iter()
            .all(|step| kind(step) == Kind::Build && !migrates(step))
    {
        return None;
    }
    let build = if site.build_script().is_some() {
        String::new()
    } else {
        let steps: Vec<String> = steps.iter().map(|step| local(step)).collect();
        steps.join(" && ")
    };
    Some((build, last.text.clone()))
}

fn migrates(step: &ScriptCommand) -> bool {
    step.words.iter().any(|word| {
        ["migrat", "push", "seed", "sync"]
            .iter()
            .any(|part| word.contains(part))
    })
}

/// A command outside of a script: programs of packages are not in the PATH there.
fn local(step: &ScriptCommand) -> String {
    let is_system = ["echo", "cp", "mkdir", "rm", "mv", "node", "npx"].contains(&step.program());
    if is_system || step.text.starts_with("npx ") || step.text.contains('=') {
        step.text.clone()
    } else {
        format!("npx {}", step.text)
    }
}

/// The file that a developer's script runs, where nothing else says which.
pub(crate) fn developed(site: &Site<'_>) -> Option<String> {
    ["start", "dev", "start:dev", "develop", "serve", "watch"]
        .iter()
        .find_map(|name| entry::watched(site, site.package.script(name)?))
}
