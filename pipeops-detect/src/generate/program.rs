//! The shared parts of recipes for compiled languages: one program, copied to an image without its compiler.

use super::app::App;
use super::data;
use super::debian;
use super::error::GenerateError;
use super::script::Script;
use crate::plan::Start;
use crate::repository::shell::{Line, Step, Word};

/// Where most recipes put the program.
pub(crate) const PATH: &str = "/usr/local/bin/app";

/// Programs that a shell or Debian has.
const TOOLS: &[&str] = &[
    ".", ":", "[", "bash", "cat", "chmod", "cp", "date", "echo", "env", "exec", "exit", "export",
    "false", "ln", "ls", "mkdir", "printf", "rm", "set", "sh", "sleep", "test", "timeout", "touch",
    "true", "ulimit", "umask", "unset", "wait",
];

/// How the one program of an image is started.
pub(crate) struct Launch {
    /// The command of the image.
    command: Vec<String>,
    /// Whether that is a shell, which most images of compiled programs lack.
    shell: bool,
}

impl Launch {
    /// The start command for the program at `path`. A Procfile may call it by another name: there is one program only.
    ///
    /// # Errors
    /// If there is no start command, or if it calls something that the image doesn't have.
    pub(crate) fn of(app: &App<'_>, path: &str) -> Result<Self, GenerateError> {
        let start = app.start()?;
        let line = match start.is_written() {
            true => named(app, start, path)?,
            false => Line::parse(&format!("{path} {}", start.arguments())),
        };
        let line = line.ok_or_else(|| unknown(app, start, "it isn't a complete command"))?;
        let text = line.shell();
        let simple = line.simple().map(Step::text);
        Ok(match simple.and_then(|text| app.words(&text)) {
            Some(command) => Self {
                command,
                shell: false,
            },
            None => Self {
                command: vec!["/bin/sh".to_owned(), "-c".to_owned(), text],
                shell: true,
            },
        })
    }

    /// The program at `path` alone, whatever the detected command calls.
    pub(crate) fn alone(app: &App<'_>, path: &str) -> Result<Self, GenerateError> {
        match app.start()?.is_written() {
            true => Self::of(app, path),
            false => Ok(Self {
                command: vec![path.to_owned()],
                shell: false,
            }),
        }
    }

    /// Starts the last stage on the image of `role`, or on Debian where the command needs a shell that the image lacks.
    pub(crate) fn stage(&self, app: &App<'_>, script: &mut Script, (role, why): (&str, &str)) {
        if !self.shell || app.images.has_shell(role) {
            script.stage(&app.image(role), None, why);
            return;
        }
        script.stage(
            &app.image("shell.run"),
            None,
            "Debian, because the start command needs a shell",
        );
        debian::install(
            script,
            &["ca-certificates"],
            "CA certificates for outgoing TLS connections",
        );
    }

    /// The end: user, port and command.
    pub(crate) fn run(&self, app: &App<'_>, script: &mut Script) {
        variables(app, script);
        app.user_and_port(script);
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let why = match self.shell {
            true => "the start command needs a shell, which makes way for the app where it can",
            false => {
                "exec form, so the app receives SIGTERM directly; the port is the value of PORT above"
            }
        };
        let fixed = app
            .start()
            .is_ok_and(|start| start.arguments().contains("PORT"));
        let why = match fixed || self.shell {
            true => why,
            false => "exec form, so the app receives SIGTERM directly",
        };
        script.exec(&words, &app.because(why));
    }
}

/// A line that a user wrote, with the path of the program in the image.
fn named(app: &App<'_>, start: &Start, path: &str) -> Result<Option<Line>, GenerateError> {
    let text = start.start_text();
    let Some(line) = Line::parse(&text) else {
        return Ok(None);
    };
    let complex = line.is_complex();
    let last = line.steps.len().saturating_sub(1);
    let name = start.name();
    let own = app.detected.as_ref().map_or(name, Start::name);
    let mut steps = Vec::new();
    for (index, mut step) in line.steps.into_iter().enumerate() {
        let called = step.name().to_owned();
        let at = usize::from(called == "exec");
        let called = step
            .word(at)
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let copied = step
            .word(1)
            .split('/')
            .next()
            .is_some_and(|dir| data::is_copied(app, dir));
        if called == "cd" && !copied && !complex {
            // The image has no such folder: the program is started where its files are.
            continue;
        }
        let is_file = app.folder.has(step.word(at).trim_start_matches("./"));
        let is_tool = TOOLS.contains(&called.as_str()) || called == "cd";
        if is_file {
            let why = format!(
                "the image has the built program, and no `{}`",
                step.word(at)
            );
            return Err(unknown(app, start, &why));
        } else if !is_tool && (index == last || called == name || called == own) {
            if let Some(word) = step.words.get_mut(at) {
                *word = Word::plain(path);
            }
        } else if !is_tool && !called.is_empty() {
            let why = format!("the image has one program, `{own}`, and no `{called}`");
            return Err(unknown(app, start, &why));
        }
        steps.push(step);
    }
    match complex {
        true => Ok(Line::parse(&Line::of(steps).text())),
        false => Ok(Some(Line::of(steps))),
    }
}

fn unknown(app: &App<'_>, start: &Start, why: &str) -> GenerateError {
    GenerateError::StartCommand {
        path: app.folder.path().to_owned(),
        command: start.start_text(),
        why: why.to_owned(),
    }
}

/// The name of the program that the build makes: the one that is started, where the project has one of that name. Any
/// other name may be one that only the Procfile knows.
pub(crate) fn name<'a>(
    app: &'a App<'_>,
    is_program: impl Fn(&str) -> bool,
) -> Result<&'a str, GenerateError> {
    let start = app.start()?;
    Ok(match &app.detected {
        Some(detected) if start.is_written() && !is_program(start.name()) => detected.name(),
        _ => start.name(),
    })
}

/// Whether one of these files has a word.
pub(crate) fn mentions(app: &App<'_>, files: &[&str], word: &str) -> bool {
    let is_part = |ch: char| ch.is_alphanumeric() || "-_".contains(ch);
    let texts = files.iter().filter_map(|file| app.folder.text(file));
    let mut all = texts.filter(|text| text.split(|ch| !is_part(ch)).any(|own| own == word));
    all.next().is_some()
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
    launch: &Launch,
    image: (&str, &str),
    source: &str,
    environment: &[(&str, &str)],
) {
    launch.stage(app, script, image);
    app.environment(script, environment);
    script.line("WORKDIR /app", "the program's relative paths start here");
    data::copy(app, script, source, |_| false);
    copy(script);
}

/// Copies the program out of the stage `build`.
pub(crate) fn copy(script: &mut Script) {
    let copy = format!("COPY --from=build /out/app {PATH}");
    script.line(&copy, "the program");
}

/// The variables of the start command: the image may have no shell that sets them.
fn variables(app: &App<'_>, script: &mut Script) {
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
