//! Failures of the demo itself.

use std::fmt::Display;

use pipeops::core::Diagnosis;

use crate::output::CommandError;
use crate::pages::DEMO;

/// A step of the demo failed: `what` says which.
pub fn failed(what: &str, error: &(impl Display + ?Sized)) -> CommandError {
    let diagnosis = Diagnosis::new(&DEMO).title(format!("Demo failed: {what}"));
    CommandError::failed(diagnosis.error(error.to_string()))
}
