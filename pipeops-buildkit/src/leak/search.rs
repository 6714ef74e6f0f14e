//! The secrets that a leak check searches for.

use std::collections::BTreeSet;

use pipeops_core::build::BuildCache;
use pipeops_core::secret::{Suspicion, suspicion};
use pipeops_core::{BuildRequest, SecretString};

use super::assignments::assignments;
use crate::check::dockerfile_text;

/// The secrets that a leak check searches for, each with a readable name.
///
/// ```
/// use pipeops_buildkit::{BuildRequest, LeakSearch};
///
/// let request = BuildRequest::new(".", "registry.example.com/team/app:1".parse()?).secret("npm-token", "s3cr3t-value");
/// let search = LeakSearch::new(&request).secret("database password", "hunter2-hunter2");
/// assert!(search.names().contains("build secret \"npm-token\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LeakSearch {
    secrets: Vec<Secret>,
}

/// One secret.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) value: SecretString,
    /// Why it looks like a secret; `None` for a declared one.
    pub(crate) suspicion: Option<Suspicion>,
}

impl LeakSearch {
    /// Collects the secrets of a request: its build secrets, the keys of its caches, and build arguments and values in its
    /// Dockerfile that look like secrets. Reads the Dockerfile from disk.
    pub fn new(request: &BuildRequest) -> Self {
        let text = String::from_utf8_lossy(&dockerfile_text(request)).into_owned();
        let mut search = Self::without_dockerfile(request);
        for (key, value) in assignments(&text) {
            let why = suspicion(&key, &value);
            // A value that only its name makes suspicious may be a common word: then it is looked for with its name.
            let needle = match why {
                Some(Suspicion::Name) => format!("{key}={value}"),
                _ => value,
            };
            search.suspect(format!("value of {key} in the Dockerfile"), needle, why);
        }
        search
    }

    /// Like [`LeakSearch::new`], for a build whose Dockerfile isn't in the request's folder.
    pub fn without_dockerfile(request: &BuildRequest) -> Self {
        let mut search = Self::default();
        for (id, value) in &request.secrets {
            search = search.secret(format!("build secret {id:?}"), value.clone());
        }
        for cache in request.cache_from.iter().chain(&request.cache_to) {
            if let BuildCache::S3(cache) = cache
                && let Some((_, key)) = &cache.keys
            {
                search =
                    search.secret(format!("key of the S3 cache {:?}", cache.name), key.clone());
            }
        }
        for (key, value) in &request.build_args {
            let name = format!("build argument {key}");
            search.suspect(name, value.clone(), suspicion(key, value));
        }
        search
    }

    /// Adds a secret.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.push(Secret {
            name: name.into(),
            value: value.into(),
            suspicion: None,
        });
        self
    }

    fn suspect(&mut self, name: String, value: String, suspicion: Option<Suspicion>) {
        if suspicion.is_some() {
            self.push(Secret {
                name,
                value: value.into(),
                suspicion,
            });
        }
    }

    /// Adds a value under the first of its names.
    fn push(&mut self, secret: Secret) {
        let known = self.secrets.iter().any(|known| known.value == secret.value);
        if !known && !secret.value.expose().trim().is_empty() {
            self.secrets.push(secret);
        }
    }

    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Returns the names of the secrets.
    pub fn names(&self) -> BTreeSet<&str> {
        self.secrets
            .iter()
            .map(|secret| secret.name.as_str())
            .collect()
    }

    pub(super) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
}

#[cfg(test)]
mod tests {
    use pipeops_core::build::S3Cache;

    use super::*;

    #[test]
    fn a_request_says_what_is_to_be_looked_for() {
        let mut request = BuildRequest::new("/nowhere", "reg.io/a:1".parse().unwrap());
        request.dockerfile = pipeops_core::build::DockerfileSource::Inline(
            "FROM x\nARG DB_PASSWORD=postgres\nENV MODE=production\n".into(),
        );
        request.secrets.insert("npm".into(), "npm-secret".into());
        request
            .build_args
            .insert("API_TOKEN".into(), "tok-12345".into());
        request
            .build_args
            .insert("SAME".into(), "npm-secret".into());
        request.build_args.insert("VERSION".into(), "1.2.3".into());
        let mut cache = S3Cache::new("b", "r", "main");
        cache.keys = Some(("id".into(), "s3-secret".into()));
        request.cache_to = vec![BuildCache::S3(cache)];
        let search = LeakSearch::new(&request);
        let found: Vec<_> = search
            .secrets()
            .iter()
            .map(|secret| (secret.name.as_str(), secret.value.expose()))
            .collect();
        assert_eq!(
            found,
            [
                ("build secret \"npm\"", "npm-secret"),
                ("key of the S3 cache \"main\"", "s3-secret"),
                ("build argument API_TOKEN", "tok-12345"),
                (
                    "value of DB_PASSWORD in the Dockerfile",
                    "DB_PASSWORD=postgres"
                ),
            ]
        );
    }

    /// A repository decides what its Dockerfile is.
    #[cfg(unix)]
    #[test]
    fn a_dockerfile_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("Dockerfile")).unwrap();
        let request = BuildRequest::new(dir.path(), "reg.io/a:1".parse().unwrap());
        assert!(LeakSearch::new(&request).is_empty());
    }
}
