//! Usage statistics of caches, stored in the bucket.
//!
//! BuildKit doesn't record that a cache was read: an import leaves no trace in the bucket, and a manifest only has the time when
//! it was last written. The client of a build knows what distinguishes a busy project from an abandoned one: that a build ran,
//! and how many of its steps were cached. It stores this as one small object per namespace with counts per day. Of two
//! concurrent writes, at most one count is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use pipeops_core::cache::BuildCache;
use pipeops_core::event::EventKind;
use pipeops_core::{BuildRequest, BuiltImage, EventSink, Failure, ImageBuilder};
use serde::{Deserialize, Serialize};

use super::CollectError;
use super::layout::Layout;

/// Number of days that are kept, longer than any retention.
const DAYS: usize = 60;

/// Attempts to update a record that other builds change concurrently.
const TRIES: usize = 5;

/// Time limit for a record, because builds shouldn't wait for statistics.
const LIMIT: Duration = Duration::from_secs(10);

/// Usage statistics of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Counts per day (UTC), for the last 60 days with builds.
    #[serde(default)]
    pub days: BTreeMap<Date, DayUsage>,
}

/// Builds of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DayUsage {
    /// The number of successful builds.
    pub builds: u64,
    /// Their total number of steps.
    pub steps: u64,
    /// The number of these steps that were cached.
    pub cached: u64,
}

impl Usage {
    /// Returns the share of cached steps, from 0 to 1; `None` if there are no steps.
    pub fn hit_rate(&self) -> Option<f64> {
        let sum = |count: fn(&DayUsage) -> u64| self.days.values().map(count).sum::<u64>();
        let steps = sum(|day| day.steps);
        (steps > 0).then(|| sum(|day| day.cached) as f64 / steps as f64)
    }

    fn add(&mut self, now: Timestamp, steps: usize, cached: usize) {
        let day = self.days.entry(date(now)).or_default();
        day.builds += 1;
        day.steps += steps as u64;
        day.cached += cached as u64;
        while self.days.len() > DAYS {
            self.days.pop_first();
        }
    }
}

pub(super) fn date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Records builds in the bucket of their cache, for the [`Policy`](super::Policy) of a collection. A [`RecordingBuilder`] does this
/// for each build.
///
/// ```
/// use std::sync::Arc;
/// use object_store::memory::InMemory;
/// use pipeops_buildkit::cache::collect::UsageLog;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pipeops_buildkit::cache::collect::CollectError> {
/// let log = UsageLog::new(Arc::new(InMemory::new()), "shop/"); // `open` connects to a real bucket
/// log.record("github.com__acme__shop_-_main_-_Dockerfile", 12, 9).await?; // 12 steps, 9 of them cached
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct UsageLog {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
}

impl UsageLog {
    /// Creates a log below `prefix`, which must be the cache's prefix.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self {
            store,
            layout: Layout::new(prefix.into()),
        }
    }

    /// Records a build of the cache with this name.
    ///
    /// # Errors
    /// [`CollectError::Store`] if the bucket can't be read or written, or if concurrent writes prevented the update five times.
    pub async fn record(
        &self,
        name: &str,
        steps: usize,
        cached: usize,
    ) -> Result<(), CollectError> {
        let key = self.layout.usage(name);
        let fail = CollectError::store("record the use of a cache");
        for _ in 0..TRIES {
            let (mut usage, mode) = match self.store.get(&key).await {
                Ok(found) => {
                    let version = UpdateVersion {
                        e_tag: found.meta.e_tag.clone(),
                        version: found.meta.version.clone(),
                    };
                    let bytes = found.bytes().await.map_err(&fail)?;
                    // Unreadable statistics are reset.
                    let usage: Usage = serde_json::from_slice(&bytes).unwrap_or_default();
                    (usage, PutMode::Update(version))
                }
                Err(StoreError::NotFound { .. }) => (Usage::default(), PutMode::Create),
                Err(error) => return Err(fail(error)),
            };
            usage.add(Timestamp::now(), steps, cached);
            let json = serde_json::to_vec(&usage).unwrap_or_default();
            let put = self
                .store
                .put_opts(&key, json.clone().into(), PutOptions::from(mode))
                .await;
            match put {
                Ok(_) => return Ok(()),
                Err(StoreError::Precondition { .. } | StoreError::AlreadyExists { .. }) => {}
                // A server without conditional writes may lose a count.
                Err(StoreError::NotImplemented { .. }) => {
                    return self
                        .store
                        .put(&key, json.into())
                        .await
                        .map(drop)
                        .map_err(fail);
                }
                Err(error) => return Err(fail(error)),
            }
        }
        Err(fail(StoreError::Precondition {
            path: key.to_string(),
            source: "concurrent writes prevented the update".into(),
        }))
    }
}

/// An [`ImageBuilder`] that records its builds in a [`UsageLog`], for each S3 cache that they write. If that fails, it emits a
/// warning; the build still succeeds.
///
/// ```
/// use pipeops_buildkit::cache::S3Cache;
/// use pipeops_buildkit::cache::collect::{RecordingBuilder, UsageLog, open};
/// use pipeops_buildkit::{Address, Builder, BuilderOptions};
///
/// let bucket = S3Cache::new("build-cache", "eu-central-1", "");
/// let log = UsageLog::new(open(&bucket)?, bucket.prefix.as_str());
/// let builder = RecordingBuilder::new(Builder::new(Address::default(), BuilderOptions::default()), log);
/// # let _ = builder;
/// # Ok::<(), pipeops_buildkit::cache::collect::CollectError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RecordingBuilder<B> {
    builder: B,
    log: UsageLog,
}

impl<B: ImageBuilder> RecordingBuilder<B> {
    /// Creates a builder that builds with `builder` and records to `log`.
    pub fn new(builder: B, log: UsageLog) -> Self {
        Self { builder, log }
    }
}

#[async_trait]
impl<B: ImageBuilder> ImageBuilder for RecordingBuilder<B> {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        let name = |cache: &BuildCache| match cache {
            BuildCache::S3(s3) => Some(s3.name.clone()),
            _ => None,
        };
        let names: Vec<String> = request.cache_to.iter().filter_map(name).collect();
        let built = self.builder.build(request, events).await?;
        for name in names {
            let record = self.log.record(&name, built.steps, built.cached);
            let why = match tokio::time::timeout(LIMIT, record).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("the bucket did not respond within {LIMIT:?}"),
            };
            events.emit(EventKind::Warning {
                message: format!("The use of the cache {name:?} couldn't be recorded: {why}"),
            });
        }
        Ok(built)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn read(store: &dyn ObjectStore, key: &str) -> serde_json::Result<Usage> {
        let found = store.get(&key.into()).await.unwrap();
        serde_json::from_slice(&found.bytes().await.unwrap())
    }

    #[tokio::test]
    async fn builds_are_counted_also_at_once() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let log = UsageLog::new(Arc::clone(&store), "p/");
        let records = (0..3).map(|_| log.record("a", 10, 4));
        for record in futures::future::join_all(records).await {
            record.unwrap();
        }
        let usage = read(&*store, "p/usage/a.json").await.unwrap();
        let day = usage.days.values().next().unwrap();
        assert_eq!((day.builds, day.steps, day.cached), (3, 30, 12));
        assert_eq!(usage.hit_rate(), Some(0.4));
    }

    #[tokio::test]
    async fn statistics_that_cannot_be_read_are_begun_anew() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store
            .put(&"usage/a.json".into(), "no json".into())
            .await
            .unwrap();
        UsageLog::new(Arc::clone(&store), "")
            .record("a", 1, 1)
            .await
            .unwrap();
        assert!(read(&*store, "usage/a.json").await.is_ok());
    }

    #[test]
    fn old_days_are_forgotten() {
        let mut usage = Usage::default();
        for day in 0..100 {
            usage.add(Timestamp::from_second(day * 86_400).unwrap(), 1, 0);
        }
        assert_eq!(usage.days.len(), DAYS);
        assert_eq!(usage.hit_rate(), Some(0.0));
    }
}
