//! Deletes objects at a limited rate, after a last check.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::time::Instant;

use super::CollectError;
use super::layout::{Digest, Layout, below, digest};
use super::marks::Marks;
use super::policy::Policy;
use super::report::{Amount, FailedDeletes, Report};
use super::survey::{Survey, modified};

/// Number of objects per delete request. It's small so that little time passes between the last check and the deletion.
const BATCH: usize = 100;

/// Concurrent checks.
const LOOKS: usize = 16;

/// Deletes objects, or only counts them in a plan.
pub(super) struct Deleter<'a> {
    store: &'a dyn ObjectStore,
    /// Only count.
    dry_run: bool,
    per_second: u32,
    batch: Vec<ObjectMeta>,
    pub(super) deleted: Amount,
    pub(super) failed: Option<FailedDeletes>,
}

impl<'a> Deleter<'a> {
    pub(super) fn new(store: &'a dyn ObjectStore, policy: &Policy, dry_run: bool) -> Self {
        Self {
            store,
            dry_run,
            per_second: policy.deletes_per_second.max(1),
            batch: Vec::new(),
            deleted: Amount::default(),
            failed: None,
        }
    }

    /// Queues an object, and deletes the queue when it's full.
    pub(super) async fn delete(&mut self, object: ObjectMeta) {
        self.batch.push(object);
        if self.batch.len() == BATCH {
            self.flush().await;
        }
    }

    /// Deletes the queued objects.
    pub(super) async fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if self.dry_run {
            batch
                .iter()
                .for_each(|object| self.deleted.add(object.size));
            return;
        }
        let begin = Instant::now();
        let unchanged = self.look_again(batch).await;
        let number = unchanged.len();
        self.delete_all(unchanged).await;
        let least = Duration::from_secs_f64(number as f64 / f64::from(self.per_second));
        tokio::time::sleep_until(begin + least).await;
    }

    /// Returns the objects that haven't changed since they were listed. Renewed blobs and rewritten manifests stay.
    async fn look_again(&mut self, batch: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
        let store = self.store;
        let looks = batch.into_iter().map(|object| async move {
            let now = store.head(&object.location).await;
            // An object that can't be checked isn't deleted.
            let same = now.is_ok_and(|now| {
                now.last_modified.timestamp() == object.last_modified.timestamp()
                    && now.size == object.size
            });
            same.then_some(object)
        });
        let looks = stream::iter(looks).buffer_unordered(LOOKS);
        looks.filter_map(std::future::ready).collect().await
    }

    async fn delete_all(&mut self, objects: Vec<ObjectMeta>) {
        let paths: Vec<Path> = objects
            .iter()
            .map(|object| object.location.clone())
            .collect();
        let paths: BoxStream<'static, _> = stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut results = self.store.delete_stream(paths);
        let sizes: std::collections::HashMap<Path, u64> = objects
            .into_iter()
            .map(|object| (object.location, object.size))
            .collect();
        let mut left = sizes.len() as u64;
        while let Some(result) = results.next().await {
            left = left.saturating_sub(1);
            match result {
                Ok(path) => self.deleted.add(sizes.get(&path).copied().unwrap_or(0)),
                // Another collector was faster.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => self.fail(1, error.to_string()),
            }
        }
        if left > 0 {
            self.fail(left, "the server did not confirm the deletion".to_owned());
        }
    }

    fn fail(&mut self, objects: u64, why: String) {
        let before = self.failed.take().map_or(0, |failed| failed.objects);
        self.failed = Some(FailedDeletes {
            objects: before + objects,
            why,
        });
    }
}

/// Lists all blobs again and deletes those that no build can need.
pub(super) struct Sweep<'a> {
    pub(super) survey: &'a Survey,
    /// Manifests that were written since.
    pub(super) newer: &'a Survey,
    /// By number of the survey: a manifest that is kept names it.
    pub(super) kept: Vec<bool>,
    /// What the last collection found without a reference, if that is long enough ago.
    pub(super) ripe: Option<&'a Marks>,
    /// Blobs that are newer than this stay, because an unreadable manifest may name them.
    pub(super) oldest_corrupt: Option<Timestamp>,
    pub(super) policy: &'a Policy,
}

impl Sweep<'_> {
    /// Frees blobs; `marks` gets those that have to wait.
    pub(super) async fn run(
        &self,
        store: &dyn ObjectStore,
        layout: &Layout,
        deleter: &mut Deleter<'_>,
        marks: &mut Marks,
        report: &mut Report,
    ) -> Result<(), CollectError> {
        let folder = layout.blobs();
        let mut list = store.list(Some(&folder));
        while let Some(object) = list
            .try_next()
            .await
            .map_err(CollectError::store("list the blobs"))?
        {
            let Some(blob) = below(&object.location, &folder).and_then(digest) else {
                report.foreign.add(object.size);
                continue;
            };
            if self.is_kept(&blob) {
                report.kept.add(object.size);
            } else if self.is_free(&blob, &object) {
                deleter.delete(object).await;
            } else {
                report.waiting.add(object.size);
                marks.add(blob);
            }
        }
        deleter.flush().await;
        Ok(())
    }

    fn is_kept(&self, blob: &Digest) -> bool {
        let named = self.survey.blobs.number(blob);
        named.is_some_and(|number| self.kept[number as usize])
            || self.newer.blobs.number(blob).is_some()
    }

    /// Nothing has referred to it since the marks were made, and no build has renewed it since.
    fn is_free(&self, blob: &Digest, object: &ObjectMeta) -> bool {
        let Some(ripe) = self.ripe else {
            return false;
        };
        let written = modified(object);
        ripe.blobs.contains(blob)
            && written < before(ripe.at, self.policy.margin())
            && self
                .oldest_corrupt
                .is_none_or(|corrupt| written < before(corrupt, self.policy.margin()))
    }
}

pub(super) fn before(time: Timestamp, earlier: Duration) -> Timestamp {
    let earlier = SignedDuration::try_from(earlier).unwrap_or(SignedDuration::MAX);
    time.checked_sub(earlier).unwrap_or(Timestamp::MIN)
}

pub(super) fn after(time: Timestamp, later: Duration) -> Timestamp {
    let later = SignedDuration::try_from(later).unwrap_or(SignedDuration::MAX);
    time.checked_add(later).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::super::Collector;
    use super::*;

    /// Time passes only while everything waits.
    #[tokio::test(start_paused = true)]
    async fn deletes_keep_to_their_rate() {
        const MANIFESTS: u64 = 500;
        let store = Arc::new(InMemory::new());
        for number in 0..MANIFESTS {
            let manifest = r#"{"layers":[],"records":[]}"#.into();
            let key = format!("manifests/{number}").into();
            store.put(&key, manifest).await.unwrap();
        }
        let mut policy = Policy::default().ages(Duration::ZERO, Duration::ZERO);
        policy.deletes_per_second = 100;
        let tomorrow = || Timestamp::now() + Duration::from_secs(86_400);
        let collector = Collector::new(store, "").policy(policy).clock(tomorrow);
        let begin = Instant::now();
        let report = collector.collect().await.unwrap();
        assert_eq!(report.manifests.objects, MANIFESTS);
        assert!(begin.elapsed() >= Duration::from_secs(MANIFESTS / 100));
    }
}
