//! Errors with enough context to act on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command of `cargo testbed` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line names something that doesn't exist.
    #[error("{0}")]
    Usage(String),

    /// The machine lacks something that the testbed can't install.
    #[error("{what}\n{fix}")]
    Machine {
        /// What is missing, as a sentence.
        what: String,
        /// What to do about it.
        fix: String,
    },

    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },

    /// A program couldn't be started.
    #[error("cannot run `{program}`: is it installed?")]
    Spawn {
        /// The program's name or path.
        program: String,
        /// The cause.
        #[source]
        source: io::Error,
    },

    /// A program exited with an error.
    #[error("`{command}` failed with {status}\n{output}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines of its output.
        output: String,
    },

    /// A server's process exited during its start.
    #[error("{process} exited. Last lines of {}:\n{tail}", log.display())]
    Ended {
        /// The server and its process, such as `kubernetes/etcd`.
        process: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A server didn't become healthy in time.
    #[error("{process} did not become healthy within {limit:?}: {why}\nLast lines of {}:\n{tail}", log.display())]
    Unhealthy {
        /// The server and its process, such as `kubernetes/etcd`.
        process: String,
        /// The time limit.
        limit: Duration,
        /// The error of the last probe.
        why: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// One of the testbed's own files is damaged.
    #[error("{} is damaged: {why}. To replace it, run `cargo testbed down`, then `up`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// Several servers or images failed.
    #[error("{}", .0.iter().map(describe).collect::<Vec<_>>().join("\n\n"))]
    Several(Vec<Error>),
}

impl Error {
    /// No error, a single error, or all errors as one.
    pub fn all(mut errors: Vec<Self>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }

    /// Converts an I/O error, with a verb and the path; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// The messages of an error and its causes.
pub fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
