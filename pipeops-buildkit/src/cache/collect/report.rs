//! The result of a collection.

use jiff::Timestamp;
use pipeops_core::cache::CacheNamespace;
use serde::{Serialize, Serializer};

/// A number of objects and their total size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Amount {
    /// The number of objects.
    pub objects: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// The result of a collection, or of a plan. It can be serialized, for example as JSON.
///
/// ```
/// use pipeops_buildkit::cache::collect::Report;
///
/// fn show(report: &Report) {
///     for cache in &report.namespaces {
///         println!("{}: {}, last written {}", cache.name, cache.fate.reason(), cache.written);
///     }
///     println!("deleted {} blobs, {} bytes", report.freed.objects, report.freed.bytes);
///     if let Some(failed) = &report.failed {
///         println!("{} objects couldn't be deleted: {}", failed.objects, failed.why);
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// Whether this is only a plan: nothing was changed.
    pub dry_run: bool,
    /// When the collection started.
    pub started: Timestamp,
    /// All caches, most valuable first.
    pub namespaces: Vec<NamespaceReport>,
    /// Manifests that can't be parsed. The blobs that they may refer to are kept.
    pub corrupt: Vec<CorruptManifest>,
    /// Manifests that were deleted.
    pub manifests: Amount,
    /// Blobs that kept caches refer to.
    pub kept: Amount,
    /// Blobs that were deleted.
    pub freed: Amount,
    /// Unreferenced blobs that stay until no running build can need them.
    pub waiting: Amount,
    /// Objects in the blob folder that aren't blobs. They're never deleted.
    pub foreign: Amount,
    /// Incomplete multipart uploads; `None` if the collector was created with [`Collector::new`](super::Collector::new).
    pub uploads: Option<UploadReport>,
    /// The earliest time at which a collection can delete the waiting blobs; `None` if there are none.
    pub next: Option<Timestamp>,
    /// The share of cached steps over all recorded builds, from 0 to 1; `None` if there are none.
    pub hit_rate: Option<f64>,
    /// Whether the caches that are always kept exceed the size budget.
    pub over_budget: bool,
    /// Objects that couldn't be deleted. The next collection tries again.
    pub failed: Option<FailedDeletes>,
}

/// Incomplete multipart uploads, which killed daemons leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct UploadReport {
    /// The number of aborted uploads: those older than the longest build.
    pub ended: u64,
    /// The number of uploads that may belong to running builds.
    pub running: u64,
    /// Why the uploads couldn't be listed, or why the last failed one couldn't be aborted.
    pub failed: Option<String>,
}

/// Objects that couldn't be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedDeletes {
    /// The number of objects.
    pub objects: u64,
    /// Why the last one couldn't be deleted.
    pub why: String,
}

/// One cache: all manifests with the same name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NamespaceReport {
    /// The cache's name.
    pub name: String,
    /// The parsed name; `None` if it was truncated or isn't a [`CacheNamespace`].
    #[serde(serialize_with = "parts", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<CacheNamespace>,
    /// Whether the cache is kept or deleted, and why.
    pub fate: Fate,
    /// Its manifests.
    pub manifests: Amount,
    /// The blobs that it refers to, including those shared with other caches.
    pub refers: Amount,
    /// The blobs of these that become unreferenced. A blob that several deleted caches share is counted once.
    pub releases: Amount,
    /// When it was last written.
    pub written: Timestamp,
    /// The number of its builds, with older ones counted less: see [`Policy`](super::Policy).
    pub score: f64,
    /// The share of its steps that were cached, from 0 to 1; `None` if no builds are recorded.
    pub hit_rate: Option<f64>,
    /// When it expires if no further build writes it.
    pub keep_until: Timestamp,
    /// Manifests that are deleted although the cache is kept: old slots, or manifests that name missing blobs.
    pub dropped: Vec<String>,
}

/// Whether a cache is kept or deleted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Fate {
    /// Kept: its retention hasn't expired.
    Recent,
    /// Always kept: the cache of a default branch, or protected by name.
    Always,
    /// Deleted: its retention has expired.
    Expired,
    /// Deleted: it exceeds the size budget, and other caches are more valuable.
    OverBudget,
    /// Deleted: blobs that it names are missing, so a build that reads it would fail.
    Broken,
}

impl Fate {
    /// Whether the cache is kept.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Recent | Self::Always)
    }

    /// Returns a short description of the reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Recent => "used recently",
            Self::Always => "always kept",
            Self::Expired => "not built for too long",
            Self::OverBudget => "over the size budget",
            Self::Broken => "blobs are missing",
        }
    }
}

/// A manifest that can't be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CorruptManifest {
    /// The object's key.
    pub key: String,
    /// When the manifest was written.
    pub written: Timestamp,
    /// Why it can't be parsed.
    pub why: String,
}

fn parts<S: Serializer>(
    namespace: &Option<CacheNamespace>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    let Some(namespace) = namespace else {
        return serializer.serialize_none();
    };
    let mut parts = serializer.serialize_struct("namespace", 3)?;
    parts.serialize_field("repository", &namespace.repository)?;
    parts.serialize_field("branch", &namespace.branch)?;
    parts.serialize_field("dockerfile", &namespace.dockerfile)?;
    parts.end()
}
