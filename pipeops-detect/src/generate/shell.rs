//! Scripts for a shell.

use super::script::Script;
use super::{App, GenerateError, debian};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    script.stage(
        &app.image("shell.run"),
        None,
        "the usual shells and tools, and nothing else",
    );
    if start.starts_with("zsh ") {
        debian::install(script, &["zsh"], "the shell that the script asks for");
    }
    app.environment(script, &[]);
    script.line("WORKDIR /app", "paths of the script start here");
    script.line("COPY . .", "the script and what it uses");
    app.run(script, start);
    Ok(())
}
