//! The Deno recipe: one image with cached dependencies.

use super::detect::task;
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::nodejs::command::{ScriptCommand, split};
use crate::languages::static_site::recipe as static_site;
use crate::plan::Start;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if let Some(output) = &app.detection.output {
        script.stage(&app.image("deno.build"), Some("build"), "Deno, on Debian");
        sources(script);
        build(app, script);
        static_site::serve(app, script, &format!("/app/{output}"));
        return Ok(());
    }
    let start = app.start()?;
    let command = command(app, start);
    script.stage(&app.image("deno.build"), None, "Deno, on Debian");
    app.environment(script, &[("DENO_DIR", "/deno-dir")]);
    sources(script);
    if app.folder.has("package.json") {
        let why = "fetches dependencies at build time instead of at each start";
        script.run(downloads(app), "deno install", why);
    }
    build(app, script);
    if let Some(file) = command.words().find(|word| app.folder.has(word)) {
        script.run(
            downloads(app),
            &format!("deno cache {}", quote(file)),
            "fetches dependencies at build time instead of at each start; also writes deno.lock, which is read-only at run time",
        );
    }
    app.run(script, &command.start_text());
    Ok(())
}

fn sources(script: &mut Script) {
    script.line("WORKDIR /app", "the app's directory");
    script.line(
        "COPY . .",
        "all sources, because they import their dependencies directly",
    );
}

/// What is downloaded stays in the image: a mount is only there for the secrets of private registries.
fn downloads(app: &App<'_>) -> &'static [&'static str] {
    match app.folder.has(".npmrc") {
        true => &["/root/.npm"],
        false => &[],
    }
}

fn build(app: &App<'_>, script: &mut Script) {
    if let Some(build) = &app.detection.build {
        script.run(downloads(app), build, "runs the project's build");
    }
}

/// The command of a task instead of `deno task`: one process less, which would stand between signals and the app.
fn command(app: &App<'_>, start: &Start) -> Start {
    let files = ["deno.json", "deno.jsonc"];
    let json = app
        .folder
        .first(&files)
        .and_then(|file| app.folder.json(file));
    let text = task(start).and_then(|name| {
        let task = json.as_ref()?.get("tasks")?.get(name)?;
        let text = task.as_str().or_else(|| task.get("command")?.as_str())?;
        // Other tasks that it depends on are run by `deno task` only.
        task.get("dependencies").is_none().then(|| text.to_owned())
    });
    let alone = |task: &String| matches!(split(task).as_slice(), [ScriptCommand { words, .. }] if words.first().is_some_and(|word| word == "deno") && words.get(1).is_some_and(|word| word != "task"));
    text.filter(alone)
        .map_or_else(|| start.clone(), Start::written)
}
