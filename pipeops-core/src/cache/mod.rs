//! Build caches outside of the builder: where they can be, and how they are named.

mod namespace;

use std::path::PathBuf;
use std::time::Duration;

pub use namespace::CacheNamespace;

use crate::image::ImageRef;
use crate::secret::SecretString;

/// A place for build cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildCache {
    /// An S3 bucket, through BuildKit's `s3` cache backend.
    S3(S3Cache),
    /// An image in a registry.
    Registry {
        /// The cache image's name.
        image: ImageRef,
    },
    /// Inside the image itself, write-only: it holds the steps of the last stage. Read it as [`BuildCache::Registry`] with
    /// the name of the pushed image.
    Inline,
    /// The cache service of GitHub Actions.
    Gha(GhaCache),
    /// A container of Azure Blob Storage.
    Azblob(AzblobCache),
    /// A folder on the client's disk.
    Local(LocalCache),
}

/// Build cache in an S3 bucket.
///
/// Without keys, the daemon uses its own role. That is safer: the daemon keeps the keys of a request in plain text in its
/// build history, which each of its clients can read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct S3Cache {
    /// The bucket; it must exist.
    pub bucket: String,
    /// The region; `us-east-1` for most S3-compatible servers.
    pub region: String,
    /// The address of an S3-compatible server. Default: AWS.
    pub endpoint: Option<String>,
    /// The prefix of all keys. End a folder with `/`.
    pub prefix: String,
    /// The cache's name: one manifest in the bucket; see [`CacheNamespace`].
    pub name: String,
    /// Key id and secret; the daemon's own role when `None`.
    pub keys: Option<(String, SecretString)>,
    /// The session token that belongs to temporary keys. Default: none.
    pub session_token: Option<SecretString>,
    /// The number of manifests under this name. Each build writes one of them and reads all, so this many concurrent builds
    /// keep their results. With one manifest, the last build to finish wins. Default: 1 (0 means 1), which other clients
    /// can read.
    pub slots: u8,
    /// The age after which a build that uses a blob renews it, so that a garbage collector keeps it. Default: BuildKit's,
    /// one day. Configure a collector to match a longer one.
    pub touch_refresh: Option<Duration>,
}

impl S3Cache {
    /// A cache in this bucket, accessed with the daemon's own role.
    pub fn new(
        bucket: impl Into<String>,
        region: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            bucket: bucket.into(),
            region: region.into(),
            name: name.into(),
            slots: 1,
            ..Self::default()
        }
    }

    /// The same place with another name.
    #[must_use]
    pub fn named(&self, namespace: &CacheNamespace) -> Self {
        Self {
            name: namespace.name(),
            ..self.clone()
        }
    }
}

impl CacheNamespace {
    /// The caches that a build of this namespace reads and the one that it writes. It reads its own first, then those of
    /// `base_branches`, such as `["main"]`, and writes only its own. A missing cache costs one request.
    pub fn in_bucket(&self, place: &S3Cache, fallbacks: &[&str]) -> (Vec<BuildCache>, BuildCache) {
        let own = BuildCache::S3(place.named(self));
        let others = fallbacks.iter().filter(|branch| **branch != self.branch);
        let others = others.map(|branch| BuildCache::S3(place.named(&self.on_branch(*branch))));
        let from = std::iter::once(own.clone()).chain(others).collect();
        (from, own)
    }
}

/// Build cache in the cache service of GitHub Actions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GhaCache {
    /// The cache's name. Caches with the same scope in one repository overwrite each other.
    pub scope: String,
    /// The service's address: `ACTIONS_RESULTS_URL` of the job.
    pub url: String,
    /// `ACTIONS_RUNTIME_TOKEN` of the job.
    pub token: SecretString,
}

impl GhaCache {
    /// A cache with this scope, through version 2 of the service.
    pub fn new(
        scope: impl Into<String>,
        url: impl Into<String>,
        token: impl Into<SecretString>,
    ) -> Self {
        Self {
            scope: scope.into(),
            url: url.into(),
            token: token.into(),
        }
    }
}

/// Build cache in a container of Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AzblobCache {
    /// The account's address: `https://ACCOUNT.blob.core.windows.net`.
    pub account_url: String,
    /// The container. Default: BuildKit's, `buildkit-cache`.
    pub container: Option<String>,
    /// The prefix of all keys.
    pub prefix: String,
    /// The cache's name: one manifest.
    pub name: String,
    /// The account's key; the daemon's own identity when `None`.
    pub key: Option<SecretString>,
}

impl AzblobCache {
    /// A cache with this name in this account, with the daemon's own identity.
    pub fn new(account_url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            account_url: account_url.into(),
            name: name.into(),
            ..Self::default()
        }
    }
}

/// Build cache in a folder on the client's disk, as an OCI image layout. Its blobs are transferred through the build's
/// session. Nothing is ever deleted from it: remove the folder when it has grown too large.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalCache {
    /// The folder. Writing creates it; reading a missing folder finds no cache.
    pub folder: PathBuf,
    /// The name of the cache in the folder's index. Default: `latest`.
    pub tag: String,
}

impl LocalCache {
    /// The cache with the tag `latest` in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            tag: "latest".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cache_shows_its_secrets() {
        let mut s3 = S3Cache::new("b", "r", "n");
        s3.keys = Some(("id".into(), "hunter22".into()));
        s3.session_token = Some("hunter23".into());
        let mut azblob = AzblobCache::new("https://a.blob.core.windows.net", "n");
        azblob.key = Some("hunter24".into());
        for cache in [
            BuildCache::S3(s3),
            BuildCache::Gha(GhaCache::new("s", "https://u", "hunter25")),
            BuildCache::Azblob(azblob),
        ] {
            let shown = format!("{cache:?}");
            assert!(
                !shown.contains("hunter") && shown.contains("redacted"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_build_reads_its_own_cache_and_then_the_default_branchs() {
        let place = S3Cache::new("bucket", "us-east-1", "");
        let own = CacheNamespace::new("acme/shop", "fix", "Dockerfile");
        let names = |from: &[BuildCache]| -> Vec<String> {
            let name = |cache: &BuildCache| match cache {
                BuildCache::S3(s3) => s3.name.clone(),
                other => panic!("{other:?}"),
            };
            from.iter().map(name).collect()
        };
        let (from, to) = own.in_bucket(&place, &["main"]);
        assert_eq!(names(&from), [own.name(), own.on_branch("main").name()]);
        assert_eq!(to, from[0]);
        assert_eq!(
            own.on_branch("main").in_bucket(&place, &["main"]).0.len(),
            1
        );
    }
}
