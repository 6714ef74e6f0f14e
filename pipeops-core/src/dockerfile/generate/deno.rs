//! Deno: one image, dependencies cached in it.

use super::script::{Script, quote};
use super::{App, GenerateError};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    script.stage(&app.image("deno.build"), None, "Deno, on Debian");
    app.environment(script, &[("DENO_DIR", "/deno-dir")]);
    script.line("WORKDIR /app", "the app's folder");
    script.line("COPY . .", "sources name their dependencies themselves");
    if let Some(file) = start.split(' ').find(|word| app.folder.has(word)) {
        script.run(
            &[],
            &format!("deno cache {}", quote(file)),
            "dependencies are fetched now, not at each start",
        );
    }
    app.run(script, start);
    Ok(())
}
