//! The reader.

use std::fmt;
use std::sync::Arc;

use pipeops_core::Event;

use super::shared::Shared;
use crate::store::StoreError;

/// The most events that one call returns.
const BATCH: usize = 256;

/// A position in the stream of events. Dropping it ends the subscription.
///
/// ```
/// use pipeops_runner::{Service, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Service::builder(SqliteStore::in_memory()?).start().await?;
/// // All events so far. `next` waits for more.
/// let last = service.store().last_event().await?;
/// let mut stream = service.hub().subscribe(0, None);
/// while let Some(events) = stream.next_until(last).await? {
///     events.iter().for_each(|event| println!("{} {:?}", event.seq, event.kind));
/// }
/// # Ok(()) }
/// ```
pub struct Subscription {
    shared: Arc<Shared>,
    /// The number of the last event that was read.
    after: u64,
    deployment: Option<String>,
    head: tokio::sync::watch::Receiver<u64>,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, after: u64, deployment: Option<String>) -> Self {
        let head = shared.head.subscribe();
        Self {
            shared,
            after,
            deployment,
            head,
        }
    }

    /// Waits for the next events, and returns at least one, oldest first. Dropping the future loses no event.
    ///
    /// # Errors
    /// When the store doesn't answer. Another call resumes at the same position.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, StoreError> {
        loop {
            let head = *self.head.borrow_and_update();
            let events = self.read(head).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            // The hub holds the sender for as long as this holds the hub's shared part.
            let _ = self.head.changed().await;
        }
    }

    /// The next events like [`Subscription::next`], or `None` if there are no more up to the number `last`.
    ///
    /// # Errors
    /// When the store doesn't answer.
    pub async fn next_until(&mut self, last: u64) -> Result<Option<Vec<Arc<Event>>>, StoreError> {
        while self.after < last {
            let events = self.read(last).await?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    /// Reads events after the position, up to `head`, and moves the position.
    async fn read(&mut self, head: u64) -> Result<Vec<Arc<Event>>, StoreError> {
        if self.after >= head {
            return Ok(Vec::new());
        }
        if let Some((events, position)) = self.in_memory() {
            self.after = position;
            return Ok(events);
        }
        let deployment = self.deployment.as_deref();
        let events = self
            .shared
            .store
            .events_after(self.after, deployment, BATCH)
            .await?;
        self.after = match events.last() {
            Some(last) => last.seq,
            // There is no event of this deployment up to `head`.
            None => head,
        };
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// The next events from memory with the new position, or `None` if the next one isn't in memory.
    fn in_memory(&self) -> Option<(Vec<Arc<Event>>, u64)> {
        let recent = self.shared.recent();
        let skip = (self.after + 1).checked_sub(recent.events.front()?.seq)?;
        if recent.events.back()?.seq <= self.after {
            return None;
        }
        let mut position = self.after;
        let mut events = Vec::new();
        for event in recent.events.iter().skip(usize::try_from(skip).ok()?) {
            position = event.seq;
            if self.wants(event) {
                events.push(Arc::clone(event));
            }
            if events.len() == BATCH {
                break;
            }
        }
        Some((events, position))
    }

    fn wants(&self, event: &Event) -> bool {
        self.deployment
            .as_ref()
            .is_none_or(|id| *id == event.deployment)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("after", &self.after)
            .field("deployment", &self.deployment)
            .finish_non_exhaustive()
    }
}
