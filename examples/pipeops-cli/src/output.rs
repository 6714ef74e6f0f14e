//! Output of commands: text for people, JSON for programs, exit codes for scripts.

use std::fmt;
use std::process::ExitCode;

use pipeops::core::{Diagnose, Diagnosis, Failure};
use serde::Serialize;

use crate::remedy;

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
