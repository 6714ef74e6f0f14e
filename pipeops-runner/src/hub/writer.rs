//! The tasks of a hub: one stores emitted events, one reads the events of other processes.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::Event;

use super::shared::{Pending, RECENT, Shared};
use crate::store::{NewEvent, StoreError};

/// How often the store is read for events of other processes.
const POLL: Duration = Duration::from_secs(1);

/// The pause before a write, so that one transaction stores many events.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// The pause after an error of the store.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Stores pending events until the task is aborted.
pub(super) async fn write(shared: Arc<Shared>) {
    loop {
        shared.news.notified().await;
        if !shared.pending().is_waited_for() {
            let _ = tokio::time::timeout(BATCH_DELAY, shared.urgent.notified()).await;
        }
        let Pending { events, flushes } = std::mem::take(&mut *shared.pending());
        if !events.is_empty() {
            store_events(&shared, events).await;
        }
        for done in flushes {
            // The waiter may be gone.
            let _ = done.send(());
        }
    }
}

/// Retries until the store accepts the events. A full disk loses none.
async fn store_events(shared: &Shared, events: Vec<NewEvent>) {
    loop {
        match shared.store.append_events(events.clone()).await {
            Ok(stored) => return publish(shared, stored).await,
            Err(error) => {
                log("stored", &error);
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
}

async fn publish(shared: &Shared, stored: Vec<Event>) {
    // Another process wrote in between: the store has all events.
    if !shared.extend(stored) {
        catch_up_logged(shared).await;
    }
}

/// Reads events of other processes and of the store itself, at wake-ups and at intervals.
pub(super) async fn follow(shared: Arc<Shared>) {
    loop {
        let _ = tokio::time::timeout(POLL, shared.elsewhere.notified()).await;
        catch_up_logged(&shared).await;
    }
}

async fn catch_up_logged(shared: &Shared) {
    if let Err(error) = catch_up(shared).await {
        log("read", &error);
    }
}

/// Reads the events that follow the newest one in memory.
async fn catch_up(shared: &Shared) -> Result<(), StoreError> {
    loop {
        let head = *shared.head.borrow();
        let events = shared.store.events_after(head, None, RECENT).await?;
        let done = events.len() < RECENT;
        shared.extend(events);
        if done {
            return Ok(());
        }
    }
}

pub(super) fn log(what: &str, error: &StoreError) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "events cannot be {what}; retrying");
}
