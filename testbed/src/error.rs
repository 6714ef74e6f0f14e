//! Errors, with enough context to act on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command of `cargo testbed` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),

    /// The machine lacks something that cannot be installed from here.
    #[error("{what}\n{fix}")]
    Machine {
        /// What is missing, as a sentence.
        what: String,
        /// What to do about it.
        fix: String,
    },

    /// A file could not be read, written, moved or removed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb: what was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// A program could not be started at all.
    #[error("cannot run `{program}`: is it installed?")]
    Spawn {
        /// The program, as it was called.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// A program ran and failed.
    #[error("`{command}` failed with {status}\n{output}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines that it wrote.
        output: String,
    },

    /// A server's process ended while it was waited for.
    #[error("{process} exited. Last lines of {}:\n{tail}", log.display())]
    Ended {
        /// The server and its process, `kubernetes/etcd`.
        process: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A server did not become healthy in time.
    #[error("{process} did not become healthy within {limit:?}: {why}\nLast lines of {}:\n{tail}", log.display())]
    Unhealthy {
        /// The server and its process, `kubernetes/etcd`.
        process: String,
        /// How long it was waited for.
        limit: Duration,
        /// What the last probe said.
        why: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A file of this program's own has content that it did not write.
    #[error("{} is damaged: {why}. To replace it, run `cargo testbed down`, then `up`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// Several servers or images failed, each for its own reason.
    #[error("{}", .0.iter().map(describe).collect::<Vec<_>>().join("\n\n"))]
    Several(Vec<Error>),
}

impl Error {
    /// Nothing, the one error, or all of them.
    pub fn all(mut errors: Vec<Self>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }

    /// An I/O error with the verb and the path that belong to it; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// An error and its causes in one text.
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
