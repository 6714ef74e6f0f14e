//! Build caches outside the daemon: where they are, which of them failed, and their garbage collection.
//!
//! A [`BuildRequest`](crate::BuildRequest) names the caches that a build reads and the ones that it writes.
//! [`CacheNamespace`] derives both from the repository, the branch and the Dockerfile.
//!
//! ```
//! use pipeops_buildkit::BuildRequest;
//! use pipeops_buildkit::cache::{BuildCache, CacheNamespace, LocalCache, S3Cache};
//!
//! let image = "registry.example.com/team/shop:3f2a1c".parse()?;
//! let mut bucket = S3Cache::new("build-cache", "eu-central-1", "");
//! bucket.prefix = "shop/".to_owned();
//! let (from, to) = CacheNamespace::new("github.com/acme/shop", "fix-cart", "Dockerfile").in_bucket(&bucket, &["main"]);
//! let mut request = BuildRequest::new("./shop", image).cache_to(to);
//! request.cache_from = from;
//!
//! // Other places: a folder of this machine, an image in a registry.
//! let request = request
//!     .cache_from(BuildCache::Local(LocalCache::new("/var/cache/shop")))
//!     .cache_from(BuildCache::Registry { image: "registry.example.com/team/shop:cache".parse()? });
//! assert_eq!(request.cache_from.len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
#[cfg(feature = "cache-collect")]
pub mod collect;
mod label;
mod local;
mod outcome;
pub(crate) mod probe;
mod reason;
pub(crate) mod slots;
pub(crate) mod trial;

use std::collections::{BTreeMap, BTreeSet};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry};
use pipeops_core::SecretString;
use serde_json::json;

pub(crate) use label::{IMPORT, Labels};
pub use outcome::{CacheOutcome, CacheProblem};
#[doc(no_inline)]
pub use pipeops_core::cache::{
    AzblobCache, BuildCache, CacheNamespace, GhaCache, LocalCache, S3Cache,
};
pub(crate) use reason::reason;

use crate::error::Error;
use crate::session::blobs::Store;

/// The caches of one build, as the daemon takes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caches {
    imports: Vec<CacheOptionsEntry>,
    exports: Vec<CacheOptionsEntry>,
    /// Keys that are part of the request.
    pub(crate) keys: Vec<SecretString>,
    /// Repositories that are written.
    pub(crate) writes: BTreeSet<(String, String)>,
    /// What the daemon calls each of them, and what people call it.
    pub(crate) labels: Labels,
    /// Folders of this side, by the names under which the daemon asks for them.
    pub(crate) stores: BTreeMap<String, Store>,
    /// Caches in them that are written.
    pub(crate) folders: Vec<LocalCache>,
}

impl Caches {
    /// Prepares reading from `from`, in this order, and writing to `to`.
    pub(crate) fn new(
        from: &[BuildCache],
        to: &[BuildCache],
        plain_http: &BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut caches = Self::default();
        for cache in from {
            attributes::check_import(cache)?;
            for attributes in attributes::imports(cache, plain_http) {
                caches.import(cache, attributes);
            }
        }
        for cache in to {
            attributes::check(cache)?;
            if let BuildCache::Registry { image } = cache {
                let repository = (image.host().to_owned(), image.repository().to_owned());
                caches.writes.insert(repository);
            }
            if let BuildCache::Local(local) = cache {
                caches.folders.push(local.clone());
            }
            let export = entry(cache, attributes::export(cache, plain_http));
            // The daemon refuses a build that names one twice.
            if !caches.exports.contains(&export) {
                caches.exports.push(export);
            }
        }
        let all = from.iter().chain(to);
        caches.keys = all.flat_map(attributes::secrets).collect();
        caches.stores = local::stores(from, to);
        Ok(caches)
    }

    /// Both lists for the request itself.
    pub(crate) fn options(&self) -> CacheOptions {
        CacheOptions {
            exports: self.exports.clone(),
            imports: self.imports.clone(),
            ..CacheOptions::default()
        }
    }

    /// The imports again, for the frontend: with a frontend, the daemon ignores those of the request.
    pub(crate) fn frontend_attribute(&self) -> Option<String> {
        if self.imports.is_empty() {
            return None;
        }
        let entries: Vec<_> = self
            .imports
            .iter()
            .map(|entry| json!({"Type": entry.r#type, "Attrs": entry.attrs.iter().collect::<BTreeMap<_, _>>()}))
            .collect();
        Some(serde_json::Value::from(entries).to_string())
    }

    fn import(&mut self, cache: &BuildCache, attributes: attributes::Attributes) {
        let import = entry(cache, attributes);
        if !self.imports.contains(&import) {
            self.labels.add(&import);
            self.imports.push(import);
        }
    }
}

fn entry(cache: &BuildCache, attributes: attributes::Attributes) -> CacheOptionsEntry {
    let own = |(key, value): (&str, String)| (key.to_owned(), value);
    CacheOptionsEntry {
        r#type: attributes::kind(cache).to_owned(),
        attrs: attributes.into_iter().map(own).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3() -> S3Cache {
        let mut s3 = S3Cache::new("bucket", "us-east-1", "main");
        s3.endpoint = Some("http://127.0.0.1:9000".to_owned());
        s3.keys = Some(("id".to_owned(), SecretString::from("secret")));
        s3
    }

    fn caches(from: &[BuildCache], to: &[BuildCache]) -> Result<Caches, Error> {
        Caches::new(from, to, &["plain.io".to_owned()].into())
    }

    /// One line: the type and all attributes, sorted.
    fn line(entry: &CacheOptionsEntry) -> String {
        let mut pairs: Vec<_> = entry
            .attrs
            .iter()
            .map(|(key, value)| format!(" {key}={value}"))
            .collect();
        pairs.sort();
        format!("{}{}", entry.r#type, pairs.concat())
    }

    /// Every kind of cache: what is sent to read it, and what is sent to write it.
    #[test]
    fn each_kind_is_sent_with_exactly_these_attributes() {
        let mut full = s3();
        full.prefix = "p/".to_owned();
        full.session_token = Some("token".into());
        full.touch_refresh = Some(std::time::Duration::from_secs(3600));
        let role = S3Cache::new("bucket", "us-east-1", "main");
        let mut azblob = AzblobCache::new("https://a.blob.core.windows.net", "main");
        azblob.container = Some("c".to_owned());
        azblob.prefix = "p/".to_owned();
        azblob.key = Some("secret".into());
        let registry = |image: &str| BuildCache::Registry {
            image: image.parse().unwrap(),
        };
        let table = [
            (
                BuildCache::S3(role),
                "s3 bucket=bucket name=main region=us-east-1",
                "s3 bucket=bucket ignore-error=true mode=max name=main region=us-east-1",
            ),
            (
                BuildCache::S3(full),
                "s3 access_key_id=id bucket=bucket endpoint_url=http://127.0.0.1:9000 name=main prefix=p/ \
                 region=us-east-1 secret_access_key=secret session_token=token touch_refresh=3600s use_path_style=true",
                "s3 access_key_id=id bucket=bucket endpoint_url=http://127.0.0.1:9000 ignore-error=true mode=max \
                 name=main prefix=p/ region=us-east-1 secret_access_key=secret session_token=token \
                 touch_refresh=3600s use_path_style=true",
            ),
            (
                registry("reg.io/cache:main"),
                "registry ref=reg.io/cache:main",
                "registry ignore-error=true image-manifest=true mode=max oci-mediatypes=true ref=reg.io/cache:main",
            ),
            (
                registry("plain.io/cache:main"),
                "registry ref=plain.io/cache:main registry.insecure=true",
                "registry ignore-error=true image-manifest=true mode=max oci-mediatypes=true \
                 ref=plain.io/cache:main registry.insecure=true",
            ),
            (
                BuildCache::Gha(GhaCache::new("main", "https://results.io/", "secret")),
                "gha scope=main token=secret url_v2=https://results.io/ version=2",
                "gha ignore-error=true mode=max scope=main token=secret url_v2=https://results.io/ version=2",
            ),
            (
                BuildCache::Azblob(AzblobCache::new("https://a.blob.core.windows.net", "main")),
                "azblob account_url=https://a.blob.core.windows.net name=main",
                "azblob account_url=https://a.blob.core.windows.net ignore-error=true mode=max name=main",
            ),
            (
                BuildCache::Azblob(azblob),
                "azblob account_url=https://a.blob.core.windows.net container=c name=main prefix=p/ \
                 secret_access_key=secret",
                "azblob account_url=https://a.blob.core.windows.net container=c ignore-error=true mode=max name=main \
                 prefix=p/ secret_access_key=secret",
            ),
        ];
        for (cache, import, export) in table {
            let cache = std::slice::from_ref(&cache);
            let options = caches(cache, cache).unwrap().options();
            assert_eq!(line(&options.imports[0]), import);
            assert_eq!(line(&options.exports[0]), export);
        }
        let inline = caches(&[], &[BuildCache::Inline]).unwrap().options();
        assert_eq!(line(&inline.exports[0]), "inline");
    }

    #[test]
    fn imports_are_written_twice_and_exports_never_fail_a_build() {
        let caches = caches(&[BuildCache::S3(s3())], &[BuildCache::S3(s3())]).unwrap();
        let json = caches.frontend_attribute().unwrap();
        assert_eq!(
            json,
            r#"[{"Attrs":{"access_key_id":"id","bucket":"bucket","endpoint_url":"http://127.0.0.1:9000","name":"main","region":"us-east-1","secret_access_key":"secret","use_path_style":"true"},"Type":"s3"}]"#
        );
        let options = caches.options();
        assert_eq!(options.imports[0].attrs["bucket"], "bucket");
        assert_eq!(options.exports[0].attrs["ignore-error"], "true");
        assert_eq!(caches.keys.len(), 2);
    }

    #[test]
    fn keys_of_every_kind_are_known() {
        let mut azblob = AzblobCache::new("https://a.blob.core.windows.net", "main");
        azblob.key = Some("secret".into());
        for cache in [
            BuildCache::Azblob(azblob),
            BuildCache::Gha(GhaCache::new("main", "https://results.io/", "secret")),
        ] {
            let keys = caches(std::slice::from_ref(&cache), &[]).unwrap().keys;
            assert_eq!(keys, [SecretString::from("secret")], "{cache:?}");
        }
    }

    #[test]
    fn with_slots_all_are_read_and_one_is_written() {
        let mut s3 = s3();
        s3.slots = 3;
        let cache = [BuildCache::S3(s3)];
        let mut written = BTreeSet::new();
        for _ in 0..3 {
            let options = caches(&cache, &cache).unwrap().options();
            let read: Vec<_> = options
                .imports
                .iter()
                .map(|import| import.attrs["name"].as_str())
                .collect();
            assert_eq!(read, ["main", "main_.1", "main_.2"]);
            written.insert(options.exports[0].attrs["name"].clone());
        }
        assert_eq!(written.len(), 3, "builds in a row take turns: {written:?}");
    }

    #[test]
    fn the_same_cache_twice_is_sent_once() {
        let cache = BuildCache::S3(s3());
        let options = caches(&[cache.clone(), cache.clone()], &[cache.clone(), cache])
            .unwrap()
            .options();
        assert_eq!((options.imports.len(), options.exports.len()), (1, 1));
    }

    #[test]
    fn a_registry_cache_is_a_repository_that_is_written() {
        let image = "plain.io/cache:main".parse().unwrap();
        let cache = BuildCache::Registry { image };
        let caches = caches(&[], std::slice::from_ref(&cache)).unwrap();
        assert!(
            caches
                .writes
                .contains(&("plain.io".to_owned(), "cache".to_owned()))
        );
    }

    #[test]
    fn what_the_daemon_would_misread_is_refused() {
        let s3 = |bucket: &str, region: &str, name: &str| {
            BuildCache::S3(S3Cache::new(bucket, region, name))
        };
        for (cache, why) in [
            (s3("", "r", "n"), "bucket"),
            (s3("b", "", "n"), "region"),
            (s3("b", "r", "a;b"), "';'"),
            (s3("b", "r", ""), "has no name"),
            (BuildCache::Inline, "only be written"),
            (
                BuildCache::Azblob(AzblobCache::new("not an address", "n")),
                "https://",
            ),
            (
                BuildCache::Azblob(AzblobCache::new("https://a.b", "a;b")),
                "';'",
            ),
            (BuildCache::Gha(GhaCache::new("s", "", "t")), "address"),
            (BuildCache::Gha(GhaCache::new("s", "u", "")), "token"),
        ] {
            let error = caches(&[cache], &[]).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
