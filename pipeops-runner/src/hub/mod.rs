//! The one stream of events, written and read.
//!
//! Builds write into a [`DeploymentEvents`], which never waits. One task takes what was written, stores it in one
//! transaction per batch, and tells the readers. A [`Subscription`] reads from the newest events in memory, or from the
//! store when it is behind them: however slow it is, it slows nobody, and holds no memory but its position.

mod sink;
mod subscription;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeops_core::{Event, Redactor};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

pub use sink::DeploymentEvents;
pub use subscription::Subscription;

use crate::deployment::Fence;
use crate::store::{NewEvent, Store, StoreError};

/// Events kept in memory for readers that are up to date.
const RECENT: usize = 4096;

/// Log lines and transfers beyond this many unwritten events are dropped, with a warning in their place.
const MOST_PENDING: usize = 20_000;

/// How often the store is asked for events of other processes.
const POLL: Duration = Duration::from_secs(1);

/// The stream of events of one store. Clones are the same hub; its tasks end with the last one.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    /// Aborts the tasks when the last clone goes.
    _tasks: Arc<JoinSet<()>>,
}

/// What the hub, its tasks, its sinks and its subscriptions have in common.
struct Shared {
    store: Arc<dyn Store>,
    pending: Mutex<Pending>,
    /// Something is pending.
    news: Notify,
    /// Somebody waits for what is pending.
    urgent: Notify,
    /// Somebody else may have written to the store.
    elsewhere: Notify,
    recent: Mutex<Recent>,
    /// The number of the newest event in `recent`.
    head: watch::Sender<u64>,
}

/// What was emitted and is not stored yet.
#[derive(Default)]
struct Pending {
    events: Vec<NewEvent>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Pending {
    fn is_waited_for(&self) -> bool {
        !self.flushes.is_empty()
    }
}

/// The newest events without a gap, oldest first.
#[derive(Default)]
struct Recent {
    events: VecDeque<Arc<Event>>,
}

impl Hub {
    /// Starts the hub of this store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let last = store.last_event().await?;
        let shared = Arc::new(Shared {
            store,
            pending: Mutex::default(),
            news: Notify::new(),
            urgent: Notify::new(),
            elsewhere: Notify::new(),
            recent: Mutex::default(),
            head: watch::Sender::new(last),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(writer::write(Arc::clone(&shared)));
        tasks.spawn(writer::follow(Arc::clone(&shared)));
        Ok(Self {
            shared,
            _tasks: Arc::new(tasks),
        })
    }

    /// Where the events of one claimed deployment go. All text passes through `redactor`.
    pub fn sink(&self, fence: Fence, redactor: Redactor) -> DeploymentEvents {
        DeploymentEvents::new(Arc::clone(&self.shared), fence, redactor)
    }

    /// All events after this number, old and new; of one deployment or of all.
    pub fn subscribe(&self, after: u64, deployment: Option<String>) -> Subscription {
        Subscription::new(Arc::clone(&self.shared), after, deployment)
    }

    /// Tells the hub that the store has events that it did not write itself.
    pub fn wake(&self) {
        self.shared.elsewhere.notify_one();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub(head {})", *self.shared.head.borrow())
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// Adds stored events that follow the newest one; false when there is a gap, which only the store can fill.
    fn extend(&self, events: Vec<Event>) -> bool {
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

/// Locks, and goes on with the data of a holder that panicked: each change under these locks is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
