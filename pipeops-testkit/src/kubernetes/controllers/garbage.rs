//! Garbage collection: deletes objects whose owners are gone.

use std::sync::Arc;

use serde_json::Value;

use super::Controllers;
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{self, Resource};
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::value::{self, items, text};

impl Controllers {
    /// An owner is gone: its dependents are looked at.
    pub(super) fn dependents(&mut self, namespace: &str, uid: &str) {
        for (resource, object) in self.dependents_of(namespace, uid) {
            let name = text(&object, "/metadata/name");
            self.garbage(&Key::new(resource, namespace, name));
        }
    }

    /// Deletes an object whose owners are gone.
    pub(super) fn garbage(&mut self, key: &Key) {
        let Some(resource) = resources::ALL.iter().find(|r| r.id() == key.kind).copied() else {
            return;
        };
        let Some(object) = self.get(resource, &key.namespace, &key.name) else {
            return;
        };
        if !value::is_terminating(&object) && self.is_orphan(&object) {
            let target = Target::new(resource, &key.namespace, &key.name);
            let _ = self
                .shared
                .write(|store| delete::delete(store, &target, &Options::default()));
        }
    }

    /// Whether an object has owners and none of them exists.
    fn is_orphan(&self, object: &Value) -> bool {
        let owners = items(object, "/metadata/ownerReferences");
        let namespace = text(object, "/metadata/namespace");
        !owners.is_empty()
            && self
                .shared
                .read(|store| !owners.iter().any(|owner| exists(store, namespace, owner)))
    }

    fn dependents_of(&self, namespace: &str, uid: &str) -> Vec<(&'static Resource, Arc<Value>)> {
        self.shared.read(|store| {
            store
                .dependents(uid)
                .filter(|(key, _)| key.namespace == namespace)
                .filter_map(|(key, object)| {
                    let resource = resources::ALL.iter().find(|r| r.id() == key.kind)?;
                    Some((*resource, object.clone()))
                })
                .collect()
        })
    }
}

fn exists(store: &Store, namespace: &str, owner: &Value) -> bool {
    let resource = resources::of_kind(text(owner, "/apiVersion"), text(owner, "/kind"));
    // An owner of a kind that the stand-in does not know may exist for all it knows.
    let Some(resource) = resource else {
        return true;
    };
    let namespace = if resource.namespaced { namespace } else { "" };
    let found = store.get(&Key::new(resource, namespace, text(owner, "/name")));
    found.is_some_and(|found| found["metadata"]["uid"] == owner["uid"])
}
