//! The live state of one application.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api_error::ApiError;
use crate::state::AppState;

/// The health of the watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchHealth {
    /// Whether the first list of every kind has arrived.
    pub synced: bool,
    /// The missing permission to watch a kind. Without it, no application can be watched.
    pub denied: Option<ApiError>,
    /// Whether the permission to watch events is missing. Diagnoses are less precise then.
    pub without_events: bool,
    /// The latest error of a watch, which is being retried.
    pub trouble: Option<String>,
}

/// The live state of one application: see [`Watches`](crate::Watches), which it keeps running.
///
/// ```
/// use pipeops_rollout::{ApiError, AppWatch, Progress};
///
/// /// Waits until this generation of the Deployment is rolled out. Callers should set a deadline.
/// async fn complete(watch: &mut AppWatch, generation: i64) -> Result<Progress, ApiError> {
///     loop {
///         let progress = Progress::of(&watch.state(), generation);
///         if progress.is_complete() {
///             return Ok(progress);
///         }
///         watch.changed().await?;
///     }
/// }
/// ```
pub struct AppWatch {
    state: watch::Receiver<Arc<AppState>>,
    health: watch::Receiver<WatchHealth>,
    /// Keeps the watches running.
    _scope: Arc<dyn Send + Sync>,
}

impl AppWatch {
    /// A watch for an implementation of [`ClusterApi`](crate::ClusterApi): it reads these channels and keeps `scope` alive.
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

    /// The current state.
    pub fn state(&mut self) -> Arc<AppState> {
        self.state.borrow_and_update().clone()
    }

    /// The health of the watches.
    pub fn health(&self) -> WatchHealth {
        self.health.borrow().clone()
    }

    /// Waits until the state or the health of the watches changes. Cancel-safe.
    ///
    /// # Errors
    /// If the permission to watch is missing.
    pub async fn changed(&mut self) -> Result<(), ApiError> {
        let ended = tokio::select! {
            changed = self.state.changed() => changed.is_err(),
            changed = self.health.changed() => changed.is_err(),
        };
        if let Some(denied) = self.health.borrow_and_update().denied.clone() {
            return Err(denied);
        }
        if ended {
            // The watches have ended permanently. Callers have a deadline.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// Waits until the first list of every kind has arrived. Returns false if that takes longer than `limit`.
    ///
    /// # Errors
    /// If the permission to watch is missing.
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
