//! Output of commands: text for people, JSON for programs, exit codes for scripts.
//!
//! Everything that a command prints goes through `out!`, `outln!`, `err!` and `errln!`. The standard macros panic when the reader
//! has closed the pipe, as `head` does.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use pipeops::core::{Diagnose, Diagnosis, Failure};
use serde::Serialize;

use crate::remedy;

/// Prints to standard output, like `print!`. See [`print`].
macro_rules! out {
    ($($text:tt)*) => { $crate::output::print(&format_args!($($text)*)) };
}

/// Prints a line to standard output, like `println!`. See [`print`].
macro_rules! outln {
    () => { $crate::output::print(&"\n") };
    ($($text:tt)*) => { $crate::output::print(&format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints to standard error, like `eprint!`. Ignores errors: there is no place left to report them.
macro_rules! err {
    ($($text:tt)*) => { $crate::output::print_error(&format_args!($($text)*)) };
}

/// Prints a line to standard error, like `eprintln!`. Ignores errors: there is no place left to report them.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::print_error(&format_args!("{}\n", format_args!($($text)*))) };
}

/// Why standard output could not be written, apart from a closed pipe.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Writes to standard output. If its reader has closed it, the text is dropped: the command runs to its end, and its exit code says
/// how it ended. Any other error is kept for [`finish`].
pub fn print(text: &dyn fmt::Display) {
    note(write!(io::stdout().lock(), "{text}"));
}

/// Writes to standard error.
pub fn print_error(text: &dyn fmt::Display) {
    let _ = write!(io::stderr().lock(), "{text}");
}

/// Writes what is still buffered. Gives exit code 1 instead of success if the output is incomplete.
pub fn finish(code: ExitCode) -> ExitCode {
    note(io::stdout().flush());
    match UNWRITTEN.get() {
        Some(error) => {
            errln!("cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
        None => code,
    }
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Format {
    /// Text for people
    #[default]
    Text,
    /// One JSON object; one per line for streams
    Json,
}

impl Format {
    /// Prints a result: `Display` for people, `Serialize` for programs.
    pub fn print<T: fmt::Display + Serialize>(self, result: &T) {
        match self {
            Self::Text => outln!("{}", result.to_string().trim_end()),
            Self::Json => print_json(result),
        }
    }
}

/// Prints one line of JSON.
pub fn print_json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(line) => outln!("{line}"),
        Err(error) => errln!("cannot print as JSON: {error}"),
    }
}

/// Why a command failed, with its exit code: 2 for bad input, 3 for nothing found, 1 for anything else.
#[derive(Debug)]
pub struct CommandError {
    code: u8,
    /// In a box: a result that holds an error should not be large.
    diagnosis: Box<Diagnosis>,
    /// What `--output json` prints instead of the diagnosis.
    json: Option<Box<serde_json::Value>>,
    shown: Shown,
}

/// Where the error was printed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nowhere,
    /// In the JSON result.
    InJson,
    /// In the view of the events.
    Everywhere,
}

impl CommandError {
    /// Any other failure: exit code 1.
    pub fn failed(diagnosis: Diagnosis) -> Self {
        Self::new(1, diagnosis)
    }

    /// The input is wrong: exit code 2.
    pub fn bad_input(diagnosis: Diagnosis) -> Self {
        Self::new(2, diagnosis)
    }

    /// There is no such thing: exit code 3.
    pub fn not_found(diagnosis: Diagnosis) -> Self {
        Self::new(3, diagnosis)
    }

    fn new(code: u8, mut diagnosis: Diagnosis) -> Self {
        remedy::add(&mut diagnosis);
        Self {
            code,
            diagnosis: Box::new(diagnosis),
            json: None,
            shown: Shown::Nowhere,
        }
    }

    /// Sets what `--output json` prints instead of the diagnosis.
    #[must_use]
    pub fn json(mut self, json: serde_json::Value) -> Self {
        self.json = Some(Box::new(json));
        self
    }

    /// The JSON result contains the error: `--output json` prints no second object.
    #[must_use]
    pub fn printed(mut self) -> Self {
        self.shown = Shown::InJson;
        self
    }

    /// The view of the events has shown the error.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.shown = Shown::Everywhere;
        self
    }

    /// What went wrong.
    pub fn into_diagnosis(self) -> Diagnosis {
        *self.diagnosis
    }

    /// Prints the error and gives the exit code.
    pub fn report(self, format: Format) -> ExitCode {
        match format {
            _ if self.shown == Shown::Everywhere => {}
            Format::Text => err!("{}", self.diagnosis),
            Format::Json if self.shown == Shown::InJson => {}
            Format::Json => print_json(
                &self
                    .json
                    .unwrap_or_else(|| Box::new(serde_json::json!({ "error": self.diagnosis }))),
            ),
        }
        ExitCode::from(self.code)
    }
}

/// Errors of the libraries end a command with exit code 1.
impl<E: Diagnose> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::failed(error.diagnosis())
    }
}

impl CommandError {
    /// A failure that came through one of the traits between the crates.
    pub fn from_failure(failure: &Failure) -> Self {
        Self::failed(failure.diagnosis())
    }
}
