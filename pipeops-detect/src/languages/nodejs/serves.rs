//! How an app answers requests.

use crate::plan;

/// How the built app answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Serves {
    /// A program; the command that starts it where no script does.
    Program(Option<plan::Command>),
    /// Files in this folder.
    Files(String),
    /// Not by itself; why.
    Nothing(String),
}
