//! Scheme, by Guile of Debian; and sites of Haunt.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::generate::{debian, program};
use crate::languages::static_site::recipe as static_site;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if let Some(output) = &app.detection.output {
        program::compiler(app, script, "scheme.run");
        debian::install(script, &["haunt"], "the generator and Guile");
        script.sources();
        let build = app.detection.build.as_deref().unwrap_or_default();
        script.run(&[], build, "builds the site");
        static_site::serve(app, script, &format!("/src/{output}"));
        return Ok(());
    }
    let start = app.start()?;
    script.stage(
        &app.image("scheme.run"),
        None,
        "a Debian release that has Guile",
    );
    debian::install(script, &["guile-3.0"], "the interpreter");
    // The folder is not writable: compiled files would have nowhere to go.
    app.environment(script, &[("GUILE_AUTO_COMPILE", "0")]);
    script.line("WORKDIR /app", "the program's relative paths start here");
    script.line("COPY . .", "the program");
    app.run(script, &start.start_text());
    Ok(())
}
