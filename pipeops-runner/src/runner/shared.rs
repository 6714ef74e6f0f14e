//! A runner with several owners.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Runner;

/// A runner that a service and its routers own together. It stops at [`SharedRunner::shutdown`] or with its last owner.
#[derive(Debug)]
pub(crate) struct SharedRunner {
    runner: Mutex<Option<Runner>>,
    stopped: AtomicBool,
}

impl SharedRunner {
    /// `None` stands for the runner of another process.
    pub(crate) fn new(runner: Option<Runner>) -> Arc<Self> {
        Arc::new(Self {
            runner: Mutex::new(runner),
            stopped: AtomicBool::new(false),
        })
    }

    /// True once the shutdown has begun.
    #[cfg(feature = "http")]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// See [`Runner::shutdown`].
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.stopped.store(true, Ordering::Relaxed);
        let runner = self
            .runner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runner) = runner {
            runner.shutdown(grace).await;
        }
    }
}
