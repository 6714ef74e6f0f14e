//! Projects of Nx that share the root's package.

use serde_json::Value;

use super::command::ScriptCommand;
use super::config::inside;
use super::member::Member;
use super::site::Site;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// A project that is an app.
pub(crate) fn member(
    site: &Site<'_>,
    folder: &Folder<'_>,
    path: String,
    base: String,
) -> Option<Member> {
    let json = folder.json("project.json")?;
    if json
        .get("projectType")
        .is_some_and(|kind| kind != "application")
    {
        return None;
    }
    let build = json.pointer("/targets/build")?;
    let name = json
        .get("name")
        .and_then(Value::as_str)
        .map_or(base, str::to_owned);
    let executor = build
        .get("executor")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let output = output(build, &path);
    let mut found = Findings::none(Language::Nodejs);
    found.add(
        weight::ENTRY,
        folder,
        "project.json",
        format!("builds with {executor}"),
    );
    found.plan.build = Some(Command::new("npx nx build").arg(&name).into());
    found.port = Some(DEFAULT_PORT);
    describe(&mut found, site, (build, executor), (&path, output));
    Some(Member { path, name, found })
}

/// What `nx serve` serves in the end, where the project is the root itself: the program that the build makes, and the file
/// that says so.
pub(crate) fn served(site: &Site<'_>, command: &ScriptCommand) -> Option<Command> {
    let mut operands = command.operands();
    let verb = operands.next()?;
    if command.program() != "nx" || !matches!(verb, "serve" | "s" | "run" | "start") {
        return None;
    }
    let json = site.folder.json("project.json")?;
    let own = json.get("name").and_then(Value::as_str);
    let asked = operands
        .next()
        .map(|word| word.split(':').next().unwrap_or(word));
    if asked.is_some() && asked != own {
        return None;
    }
    let target = json.pointer("/targets/serve/options/buildTarget");
    let target = target.and_then(|target| target.as_str()?.split(':').nth(1));
    let build = json.get("targets")?.get(target.unwrap_or("build"))?;
    let executor = build
        .get("executor")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if is_page(executor) || executor.contains("next") {
        return None;
    }
    let file = format!("{}/{}", output(build, ""), program(build, executor, ""));
    Some(Command::new("node").arg(inside("", &file)?))
}

/// The folder that a target builds into, from the root.
fn output(build: &Value, path: &str) -> String {
    let told = build.pointer("/options/outputPath").and_then(Value::as_str);
    let output = match told {
        Some(told) => told
            .replace("{workspaceRoot}/", "")
            .replace("{projectRoot}", path),
        None => format!("dist/{path}"),
    };
    output.trim_end_matches('/').to_owned()
}

/// The program below that folder: as the target names it, or after its source.
fn program(build: &Value, executor: &str, path: &str) -> String {
    let text = |key: &str| {
        build
            .pointer(&format!("/options/{key}"))
            .and_then(Value::as_str)
    };
    if let Some(name) = text("outputFileName") {
        return name.to_owned();
    }
    let source = text("main").unwrap_or("main.ts").trim_start_matches("./");
    let stem = source.rsplit_once('.').map_or(source, |(stem, _)| stem);
    if [":tsc", ":swc"].iter().any(|end| executor.ends_with(end)) {
        // They keep the folders of the sources.
        let below = stem.strip_prefix(path).unwrap_or(stem);
        return format!("{}.js", below.trim_start_matches('/'));
    }
    match executor.contains("esbuild") {
        true => format!("{}.js", stem.rsplit('/').next().unwrap_or(stem)),
        false => "main.js".to_owned(),
    }
}

fn is_page(executor: &str) -> bool {
    ["vite", "angular", "web:", "web-", "rspack", "astro"]
        .iter()
        .any(|word| executor.contains(word))
}

fn describe(
    found: &mut Findings,
    site: &Site<'_>,
    (build, executor): (&Value, &str),
    (path, output): (&str, String),
) {
    if executor.contains("next") {
        found.framework = Some("next".to_owned());
        found.plan.start = Some(Command::new("npx next start").arg(output));
    } else if is_page(executor) {
        let angular = executor.contains("angular");
        let name = if angular {
            "angular"
        } else if executor.contains("vite") {
            "vite"
        } else {
            "webpack"
        };
        found.framework = Some(name.to_owned());
        found.role = Role::Frontend;
        let browser = executor.ends_with(":application");
        found.output = Some(if browser {
            format!("{output}/browser")
        } else {
            output
        });
    } else {
        let server = super::frameworks::server(site);
        found.framework = server.map(|server| server.name.to_owned());
        let program = program(build, executor, path);
        found.plan.start = Some(Command::new("node").arg(format!("{output}/{program}")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::{Layout, check};

    const ROOT: (&str, &str) = (
        "package.json",
        r#"{"scripts": {"build": "nx build", "start": "nx serve"}, "dependencies": {"express": "4"}, "devDependencies": {"nx": "17"}}"#,
    );
    const NX: (&str, &str) = ("nx.json", "{}");
    const SOURCE: (&str, &str) = ("src/main.ts", "express().listen(process.env.PORT)");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[ROOT, NX, SOURCE, ("project.json", r#"{"name": "api", "targets": {"build": {"executor": "@nx/esbuild:esbuild", "options": {"outputPath": "dist/api", "main": "src/main.ts"}}, "serve": {"executor": "@nx/js:node", "options": {"buildTarget": "api:build"}}}}"#)], &["start node dist/api/main.js", "build npm run build", "framework express"]),
        (&[ROOT, NX, SOURCE, ("project.json", r#"{"name": "api", "targets": {"compile": {"executor": "@nx/js:tsc", "options": {"outputPath": "{workspaceRoot}/out/", "main": "src/main.ts"}}, "serve": {"options": {"buildTarget": "api:compile:production"}}}}"#)], &["start node out/src/main.js"]),
        (&[ROOT, NX, SOURCE, ("project.json", r#"{"targets": {"build": {"executor": "@nx/webpack:webpack", "options": {"outputPath": "dist", "main": "src/server.ts"}}}}"#)], &["start node dist/main.js"]),
        (&[ROOT, NX, SOURCE, ("project.json", r#"{"targets": {"build": {"executor": "@nx/esbuild:esbuild", "options": {"outputPath": "dist", "main": "src/server.ts", "outputFileName": "app.cjs"}}}}"#)], &["start node dist/app.cjs"]),
        (&[("package.json", r#"{"scripts": {"start": "nx serve api"}, "devDependencies": {"nx": "17"}}"#), NX, ("apps/api/project.json", r#"{"name": "api", "targets": {"build": {"executor": "@nx/esbuild:esbuild", "options": {"outputPath": "dist/apps/api", "main": "apps/api/src/server.ts"}}}}"#)], &["start node dist/apps/api/server.js"]),
    ];

    #[test]
    fn what_nx_serves_is_started_as_it_is_built() {
        check(detect, LAYOUTS);
    }
}
