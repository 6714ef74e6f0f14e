//! The states of all applications in one scope, and which application each object belongs to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use crate::state::{AppState, DeploymentState, EventState, PodState, ReplicaSetState};

/// Events about pods that are not known yet; the oldest go first.
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

/// One object that was seen.
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

/// The states of all applications in one scope.
#[derive(Debug, Default)]
pub(crate) struct AppStates {
    /// By namespace and Deployment.
    apps: HashMap<Key, watch::Sender<Arc<AppState>>>,
    /// Which application a ReplicaSet belongs to.
    sets: HashMap<Key, String>,
    /// Which application a Pod belongs to.
    pods: HashMap<Key, String>,
    /// Events about Pods and ReplicaSets that are not known yet: the watches of the kinds race.
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

    /// Takes in an object that is new or changed.
    pub(crate) fn put(&mut self, namespace: &str, item: Item) {
        match item {
            Item::Deployment(app, deployment) => {
                self.change(namespace, &app, |state| state.deployment = Some(deployment));
            }
            Item::ReplicaSet(set) => {
                let key = (namespace.to_owned(), set.name.clone());
                self.sets.insert(key, set.deployment.clone());
                let early = self.take_early(namespace, &set.name);
                self.change(namespace, &set.deployment.clone(), |state| {
                    state.replica_sets.insert(set.name.clone(), set);
                    early.into_iter().for_each(|event| state.add_event(event));
                });
            }
            Item::Pod(app, pod) => {
                let key = (namespace.to_owned(), pod.name.clone());
                self.pods.insert(key, app.clone());
                let early = self.take_early(namespace, &pod.name);
                self.change(namespace, &app, |state| {
                    state.pods.insert(pod.name.clone(), pod);
                    early.into_iter().for_each(|event| state.add_event(event));
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

    /// Takes out an object that is gone. Events stay: they end with what they are about.
    pub(crate) fn remove(&mut self, kind: WatchedKind, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            WatchedKind::Deployment => {
                if self.apps.contains_key(&key) {
                    self.change(namespace, name, |state| {
                        state.deployment = None;
                        state.events.remove(name);
                    });
                }
            }
            WatchedKind::ReplicaSet => {
                if let Some(app) = self.sets.remove(&key) {
                    self.change(namespace, &app, |state| {
                        state.replica_sets.remove(name);
                        state.events.remove(name);
                    });
                }
            }
            WatchedKind::Pod => {
                if let Some(app) = self.pods.remove(&key) {
                    self.change(namespace, &app, |state| {
                        state.pods.remove(name);
                        state.events.remove(name);
                    });
                }
            }
            WatchedKind::Event => {}
        }
    }

    /// Takes out all objects of a kind that a complete list did not contain.
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

    fn take_early(&mut self, namespace: &str, about: &str) -> Vec<EventState> {
        if self.early.is_empty() {
            return Vec::new();
        }
        let (mine, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<Vec<_>, _>(|(ns, event)| ns == namespace && event.about == about);
        self.early = others.into();
        mine.into_iter().map(|(_, event)| event).collect()
    }

    fn change(&mut self, namespace: &str, app: &str, change: impl FnOnce(&mut AppState)) {
        let key = (namespace.to_owned(), app.to_owned());
        let sender = self.apps.entry(key.clone()).or_default();
        // Copies only while a reader still holds the state before.
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
