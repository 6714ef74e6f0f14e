//! The shared parts of recipes for compiled languages: one program, copied to an image without its compiler.

use super::app::App;
use super::data;
use super::error::GenerateError;
use super::script::Script;

/// The program's name and its arguments. A Procfile may call it by another path.
pub(crate) fn named<'a>(app: &'a App<'_>) -> Result<(&'a str, String), GenerateError> {
    let start = app.start()?;
    Ok((start.name(), start.arguments()))
}

/// The first stage: the compiler, and where the sources are.
pub(crate) fn compiler(app: &App<'_>, script: &mut Script, role: &str) {
    script.stage(
        &app.image(role),
        Some("build"),
        "a separate stage keeps the compiler out of the image",
    );
    script.line("WORKDIR /src", "the source directory");
}

/// Copies those of `files` that are there: they decide the dependencies.
pub(crate) fn manifests(app: &App<'_>, script: &mut Script, files: &[&str]) {
    script.manifests(&app.present(files).join(" "), "./");
}

/// The last stage: the program `/out/app` of the stage `build` on an image of `role`, with the files that it reads, which
/// do not end in `source`.
pub(crate) fn last_stage(
    app: &App<'_>,
    script: &mut Script,
    (role, why): (&str, &str),
    source: &str,
    environment: &[(&str, &str)],
) {
    script.stage(&app.image(role), None, why);
    app.environment(script, environment);
    script.line("WORKDIR /app", "the program's relative paths start here");
    data::copy(app, script, source, |_| false);
    copy(script);
}

/// Copies the program out of the stage `build`.
pub(crate) fn copy(script: &mut Script) {
    let copy = "COPY --from=build /out/app /usr/local/bin/app";
    script.line(copy, "the program");
}

/// The end: user, port and the program with its arguments.
pub(crate) fn run(app: &App<'_>, script: &mut Script, arguments: &str) {
    variables(app, script);
    app.run(script, format!("/usr/local/bin/app {arguments}").trim_end());
}

/// The variables of the start command: the image may have no shell that sets them.
pub(crate) fn variables(app: &App<'_>, script: &mut Script) {
    let start = app.plan.start.iter();
    let all = start.flat_map(|start| &start.environment);
    let pairs = all.map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs: Vec<(&str, &str)> = pairs.filter(|pair| is_plain(*pair)).collect();
    script.environment(&pairs, "set by the start command");
}

/// Whether a Dockerfile reads the variable as a shell does.
fn is_plain((name, value): (&str, &str)) -> bool {
    let quoted = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
    let inner = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    let mut letters = name.chars();
    letters.next().is_some_and(|ch| !ch.is_ascii_digit())
        && name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
        && !inner.contains(['"', '\'', '\\', '`'])
}
