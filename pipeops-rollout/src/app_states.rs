//! The states of all watched applications, and which application each object belongs to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use crate::state::{AppState, DeploymentState, EventState, PodState, ReplicaSetState};

/// The most events that are kept about unknown pods. The oldest are dropped first.
const EARLY_EVENTS: usize = 500;

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WatchedKind {
    Deployment,
    ReplicaSet,
    Pod,
    Event,
}

impl WatchedKind {
    pub(crate) const ALL: [Self; 4] = [Self::Deployment, Self::ReplicaSet, Self::Pod, Self::Event];

    /// The resource as RBAC names it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments.apps",
            Self::ReplicaSet => "replicasets.apps",
            Self::Pod => "pods",
            Self::Event => "events",
        }
    }
}

/// An object that was received.
#[derive(Debug)]
pub(crate) enum Item {
    /// The Deployment of this name.
    Deployment(String, DeploymentState),
    ReplicaSet(ReplicaSetState),
    /// A Pod of the Deployment of this name.
    Pod(String, PodState),
    /// An event about an object of this kind.
    Event(String, EventState),
}

/// Namespace and name.
type Key = (String, String);

/// The states of all watched applications.
#[derive(Debug, Default)]
pub(crate) struct AppStates {
    /// By namespace and Deployment.
    apps: HashMap<Key, watch::Sender<Arc<AppState>>>,
    /// Which application a ReplicaSet belongs to.
    sets: HashMap<Key, String>,
    /// Which application a Pod belongs to.
    pods: HashMap<Key, String>,
    /// Events about unknown Pods and ReplicaSets: the watches of different kinds race.
    early: VecDeque<(String, EventState)>,
}

impl AppStates {
    /// The state of one application, now and later.
    pub(crate) fn subscribe(
        &mut self,
        namespace: &str,
        app: &str,
    ) -> watch::Receiver<Arc<AppState>> {
        self.apps
            .entry((namespace.to_owned(), app.to_owned()))
            .or_default()
            .subscribe()
    }

    /// Adds or updates an object.
    pub(crate) fn put(&mut self, namespace: &str, item: Item) {
        match item {
            Item::Deployment(app, deployment) => {
                self.change(namespace, &app, |state| state.deployment = Some(deployment));
            }
            Item::ReplicaSet(set) => {
                let (name, app) = (set.name.clone(), set.deployment.clone());
                let key = (namespace.to_owned(), name.clone());
                self.sets.insert(key, app.clone());
                self.change_with_early(namespace, &app, &name, |state| {
                    state.replica_sets.insert(name.clone(), set);
                });
            }
            Item::Pod(app, pod) => {
                let name = pod.name.clone();
                let key = (namespace.to_owned(), name.clone());
                self.pods.insert(key, app.clone());
                self.change_with_early(namespace, &app, &name, |state| {
                    state.pods.insert(name.clone(), pod);
                });
            }
            Item::Event(kind, event) => self.put_event(namespace, &kind, event),
        }
    }

    fn put_event(&mut self, namespace: &str, kind: &str, event: EventState) {
        let key = (namespace.to_owned(), event.about.clone());
        let app = match kind {
            "Deployment" => Some(event.about.clone()),
            "ReplicaSet" => self.sets.get(&key).cloned(),
            _ => self.pods.get(&key).cloned(),
        };
        match app {
            Some(app) => self.change(namespace, &app, |state| state.add_event(event)),
            None => {
                self.early.push_back((namespace.to_owned(), event));
                if self.early.len() > EARLY_EVENTS {
                    self.early.pop_front();
                }
            }
        }
    }

    /// Removes a deleted object and the events about it. Deleted events stay: they describe an object that still exists.
    pub(crate) fn remove(&mut self, kind: WatchedKind, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let app = match kind {
            WatchedKind::Deployment => self.apps.contains_key(&key).then(|| name.to_owned()),
            WatchedKind::ReplicaSet => self.sets.remove(&key),
            WatchedKind::Pod => self.pods.remove(&key),
            WatchedKind::Event => None,
        };
        let Some(app) = app else { return };
        self.change(namespace, &app, |state| {
            match kind {
                WatchedKind::Deployment => state.deployment = None,
                WatchedKind::ReplicaSet => drop(state.replica_sets.remove(name)),
                WatchedKind::Pod => drop(state.pods.remove(name)),
                WatchedKind::Event => {}
            }
            state.events.remove(name);
        });
    }

    /// Removes all objects of a kind that a complete list doesn't contain.
    pub(crate) fn retain(&mut self, kind: WatchedKind, seen: &HashSet<Key>) {
        let known: Vec<Key> = match kind {
            WatchedKind::Deployment => self
                .apps
                .iter()
                .filter(|(_, state)| state.borrow().deployment.is_some())
                .map(|(key, _)| key.clone())
                .collect(),
            WatchedKind::ReplicaSet => self.sets.keys().cloned().collect(),
            WatchedKind::Pod => self.pods.keys().cloned().collect(),
            WatchedKind::Event => return,
        };
        for (namespace, name) in known.into_iter().filter(|key| !seen.contains(key)) {
            self.remove(kind, &namespace, &name);
        }
    }

    /// Changes the state, and adds the events about the object of this name that arrived before it.
    fn change_with_early(
        &mut self,
        namespace: &str,
        app: &str,
        about: &str,
        change: impl FnOnce(&mut AppState),
    ) {
        let (mine, others): (VecDeque<_>, _) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(ns, event)| ns == namespace && event.about == about);
        self.early = others;
        self.change(namespace, app, |state| {
            change(state);
            mine.into_iter()
                .for_each(|(_, event)| state.add_event(event));
        });
    }

    fn change(&mut self, namespace: &str, app: &str, change: impl FnOnce(&mut AppState)) {
        let key = (namespace.to_owned(), app.to_owned());
        let sender = self.apps.entry(key.clone()).or_default();
        // Copies only while a reader holds the previous state.
        sender.send_modify(|state| change(Arc::make_mut(state)));
        if sender.receiver_count() == 0 && sender.borrow().is_empty() {
            self.apps.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Item {
        let pod = PodState {
            name: name.into(),
            replica_set: "web-1".into(),
            ..PodState::default()
        };
        Item::Pod("web".into(), pod)
    }

    fn event(name: &str, about: &str) -> Item {
        let event = EventState {
            name: name.into(),
            about: about.into(),
            ..EventState::default()
        };
        Item::Event("Pod".into(), event)
    }

    #[test]
    fn a_change_wakes_only_its_own_application() {
        let mut store = AppStates::default();
        let mut web = store.subscribe("shop", "web");
        let mut other = store.subscribe("shop", "other");
        let mut elsewhere = store.subscribe("blog", "web");
        store.put("shop", pod("web-1-a"));
        assert!(web.has_changed().unwrap());
        assert_eq!(web.borrow_and_update().pods.len(), 1);
        assert!(!other.has_changed().unwrap() && !elsewhere.has_changed().unwrap());
        let _ = (other.borrow_and_update(), elsewhere.borrow_and_update());
    }

    #[test]
    fn an_event_that_comes_before_its_pod_is_not_lost() {
        let mut store = AppStates::default();
        let web = store.subscribe("shop", "web");
        store.put("shop", event("e1", "web-1-a"));
        store.put("blog", event("e2", "web-1-a"));
        store.put("shop", pod("web-1-a"));
        store.put("shop", event("e3", "web-1-a"));
        let names: Vec<_> = web
            .borrow()
            .events_of("web-1-a")
            .map(|e| e.name.clone())
            .collect();
        assert_eq!(names, ["e1", "e3"]);
    }

    #[test]
    fn a_new_list_takes_out_what_it_does_not_contain() {
        let mut store = AppStates::default();
        let web = store.subscribe("shop", "web");
        store.put("shop", pod("web-1-a"));
        store.put("shop", pod("web-1-b"));
        store.put("shop", event("e", "web-1-a"));
        let seen = HashSet::from([("shop".to_owned(), "web-1-b".to_owned())]);
        store.retain(WatchedKind::Pod, &seen);
        assert_eq!(web.borrow().pods.keys().collect::<Vec<_>>(), ["web-1-b"]);
        assert!(web.borrow().events.is_empty());
    }

    #[test]
    fn nothing_is_kept_of_applications_that_are_gone() {
        let mut store = AppStates::default();
        store.put("shop", pod("web-1-a"));
        store.remove(WatchedKind::Pod, "shop", "web-1-a");
        assert!(store.apps.is_empty() && store.pods.is_empty());
    }
}
