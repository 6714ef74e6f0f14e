//! The stream of events, for writers and readers.
//!
//! Deployments write to [`DeploymentEvents`], which never blocks. One task stores pending events, in one transaction per
//! batch, and notifies the readers. A [`Subscription`] reads the newest events from memory and older ones from the store. A
//! slow reader doesn't slow others, and uses no memory but its position.

mod listener;
mod shared;
mod sink;
mod subscription;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub(crate) use listener::OnEvent;
pub use sink::DeploymentEvents;
pub use subscription::Subscription;

use crate::queue::Claim;
use crate::store::{Store, StoreError};
use shared::Shared;

/// The stream of events of one store. Clones share it; its tasks end with the last clone.
///
/// ```
/// use pipeops_runner::{Service, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Service::builder(SqliteStore::in_memory()?).start().await?;
/// let mut stream = service.hub().subscribe(0, None);
/// tokio::spawn(async move {
///     while let Ok(events) = stream.next().await {
///         events.iter().for_each(|event| println!("{}: {:?}", event.deployment, event.kind));
///     }
/// });
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    /// Aborts the tasks when the last clone is dropped.
    _tasks: Arc<JoinSet<()>>,
}

impl Hub {
    /// Starts the hub of this store on the current tokio runtime.
    ///
    /// # Errors
    /// When the store doesn't answer.
    pub async fn start(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        Self::start_with(store, Vec::new()).await
    }

    /// Starts a hub that calls these functions for each new event, each from a task of its own.
    pub(crate) async fn start_with(
        store: Arc<dyn Store>,
        listeners: Vec<OnEvent>,
    ) -> Result<Self, StoreError> {
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
        for on_event in listeners {
            let events = Subscription::new(Arc::clone(&shared), last, None);
            tasks.spawn(listener::listen(events, on_event));
        }
        Ok(Self {
            shared,
            _tasks: Arc::new(tasks),
        })
    }

    /// The sink for events of one claimed deployment. It redacts the project's secrets from all texts.
    pub fn sink(&self, claim: &Claim) -> DeploymentEvents {
        DeploymentEvents::new(Arc::clone(&self.shared), claim)
    }

    /// All events with greater numbers than `after`, stored and future ones, of one deployment or of all.
    pub fn subscribe(&self, after: u64, deployment: Option<String>) -> Subscription {
        Subscription::new(Arc::clone(&self.shared), after, deployment)
    }

    /// Tells the hub that the store has new events that the hub didn't write.
    pub fn wake(&self) {
        self.shared.elsewhere.notify_one();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub(head {})", *self.shared.head.borrow())
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
