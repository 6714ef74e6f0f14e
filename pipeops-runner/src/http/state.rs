//! Options of the routes, and the state of their handlers.

use std::sync::Arc;
use std::time::Duration;

use super::Access;
use crate::Commands;
use crate::controller::Controller;
use crate::hub::Hub;
use crate::runner::SharedRunner;
use crate::store::Store;

/// Limits of the routes, and who may read the API.
///
/// ```
/// use pipeops_runner::http::HttpOptions;
///
/// let options = HttpOptions::default().body_limit(25 << 20); // GitHub sends up to 25 MiB
/// assert_eq!(options.body_timeout.as_secs(), 30);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Who may read the API. Default: [`Access::Local`].
    pub access: Access,
    /// The largest webhook body, in bytes. Default: 5 MiB. Larger ones get 413.
    pub body_limit: usize,
    /// How long the body of a webhook may take to arrive. Default: 30 s. Slower ones get 408.
    pub body_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            body_limit: 5 << 20,
            body_timeout: Duration::from_secs(30),
        }
    }
}

impl HttpOptions {
    /// Sets the largest webhook body, in bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }
}

/// The state of the handlers.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) controller: Controller,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Hub,
    pub(crate) options: HttpOptions,
    pub(crate) commands: Commands,
    /// The routes keep the runner alive, so that the host can drop the service.
    pub(crate) runner: Arc<SharedRunner>,
}
