//! Gleam: a shipment for Erlang's virtual machine; or files for browsers.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program;
use crate::generate::script::Script;
use crate::languages::static_site::recipe as static_site;

const PACKAGES: &str = "/root/.cache/gleam";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let pages = app.detection.output.as_deref();
    if pages.is_none() {
        app.start()?;
    }
    program::compiler(app, script, "gleam.build");
    program::manifests(app, script, &["gleam.toml", "manifest.toml"]);
    script.fetch(&[PACKAGES], "gleam deps download");
    script.sources();
    if let Some(output) = pages {
        let build = app.detection.build.as_deref().unwrap_or_default();
        script.run(&[PACKAGES], build, "builds the browser assets");
        static_site::serve(app, script, &format!("/src/{output}"));
        return Ok(());
    }
    script.run(
        &[PACKAGES],
        "gleam export erlang-shipment",
        "collects everything that Erlang needs in one folder",
    );
    script.stage(
        &app.image("gleam.run"),
        None,
        "the Erlang version that it was compiled for",
    );
    app.environment(script, &[("ERL_CRASH_DUMP", "/tmp/erl_crash.dump")]);
    script.line("WORKDIR /app", "the program's relative paths start here");
    script.line(
        "COPY --from=build /src/build/erlang-shipment ./",
        "the program and its packages",
    );
    app.user_and_port(script);
    let start = app.start()?;
    let arguments = match (start.name() == "entrypoint.sh", start.is_written()) {
        (true, _) if !start.arguments.is_empty() => start.arguments(),
        (false, true) => {
            return Err(GenerateError::StartCommand {
                path: app.folder.path().to_owned(),
                command: start.start_text(),
                why: "the image has the shipment of the app, which `entrypoint.sh run` starts"
                    .to_owned(),
            });
        }
        _ => "run".to_owned(),
    };
    script.command(
        &format!("/app/entrypoint.sh {arguments}"),
        "exec form; the script execs Erlang, which receives SIGTERM directly",
    );
    Ok(())
}
