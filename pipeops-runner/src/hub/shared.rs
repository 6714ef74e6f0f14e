//! What the hub, its tasks, its sinks and its subscriptions share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipeops_core::Event;
use tokio::sync::{Notify, oneshot, watch};

use crate::store::{NewEvent, Store};

/// Events kept in memory for readers that are up to date.
pub(super) const RECENT: usize = 4096;

/// Log lines and transfers beyond this many unwritten events are dropped, with a warning in their place.
pub(super) const MAX_PENDING: usize = 20_000;

/// What the hub, its tasks, its sinks and its subscriptions share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) pending: Mutex<Pending>,
    /// Something is pending.
    pub(super) news: Notify,
    /// A flush waits for what is pending.
    pub(super) urgent: Notify,
    /// The store may have events that the hub did not write.
    pub(super) elsewhere: Notify,
    pub(super) recent: Mutex<Recent>,
    /// The number of the newest event in `recent`.
    pub(super) head: watch::Sender<u64>,
}

/// What was emitted and is not stored yet.
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

/// The newest events without a gap, oldest first.
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

    /// Adds stored events that follow the newest one; false when there is a gap, which only the store can fill.
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

/// Locks, even after a panic of another holder: each change under these locks is complete by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
