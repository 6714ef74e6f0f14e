//! Finds cache servers that accept connections but never respond.
//!
//! While BuildKit waits for a cache manifest, its solver's single loop is blocked without a time limit. That stalls every build
//! of the daemon, even after this one is cancelled, until the server responds or hangs up. So the client probes the server
//! first, if it can reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use pipeops_core::BuildRequest;
use pipeops_core::cache::BuildCache;

use super::outcome::{CacheOutcome, CacheProblem};
use crate::session::token::TokenClient;

/// Longest time for an answer; any will do.
const LIMIT: Duration = Duration::from_secs(10);

/// Takes caches out of the request whose server is silent for `limit`, 10 s at most. Gives those, and what people should know.
pub(crate) async fn leave_silent_out(
    request: &mut BuildRequest,
    limit: Duration,
) -> (CacheOutcome, Vec<String>) {
    let endpoints: BTreeSet<&str> = request
        .cache_from
        .iter()
        .chain(&request.cache_to)
        .filter_map(endpoint)
        .collect();
    let limit = limit.min(LIMIT);
    let asked = endpoints.into_iter().map(|endpoint| async move {
        is_silent(endpoint, limit)
            .await
            .then(|| endpoint.to_owned())
    });
    let silent: BTreeSet<String> = join_all(asked).await.into_iter().flatten().collect();
    let mut outcome = CacheOutcome::default();
    if silent.is_empty() {
        return (outcome, Vec::new());
    }
    outcome.unread = take_out(&mut request.cache_from, &silent, limit);
    outcome.unwritten = take_out(&mut request.cache_to, &silent, limit);
    (outcome.clone(), warnings(&outcome))
}

/// The server that a cache names. Cloud providers' servers aren't probed, because their clients locate them differently.
fn endpoint(cache: &BuildCache) -> Option<&str> {
    match cache {
        BuildCache::S3(s3) => s3.endpoint.as_deref(),
        _ => None,
    }
}

/// Whether it accepted the connection but didn't respond in time. A server that's unreachable from here may be reachable from the
/// daemon.
async fn is_silent(endpoint: &str, limit: Duration) -> bool {
    let tokens = TokenClient::default();
    let Ok(http) = tokens.http() else {
        return false;
    };
    let asked = http.get(endpoint).timeout(limit).send().await;
    // A connection that does not come about in time is no silence.
    asked.is_err_and(|error| error.is_timeout() && !error.is_connect())
}

fn take_out(
    caches: &mut Vec<BuildCache>,
    silent: &BTreeSet<String>,
    limit: Duration,
) -> Vec<CacheProblem> {
    let is_silent = |cache: &BuildCache| endpoint(cache).is_some_and(|at| silent.contains(at));
    let (out, kept) = std::mem::take(caches).into_iter().partition(is_silent);
    *caches = kept;
    let out: Vec<BuildCache> = out;
    let mut problems = BTreeMap::new();
    for cache in out {
        if let BuildCache::S3(s3) = cache {
            let at = s3.endpoint.unwrap_or_default();
            problems.insert(s3.name, at);
        }
    }
    let problem = |(name, at): (String, String)| CacheProblem {
        cache: format!("s3:{name}"),
        why: format!("{at} accepts connections but did not respond within {limit:?}"),
        millis: u64::try_from(limit.as_millis()).ok(),
    };
    problems.into_iter().map(problem).collect()
}

fn warnings(outcome: &CacheOutcome) -> Vec<String> {
    let read = outcome.unread.iter().map(|problem| {
        format!(
            "The build continues without its cache {}: {}",
            problem.cache, problem.why
        )
    });
    let only_written = outcome
        .unwritten
        .iter()
        .filter(|problem| !outcome.unread.contains(problem));
    let written = only_written.map(|problem| {
        format!(
            "The cache {} isn't written, so the next build starts with an older one: {}",
            problem.cache, problem.why
        )
    });
    read.chain(written).collect()
}

#[cfg(test)]
mod tests {
    use pipeops_core::cache::S3Cache;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn s3(name: &str, endpoint: &str) -> BuildCache {
        let mut s3 = S3Cache::new("b", "r", name);
        s3.endpoint = Some(endpoint.to_owned());
        BuildCache::S3(s3)
    }

    #[tokio::test]
    async fn only_a_server_that_says_nothing_is_silent() {
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent, refusing) = (listen().await, listen().await);
        let at = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (dead, alive) = (at(&silent), at(&refusing));
        let _answering = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((mut stream, _)) = refusing.accept().await {
                let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        }));
        let mut request = BuildRequest::new(".", "r.io/a:1".parse().unwrap());
        let nowhere = s3("gone", "http://127.0.0.1:9");
        let aws = BuildCache::S3(S3Cache::new("b", "r", "aws"));
        request.cache_from = vec![
            s3("own", &dead),
            s3("good", &alive),
            nowhere.clone(),
            aws.clone(),
        ];
        request.cache_to = vec![s3("own", &dead), s3("other", &dead)];
        let limit = Duration::from_secs(5);
        let (outcome, warnings) = leave_silent_out(&mut request, limit).await;
        assert_eq!(request.cache_from, [s3("good", &alive), nowhere, aws]);
        assert!(request.cache_to.is_empty());
        let names = |problems: &[CacheProblem]| {
            let names = problems.iter().map(|problem| problem.cache.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&outcome.unread), ["s3:own"]);
        assert_eq!(names(&outcome.unwritten), ["s3:other", "s3:own"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("did not respond within 5s"));
    }
}
