//! What a collection found and did.

use jiff::Timestamp;
use pipeops_core::cache::CacheNamespace;
use serde::{Serialize, Serializer};

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Their size together.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a collection found and did, or, when it was only planned, would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// Nothing was changed.
    pub dry_run: bool,
    /// When it began.
    pub started: Timestamp,
    /// All caches, the most valuable first.
    pub namespaces: Vec<NamespaceReport>,
    /// Manifests that are not understood. Blobs to which they may refer stay, as long as they are there.
    pub corrupt: Vec<CorruptManifest>,
    /// Manifests that were deleted.
    pub manifests: Amount,
    /// Blobs to which a cache refers that is kept.
    pub kept: Amount,
    /// Blobs that were deleted.
    pub freed: Amount,
    /// Blobs to which nothing refers any more, and which stay until no build can be in need of them.
    pub waiting: Amount,
    /// Objects among the blobs that are none; they are never touched.
    pub foreign: Amount,
    /// Uploads that daemons began and did not end; `None` when the collector knows only an object store.
    pub uploads: Option<UploadReport>,
    /// From when on the next collection frees what waits now; `None` when nothing waits.
    pub next: Option<Timestamp>,
    /// The share of build steps that came from a cache, of all builds that were counted.
    pub hit_rate: Option<f64>,
    /// What is kept is more than the budget, as it is kept always.
    pub over_budget: bool,
    /// Objects that could not be deleted, and the last reason. The next collection tries again.
    pub failed: Option<FailedDeletes>,
}

/// Uploads in parts that daemons began and did not end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct UploadReport {
    /// How many were ended: they are older than any build.
    pub ended: u64,
    /// How many may be those of builds that run.
    pub running: u64,
    /// Why uploads could not be listed, or the last one not be ended.
    pub failed: Option<String>,
}

/// Objects that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedDeletes {
    /// How many.
    pub objects: u64,
    /// The last reason.
    pub why: String,
}

/// One cache: all manifests with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NamespaceReport {
    /// Its name.
    pub name: String,
    /// What the name stands for; `None` for a name that was cut or is not ours.
    #[serde(serialize_with = "parts", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<CacheNamespace>,
    /// What becomes of it.
    pub fate: Fate,
    /// How many manifests it has, and their size.
    pub manifests: Amount,
    /// The blobs to which it refers; others may refer to them too.
    pub refers: Amount,
    /// The blobs of these to which only caches refer that are given up. Each is counted for one of them.
    pub releases: Amount,
    /// When it was written last.
    pub written: Timestamp,
    /// Its builds, older ones counted less.
    pub score: f64,
    /// The share of its steps that came from a cache.
    pub hit_rate: Option<f64>,
    /// Until when it is kept if no build uses it.
    pub keep_until: Timestamp,
    /// Manifests of it that are deleted although the cache is kept: an older slot, or one that has lost blobs.
    pub dropped: Vec<String>,
}

/// What becomes of a cache, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Fate {
    /// Kept: it was used recently enough.
    Recent,
    /// Kept always: a default branch's, or protected by name.
    Always,
    /// Deleted: no build has used it for longer than it is worth.
    Expired,
    /// Given up: it does not fit the size budget, and others are worth more.
    OverBudget,
    /// Given up: blobs to which it refers are gone, so that a build that reads it would stumble.
    Broken,
}

impl Fate {
    /// Whether the cache stays.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Recent | Self::Always)
    }

    /// The reason in a few words.
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

/// A manifest that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CorruptManifest {
    /// Its key.
    pub key: String,
    /// When it was written.
    pub written: Timestamp,
    /// What is wrong with it.
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
