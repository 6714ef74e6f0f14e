//! The unreferenced blobs that a collection found, stored for the next one.

use std::collections::HashSet;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};

use super::CollectError;
use super::layout::{Digest, Layout};

/// The first bytes, with a version.
const MAGIC: &[u8; 8] = b"bkmarks1";

/// Limit for the number of marks: 64 MiB of digests. Further blobs are marked by later collections.
const MOST: usize = 2_000_000;

/// The blobs that were unreferenced at a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) at: Timestamp,
    pub(super) blobs: HashSet<Digest>,
}

impl Marks {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            at,
            blobs: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, blob: Digest) {
        if self.blobs.len() < MOST {
            self.blobs.insert(blob);
        }
    }

    /// Reads the marks of the last collection; `None` if there are none or they can't be parsed.
    pub(super) async fn read(
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<Option<Self>, CollectError> {
        let fail = CollectError::store("read the marks of the last collection");
        match store.get(&layout.marks()).await {
            Ok(found) => Ok(Self::decode(&found.bytes().await.map_err(fail)?)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    pub(super) async fn write(
        &self,
        store: &dyn ObjectStore,
        layout: &Layout,
    ) -> Result<(), CollectError> {
        let put = store.put(&layout.marks(), self.encode().into()).await;
        put.map(drop).map_err(CollectError::store(
            "write the marks for the next collection",
        ))
    }

    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(16 + 32 * self.blobs.len());
        bytes.put_slice(MAGIC);
        bytes.put_i64_le(self.at.as_second());
        for blob in &self.blobs {
            bytes.put_slice(blob);
        }
        bytes.freeze()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        let (blobs, end) = rest.as_chunks::<32>();
        let at = Timestamp::from_second(i64::from_le_bytes(*seconds)).ok()?;
        end.is_empty().then(|| Self {
            at,
            blobs: blobs.iter().copied().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_come_back(blobs in proptest::collection::hash_set(any::<[u8; 32]>(), 0..9), second in 0i64..4_000_000_000) {
            let marks = Marks { at: Timestamp::from_second(second).unwrap(), blobs };
            prop_assert_eq!(Marks::decode(&marks.encode()), Some(marks.clone()));
            // Half a digest is not a digest.
            prop_assert_eq!(Marks::decode(&[&marks.encode()[..], &[0]].concat()), None);
        }

        #[test]
        fn other_bytes_are_no_marks(bytes: Vec<u8>) {
            prop_assert_eq!(Marks::decode(&bytes), None);
        }
    }
}
