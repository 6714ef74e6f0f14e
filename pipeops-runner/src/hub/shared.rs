//! The state that the hub, its tasks, sinks and subscriptions share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipeops_core::Event;
use tokio::sync::{Notify, oneshot, watch};

use crate::store::{NewEvent, Store};

/// How many events are kept in memory for readers that are up to date.
pub(super) const RECENT: usize = 4096;

/// With more pending events than this, log lines and transfers are dropped and replaced by one warning.
pub(super) const MAX_PENDING: usize = 20_000;

/// What the hub, its tasks, its sinks and its subscriptions share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) pending: Mutex<Pending>,
    /// Something is pending.
    pub(super) news: Notify,
    /// A flush waits for what is pending.
    pub(super) urgent: Notify,
    /// The store may have events that the hub didn't write.
    pub(super) elsewhere: Notify,
    pub(super) recent: Mutex<Recent>,
    /// The number of the newest event in `recent`.
    pub(super) head: watch::Sender<u64>,
}

/// Emitted events that aren't stored yet.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) events: Vec<NewEvent>,
    pub(super) flushes: Vec<oneshot::Sender<()>>,
}

impl Pending {
    pub(super) fn is_waited_for(&self) -> bool {
        !self.flushes.is_empty()
    }
}

/// The newest events, oldest first and without a gap.
#[derive(Default)]
pub(super) struct Recent {
    pub(super) events: VecDeque<Arc<Event>>,
}

impl Shared {
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// Adds stored events after the newest one. Returns false when there is a gap, which only the store can fill.
    pub(super) fn extend(&self, events: Vec<Event>) -> bool {
        let Some(last) = events.last().map(|event| event.seq) else {
            return true;
        };
        {
            let mut recent = self.recent();
            let head = *self.head.borrow();
            let new: Vec<Event> = events.into_iter().filter(|e| e.seq > head).collect();
            if new.first().is_some_and(|first| first.seq != head + 1) {
                return false;
            }
            recent.events.extend(new.into_iter().map(Arc::new));
            let excess = recent.events.len().saturating_sub(RECENT);
            recent.events.drain(..excess);
            self.head.send_modify(|head| *head = (*head).max(last));
        }
        true
    }
}

/// Locks even after a panic of another holder, because each change under these locks is complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
