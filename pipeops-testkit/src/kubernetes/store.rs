//! Objects and the history of their changes, which a real server keeps in etcd.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::resources::Resource;
use super::value::{items, text};

/// Changes that are kept for watches; older ones are forgotten, as a real server forgets.
const HISTORY: usize = 50_000;

/// Where history begins: revision 0 means "any" in the protocol, and clients take 1 for one that is surely forgotten.
const FIRST: u64 = 100;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The kind.
    pub(crate) kind: &'static str,
    /// The namespace; empty for kinds without one.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        Self {
            kind: resource.id(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The object before; none when it was created.
    pub(crate) before: Option<Arc<Value>>,
    /// The object after; for a deletion its last state, with the revision of the deletion.
    pub(crate) after: Arc<Value>,
    pub(crate) deleted: bool,
}

/// The client asks for changes that are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest revision that can still be asked for.
    pub(crate) oldest: u64,
}

/// All objects, ordered by kind, namespace and name.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    /// The objects that name an owner, by the owner's uid.
    dependents: BTreeMap<String, BTreeSet<Key>>,
    changes: VecDeque<Change>,
    revision: u64,
    compacted: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            dependents: BTreeMap::new(),
            changes: VecDeque::new(),
            revision: FIRST,
            compacted: FIRST,
        }
    }
}

impl Store {
    /// The revision of the latest change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a kind, in one namespace or in all, in order of namespace and name.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &'static Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key::new(resource, namespace.unwrap_or_default(), "");
        let kind = from.kind;
        self.objects.range(from..).take_while(move |(key, _)| {
            key.kind == kind && namespace.is_none_or(|namespace| key.namespace == namespace)
        })
    }

    /// The objects that name this owner.
    pub(crate) fn dependents<'a>(
        &'a self,
        uid: &str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.objects.get_key_value(key))
    }

    fn index(&mut self, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        let owners = |object: Option<&Value>| -> BTreeSet<String> {
            let all = object.map_or(&[][..], |object| items(object, "/metadata/ownerReferences"));
            all.iter()
                .map(|owner| text(owner, "/uid").to_owned())
                .collect()
        };
        let (before, after) = (owners(before), owners(after));
        for uid in before.difference(&after) {
            if let Some(keys) = self.dependents.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
        for uid in after.difference(&before) {
            self.dependents
                .entry(uid.clone())
                .or_default()
                .insert(key.clone());
        }
    }

    /// Stores an object under a new revision, which becomes its `resourceVersion`.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let after = Arc::new(object);
        let before = self.objects.insert(key.clone(), after.clone());
        self.index(&key, before.as_deref(), Some(&after));
        self.remember(key, before, after.clone(), false);
        after
    }

    /// Removes an object; its last state carries the revision of the removal.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.index(key, Some(&before), None);
        self.revision += 1;
        let mut last = (*before).clone();
        last["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let after = Arc::new(last);
        self.remember(key.clone(), Some(before), after.clone(), true);
        Some(after)
    }

    /// The changes after a revision, oldest first.
    pub(crate) fn changes_after(
        &self,
        revision: u64,
    ) -> Result<impl Iterator<Item = &Change>, Compacted> {
        if revision < self.compacted {
            return Err(Compacted {
                oldest: self.compacted,
            });
        }
        // Every change has its own revision, and they lie in order.
        let start = self
            .changes
            .partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(start..))
    }

    /// Forgets all changes so far: whoever has not seen them must list again.
    pub(crate) fn compact(&mut self) {
        self.changes.clear();
        self.compacted = self.revision;
    }

    fn remember(&mut self, key: Key, before: Option<Arc<Value>>, after: Arc<Value>, deleted: bool) {
        self.changes.push_back(Change {
            revision: self.revision,
            key,
            before,
            after,
            deleted,
        });
        if self.changes.len() > HISTORY
            && let Some(oldest) = self.changes.pop_front()
        {
            self.compacted = oldest.revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::{CONFIG_MAPS, PODS};
    use super::*;

    #[test]
    fn every_change_has_its_own_revision() {
        let mut store = Store::default();
        let key = Key::new(&PODS, "a", "x");
        let first = store.put(key.clone(), json!({"metadata": {}}));
        store.put(Key::new(&CONFIG_MAPS, "a", "c"), json!({"metadata": {}}));
        let last = store.remove(&key).unwrap();
        assert_eq!(first["metadata"]["resourceVersion"], "101");
        assert_eq!(last["metadata"]["resourceVersion"], "103");
        let seen: Vec<_> = store
            .changes_after(FIRST)
            .unwrap()
            .map(|c| c.revision)
            .collect();
        assert_eq!(seen, [101, 102, 103]);
        assert_eq!(store.changes_after(102).unwrap().count(), 1);
    }

    #[test]
    fn dependents_are_known_by_their_owner() {
        let mut store = Store::default();
        let key = Key::new(&PODS, "a", "x");
        let owned = |uid: &str| json!({"metadata": {"ownerReferences": [{"uid": uid}]}});
        store.put(key.clone(), owned("1"));
        store.put(key.clone(), owned("2"));
        assert_eq!(store.dependents("1").count(), 0);
        assert_eq!(store.dependents("2").count(), 1);
        store.remove(&key);
        assert_eq!(store.dependents("2").count(), 0);
    }

    #[test]
    fn compaction_forgets_the_past_only() {
        let mut store = Store::default();
        store.put(Key::new(&PODS, "a", "x"), json!({"metadata": {}}));
        store.compact();
        assert_eq!(
            store.changes_after(FIRST).err(),
            Some(Compacted { oldest: 101 })
        );
        assert_eq!(store.changes_after(101).unwrap().count(), 0);
        assert_eq!(store.list(&PODS, None).count(), 1);
    }

    #[test]
    fn a_list_stays_in_its_kind_and_namespace() {
        let mut store = Store::default();
        for (namespace, name) in [("a", "1"), ("ab", "1"), ("a", "2")] {
            store.put(Key::new(&PODS, namespace, name), json!({"metadata": {}}));
        }
        store.put(Key::new(&CONFIG_MAPS, "a", "c"), json!({"metadata": {}}));
        assert_eq!(store.list(&PODS, Some("a")).count(), 2);
        assert_eq!(store.list(&PODS, None).count(), 3);
    }
}
