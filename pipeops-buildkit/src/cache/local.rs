//! Caches in folders of this side: the daemon reads and writes their blobs through the session.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use pipeops_core::cache::{BuildCache, LocalCache};

use super::attributes::Attributes;
use crate::layout::Layout;
use crate::session::blobs::Store;

/// What is sent to read it; `None` when there is nothing yet.
pub(super) fn import(cache: &LocalCache) -> Option<Attributes> {
    let digest = match Layout::new(&cache.folder).find(Some(&cache.tag)) {
        Ok(digest) => digest?,
        Err(error) => {
            tracing::warn!(folder = %cache.folder.display(), %error, "a build cache cannot be read");
            return None;
        }
    };
    Some(Attributes::from([
        ("src", name(cache)),
        ("digest", digest.to_string()),
    ]))
}

/// What is sent to write it.
pub(super) fn export(cache: &LocalCache) -> Attributes {
    Attributes::from([("dest", name(cache))])
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

/// A name for the daemon, which need not know where things are on this machine.
fn name(cache: &LocalCache) -> String {
    let mut hash = DefaultHasher::new();
    cache.folder.hash(&mut hash);
    format!("folder-{:016x}", hash.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cache_is_read_once_it_is_there_and_its_place_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(folder.path().join("cache"));
        assert_eq!(import(&cache), None);
        let layout = Layout::new(&cache.folder);
        let mut blob = layout.begin().unwrap();
        blob.write(b"manifest").unwrap();
        let digest = blob.digest();
        blob.keep(&digest.parse().unwrap()).unwrap();
        layout.tag(&json!({"digest": digest}), "latest").unwrap();
        let read = import(&cache).unwrap();
        assert_eq!(read["digest"], digest);
        assert_eq!(read["src"], export(&cache)["dest"]);
        assert!(!read["src"].contains('/'), "{read:?}");
        let caches = [BuildCache::Local(cache)];
        let id = format!("local:{}", read["src"]);
        assert!(!stores(&caches, &[])[&id].writable);
        assert!(stores(&caches, &caches)[&id].writable);
    }

    #[test]
    fn an_index_that_cannot_be_read_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), "{").unwrap();
        assert_eq!(import(&LocalCache::new(folder.path())), None);
    }
}
