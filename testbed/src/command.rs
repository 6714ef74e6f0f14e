//! Runs other programs and keeps their output for error messages.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Lines of a log that are shown when something fails.
const TAIL: usize = 25;

/// Runs a command to its end and returns what it wrote to standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| spawn_error(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(command_error(command, output.status, &text))
}

/// Runs a long command to its end. Its output goes to `log`; the terminal shows `label` and the time that has passed.
pub fn run_long(label: &str, log: &Path, command: &mut Command) -> Result<()> {
    let file = File::create(log).map_err(Error::io("create", log))?;
    let again = file.try_clone().map_err(Error::io("open", log))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(again)
        .spawn()
        .map_err(|source| spawn_error(command, source))?;
    let mut progress = Progress::new(label);
    let status = loop {
        match child
            .try_wait()
            .map_err(|source| spawn_error(command, source))?
        {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(200)),
        }
        progress.tick();
    };
    progress.finish(status.success());
    if status.success() {
        return Ok(());
    }
    Err(command_error(command, status, &tail(log)))
}

/// The last lines of a log file; an empty text if there is none.
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&bytes))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn spawn_error(command: &Command, source: std::io::Error) -> Error {
    Error::Spawn {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

fn command_error(command: &Command, status: ExitStatus, output: &str) -> Error {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    Error::Command {
        command: words.join(" "),
        status: status.to_string(),
        output: last_lines(output),
    }
}

/// One line that says what is going on and for how long.
struct Progress<'a> {
    label: &'a str,
    started: Instant,
    shown: Instant,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(label: &'a str) -> Self {
        let now = Instant::now();
        println!("  {label} …");
        Self {
            label,
            started: now,
            shown: now,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// On a terminal the line counts seconds; in a log a new line every half minute is enough.
    fn tick(&mut self) {
        let pause = if self.terminal { 1 } else { 30 };
        if self.shown.elapsed() < Duration::from_secs(pause) {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        if self.terminal {
            print!("\r  {}: {seconds} s", self.label);
            let _ = std::io::stdout().flush();
        } else {
            println!("  {}: {seconds} s so far", self.label);
        }
    }

    fn finish(&self, success: bool) {
        let word = if success { "done" } else { "failed" };
        let start = if self.terminal { "\r" } else { "" };
        println!(
            "{start}  {}: {word} after {:.1} s",
            self.label,
            self.started.elapsed().as_secs_f32()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_returned() {
        let text = run(Command::new("echo").arg("hello")).unwrap();
        assert_eq!(text, "hello\n");
    }

    #[test]
    fn a_failure_carries_the_command_and_its_last_words() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.ends_with("why"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(matches!(error, Error::Spawn { program, .. } if program == "no-such-program"));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: Vec<String> = (0..100).map(|line| line.to_string()).collect();
        let kept = last_lines(&text.join("\n"));
        assert!(kept.starts_with("75\n") && kept.ends_with("\n99"), "{kept}");
    }
}
