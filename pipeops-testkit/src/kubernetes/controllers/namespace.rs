//! Namespaces: what each one has from the start, and how it goes.

use serde_json::json;

use super::Controllers;
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{self, NAMESPACES, PODS, Resource, SERVICE_ACCOUNTS};
use crate::kubernetes::store::Key;

impl Controllers {
    /// Gives a namespace its service account, or empties it.
    pub(super) fn namespace(&mut self, name: &str) {
        let Some(namespace) = self.get(&NAMESPACES, "", name) else {
            return;
        };
        if namespace["status"]["phase"] == "Terminating" {
            self.empty(name);
            return;
        }
        if self.get(&SERVICE_ACCOUNTS, name, "default").is_none() {
            let account = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default"},
            });
            let _ = self.create(&SERVICE_ACCOUNTS, name, &account);
        }
    }

    /// Deletes everything in a namespace, and then the namespace itself.
    fn empty(&mut self, name: &str) {
        let inside: Vec<(&'static Resource, Key)> = self.shared.read(|store| {
            let kinds = resources::ALL
                .iter()
                .copied()
                .filter(|r| r.namespaced && *r.storage() == **r);
            kinds
                .flat_map(|resource| {
                    store
                        .list(resource, Some(name))
                        .map(move |(key, _)| (resource, key.clone()))
                })
                .collect()
        });
        for (resource, key) in &inside {
            let target = Target::new(resource, &key.namespace, &key.name);
            // Pods get their grace, as on a real cluster.
            let options = if **resource == PODS {
                Options::default()
            } else {
                Options::now()
            };
            let _ = self
                .shared
                .write(|store| delete::delete(store, &target, &options));
        }
        let key = Key::new(&NAMESPACES, "", name);
        self.shared.write(|store| {
            let empty = resources::ALL
                .iter()
                .filter(|resource| resource.namespaced)
                .all(|resource| store.list(resource, Some(name)).next().is_none());
            if empty {
                store.remove(&key);
            }
        });
        // What is left announces its end by itself; each end leads here again.
    }
}
