//! Errors that the services of a session report to the build.

use tokio::sync::mpsc;

use crate::error::Error;

/// Reports errors that explain more than the daemon's error does.
#[derive(Debug, Clone)]
pub(crate) struct Notes(mpsc::Sender<Error>);

impl Notes {
    /// The sending side for the services, and the receiving side for the build.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Error>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Reports an error. Only the first one counts, so errors are dropped when the channel is full.
    pub(crate) fn error(&self, error: Error) {
        let _ = self.0.try_send(error);
    }
}
