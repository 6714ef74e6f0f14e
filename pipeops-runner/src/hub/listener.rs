//! Calls a function of the embedding program for each event.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pipeops_core::Event;

use super::subscription::Subscription;
use super::writer::{RETRY_DELAY, log};

/// What a program does with each event.
pub(crate) type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// Calls the function until the task is aborted. It may block: it runs on a thread for blocking work, and a slow one reads
/// events that memory no longer has from the store.
pub(super) async fn listen(mut events: Subscription, on_event: OnEvent) {
    loop {
        let batch = match events.next().await {
            Ok(batch) => batch,
            Err(error) => {
                log("read", &error);
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        let on_event = Arc::clone(&on_event);
        let calls = tokio::task::spawn_blocking(move || {
            for event in batch {
                // The panic hook has printed the message.
                if catch_unwind(AssertUnwindSafe(|| on_event(&event))).is_err() {
                    tracing::error!(seq = event.seq, "the function for events panicked");
                }
            }
        });
        // Fails only while the runtime shuts down.
        if calls.await.is_err() {
            return;
        }
    }
}
