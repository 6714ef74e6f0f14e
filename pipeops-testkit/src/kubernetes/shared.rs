//! The state of a cluster.

use std::sync::Mutex;

use tokio::sync::watch;

use super::access::Denials;
use super::behaviour::Behaviours;
use super::logs::Logs;
use super::options::ClusterOptions;
use super::store::Store;
use crate::serve::lock;

/// The state of a cluster.
pub(crate) struct Shared {
    pub(crate) options: ClusterOptions,
    pub(crate) behaviours: Mutex<Behaviours>,
    pub(crate) denials: Mutex<Denials>,
    pub(crate) logs: Logs,
    store: Mutex<Store>,
    revision: watch::Sender<u64>,
    /// Told when the script of pods has changed.
    rewritten: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(options: ClusterOptions) -> Self {
        let store = Store::default();
        let (revision, _) = watch::channel(store.revision());
        Self {
            options,
            behaviours: Mutex::default(),
            denials: Mutex::default(),
            logs: Logs::default(),
            store: Mutex::new(store),
            revision,
            rewritten: watch::Sender::new(()),
        }
    }

    /// Looks at the store.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&lock(&self.store))
    }

    /// Changes the store, and wakes whoever waits for changes.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = lock(&self.store);
        let result = change(&mut store);
        let revision = store.revision();
        drop(store);
        self.revision.send_if_modified(|last| {
            // Another writer may have announced a later revision already.
            let newer = revision > *last;
            *last = revision.max(*last);
            newer
        });
        result
    }

    /// The latest revision, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Changes what pods do.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Behaviours)) {
        change(&mut lock(&self.behaviours));
        self.rewritten.send_replace(());
    }

    /// Tells of changes of what pods do.
    pub(crate) fn rewritten(&self) -> watch::Receiver<()> {
        self.rewritten.subscribe()
    }
}
