//! .NET: the SDK builds, the runtime runs.

use super::script::{Script, quote};
use super::{App, GenerateError, static_site};

const CACHE: &str = "/root/.nuget/packages";

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let install = app.detection.install.as_deref().unwrap_or_default();
    let project = install.strip_prefix("dotnet restore ").unwrap_or(".");
    script.stage(
        &app.image("dotnet.build"),
        Some("build"),
        "the SDK stays in a stage of its own",
    );
    script.line("WORKDIR /src", "the sources' folder");
    script.line(
        "COPY . .",
        "projects refer to one another: all of them are needed",
    );
    script.run(
        &[CACHE],
        &format!(
            "dotnet publish {} --configuration Release --output /out",
            quote(project)
        ),
        "the cache mount keeps packages between builds, outside of the image",
    );
    if app.detection.output.is_some() {
        static_site::serve(app, script, "/out/wwwroot");
        return Ok(());
    }
    let start = app.start()?;
    script.stage(&app.image("dotnet.run"), None, "a runtime only");
    app.environment(script, &[("DOTNET_EnableDiagnostics", "0")]);
    if app.detection.port.is_some() {
        script.environment(
            &[("ASPNETCORE_HTTP_PORTS", "$PORT")],
            "the framework's own name for the port",
        );
    }
    script.line("WORKDIR /app", "the app's folder");
    script.line(
        "COPY --from=build /out ./",
        "what was published, and nothing else",
    );
    app.run(script, &start.replace("dotnet out/", "dotnet "));
    Ok(())
}
