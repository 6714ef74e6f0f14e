//! What the services of a session report to the build.

use tokio::sync::mpsc;

use crate::error::Error;

/// Errors of a service, which explain more than the daemon's own.
#[derive(Debug, Clone)]
pub(crate) struct Notes(mpsc::Sender<Error>);

impl Notes {
    /// The sending side for the services, and the receiving side for the build.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Error>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Notes an error. Once the channel is full, errors are dropped, because the first one counts.
    pub(crate) fn error(&self, error: Error) {
        let _ = self.0.try_send(error);
    }
}
