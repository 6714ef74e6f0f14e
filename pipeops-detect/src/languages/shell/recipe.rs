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
        "the usual shells and tools, and nothing else",
    );
    if start.program == "zsh" {
        debian::install(script, &["zsh"], "the shell that the script asks for");
    }
    app.environment(script, &[]);
    script.line("WORKDIR /app", "paths of the script start here");
    script.line("COPY . .", "the script and what it uses");
    app.run(script, &start.start_text());
    Ok(())
}
