//! Reads the contents of the bucket: manifests, the blobs that they name, and usage statistics.
//!
//! It needs about 150 bytes of memory per referenced blob plus four per reference, and none for unreferenced objects.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::CollectError;
use super::layout::{Digest, Layout, below, digest};
use super::manifest;
use super::report::{Amount, CorruptManifest};
use super::usage::Usage;

/// Objects that are read at once.
const READERS: usize = 8;

/// Limit for the size of a usage record, in bytes.
const LARGEST_USAGE: u64 = 1 << 20;

/// Blobs by a number, so that a manifest's list of them is short.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    numbers: HashMap<Digest, u32>,
    /// By number: the size, and whether the blob is there.
    about: Vec<About>,
}

#[derive(Debug, Clone, Copy)]
struct About {
    size: u64,
    there: bool,
}

impl Blobs {
    fn add(&mut self, blob: Digest, size: u64) -> u32 {
        *self.numbers.entry(blob).or_insert_with(|| {
            self.about.push(About { size, there: false });
            (self.about.len() - 1) as u32
        })
    }

    pub(super) fn number(&self, blob: &Digest) -> Option<u32> {
        self.numbers.get(blob).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.about.len()
    }

    pub(super) fn size(&self, number: u32) -> u64 {
        self.about[number as usize].size
    }

    pub(super) fn is_there(&self, number: u32) -> bool {
        self.about[number as usize].there
    }
}

/// A parsed manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its name: the cache's, with the slot.
    pub(super) name: String,
    pub(super) meta: ObjectMeta,
    /// Numbers of its blobs.
    pub(super) blobs: Box<[u32]>,
}

impl Manifest {
    pub(super) fn written(&self) -> Timestamp {
        modified(&self.meta)
    }
}

/// The input of a decision.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) blobs: Blobs,
    pub(super) manifests: Vec<Manifest>,
    pub(super) corrupt: Vec<CorruptManifest>,
    pub(super) usage: HashMap<String, Usage>,
    /// All blobs in the bucket.
    pub(super) stored: Amount,
}

impl Survey {
    /// Reads manifests and usage, then lists the blobs. In this order, because blobs are written before their manifest.
    pub(super) async fn read(
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<Self, CollectError> {
        let mut survey = Self::default();
        survey.read_manifests(store, layout).await?;
        survey.read_usage(store, layout).await?;
        survey.look_for_blobs(store, layout).await?;
        Ok(survey)
    }

    /// The number of missing blobs that a manifest names.
    pub(super) fn missing(&self, manifest: &Manifest) -> usize {
        let missing = |number: &&u32| !self.blobs.is_there(**number);
        manifest.blobs.iter().filter(missing).count()
    }

    /// Reads the manifests that are new, were rewritten, or exist although they were deleted (`gone`).
    pub(super) async fn newer(
        &self,
        store: &dyn ObjectStore,
        layout: &Layout,
        gone: &HashSet<usize>,
    ) -> Result<Self, CollectError> {
        let known: HashMap<&str, &ObjectMeta> = self
            .manifests
            .iter()
            .enumerate()
            .filter(|(place, _)| !gone.contains(place))
            .map(|(_, manifest)| (manifest.name.as_str(), &manifest.meta))
            .collect();
        let is_new = |name: &str, meta: &ObjectMeta| {
            known.get(name).is_none_or(|old| {
                old.last_modified != meta.last_modified || old.e_tag != meta.e_tag
            })
        };
        let mut newer = Self::default();
        newer.read_manifests_if(store, layout, is_new).await?;
        Ok(newer)
    }

    async fn read_manifests(
        &mut self,
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<(), CollectError> {
        self.read_manifests_if(store, layout, |_, _| true).await
    }

    async fn read_manifests_if(
        &mut self,
        store: &dyn ObjectStore,
        layout: &Layout,
        wanted: impl Fn(&str, &ObjectMeta) -> bool,
    ) -> Result<(), CollectError> {
        let folder = layout.manifests();
        let list = store
            .list(Some(&folder))
            .map_err(CollectError::store("list the manifests"))
            .try_filter_map(|meta| {
                let name = below(&meta.location, &folder).map(str::to_owned);
                let found = name.filter(|name| wanted(name, &meta));
                std::future::ready(Ok(found.map(|name| (name, meta))))
            });
        let mut read = list
            .map_ok(|(name, meta)| read_manifest(store, name, meta))
            .try_buffer_unordered(READERS)
            .boxed_local();
        while let Some(found) = read.try_next().await? {
            match found {
                Found::Manifest(name, meta, blobs) => {
                    let numbers = blobs
                        .into_iter()
                        .map(|(blob, size)| self.blobs.add(blob, size));
                    let blobs = numbers.collect();
                    self.manifests.push(Manifest { name, meta, blobs });
                }
                Found::Corrupt(corrupt) => self.corrupt.push(corrupt),
                Found::Gone => {}
            }
        }
        // Answers arrive in any order, but reports are sorted.
        self.manifests.sort_by(|one, two| one.name.cmp(&two.name));
        self.corrupt.sort_by(|one, two| one.key.cmp(&two.key));
        Ok(())
    }

    async fn read_usage(
        &mut self,
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<(), CollectError> {
        let folder = layout.usages();
        let mut read = store
            .list(Some(&folder))
            .map_err(CollectError::store("list the counts of builds"))
            .try_filter(|meta| std::future::ready(meta.size <= LARGEST_USAGE))
            .map_ok(|meta| async {
                let bytes = get(store, &meta.location).await?;
                Ok((meta, bytes))
            })
            .try_buffer_unordered(READERS)
            .boxed_local();
        while let Some((meta, bytes)) = read.try_next().await? {
            let name = below(&meta.location, &folder).and_then(|file| file.strip_suffix(".json"));
            let usage = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let (Some(name), Some(usage)) = (name, usage) {
                self.usage.insert(name.to_owned(), usage);
            }
        }
        Ok(())
    }

    async fn look_for_blobs(
        &mut self,
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<(), CollectError> {
        let folder = layout.blobs();
        let mut list = store.list(Some(&folder));
        while let Some(meta) = list
            .try_next()
            .await
            .map_err(CollectError::store("list the blobs"))?
        {
            self.stored.add(meta.size);
            let number = below(&meta.location, &folder)
                .and_then(digest)
                .and_then(|blob| self.blobs.number(&blob));
            if let Some(number) = number {
                self.blobs.about[number as usize] = About {
                    size: meta.size,
                    there: true,
                };
            }
        }
        Ok(())
    }
}

enum Found {
    Manifest(String, ObjectMeta, Vec<(Digest, u64)>),
    Corrupt(CorruptManifest),
    /// Deleted after it was listed.
    Gone,
}

async fn read_manifest(
    store: &dyn ObjectStore,
    name: String,
    meta: ObjectMeta,
) -> Result<Found, CollectError> {
    let corrupt = |why: String| {
        Found::Corrupt(CorruptManifest {
            key: meta.location.to_string(),
            written: modified(&meta),
            why,
        })
    };
    if meta.size > manifest::LARGEST {
        return Ok(corrupt(format!("too large: {} bytes", meta.size)));
    }
    let Some(bytes) = get(store, &meta.location).await? else {
        return Ok(Found::Gone);
    };
    Ok(match manifest::blobs(&bytes) {
        Ok(blobs) => Found::Manifest(name, meta, blobs),
        Err(why) => corrupt(why),
    })
}

async fn get(store: &dyn ObjectStore, path: &Path) -> Result<Option<bytes::Bytes>, CollectError> {
    let fail = CollectError::store("read an object");
    match store.get(path).await {
        Ok(found) => Ok(Some(found.bytes().await.map_err(fail)?)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// When an object was written, by the server's clock.
pub(super) fn modified(meta: &ObjectMeta) -> Timestamp {
    let time = meta.last_modified;
    Timestamp::new(
        time.timestamp(),
        time.timestamp_subsec_nanos().min(999_999_999) as i32,
    )
    .unwrap_or(Timestamp::UNIX_EPOCH)
}
