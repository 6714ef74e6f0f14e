//! What a command prints and how it ends: text for people, JSON for programs, exit codes for scripts.

use std::fmt;
use std::process::ExitCode;

use pipeops::core::{Diagnose, Diagnosis, Failure};
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// JSON for programs: one object, or one a line for streams.
    Json,
}

impl Format {
    /// Prints a result: `Display` for people, `Serialize` for programs.
    pub fn print<T: fmt::Display + Serialize>(self, result: &T) {
        match self {
            Self::Text => println!("{}", result.to_string().trim_end()),
            Self::Json => print_json(result),
        }
    }
}

/// Prints one line of JSON.
pub fn print_json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("cannot print as JSON: {error}"),
    }
}

/// Why a command did not do what it was asked for, with the exit code of design: 2 bad input, 3 nothing found, 1 else.
#[derive(Debug)]
pub struct CommandError {
    code: u8,
    /// In a box: a result that holds an error should not be large.
    diagnosis: Box<Diagnosis>,
    /// What `--output json` prints instead of the diagnosis.
    json: Option<Box<serde_json::Value>>,
    shown: Shown,
}

/// Where a person or a program has seen the error already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nowhere,
    /// In the JSON result.
    InJson,
    /// In the view of the events.
    Everywhere,
}

impl CommandError {
    /// Something else went wrong: exit code 1.
    pub fn failed(diagnosis: Diagnosis) -> Self {
        Self {
            code: 1,
            diagnosis: Box::new(diagnosis),
            json: None,
            shown: Shown::Nowhere,
        }
    }

    /// The input was wrong: exit code 2.
    pub fn bad_input(diagnosis: Diagnosis) -> Self {
        Self {
            code: 2,
            diagnosis: Box::new(diagnosis),
            json: None,
            shown: Shown::Nowhere,
        }
    }

    /// There is no such thing: exit code 3.
    pub fn not_found(diagnosis: Diagnosis) -> Self {
        Self {
            code: 3,
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

    /// With `--output json` the result was printed already: a second object would be one too many.
    #[must_use]
    pub fn printed(mut self) -> Self {
        self.shown = Shown::InJson;
        self
    }

    /// The view of the events has shown it already.
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
            Format::Text => eprint!("{}", self.diagnosis),
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

/// Every error that explains itself ends a command with code 1.
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
