//! The list of problems, and values in their messages.

use crate::error::ConfigProblem;

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<ConfigProblem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigProblem::new(path, message));
    }

    pub(super) fn require(
        &mut self,
        holds: bool,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        if !holds {
            self.add(path, message);
        }
    }
}

/// A value for a message: quoted, escaped and truncated.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", brief(text))
}

pub(super) fn brief(text: &str) -> String {
    text.chars().take(80).collect()
}
