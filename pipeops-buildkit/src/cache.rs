//! Build cache outside of the daemon: where it is read from and written to.

use std::collections::{BTreeMap, BTreeSet};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry};
use pipeops_core::SecretString;
use pipeops_core::build::{BuildCache, S3Cache};
use serde_json::json;

use crate::error::Error;

/// The caches of one build, as the daemon takes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caches {
    imports: Vec<CacheOptionsEntry>,
    exports: Vec<CacheOptionsEntry>,
    /// Keys that are part of the request.
    pub(crate) keys: Vec<SecretString>,
    /// Repositories that are written.
    pub(crate) writes: BTreeSet<(String, String)>,
}

impl Caches {
    /// Reads from `from`, in this order, and writes to `to`.
    pub(crate) fn new(
        from: &[BuildCache],
        to: &[BuildCache],
        plain_http: &BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut caches = Self::default();
        for cache in from {
            let attributes = caches.attributes(cache, plain_http)?;
            caches.imports.push(entry(cache, attributes));
        }
        for cache in to {
            let mut attributes = caches.attributes(cache, plain_http)?;
            // All stages, not only those of the result; and a cache that cannot be written is no reason to lose the image.
            attributes.extend([
                ("mode", "max".to_owned()),
                ("ignore-error", "true".to_owned()),
            ]);
            if let BuildCache::Registry { image } = cache {
                caches
                    .writes
                    .insert((image.host().to_owned(), image.repository().to_owned()));
                // A plain image manifest: some registries refuse the older form, an index of layers.
                attributes.extend([
                    ("image-manifest", "true".to_owned()),
                    ("oci-mediatypes", "true".to_owned()),
                ]);
            }
            caches.exports.push(entry(cache, attributes));
        }
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

    fn attributes(
        &mut self,
        cache: &BuildCache,
        plain_http: &BTreeSet<String>,
    ) -> Result<Attributes, Error> {
        match cache {
            BuildCache::S3(s3) => {
                check(s3)?;
                self.keys
                    .extend(s3.keys.iter().map(|(_, secret)| secret.clone()));
                Ok(s3_attributes(s3))
            }
            BuildCache::Registry { image } => {
                let mut attributes = Attributes::from([("ref", image.to_string())]);
                if plain_http.contains(image.host()) {
                    attributes.insert("registry.insecure", "true".to_owned());
                }
                Ok(attributes)
            }
            _ => Err(Error::Invalid {
                field: "cache",
                why: "this kind of cache is not known here".to_owned(),
            }),
        }
    }
}

type Attributes = BTreeMap<&'static str, String>;

fn entry(cache: &BuildCache, attributes: Attributes) -> CacheOptionsEntry {
    let kind = if matches!(cache, BuildCache::S3(_)) {
        "s3"
    } else {
        "registry"
    };
    let attrs = attributes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    CacheOptionsEntry {
        r#type: kind.to_owned(),
        attrs,
    }
}

fn s3_attributes(s3: &S3Cache) -> Attributes {
    let mut attributes =
        Attributes::from([("bucket", s3.bucket.clone()), ("region", s3.region.clone())]);
    let mut set = |key, value: &str| {
        if !value.is_empty() {
            attributes.insert(key, value.to_owned());
        }
    };
    set("prefix", &s3.prefix);
    set("name", &s3.name);
    if let Some(endpoint) = &s3.endpoint {
        set("endpoint_url", endpoint);
        // Servers other than AWS rarely have a host name for each bucket.
        set("use_path_style", "true");
    }
    if let Some((id, secret)) = &s3.keys {
        set("access_key_id", id);
        set("secret_access_key", secret.expose());
    }
    attributes
}

/// The daemon reports these late and not well, or, worse, takes its own environment instead.
fn check(s3: &S3Cache) -> Result<(), Error> {
    let refuse = |why: &str| {
        Err(Error::Invalid {
            field: "cache",
            why: format!("the S3 cache {:?} {why}", s3.name),
        })
    };
    if s3.bucket.is_empty() {
        return refuse("has no bucket");
    }
    if s3.region.is_empty() {
        return refuse("has no region; most S3-compatible servers take us-east-1");
    }
    if s3.name.contains(';') {
        return refuse("has a ';' in its name: BuildKit would take it for two names");
    }
    Ok(())
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
        assert_eq!(options.exports[0].attrs["mode"], "max");
        assert_eq!(caches.keys.len(), 2);
    }

    #[test]
    fn a_registry_cache_is_a_repository_that_is_written() {
        let image = "plain.io/cache:main".parse().unwrap();
        let cache = BuildCache::Registry { image };
        let caches = caches(std::slice::from_ref(&cache), std::slice::from_ref(&cache)).unwrap();
        let options = caches.options();
        assert_eq!(options.imports[0].attrs["ref"], "plain.io/cache:main");
        assert_eq!(options.imports[0].attrs["registry.insecure"], "true");
        assert_eq!(options.exports[0].attrs["image-manifest"], "true");
        assert!(
            caches
                .writes
                .contains(&("plain.io".to_owned(), "cache".to_owned()))
        );
    }

    #[test]
    fn what_the_daemon_would_misread_is_refused() {
        for (bucket, region, name, why) in [
            ("", "r", "n", "bucket"),
            ("b", "", "n", "region"),
            ("b", "r", "a;b", "';'"),
        ] {
            let error =
                caches(&[BuildCache::S3(S3Cache::new(bucket, region, name))], &[]).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
