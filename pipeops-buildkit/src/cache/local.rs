//! Caches in local folders. The daemon reads and writes their blobs through the session.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use pipeops_core::Digest;
use pipeops_core::cache::{BuildCache, LocalCache};

use crate::layout::Layout;
use crate::session::blobs::Store;

/// A name for the daemon, which need not know where things are on this machine.
pub(super) fn name(cache: &LocalCache) -> String {
    let mut hash = DefaultHasher::new();
    cache.folder.hash(&mut hash);
    format!("folder-{:016x}", hash.finish())
}

/// The digest of the cache's manifest; `None` if the cache is still empty.
pub(super) fn manifest(cache: &LocalCache) -> Option<Digest> {
    Layout::new(&cache.folder)
        .find(Some(&cache.tag))
        .unwrap_or_else(|error| {
            tracing::warn!(folder = %cache.folder.display(), %error, "can't read a build cache");
            None
        })
}

/// The folders of these caches, by the names under which the daemon asks for them.
pub(super) fn stores(from: &[BuildCache], to: &[BuildCache]) -> BTreeMap<String, Store> {
    let mut stores = BTreeMap::new();
    for (caches, writable) in [(from, false), (to, true)] {
        for cache in caches {
            if let BuildCache::Local(local) = cache {
                let layout = Layout::new(&local.folder);
                let store = Store { layout, writable };
                stores.insert(format!("local:{}", name(local)), store);
            }
        }
    }
    stores
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cache_is_read_once_it_is_there_and_its_path_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(folder.path().join("cache"));
        assert_eq!(manifest(&cache), None);
        let layout = Layout::new(&cache.folder);
        let mut blob = layout.begin().unwrap();
        blob.write(b"manifest").unwrap();
        let digest = blob.digest();
        blob.keep(&digest.parse().unwrap()).unwrap();
        layout.tag(&json!({"digest": digest}), "latest").unwrap();
        assert_eq!(manifest(&cache).unwrap().to_string(), digest);
        let name = name(&cache);
        assert!(!name.contains('/'), "{name}");
        let caches = [BuildCache::Local(cache)];
        let id = format!("local:{name}");
        assert!(!stores(&caches, &[])[&id].writable);
        assert!(stores(&caches, &caches)[&id].writable);
    }

    #[test]
    fn an_index_that_cannot_be_read_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), "{").unwrap();
        assert_eq!(manifest(&LocalCache::new(folder.path())), None);
    }
}
