//! Scripts for a shell.

use crate::generate::app::App;
use crate::generate::debian;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    script.stage(
        &app.image("shell.run"),
        None,
        "only the usual shells and tools",
    );
    if start.program == "zsh" {
        debian::install(
            script,
            &["zsh"],
            "the shell that the script's first line names",
        );
    }
    app.environment(script, &[]);
    script.line("WORKDIR /app", "the script's relative paths start here");
    script.line("COPY . .", "the script and what it uses");
    app.run(script, &start.start_text());
    Ok(())
}
