//! The live state of one application.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api_error::ApiError;
use crate::state::AppState;

/// How well the cluster can be watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchHealth {
    /// Whether the first list of every kind has arrived.
    pub synced: bool,
    /// A kind that PipeOps may not watch: no application can be watched.
    pub denied: Option<ApiError>,
    /// PipeOps may not watch events: diagnoses are less precise.
    pub without_events: bool,
    /// The latest error of a watch. It is retried.
    pub trouble: Option<String>,
}

/// The live state of one application, from watches that others share.
///
/// The watches of a scope run for as long as it has an `AppWatch`.
pub struct AppWatch {
    state: watch::Receiver<Arc<AppState>>,
    health: watch::Receiver<WatchHealth>,
    /// Keeps the watches running.
    _scope: Arc<dyn Send + Sync>,
}

impl AppWatch {
    /// Reads these channels, and keeps `scope` alive.
    pub fn new(
        state: watch::Receiver<Arc<AppState>>,
        health: watch::Receiver<WatchHealth>,
        scope: Arc<dyn Send + Sync>,
    ) -> Self {
        Self {
            state,
            health,
            _scope: scope,
        }
    }

    /// The state now.
    pub fn state(&mut self) -> Arc<AppState> {
        self.state.borrow_and_update().clone()
    }

    /// How well the cluster can be watched.
    pub fn health(&self) -> WatchHealth {
        self.health.borrow().clone()
    }

    /// Waits until the state changes, or the watches' health does. Cancel-safe.
    ///
    /// # Errors
    /// When PipeOps may not watch the application.
    pub async fn changed(&mut self) -> Result<(), ApiError> {
        let ended = tokio::select! {
            changed = self.state.changed() => changed.is_err(),
            changed = self.health.changed() => changed.is_err(),
        };
        if let Some(denied) = self.health.borrow_and_update().denied.clone() {
            return Err(denied);
        }
        if ended {
            // The watches have ended for good. Callers have a deadline.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// Waits until the first list of every kind has arrived. False when that takes longer than `limit`.
    ///
    /// # Errors
    /// When the application may not be watched.
    pub async fn synced(&mut self, limit: Duration) -> Result<bool, ApiError> {
        let ready = |health: &WatchHealth| health.synced || health.denied.is_some();
        let synced = tokio::time::timeout(limit, self.health.wait_for(ready))
            .await
            .is_ok_and(|health| health.is_ok());
        match self.health.borrow().denied.clone() {
            Some(denied) => Err(denied),
            None => Ok(synced),
        }
    }
}

impl std::fmt::Debug for AppWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppWatch").finish_non_exhaustive()
    }
}
