//! Elixir: a release with its own Erlang, on a small Debian.

use super::detect::{Project, RELEASES, frontend, umbrella};
use crate::generate::app::App;
use crate::generate::app::UID;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::assets;
use crate::plan::Command;
use crate::repository::shell::{Line, is_name};

const HEX: &str = "/root/.hex";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let project = Project::read(&app.folder);
    if let Some((file, names)) = read_while_compiled(app) {
        return Err(GenerateError::BuildSettings {
            path: app.folder.path().to_owned(),
            file,
            names,
        });
    }
    let build_plan = app.plan.build.as_ref();
    let escript = build_plan.is_some_and(|build| build.has("escript.build"));
    let name = start
        .program
        .trim_start_matches("./")
        .trim_start_matches(RELEASES);
    let name = name.split('/').next().unwrap_or_default();
    // A Procfile may start it in another way: what is built is the release all the same.
    let release = project
        .as_ref()
        .and_then(|project| project.release.as_deref());
    let name = release.unwrap_or(name).to_owned();
    let name = name.as_str();
    build(app, script, project.as_ref(), name, escript);
    if escript {
        // It needs Erlang itself, and the image of Elixir has it.
        script.stage(
            &app.image("elixir.run"),
            None,
            "Erlang, which runs the script",
        );
        app.environment(script, &[]);
        script.line(
            &format!("COPY --from=build /src/{0} /usr/local/bin/{0}", quote(name)),
            "the program",
        );
        app.run(script, start.start_text().trim_start_matches("./"));
        return Ok(());
    }
    let why = "the release includes Erlang and needs the C libraries that it was compiled against, so the Debian version is the same";
    script.stage(&app.image("elixir.run"), None, why);
    certificates(script);
    let mut own = vec![("LANG", "C.UTF-8"), ("RELEASE_TMP", "/tmp")];
    if app.framework() == "phoenix" {
        own.push(("PHX_SERVER", "true"));
    }
    app.environment(script, &own);
    script.line("WORKDIR /app", "the app's directory");
    script.line(
        &format!(
            "COPY --from=build --chown={UID}:{UID} /src/_build/prod/rel/{} ./",
            quote(name)
        ),
        "only the release; only its owner can read its cookie",
    );
    let several = Line::parse(&start.start_text()).unwrap_or_default();
    if several.steps.len() > 1 && several.steps.iter().any(|step| step.name() == "mix") {
        return Err(GenerateError::StartCommand {
            path: app.folder.path().to_owned(),
            command: start.start_text(),
            why: format!(
                "the image has the release `{name}` and no `mix`: its own commands are `bin/{name} eval` and `start`"
            ),
        });
    }
    let own = format!("{RELEASES}{name}/");
    let mix = start.program == "mix" || start.has("phx.server");
    let text = start.start_text();
    let command = match text.contains(&own) {
        true => text
            .replace(&format!("./{own}"), "/app/")
            .replace(&own, "/app/"),
        // There is no Mix in the image: what a Procfile starts by it is what the release starts.
        false if mix => format!(
            "/app/bin/{} start",
            project
                .and_then(|project| project.release)
                .unwrap_or_default()
        ),
        false => text,
    };
    app.run(script, command.trim_end());
    Ok(())
}

/// The configuration that is compiled into the release, where it can't be read without variables, and their names.
fn read_while_compiled(app: &App<'_>) -> Option<(String, Vec<String>)> {
    const READS: &[&str] = &[
        "System.fetch_env!(\"",
        "System.get_env(), \"",
        "System.get_env() |> Map.fetch!(\"",
    ];
    for file in ["config/config.exs", "config/prod.exs"] {
        let text = app.folder.text(file).unwrap_or_default();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let mut names = Vec::new();
        let code: Vec<&str> = code.collect();
        for (index, line) in code.iter().enumerate() {
            let raises = || {
                let rest = &code[index..code.len().min(index + 3)];
                rest.iter().any(|line| line.contains("raise "))
            };
            let fetches = READS.iter().find_map(|read| line.split_once(read));
            let gets = || line.split_once("System.get_env(\"").filter(|_| raises());
            let name = fetches
                .or_else(gets)
                .and_then(|(_, rest)| rest.split('"').next());
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        names.dedup();
        if !names.is_empty() {
            return Some((file.to_owned(), names));
        }
    }
    None
}

/// The slim image has none, and Erlang reads the system's.
fn certificates(script: &mut Script) {
    script.line(
        "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/",
        "CA certificates for outgoing TLS connections",
    );
}

fn build(app: &App<'_>, script: &mut Script, project: Option<&Project>, name: &str, escript: bool) {
    let frontend = frontend(&app.folder);
    if let Some(frontend) = &frontend {
        assets::runtime(app, script, Some(frontend));
    }
    script.stage(
        &app.image("elixir.build"),
        Some("build"),
        "a separate stage keeps the compiler out of the image",
    );
    if let Some(frontend) = &frontend {
        assets::beside(script, frontend);
    }
    script.line("WORKDIR /src", "the source directory");
    script.environment(
        &[("MIX_ENV", "prod"), ("LANG", "C.UTF-8")],
        "builds for production",
    );
    let mix = app.folder.text("mix.exs").unwrap_or_default();
    if mix.contains("build_path: \"..") {
        script.environment(
            &[("MIX_BUILD_PATH", "/src/_build/prod")],
            "builds in the app's own folder, although the umbrella project has one for all",
        );
    }
    script.run(
        &[],
        "mix local.hex --force && mix local.rebar --force",
        "the package managers",
    );
    dependencies(app, script, project);
    if let Some(frontend) = &frontend {
        assets::install(frontend, script);
    }
    script.sources();
    if escript {
        script.run(&[], "mix escript.build", "builds a single file");
        return;
    }
    let plan = app.plan.build.as_ref();
    let written = plan.is_some_and(|build| build.steps.iter().any(Command::is_written));
    let steps: Vec<String> = match written {
        // Of a text that a user wrote, what it names.
        true if plan.is_some_and(|build| build.has("assets.deploy")) => {
            vec!["mix assets.deploy".to_owned()]
        }
        true => Vec::new(),
        false => {
            let all = plan.iter().flat_map(|build| &build.steps);
            all.filter(|step| !step.has("release"))
                .map(Command::shell)
                .collect()
        }
    };
    if !steps.is_empty() {
        // Templates of newer versions leave CSS and hooks in the compiled code: it goes first.
        script.run(
            &[],
            &format!("mix compile && {}", steps.join(" && ")),
            "builds browser assets with digests in their names",
        );
    }
    let last = plan.and_then(|build| build.last()?.arguments.last());
    let release = match last {
        Some(last) if last == "release" => "mix release".to_owned(),
        _ => format!("mix release {}", quote(name)),
    };
    script.run(
        &[],
        &release,
        "compiles the app and bundles Erlang; secrets are read at startup from config/runtime.exs",
    );
}

/// What is fetched and compiled before the sources are there.
fn dependencies(app: &App<'_>, script: &mut Script, project: Option<&Project>) {
    let files = app.present(&["mix.exs", "mix.lock"]);
    script.manifests(&files.join(" "), "./");
    for (dir, _) in project
        .map(|project| umbrella(&app.folder, project))
        .unwrap_or_default()
    {
        let dir = quote(&dir);
        script.line(
            &format!("COPY {dir}/mix.exs ./{dir}/"),
            "an app of the umbrella",
        );
    }
    script.fetch(&[HEX], "mix deps.get --only prod");
    let config = app.folder.sub("config");
    let files: Vec<String> = ["config.exs", "prod.exs"]
        .into_iter()
        .filter(|file| config.has(file))
        .map(|file| format!("config/{file}"))
        .collect();
    if !files.is_empty() {
        script.line(
            &format!("COPY {} ./config/", files.join(" ")),
            "the configuration that dependencies are compiled with",
        );
    }
    script.run(
        &[],
        "mix deps.compile",
        "compiles dependencies in a layer of their own",
    );
}
