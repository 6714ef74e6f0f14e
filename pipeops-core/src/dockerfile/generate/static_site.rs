//! Files, served by a web server that needs no root.

use super::script::{Script, quote};
use super::{App, GenerateError};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let Some(output) = &app.detection.output else {
        app.start()?;
        return Ok(());
    };
    if let Some(build) = &app.detection.build {
        script.stage(
            &app.image("static.build.hugo"),
            Some("build"),
            "the generator in a stage of its own",
        );
        script.line("WORKDIR /app", "the site's folder");
        script.line("COPY . .", "the documents");
        script.run(&[], build, "builds the documents into files");
        serve(app, script, &format!("/app/{output}"));
        return Ok(());
    }
    script.stage(
        &app.image("static.run"),
        None,
        "a web server that runs without root",
    );
    server(app, script);
    script.line(
        &format!("COPY {} /usr/share/nginx/html", quote(output)),
        "the files to serve",
    );
    finish(app, script);
    Ok(())
}

/// The last stage of everything that is built into files: serves `output` of the stage `build`.
pub(super) fn serve(app: &App<'_>, script: &mut Script, output: &str) {
    script.stage(
        &app.image("static.run"),
        None,
        "only the files that were built, and a web server without root",
    );
    server(app, script);
    script.line(
        &format!("COPY --from=build {} /usr/share/nginx/html", quote(output)),
        "the files to serve",
    );
    finish(app, script);
}

fn server(app: &App<'_>, script: &mut Script) {
    let port = app.detection.port.unwrap_or(8080);
    script.line(
        "USER 0",
        "only to write the configuration, which the server cannot change then",
    );
    // By `printf`, not by a heredoc: not every linter reads heredocs of COPY.
    let config = [
        "server {".to_owned(),
        format!("    listen {port};"),
        "    root /usr/share/nginx/html;".to_owned(),
        "    location / { try_files \\$uri \\$uri/ /index.html; }".to_owned(),
        "}".to_owned(),
    ];
    let lines = config.map(|line| format!("\"{line}\"")).join(" \\\n    ");
    script.run(
        &[],
        &format!("printf '%s\\n' \\\n    {lines} \\\n    > /etc/nginx/conf.d/default.conf"),
        "paths that are no files are the app's own: it gets its page",
    );
}

fn finish(app: &App<'_>, script: &mut Script) {
    app.environment(script, &[]);
    // Not the image's own entry point: it changes its configuration, which is not writable here.
    app.user_and_port(script);
    script.line(
        "ENTRYPOINT []",
        "the configuration is complete: the image's scripts have nothing to add",
    );
    script.exec(
        &["nginx", "-g", "daemon off;"],
        "exec form: the server gets SIGTERM itself",
    );
}
