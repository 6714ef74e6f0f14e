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
    /// A kind that may not be watched; nothing can be followed.
    pub denied: Option<ApiError>,
    /// Events may not be watched: diagnosis knows less.
    pub without_events: bool,
    /// The latest trouble with a watch; it is tried again.
    pub trouble: Option<String>,
}

/// The live state of one application, from watches that others share.
///
/// The watches run for as long as anybody follows something in their scope.
pub struct AppWatch {
    state: watch::Receiver<Arc<AppState>>,
    health: watch::Receiver<WatchHealth>,
    /// Keeps the watches running.
    _scope: Arc<dyn Send + Sync>,
}

impl AppWatch {
    /// Follows what these channels carry; `scope` is kept until the end.
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
    /// When the application may not be watched.
    pub async fn changed(&mut self) -> Result<(), ApiError> {
        let ended = tokio::select! {
            changed = self.state.changed() => changed.is_err(),
            changed = self.health.changed() => changed.is_err(),
        };
        if let Some(denied) = self.health.borrow_and_update().denied.clone() {
            return Err(denied);
        }
        if ended {
            // The watches are gone for good; whoever waits has a deadline.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// Waits until the first list of everything has arrived; false when it has not within `limit`.
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
