//! The state that a pool's builds and its keeper share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::error::PoolError;
use super::options::PoolOptions;
use super::scheduler::{Grant, Scheduler, Wanted};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PoolOptions,
    scheduler: Mutex<Scheduler>,
    /// Members or their health changed, so waiting builds check again.
    pub(super) changed: Notify,
    /// A probe is due earlier than planned, so the keeper checks again.
    pub(super) ask: Notify,
}

impl Shared {
    pub(super) fn new(options: PoolOptions) -> Self {
        Self {
            scheduler: Mutex::new(Scheduler::new(options.clone())),
            options,
            changed: Notify::new(),
            ask: Notify::new(),
        }
    }

    pub(super) fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        // No change to it can panic half done.
        self.scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a build in the queue.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        wanted: Wanted,
    ) -> Result<(BuildSlot, oneshot::Receiver<Grant>), PoolError> {
        let (grant, granted) = oneshot::channel();
        let ticket = self.scheduler().enqueue(wanted, grant, Instant::now())?;
        let slot = BuildSlot {
            shared: Arc::clone(self),
            ticket,
        };
        Ok((slot, granted))
    }
}

/// A build's place in the queue, then its slot on a daemon. Dropping it frees both.
#[derive(Debug)]
pub(super) struct BuildSlot {
    pub(super) shared: Arc<Shared>,
    pub(super) ticket: u64,
}

impl BuildSlot {
    /// The build succeeded.
    pub(super) fn finished(self, member: &str) {
        self.shared
            .scheduler()
            .finish(self.ticket, member, Instant::now());
    }

    /// The build lost its daemon, which isn't probed again before `hold` is over.
    pub(super) fn lost(self, member: &str, why: String, hold: Duration) {
        self.shared
            .scheduler()
            .lose(member, why, hold, Instant::now());
        self.shared.changed.notify_waiters();
        self.shared.ask.notify_one();
    }
}

impl Drop for BuildSlot {
    fn drop(&mut self) {
        self.shared.scheduler().leave(self.ticket, Instant::now());
    }
}
