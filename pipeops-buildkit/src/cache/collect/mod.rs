//! Keeps caches in S3 (or another object store) small.
//!
//! BuildKit writes caches and never deletes from them, and a bucket's own expiry is no way out: it deletes blobs that
//! manifests still name, and then builds fail. A [`Collector`] knows what belongs together: it deletes the caches that a
//! [`Policy`] gives up, and then the blobs that no cache needs any more.
//!
//! # Beside running builds
//! Nothing that a running build may use is touched. A build can be in need of a blob in two ways:
//! - It read a manifest that names it, and fetches it when it gets there. So a blob is only freed when no manifest has named
//!   it for [`longest_build`](Policy::longest_build). As nobody can know that from one look, it takes two collections: the
//!   first marks the blobs without a reference, the next one frees those of them that still have none, if enough time has
//!   passed. Marks are kept in the bucket, so that each run may be in a process of its own (a cron job every hour).
//! - It found that it is there, does not upload it again, and names it in a manifest that it will write. BuildKit renews the
//!   time of a blob that it finds like this when that is older than its `touch_refresh`. So only blobs are freed that were,
//!   when they were marked, older than `touch_refresh` and the longest build together, and have not been renewed since.
//!
//! A run that ends in the middle leaves nothing behind that the next one would not do; two at once do the same twice.
//! Manifests that are not understood are reported; blobs of the time before they were written may be freed, younger ones not,
//! as they may be theirs. Manifests with lost blobs are deleted, before a build stumbles over them.
//!
//! Uploads in parts that a daemon began and never ended are no objects, but cost as much. A collector of a bucket
//! ([`Collector::open`]) ends those that are older than any build.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use jiff::Timestamp;
//! use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
//! use pipeops_buildkit::cache::collect::{Collector, Fate, Policy};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A bucket with one cache, as BuildKit writes it: a manifest, and a blob that it names. `open` gives a real one.
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
//! // A day later it is freed.
//! let report = collector.clock(in_days(10)).collect().await?;
//! assert_eq!(report.freed.bytes, 7);
//! # Ok(()) }
//! ```

mod decide;
mod error;
#[cfg(test)]
mod large;
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

use jiff::Timestamp;
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

/// Collects what a bucket's caches no longer need.
#[derive(Clone)]
pub struct Collector {
    store: Arc<dyn ObjectStore>,
    uploads: Option<Arc<Uploads>>,
    layout: Layout,
    policy: Policy,
    /// Without one, the machine's clock, which is compared with the server's.
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
    /// Looks after all caches in this bucket of S3 that have this one's prefix; its name does not matter. Without keys in the
    /// settings, the environment's are used, as AWS names them, or the role of the machine or pod.
    ///
    /// # Errors
    /// [`CollectError::Settings`] when the settings name no bucket, or no client can be made of them.
    pub fn open(cache: &S3Cache) -> Result<Self, CollectError> {
        let bucket = store::connect(cache)?;
        let mut collector = Self::new(bucket.s3, cache.prefix.as_str());
        collector.uploads = Some(Arc::new(bucket.uploads));
        Ok(collector)
    }

    /// Looks after all caches below this prefix: the one of the caches' settings, ending in `/` if it is a folder.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self {
            store,
            uploads: None,
            layout: Layout::new(prefix.into()),
            policy: Policy::default(),
            clock: None,
        }
    }

    /// Sets what is kept.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Takes the time from here, and trusts that it is the server's. By default it is the machine's, and a collection that
    /// deletes something first checks that the server's does not differ.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What [`Collector::collect`] would do now; nothing is changed.
    ///
    /// # Errors
    /// [`CollectError::Store`] when the bucket cannot be read.
    pub async fn plan(&self) -> Result<Report, CollectError> {
        self.run(true).await
    }

    /// Deletes the caches that the policy gives up, frees the blobs that the last collection found without a reference, and
    /// marks those that the next one may free.
    ///
    /// # Errors
    /// [`CollectError::Store`] when the bucket cannot be read or written, [`CollectError::Clock`] when its clock differs.
    /// Objects that cannot be deleted are no error, but [`Report::failed`].
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

        // Only from here on are the caches gone: blobs that are found without a reference now had none since this moment.
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
            // Marks that are not ripe yet stay: new ones would begin the wait anew each time.
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

    /// Ages are the server's, and so must be the time they are compared with.
    async fn compare_clocks(&self) -> Result<(), CollectError> {
        let key = self.layout.clock();
        let here = Timestamp::now();
        let put = self.store.put(&key, here.to_string().into()).await;
        put.map_err(CollectError::store("write to the bucket"))?;
        let found = self.store.head(&key).await;
        let found = found.map_err(CollectError::store("read from the bucket"))?;
        let by: Duration = survey::modified(&found).duration_since(here).unsigned_abs();
        let most = self.policy.clock_skew;
        if by > most {
            return Err(CollectError::Clock { by, most });
        }
        Ok(())
    }
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
