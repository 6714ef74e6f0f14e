//! Options of the router, and what its handlers share.

use std::sync::Arc;
use std::time::Duration;

use super::Access;
use crate::Commands;
use crate::controller::Controller;
use crate::hub::Hub;
use crate::store::Store;

/// Bounds and access rules of the router.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Who may read the API. Default: [`Access::Local`].
    pub access: Access,
    /// The longest webhook body, in bytes. Default: 5 MiB.
    pub body_limit: usize,
    /// How long a webhook's body may take to arrive. Default: 30 s.
    pub body_timeout: Duration,
    /// Commands of the embedding program in diagnoses. Default: none.
    pub commands: Commands,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            body_limit: 5 << 20,
            body_timeout: Duration::from_secs(30),
            commands: Commands::default(),
        }
    }
}

impl HttpOptions {
    /// Sets who may read the API.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets the longest webhook body, in bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets the commands of the embedding program in diagnoses.
    #[must_use]
    pub fn commands(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) controller: Controller,
    pub(super) store: Arc<dyn Store>,
    pub(super) hub: Hub,
    pub(super) options: Arc<HttpOptions>,
}
