//! Gleam: a shipment for Erlang's virtual machine; or files for browsers.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program;
use crate::generate::script::Script;
use crate::languages::static_site::recipe as static_site;
use crate::plan::Start;

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
    let own = app.plan.start.as_ref();
    let own = own.filter(|start| start.name() == "entrypoint.sh" && !start.arguments.is_empty());
    let arguments = own.map_or("run".to_owned(), Start::arguments);
    script.command(
        &format!("/app/entrypoint.sh {arguments}"),
        "exec form; the script execs Erlang, which receives SIGTERM directly",
    );
    Ok(())
}
