//! The controllers that turn Deployments into pods.
//!
//! One task looks at every change, marks what it concerns, and brings each marked object one step nearer to what is
//! wanted, in a fixed order: the same requests lead to the same history.

mod deployment;
mod deployment_status;
mod endpoints;
mod family;
mod garbage;
mod namespace;
mod new_set;
mod replica_set;
mod rolling;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::kubelet::{Kubelet, PullDone};
use super::recorder::Recorder;
use super::request::Target;
use super::resources::{
    self, DEPLOYMENTS, ENDPOINT_SLICES, PODS, REPLICA_SETS, Resource, SERVICES,
};
use super::shared::Shared;
use super::status::ApiResult;
use super::store::{Change, Key, Store};
use super::value::{self, text};
use super::write::{self, Writer};

/// An object to look at; the order is that in which marked objects are looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Namespace(String),
    /// The dependents of an owner that is gone.
    Dependents(String, String),
    /// An object that may be garbage.
    Garbage(Key),
    Deployment(String, String),
    ReplicaSet(String, String),
    Pod(String, String),
    Service(String, String),
}

/// All controllers of a cluster.
pub(crate) struct Controllers {
    pub(super) shared: Arc<Shared>,
    pub(super) recorder: Recorder,
    pub(super) kubelet: Kubelet,
    /// When a Deployment last progressed, by its uid: conditions carry whole seconds only.
    pub(super) progress: HashMap<String, Instant>,
    position: u64,
    marked: BTreeSet<Item>,
    timers: BTreeMap<(Instant, Item), ()>,
    changed: watch::Receiver<u64>,
    rewritten: watch::Receiver<()>,
    pulls: mpsc::UnboundedReceiver<PullDone>,
}

impl Controllers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (sender, pulls) = mpsc::unbounded_channel();
        Self {
            recorder: Recorder::new(shared.clone()),
            kubelet: Kubelet::new(shared.clone(), sender),
            progress: HashMap::new(),
            position: shared.read(Store::revision),
            marked: BTreeSet::new(),
            timers: BTreeMap::new(),
            changed: shared.subscribe(),
            rewritten: shared.rewritten(),
            pulls,
            shared,
        }
    }

    /// Runs until the task is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            self.observe();
            self.take_due();
            while let Some(item) = self.marked.pop_first() {
                self.reconcile(&item);
                self.observe();
                // Clients are served by the same threads.
                tokio::task::yield_now().await;
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let next = self.timers.first_key_value().map(|((at, _), ())| *at);
        // Without a timer only a change wakes the controllers.
        let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            changed = self.changed.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            () = sleep_until(next) => {}
            Ok(()) = self.rewritten.changed() => self.mark_pods(),
            Some(done) = self.pulls.recv() => {
                let item = Item::Pod(done.namespace.clone(), done.pod.clone());
                self.kubelet.pulled(done);
                self.marked.insert(item);
            }
        }
    }

    /// What pods do has changed: each one is looked at.
    fn mark_pods(&mut self) {
        let keys: Vec<Key> = self.shared.read(|store| {
            let pods = store.list(&PODS, None);
            pods.map(|(key, _)| key.clone()).collect()
        });
        for key in keys {
            self.marked.insert(Item::Pod(key.namespace, key.name));
        }
    }

    fn take_due(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, item), ()) = entry.remove_entry();
            self.marked.insert(item);
        }
    }

    /// Looks at an object again later.
    pub(super) fn look_at(&mut self, at: Instant, item: Item) {
        self.timers.insert((at, item), ());
    }

    fn reconcile(&mut self, item: &Item) {
        match item {
            Item::Namespace(name) => self.namespace(name),
            Item::Dependents(namespace, uid) => self.dependents(namespace, uid),
            Item::Garbage(key) => self.garbage(key),
            Item::Deployment(namespace, name) => self.deployment(namespace, name),
            Item::ReplicaSet(namespace, name) => self.replica_set(namespace, name),
            Item::Pod(namespace, name) => self.pod(namespace, name),
            Item::Service(namespace, name) => self.endpoints(namespace, name),
        }
    }

    fn pod(&mut self, namespace: &str, name: &str) {
        if let Some(at) = self.kubelet.look(&mut self.recorder, namespace, name) {
            self.look_at(at, Item::Pod(namespace.to_owned(), name.to_owned()));
        }
    }

    /// Marks what the changes since the last look concern.
    fn observe(&mut self) {
        let seen = self.shared.read(|store| {
            let changes = store.changes_after(self.position);
            let changes: Option<Vec<Change>> = changes.ok().map(|all| all.cloned().collect());
            (changes, store.revision())
        });
        self.position = seen.1;
        match seen.0 {
            Some(changes) => changes.iter().for_each(|change| self.mark(change)),
            None => self.mark_everything(),
        }
    }

    /// After a compaction: whatever there is may have changed.
    fn mark_everything(&mut self) {
        let keys: Vec<(Key, Arc<Value>)> = self.shared.read(|store| {
            resources::ALL
                .iter()
                .flat_map(|resource| store.list(resource, None))
                .map(|(key, object)| (key.clone(), object.clone()))
                .collect()
        });
        for (key, object) in keys {
            self.mark(&Change {
                revision: self.position,
                key,
                before: None,
                after: object,
                deleted: false,
            });
        }
    }

    fn mark(&mut self, change: &Change) {
        let key = &change.key;
        let place = || (key.namespace.clone(), key.name.clone());
        let is = |resource: &Resource| key.kind == resource.id();
        let object = &change.after;
        if change.deleted {
            let uid = text(object, "/metadata/uid").to_owned();
            self.marked
                .insert(Item::Dependents(key.namespace.clone(), uid));
            if let Some(owner) = value::items(object, "/metadata/ownerReferences").first() {
                self.mark_owner(&key.namespace, owner);
            }
        }
        if object["metadata"]["ownerReferences"].is_array() {
            self.marked.insert(Item::Garbage(key.clone()));
        }
        if is(&resources::NAMESPACES) {
            self.marked.insert(Item::Namespace(key.name.clone()));
        } else if is(&DEPLOYMENTS) {
            let (namespace, name) = place();
            self.marked.insert(Item::Deployment(namespace, name));
        } else if is(&REPLICA_SETS) {
            let (namespace, name) = place();
            self.marked.insert(Item::ReplicaSet(namespace, name));
            self.mark_controller(change);
        } else if is(&PODS) {
            let (namespace, name) = place();
            self.marked.insert(Item::Pod(namespace, name));
            self.mark_controller(change);
            self.mark_services(&key.namespace);
        } else if is(&SERVICES) {
            let (namespace, name) = place();
            self.marked.insert(Item::Service(namespace, name));
        } else if is(&ENDPOINT_SLICES) {
            let service = text(object, "/metadata/labels/kubernetes.io~1service-name");
            self.marked
                .insert(Item::Service(key.namespace.clone(), service.to_owned()));
        }
    }

    fn mark_controller(&mut self, change: &Change) {
        let namespace = &change.key.namespace;
        for object in change.before.iter().chain([&change.after]) {
            if let Some(owner) = value::controller(object) {
                self.mark_owner(namespace, owner);
            }
        }
    }

    fn mark_owner(&mut self, namespace: &str, owner: &Value) {
        let name = text(owner, "/name").to_owned();
        let namespace = namespace.to_owned();
        let item = match text(owner, "/kind") {
            "Deployment" => Some(Item::Deployment(namespace.clone(), name.clone())),
            "ReplicaSet" => Some(Item::ReplicaSet(namespace.clone(), name.clone())),
            _ => None,
        };
        self.marked.extend(item);
    }

    fn mark_services(&mut self, namespace: &str) {
        let names: Vec<String> = self.shared.read(|store| {
            let services = store.list(&SERVICES, Some(namespace));
            services.map(|(key, _)| key.name.clone()).collect()
        });
        for name in names {
            self.marked
                .insert(Item::Service(namespace.to_owned(), name));
        }
    }

    /// An object of the store.
    pub(super) fn get(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Value>> {
        self.shared
            .read(|store| super::read::find(store, resource, namespace, name))
    }

    /// The objects of a kind in a namespace that an owner controls.
    pub(super) fn controlled(
        &self,
        resource: &'static Resource,
        namespace: &str,
        uid: &str,
    ) -> Vec<Arc<Value>> {
        let kind = resource.id();
        self.shared.read(|store| {
            store
                .dependents(uid)
                .filter(|(key, _)| key.kind == kind && key.namespace == namespace)
                .filter(|(_, object)| value::is_controlled_by(object, uid))
                .map(|(_, object)| object.clone())
                .collect()
        })
    }

    /// Creates an object as the controller manager.
    pub(super) fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        object: &Value,
    ) -> ApiResult<Arc<Value>> {
        let target = Target::new(resource, namespace, "");
        let mut writer = Writer::component("kube-controller-manager");
        self.shared
            .write(|store| write::create(store, &target, object, &mut writer))
    }

    /// Changes an object as the controller manager.
    pub(super) fn modify(
        &self,
        target: &Target,
        change: impl FnOnce(&mut Value),
    ) -> ApiResult<Arc<Value>> {
        let mut writer = Writer::component("kube-controller-manager");
        self.shared.write(|store| {
            write::modify(store, target, &mut writer, |live| {
                let mut object = live.clone();
                change(&mut object);
                Ok(object)
            })
        })
    }

    /// A time of the cluster from now on.
    pub(super) fn later(&self, seconds: i64) -> Instant {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Instant::now() + self.shared.options.real(seconds)
    }
}
