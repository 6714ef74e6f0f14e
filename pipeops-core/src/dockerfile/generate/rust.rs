//! Rust: one program on an image with libc and nothing else.

use super::script::{Script, quote};
use super::{App, GenerateError};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let program = start.split(' ').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    script.stage(
        &app.image("rust.build"),
        Some("build"),
        "the compiler stays in a stage of its own",
    );
    script.line("WORKDIR /src", "the sources' folder");
    script.line(
        "COPY . .",
        "dependencies are cached by the mounts below, not by a layer",
    );
    let locked = if app.folder.has("Cargo.lock") {
        " --locked"
    } else {
        ""
    };
    script.run(
        &["/usr/local/cargo/registry", "/src/target"],
        &format!("cargo build --release{locked} --bin {0} \\\n && cp target/release/{0} /usr/local/bin/app", quote(name)),
        "the program is copied out in the same step: the mount with it is not part of the image",
    );
    script.stage(&app.image("rust.run"), None, "libc, certificates, no shell");
    app.environment(script, &[]);
    script.line("WORKDIR /app", "paths of the program start here");
    for data in [
        "assets",
        "config",
        "migrations",
        "public",
        "static",
        "templates",
    ] {
        if app.folder.has_dir(data) {
            script.line(
                &format!("COPY {data} ./{data}"),
                "files that programs read at run time",
            );
        }
    }
    script.line(
        "COPY --from=build /usr/local/bin/app /usr/local/bin/app",
        "the program",
    );
    let arguments = start.strip_prefix(program).unwrap_or_default().trim();
    app.run(script, &format!("/usr/local/bin/app {arguments}"));
    Ok(())
}
