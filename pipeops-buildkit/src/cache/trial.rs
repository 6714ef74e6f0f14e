//! Decides which cache the next attempt skips after a cache failed a build.
//!
//! BuildKit fails a build if a blob that a cache's manifest names is gone or unreadable. Its error names neither the cache nor,
//! for S3, the blob. So the caches are skipped in turn: first each one alone, in their order, because a lifecycle rule empties
//! the cache of the build's own branch first; then all; then also what the daemon itself may have taken over from them.
//! Finished steps come from the daemon, so an attempt repeats little.

use pipeops_core::BuildRequest;
use pipeops_core::cache::BuildCache;

use super::slots;
use crate::cause::Cause;
use crate::error::Error;

/// With more caches than this, all are skipped at once.
const MOST_SINGLE: usize = 4;

/// The caches of a build over its attempts.
#[derive(Debug, Default)]
pub(crate) struct CacheTrial {
    /// The caches of the first attempt, and the one that is skipped now.
    single: Option<(Vec<BuildCache>, usize)>,
}

impl CacheTrial {
    /// Removes a cache that may have caused the error from the request. Returns what changed, or `None` if no cache can have
    /// caused it or none is left.
    pub(crate) fn leave_out(
        &mut self,
        request: &mut BuildRequest,
        error: &Error,
    ) -> Option<String> {
        let failure = error.build_failure()?;
        match &failure.cause {
            Cause::CacheMissing | Cause::CacheUnreadable | Cause::CacheSilent { .. } => {}
            // Its source is not said; it may also be a base image.
            Cause::ContentDamaged if request.cache_from.iter().any(is_suspect) => {}
            // Which writer it was does not matter: none of them is worth the image.
            Cause::CacheUnwritable if !request.cache_to.is_empty() => {
                request.cache_to.clear();
                return Some("building again without writing a cache".to_owned());
            }
            _ => return None,
        }
        if let Some(place) = named(&failure.message, &request.cache_from) {
            let cache = request.cache_from.remove(place);
            return Some(without(&cache));
        }
        if let Cause::CacheSilent { cache } = &failure.cause
            && let Some(place) = silent(cache, &request.cache_from)
        {
            let cache = request.cache_from.remove(place);
            // It would be waited for again: by the other caches of this server, and ten times as long to write one.
            request
                .cache_from
                .retain(|other| !at_same_server(other, &cache));
            request
                .cache_to
                .retain(|other| !at_same_server(other, &cache));
            return Some(format!("{} and all others on its server", without(&cache)));
        }
        self.next_suspect(request)
    }

    fn next_suspect(&mut self, request: &mut BuildRequest) -> Option<String> {
        let (all, next) = match self.single.take() {
            None => (request.cache_from.clone(), 0),
            Some((all, last)) => (all, last + 1),
        };
        let suspects: Vec<usize> = (0..all.len())
            .filter(|place| is_suspect(&all[*place]))
            .collect();
        if suspects.len() > 1 && suspects.len() <= MOST_SINGLE && next < suspects.len() {
            let mut rest = all.clone();
            let cache = rest.remove(suspects[next]);
            request.cache_from = rest;
            self.single = Some((all, next));
            return Some(without(&cache));
        }
        let left = all
            .iter()
            .filter(|cache| !is_suspect(cache))
            .cloned()
            .collect();
        // From here on this is the whole list.
        self.single = None;
        if !suspects.is_empty() {
            request.cache_from = left;
            return Some(match suspects.as_slice() {
                [only] => without(&all[*only]),
                _ => "building again without any of these caches".to_owned(),
            });
        }
        if request.no_cache {
            return None;
        }
        request.no_cache = true;
        request.cache_from.clear();
        Some(
            "building again without any cache, because the daemon's own cache refers to the missing blob"
                .to_owned(),
        )
    }
}

/// Registry caches are not suspects: errors about their blobs name them.
fn is_suspect(cache: &BuildCache) -> bool {
    !matches!(cache, BuildCache::Registry { .. } | BuildCache::Inline)
}

/// The registry cache that an error names by the address of a blob: `content at https://HOST/v2/REPOSITORY/blobs/…`.
fn named(message: &str, caches: &[BuildCache]) -> Option<usize> {
    caches.iter().position(|cache| match cache {
        BuildCache::Registry { image } => message.contains(&format!(
            "{}/v2/{}/blobs/",
            image.host(),
            image.repository()
        )),
        _ => false,
    })
}

/// The cache whose manifest did not come.
fn silent(name: &str, caches: &[BuildCache]) -> Option<usize> {
    caches.iter().position(|cache| match cache {
        BuildCache::S3(s3) => {
            let name = name.strip_prefix("s3:");
            name.is_some_and(|name| slots::names(s3).any(|slot| slot == name))
        }
        BuildCache::Registry { image } => name == image.to_string(),
        BuildCache::Gha(gha) => name.strip_prefix("gha:") == Some(&gha.scope),
        BuildCache::Azblob(azblob) => name.strip_prefix("azblob:") == Some(&azblob.name),
        _ => false,
    })
}

fn at_same_server(one: &BuildCache, other: &BuildCache) -> bool {
    match (one, other) {
        (BuildCache::S3(one), BuildCache::S3(other)) => {
            (&one.endpoint, &one.bucket) == (&other.endpoint, &other.bucket)
        }
        (BuildCache::Registry { image: one }, BuildCache::Registry { image: other }) => {
            one.host() == other.host()
        }
        (BuildCache::Gha(one), BuildCache::Gha(other)) => one.url == other.url,
        (BuildCache::Azblob(one), BuildCache::Azblob(other)) => {
            one.account_url == other.account_url
        }
        _ => false,
    }
}

fn without(cache: &BuildCache) -> String {
    let name = match cache {
        BuildCache::S3(s3) => &s3.name,
        BuildCache::Registry { image } => {
            return format!("building again without the cache {image}");
        }
        BuildCache::Gha(gha) => &gha.scope,
        BuildCache::Azblob(azblob) => &azblob.name,
        BuildCache::Local(local) => {
            return format!(
                "building again without the cache in {}",
                local.folder.display()
            );
        }
        _ => return "building again without the cache that has lost a blob".to_owned(),
    };
    format!("building again without the cache {name:?}")
}

#[cfg(test)]
mod tests {
    use pipeops_core::cache::S3Cache;

    use super::*;
    use crate::failure::BuildFailure;

    const MISSING: &str =
        "operation error S3: GetObject, https response error StatusCode: 404, NoSuchKey: ";

    fn failure(cause: Cause, message: &str) -> Error {
        Error::Build(Box::new(BuildFailure {
            cause,
            message: message.to_owned(),
            source: None,
            exit_code: None,
            step: None,
            log: Vec::new(),
        }))
    }

    fn s3(name: &str) -> BuildCache {
        BuildCache::S3(S3Cache::new("b", "r", name))
    }

    fn registry(name: &str) -> BuildCache {
        BuildCache::Registry {
            image: name.parse().unwrap(),
        }
    }

    /// What each attempt reads until `bad` caches are all left out, or nothing is left to leave out.
    fn attempts(from: Vec<BuildCache>, bad: &[&str]) -> Vec<String> {
        let mut request = BuildRequest::new(".", "reg.io/app:1".parse().unwrap());
        request.cache_from = from;
        let mut trial = CacheTrial::default();
        let mut seen = Vec::new();
        loop {
            let shown: Vec<String> = request
                .cache_from
                .iter()
                .map(|cache| match cache {
                    BuildCache::S3(s3) => s3.name.clone(),
                    BuildCache::Registry { image } => image.repository().to_owned(),
                    other => format!("{other:?}"),
                })
                .collect();
            let fails = shown.iter().any(|name| bad.contains(&name.as_str()))
                || (bad.contains(&"daemon") && !request.no_cache);
            seen.push(format!(
                "{}{}",
                shown.join("+"),
                if request.no_cache { "!" } else { "" }
            ));
            let error = failure(Cause::CacheMissing, MISSING);
            if !fails || trial.leave_out(&mut request, &error).is_none() {
                return seen;
            }
        }
    }

    #[test]
    fn only_the_bad_cache_is_left_out() {
        let both = || vec![s3("own"), s3("main")];
        assert_eq!(attempts(both(), &["own"]), ["own+main", "main"]);
        assert_eq!(attempts(both(), &["main"]), ["own+main", "main", "own"]);
        assert_eq!(
            attempts(both(), &["own", "main"]),
            ["own+main", "main", "own", ""]
        );
        assert_eq!(
            attempts(both(), &["daemon"]),
            ["own+main", "main", "own", "", "!"]
        );
        assert_eq!(attempts(vec![s3("own")], &["own"]), ["own", ""]);
        assert_eq!(attempts(vec![], &["daemon"]), ["", "!"]);
        // A registry cache stays: an error about it would name it.
        let mixed = vec![s3("own"), registry("reg.io/cache:1"), s3("main")];
        assert_eq!(
            attempts(mixed, &["own", "main"]),
            ["own+cache+main", "cache+main", "own+cache", "cache"]
        );
        let many: Vec<_> = (0..6).map(|number| s3(&format!("c{number}"))).collect();
        assert_eq!(attempts(many, &["c3"]), ["c0+c1+c2+c3+c4+c5", ""]);
    }

    #[test]
    fn an_error_that_names_a_registry_cache_leaves_out_that_one() {
        let mut request = BuildRequest::new(".", "reg.io/app:1".parse().unwrap());
        request.cache_from = vec![registry("reg.io/a:1"), s3("own"), registry("reg.io/b:1")];
        let message = "failed to copy: httpReadSeeker: failed open: content at https://reg.io/v2/b/blobs/sha256:00 not found: not found";
        let error = failure(Cause::CacheMissing, message);
        let what = CacheTrial::default().leave_out(&mut request, &error);
        assert_eq!(
            what.as_deref(),
            Some("building again without the cache reg.io/b:1")
        );
        assert_eq!(request.cache_from, [registry("reg.io/a:1"), s3("own")]);
    }

    #[test]
    fn a_damaged_blob_may_be_a_caches() {
        let mut request = BuildRequest::new(".", "reg.io/app:1".parse().unwrap());
        request.cache_from = vec![s3("own")];
        let message = "failed to push reg.io/app:1: failed commit on ref \"layer-sha256:9d\": unexpected commit digest sha256:09, expected sha256:9d: failed precondition";
        let error = failure(Cause::ContentDamaged, message);
        let mut trial = CacheTrial::default();
        assert!(trial.leave_out(&mut request, &error).is_some());
        // Without caches it is not theirs.
        assert_eq!(trial.leave_out(&mut request, &error), None);
    }

    #[test]
    fn a_cache_that_does_not_answer_takes_its_server_along() {
        let elsewhere = |name| match s3(name) {
            BuildCache::S3(mut s3) => {
                s3.endpoint = Some("https://other".to_owned());
                BuildCache::S3(s3)
            }
            other => other,
        };
        let mut request = BuildRequest::new(".", "reg.io/app:1".parse().unwrap());
        request.cache_from = vec![elsewhere("far"), s3("own"), s3("main")];
        request.cache_to = vec![s3("own"), elsewhere("far")];
        let cache = "s3:own".to_owned();
        let error = failure(Cause::CacheSilent { cache }, "no answer within 60s");
        let mut trial = CacheTrial::default();
        let what = trial.leave_out(&mut request, &error).unwrap();
        assert!(what.contains("\"own\""), "{what}");
        assert_eq!(request.cache_from, [elsewhere("far")]);
        assert_eq!(request.cache_to, [elsewhere("far")]);
        // What is not among them is any of them.
        assert!(trial.leave_out(&mut request, &error).is_some());
        assert!(request.cache_from.is_empty());
    }

    #[test]
    fn other_errors_leave_all_caches() {
        let mut request = BuildRequest::new(".", "reg.io/app:1".parse().unwrap());
        request.cache_from = vec![s3("own")];
        request.cache_to = vec![s3("own")];
        let mut trial = CacheTrial::default();
        let error = failure(Cause::Instruction, MISSING);
        assert_eq!(trial.leave_out(&mut request, &error), None);
        let error = failure(
            Cause::CacheUnwritable,
            "failed to configure s3 cache exporter: x",
        );
        assert!(trial.leave_out(&mut request, &error).is_some());
        assert!(request.cache_to.is_empty() && request.cache_from.len() == 1);
        assert_eq!(trial.leave_out(&mut request, &error), None);
    }
}
