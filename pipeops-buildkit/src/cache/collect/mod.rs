//! Garbage collection for build caches in S3 or another object store.
//!
//! BuildKit writes caches but never deletes from them. A bucket's expiry rules don't help: they delete blobs that manifests
//! still name, and then builds fail. A [`Collector`] knows the references. It deletes the caches that a [`Policy`] gives up, and
//! then the blobs that no cache refers to.
//!
//! # Concurrent builds
//! Collections can run while builds run. A collection never deletes a blob that a running build may need:
//! - A build reads a manifest first and fetches its blobs later. So a blob is deleted only if no manifest has named it for
//!   [`longest_build`](Policy::longest_build). This takes two collections: the first one marks the unreferenced blobs, the next
//!   one deletes those that are still unreferenced after that time. The marks are stored in the bucket, so each collection can
//!   run in a new process, such as an hourly cron job.
//! - A build that finds a blob in the bucket doesn't upload it again, and names it in the manifest that it writes at the end.
//!   If the blob is older than BuildKit's `touch_refresh`, BuildKit renews its time. So a blob is deleted only if, when it was
//!   marked, it was older than `touch_refresh` plus the longest build, and hasn't been renewed since.
//!
//! An interrupted collection is safe: the next one finishes the work. Two concurrent collections are safe too. Manifests that
//! can't be parsed are reported and kept; blobs that are newer than the oldest of them are kept as well, because it may name
//! them. Manifests that name missing blobs are deleted before a build fails because of them.
//!
//! Daemons that are killed leave incomplete multipart uploads behind. They aren't listed as objects but are billed. A collector
//! of an S3 bucket ([`Collector::open`]) aborts those that are older than the longest build.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use jiff::Timestamp;
//! use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
//! use pipeops_buildkit::cache::collect::{Collector, Fate, Policy};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A bucket with one cache, as BuildKit writes it: a manifest and the blob that it names. `open` connects to a real bucket.
//! let bucket = Arc::new(InMemory::new());
//! let blob = format!("sha256:{}", "ab".repeat(32));
//! bucket.put(&format!("blobs/{blob}").into(), "a layer".into()).await?;
//! let manifest = format!(r#"{{"layers":[{{"blob":"{blob}","parent":-1,"annotations":{{"size":7}}}}],"records":[{{}}]}}"#);
//! bucket.put(&"manifests/acme__shop_-_fix_-_Dockerfile".into(), manifest.into()).await?;
//!
//! let in_days = |days: u64| move || Timestamp::now() + Duration::from_secs(days * 86_400);
//! let collector = Collector::new(bucket.clone(), "").policy(Policy::default().budget(50 << 30));
//! // Built once and not again for 9 days: the cache is given up, and its blob waits for builds that may have read it.
//! let report = collector.clone().clock(in_days(9)).collect().await?;
//! assert_eq!(report.namespaces[0].fate, Fate::Expired);
//! assert_eq!((report.manifests.objects, report.waiting.objects), (1, 1));
//! // A day later the blob is deleted.
//! let report = collector.clock(in_days(10)).collect().await?;
//! assert_eq!(report.freed.bytes, 7);
//! # Ok(()) }
//! ```

mod decide;
mod error;
mod layout;
mod manifest;
mod marks;
mod policy;
mod report;
mod store;
mod survey;
mod sweep;
mod uploads;
mod usage;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::{ObjectStore, ObjectStoreExt};
use pipeops_core::cache::S3Cache;

pub use error::CollectError;
pub use policy::Policy;
pub use report::{
    Amount, CorruptManifest, FailedDeletes, Fate, NamespaceReport, Report, UploadReport,
};
pub use store::open;
pub use usage::{DayUsage, RecordingBuilder, Usage, UsageLog};

use decide::{Decision, decide};
use layout::Layout;
use marks::Marks;
use survey::Survey;
use sweep::{Deleter, Sweep, after};
use uploads::Uploads;

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Deletes the caches and blobs of a bucket that are no longer needed.
///
/// ```no_run
/// use pipeops_buildkit::cache::S3Cache;
/// use pipeops_buildkit::cache::collect::{Collector, Policy};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = S3Cache::new("build-cache", "eu-central-1", "");
/// let collector = Collector::open(&bucket)?.policy(Policy::default().budget(200 << 30)); // 200 GiB
/// let plan = collector.plan().await?; // changes nothing
/// println!("would delete {} caches and {} bytes", plan.manifests.objects, plan.freed.bytes);
/// collector.collect().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Collector {
    store: Arc<dyn ObjectStore>,
    uploads: Option<Arc<Uploads>>,
    layout: Layout,
    policy: Policy,
    /// `None` for the machine's clock, which is compared with the server's.
    clock: Option<Clock>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("store", &self.store)
            .field("layout", &self.layout)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// Opens the S3 bucket of `cache`. The collector handles all caches with its prefix, whatever their names. Without keys in
    /// the settings, it uses the `AWS_*` variables of the environment, or the role of the machine or pod.
    ///
    /// # Errors
    /// [`CollectError::Settings`] if the settings name no bucket or are invalid.
    pub fn open(cache: &S3Cache) -> Result<Self, CollectError> {
        let bucket = store::connect(cache)?;
        let mut collector = Self::new(bucket.s3, cache.prefix.as_str());
        collector.uploads = Some(Arc::new(bucket.uploads));
        Ok(collector)
    }

    /// Creates a collector for all caches below a prefix of an object store. Use the same prefix as in the caches' settings,
    /// ending in `/` if it's a folder. It doesn't abort uploads; [`Collector::open`] does.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self {
            store,
            uploads: None,
            layout: Layout::new(prefix.into()),
            policy: Policy::default(),
            clock: None,
        }
    }

    /// Sets which caches are kept, and for how long.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the clock, which must match the server's. Default: the machine's clock; before a collection deletes anything, it
    /// compares that with the server's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Reports what [`Collector::collect`] would do now, and changes nothing.
    ///
    /// # Errors
    /// [`CollectError::Store`] if the bucket can't be read.
    pub async fn plan(&self) -> Result<Report, CollectError> {
        self.run(true).await
    }

    /// Deletes the caches that the policy gives up and the blobs that the last collection marked, and marks blobs for the next
    /// one. Run it regularly, for example hourly: [`Report::next`] says when the next one can delete the marked blobs. It reads
    /// all manifests and lists all blobs, so its cost grows with the number of objects.
    ///
    /// # Errors
    /// [`CollectError::Store`] if the bucket can't be read or written, [`CollectError::Clock`] if its clock differs. Objects
    /// that can't be deleted aren't an error: see [`Report::failed`].
    pub async fn collect(&self) -> Result<Report, CollectError> {
        self.run(false).await
    }

    async fn run(&self, dry_run: bool) -> Result<Report, CollectError> {
        let started = self.now();
        if !dry_run && self.clock.is_none() {
            self.compare_clocks().await?;
        }
        let store = &*self.store;
        let survey = Survey::read(store, &self.layout).await?;
        let last = Marks::read(store, &self.layout).await?;
        let decision = decide(&survey, &self.policy, started);
        let mut report = new_report(&survey, started, dry_run);

        let mut deleter = Deleter::new(store, &self.policy, dry_run);
        for place in sorted(&decision.deleted) {
            deleter.delete(survey.manifests[place].meta.clone()).await;
        }
        deleter.flush().await;
        report.manifests = std::mem::take(&mut deleter.deleted);

        // The caches are deleted now: a blob that is unreferenced from here on has been since this moment.
        let mut marks = Marks::new(self.now());
        let gone = match dry_run {
            true => HashSet::new(),
            false => decision.deleted.clone(),
        };
        let newer = survey.newer(store, &self.layout, &gone).await?;
        let ripe_at = last
            .as_ref()
            .map(|last| after(last.at, self.policy.grace()));
        let ripe = last
            .as_ref()
            .filter(|_| ripe_at.is_some_and(|time| time <= marks.at));
        let corrupt = survey.corrupt.iter().chain(&newer.corrupt);
        let sweep = Sweep {
            kept: kept(&survey, &decision),
            survey: &survey,
            newer: &newer,
            ripe,
            oldest_corrupt: corrupt.map(|corrupt| corrupt.written).min(),
            policy: &self.policy,
        };
        sweep
            .run(store, &self.layout, &mut deleter, &mut marks, &mut report)
            .await?;
        if let Some(uploads) = &self.uploads {
            let folder = self.layout.blobs();
            let ended = uploads.end_old(&folder, &self.policy, started, dry_run);
            report.uploads = Some(ended.await);
        }
        report.freed = deleter.deleted;
        report.failed = deleter.failed;
        report.over_budget = decision.over_budget;
        report.namespaces = decision.namespaces;
        report.next = match (&last, ripe) {
            // Marks that are too young stay, because new ones would restart the wait each time.
            (Some(_), None) => ripe_at,
            _ => {
                let next = after(marks.at, self.policy.grace());
                if !dry_run {
                    marks.write(store, &self.layout).await?;
                }
                (!marks.blobs.is_empty()).then_some(next)
            }
        };
        Ok(report)
    }

    fn now(&self) -> Timestamp {
        self.clock
            .as_ref()
            .map_or_else(Timestamp::now, |clock| clock())
    }

    /// Ages of objects use the server's clock, so the time they are compared with must match it.
    async fn compare_clocks(&self) -> Result<(), CollectError> {
        let key = self.layout.clock();
        let before = Timestamp::now();
        let put = self.store.put(&key, before.to_string().into()).await;
        put.map_err(CollectError::store("write to the bucket"))?;
        let after = Timestamp::now();
        let found = self.store.head(&key).await;
        let found = found.map_err(CollectError::store("read from the bucket"))?;
        let by = apart(survey::modified(&found), before, after);
        let most = self.policy.clock_skew;
        if by > most {
            return Err(CollectError::Clock { by, most });
        }
        Ok(())
    }
}

/// How far the server's time of a write is from the time here, which was between `before` and `after`. Servers cut off parts of a
/// second.
fn apart(modified: Timestamp, before: Timestamp, after: Timestamp) -> Duration {
    let ahead = modified.duration_since(after);
    let behind = before.duration_since(modified) - SignedDuration::from_secs(1);
    let apart = ahead.max(behind).max(SignedDuration::ZERO);
    apart.unsigned_abs()
}

fn new_report(survey: &Survey, started: Timestamp, dry_run: bool) -> Report {
    let mut all = Usage::default();
    for usage in survey.usage.values() {
        for (day, counts) in &usage.days {
            let sum = all.days.entry(*day).or_default();
            sum.steps += counts.steps;
            sum.cached += counts.cached;
        }
    }
    Report {
        dry_run,
        started,
        namespaces: Vec::new(),
        corrupt: survey.corrupt.clone(),
        manifests: Amount::default(),
        kept: Amount::default(),
        freed: Amount::default(),
        waiting: Amount::default(),
        foreign: Amount::default(),
        uploads: None,
        next: None,
        hit_rate: all.hit_rate(),
        over_budget: false,
        failed: None,
    }
}

fn sorted(places: &HashSet<usize>) -> Vec<usize> {
    let mut places: Vec<usize> = places.iter().copied().collect();
    places.sort_unstable();
    places
}

/// For each blob of the survey, whether a manifest that is kept names it.
fn kept(survey: &Survey, decision: &Decision) -> Vec<bool> {
    let mut kept = vec![false; survey.blobs.len()];
    for (place, manifest) in survey.manifests.iter().enumerate() {
        if !decision.deleted.contains(&place) {
            manifest
                .blobs
                .iter()
                .for_each(|number| kept[*number as usize] = true);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_by_what_the_write_does_not_explain() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (before, after) = (time("2026-01-01T10:00:00.9Z"), time("2026-01-01T10:00:05Z"));
        let apart = |modified| apart(time(modified), before, after).as_secs();
        assert_eq!(
            apart("2026-01-01T10:00:00Z"),
            0,
            "a server that cuts off parts of a second"
        );
        assert_eq!(apart("2026-01-01T10:00:04Z"), 0, "a slow write");
        assert_eq!(apart("2026-01-01T10:01:05Z"), 60, "a clock ahead");
        assert_eq!(apart("2026-01-01T09:58:59.9Z"), 60, "a clock behind");
    }
}
