//! The build cache in S3, against real servers. In a file of its own because it empties the daemon.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::{Duration, Instant};

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryRequest, DiskUsageRequest, PruneRequest,
};
use common::daemons::Daemon;
use common::{Context, Recorder, env, holds, s3_caches, solve, unique};
use futures::StreamExt;
use pipeops_buildkit::{Builder, BuilderOptions, Error, Pool, PoolOptions, Solve, StaticMembers};
use pipeops_core::build::{BuildCache, S3Cache};
use pipeops_core::event::Discard;
use pipeops_core::{BuildRequest, ImageBuilder, SecretString};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::{Channel, Endpoint};

const PREFIX: &str = "pipeops-buildkit-test/";

fn cache(name: &str) -> BuildCache {
    let mut s3 = S3Cache::new(env("S3_BUCKET"), env("S3_REGION"), name);
    s3.endpoint = Some(env("S3_ENDPOINT"));
    s3.prefix = PREFIX.to_owned();
    s3.keys = Some((
        env("S3_ACCESS_KEY_ID"),
        SecretString::from(env("S3_SECRET_ACCESS_KEY")),
    ));
    BuildCache::S3(s3)
}

fn request(context: &Context, name: &str) -> BuildRequest {
    let mut request = context.request();
    request.cache_from = vec![cache(name)];
    request.cache_to = vec![cache(name)];
    request
}

async fn control() -> ControlClient<Channel> {
    let channel = Endpoint::from_shared(env("BUILDKIT_HOST").replace("tcp://", "http://"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    ControlClient::new(channel)
}

/// Empties the daemon's own cache. A build that has ended holds its records for a moment: they can't be pruned before that.
async fn prune() {
    let request = PruneRequest {
        all: true,
        ..PruneRequest::default()
    };
    let mut control = control().await;
    let begin = Instant::now();
    loop {
        let pruned = control.prune(request.clone()).await.unwrap();
        let mut records = pruned.into_inner();
        while let Some(record) = records.next().await {
            record.unwrap();
        }
        let usage = control.disk_usage(DiskUsageRequest::default()).await;
        let left = usage.unwrap().into_inner().record;
        if !left.iter().any(|record| record.in_use) || begin.elapsed() > BUSY {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// After this time, something else than an ended build holds records.
const BUSY: Duration = Duration::from_secs(30);

/// Signs and sends one S3 request with curl's own implementation of AWS signatures.
fn s3(method: &str, path: &str, content: &str) -> String {
    let mut curl = std::process::Command::new("curl");
    if !content.is_empty() {
        curl.args(["--data-binary", content]);
    }
    let output = curl
        .args(["--silent", "--show-error", "--fail", "-X", method])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .arg("--aws-sigv4")
        .arg(format!("aws:amz:{}:s3", env("S3_REGION")))
        .arg("--user")
        .arg(format!(
            "{}:{}",
            env("S3_ACCESS_KEY_ID"),
            env("S3_SECRET_ACCESS_KEY")
        ))
        .arg(format!("{}/{}{path}", env("S3_ENDPOINT"), env("S3_BUCKET")))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{method} {path}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The blobs of a cache that its manifest names.
fn layers(name: &str) -> Vec<serde_json::Value> {
    let manifest = s3("GET", &format!("/{PREFIX}manifests/{name}"), "");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["layers"].as_array().unwrap().clone()
}

/// The key of a blob.
fn key(layer: &serde_json::Value) -> String {
    let digest = layer["blob"].as_str().unwrap();
    format!("/{PREFIX}blobs/{}", digest.replace(':', "%3A"))
}

/// The key of the blob of a cache's last step: the layer that no other stands on. (A base image's layer may be as small.)
fn last_blob(name: &str) -> String {
    let layers = layers(name);
    // BuildKit leaves out a parent that is the first layer; the root has none, -1.
    let parents: Vec<i64> = layers
        .iter()
        .map(|layer| layer["parent"].as_i64().unwrap_or(0))
        .collect();
    let last = (0..layers.len())
        .rev()
        .find(|at| parents[*at] >= 0 && !parents.contains(&(*at as i64)))
        .unwrap();
    key(&layers[last])
}

/// The keys of all blobs that a cache names.
fn blobs(name: &str) -> Vec<String> {
    layers(name).iter().map(key).collect()
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn an_empty_daemon_takes_everything_from_the_cache_and_survives_its_holes() {
    let name = unique("main");
    let dockerfile = format!(
        "FROM busybox AS build\nRUN echo {name} > /made\nFROM busybox\nCOPY --from=build /made /\nCOPY a /\nRUN cat /made /a\n"
    );
    let context = Context::new(&[("Dockerfile", &dockerfile), ("a", &name)]);
    let request = request(&context, &name);
    let first = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!(first.cached, 0, "{first:?}");

    prune().await;
    let second = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!((second.steps, second.cached), (first.steps, first.steps));

    // The daemon's history shows requests to everybody: those with keys are not in it.
    let mut history = control()
        .await
        .listen_build_history(BuildHistoryRequest {
            early_exit: true,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    while let Some(event) = history.next().await {
        let bytes = event.unwrap().encode_to_vec();
        let leaked = holds(&bytes, &env("S3_SECRET_ACCESS_KEY"));
        assert!(!leaked, "the key is in the daemon's history");
    }

    // All blobs vanish; the manifest still names them. The registry has none of them either under a new name.
    prune().await;
    let mut request = request;
    request.image = context.request().image;
    for key in blobs(&name) {
        s3("DELETE", &key, "");
    }
    let events = Recorder::default();
    let built = builder().build(request, &events).await.unwrap();
    assert_eq!(built.steps, first.steps, "{:?}", events.warnings());
    events.assert_warned(&[&format!("without the cache {name:?}")]);
}

fn builder() -> Builder {
    Builder::new(
        common::address(),
        BuilderOptions::default().timeout(Duration::from_secs(120)),
    )
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_branch_whose_cache_has_a_hole_takes_the_default_branchs() {
    let (own, default) = (unique("fix"), unique("main"));
    let base = format!("FROM busybox\nRUN echo {default} > /base\n");
    let context = Context::new(&[("Dockerfile", &format!("{base}RUN echo main > /top\n"))]);
    solve(request(&context, &default), &Discard).await.unwrap();
    prune().await;
    let before: Vec<String> = blobs(&default);
    context.write(
        "Dockerfile",
        format!("{base}RUN echo {own} > /top\n").as_bytes(),
    );
    let mut request = request(&context, &own);
    request.cache_from.push(cache(&default));
    solve(request.clone(), &Discard).await.unwrap();

    // Its own step is lost, and the image's name is new, so that the registry does not have the layer either.
    prune().await;
    let hole = blobs(&own)
        .into_iter()
        .find(|blob| !before.contains(blob))
        .unwrap();
    s3("DELETE", &hole, "");
    request.image = context.request().image;
    let events = Recorder::default();
    let built = builder().build(request, &events).await.unwrap();
    assert_eq!((built.steps, built.cached), (2, 1));
    assert_eq!(events.about("without the cache"), 1);
    events.assert_warned(&["without the cache", &own]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_blob_with_other_bytes_costs_the_cache_and_not_the_build() {
    let name = unique("main");
    let context = Context::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN echo {name} > /made\n"),
    )]);
    let mut request = request(&context, &name);
    solve(request.clone(), &Discard).await.unwrap();
    prune().await;
    // The layer that the step made is the last one. (Never a base image's: a daemon that has begun to take wrong bytes for a
    // layer goes on from them, wherever it gets the rest, until it throws them away on its own.)
    s3("PUT", &last_blob(&name), "these are not the bytes");
    request.image = context.request().image;
    let events = Recorder::default();
    let built = builder().build(request, &events).await.unwrap();
    assert_eq!((built.steps, built.cached), (1, 0));
    assert_eq!(events.about("without the cache"), 1);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn wrong_keys_and_a_server_that_is_gone_are_told_with_the_caches_name() {
    let (refused, gone) = (unique("refused"), unique("gone"));
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {refused}\n"))]);
    let mut request = request(&context, &refused);
    request.cache_from.push(cache(&gone));
    let cache_to = std::mem::take(&mut request.cache_to);
    for s3 in s3_caches(&mut request) {
        match s3.name == gone {
            true => s3.endpoint = Some("http://127.0.0.1:9".to_owned()),
            false => s3.keys = s3.keys.take().map(|(id, _)| (id, "wrong-key-here".into())),
        }
    }
    request.cache_to = cache_to;
    let solved = solve(request, &Discard).await.unwrap();
    assert_eq!(
        (
            solved.steps,
            solved.caches.unread.len(),
            solved.caches.unwritten.len()
        ),
        (1, 2, 0)
    );
    for (name, why) in [(&refused, "refuses the keys"), (&gone, "cannot be reached")] {
        let problem = solved
            .caches
            .unread
            .iter()
            .find(|problem| problem.cache.contains(name.as_str()));
        let problem = problem.unwrap_or_else(|| panic!("{name} is not named: {:?}", solved.caches));
        assert!(problem.why.contains(why), "{problem:?}");
    }
}

/// A server that accepts connections but responds only to the first few.
async fn silent_after(answers: usize) -> (String, AbortOnDropHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if open.len() < answers {
                let answer =
                    b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
            open.push(stream);
        }
    });
    (address, AbortOnDropHandle::new(server))
}

fn with_cache_at(endpoint: &str, context: &Context, name: &str) -> BuildRequest {
    let mut request = request(context, name);
    for s3 in s3_caches(&mut request) {
        s3.endpoint = Some(endpoint.to_owned());
    }
    request
}

/// After this time without a response a cache server is silent; while a cache is written, after ten times as long. A slow machine
/// must answer the probe in time.
const SILENCE: Duration = Duration::from_secs(5);

fn hasty() -> BuilderOptions {
    BuilderOptions::default()
        .timeout(Duration::from_secs(300))
        .customize(|solve| Ok(solve.cache_timeout(SILENCE)))
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_server_that_never_answers_costs_its_caches_and_not_the_build() {
    let (endpoint, _server) = silent_after(0).await;
    let name = unique("silent");
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {name}\n"))]);
    let request = with_cache_at(&endpoint, &context, &name);
    let builder = Builder::new(common::address(), hasty());
    let events = Recorder::default();
    builder.build(request, &events).await.unwrap();
    // Both directions, in one warning: the daemon heard of neither.
    events.assert_warned_once(&[&name]);
}

/// The image is pushed long before the daemon would give up the cache.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_server_that_falls_silent_while_a_cache_is_written_does_not_cost_the_build() {
    let (endpoint, _server) = silent_after(1).await;
    let name = unique("silent");
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {name}\n"))]);
    let mut request = with_cache_at(&endpoint, &context, &name);
    request.cache_from.clear();
    let builder = Builder::new(common::address(), hasty());
    let events = Recorder::default();
    builder.build(request, &events).await.unwrap();
    events.assert_warned_once(&["CacheUnwritable"]);
}

/// A daemon that waits for a manifest goes on with no build at all: the pool leaves it alone, and the cache, too.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_daemon_that_is_stuck_with_a_cache_is_left_by_the_pool() {
    let (endpoint, server) = silent_after(1).await;
    let daemons = [Daemon::start("one").await, Daemon::start("two").await];
    let options = PoolOptions::default().builder(hasty());
    let pool = Pool::start(
        StaticMembers::new(daemons.iter().map(Daemon::member)),
        options,
    );
    let name = unique("stuck");
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {name}\n"))]);
    let request = with_cache_at(&endpoint, &context, &name);
    let events = Recorder::default();
    pool.build(request.clone(), &events).await.unwrap();
    events.assert_warned(&[&format!("no response within {SILENCE:?}")]);
    let lost: Vec<u64> = pool.members().iter().map(|member| member.lost).collect();
    assert_eq!(lost.iter().sum::<u64>(), 1, "{lost:?}");

    // It is the daemon that is stuck, not the build: without any cache there, nothing moves either.
    let stuck = lost.iter().position(|lost| *lost == 1).unwrap();
    let client = daemons[stuck].client().await;
    let other = Context::new(&[("Dockerfile", "FROM busybox\nRUN echo other\n")]);
    let solve = |limit| Solve::new(other.request()).timeout(Duration::from_secs(limit));
    let error = client.solve(solve(5), &Discard).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    // Until the server hangs up.
    drop(server);
    client.solve(solve(60), &Discard).await.unwrap();
}

/// Two builds at once, of different commits; then each again on an emptied daemon. Gives the steps of the second round that
/// came from the cache, and all.
async fn parallel(slots: u8) -> (usize, usize) {
    let name = unique("parallel");
    let contexts: Vec<Context> = ["a", "b"]
        .iter()
        .map(|commit| {
            let text = format!("FROM busybox\nRUN echo {name} > /base\nCOPY commit /\nRUN sleep 5; cat /commit > /made\n");
            Context::new(&[("Dockerfile", &text), ("commit", commit)])
        })
        .collect();
    let requests: Vec<BuildRequest> = contexts
        .iter()
        .map(|context| {
            let mut request = request(context, &name);
            for s3 in s3_caches(&mut request) {
                s3.slots = slots;
            }
            request
        })
        .collect();
    let first = requests
        .iter()
        .map(|request| solve(request.clone(), &Discard));
    for result in futures::future::join_all(first).await {
        result.unwrap();
    }
    let (mut cached, mut steps) = (0, 0);
    for request in requests {
        prune().await;
        let mut request = request;
        request.cache_to.clear();
        let again = solve(request, &Discard).await.unwrap();
        cached += again.cached;
        steps += again.steps;
    }
    (cached, steps)
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn builds_at_once_keep_each_others_cache_with_slots() {
    let (one, steps) = parallel(1).await;
    let (two, _) = parallel(2).await;
    eprintln!(
        "parallel builds: one manifest {one} of {steps} steps from cache, two {two} of {steps}"
    );
    assert_eq!((two, steps), (6, 6));
    assert!(one < two, "the last to end does not win: {one}");
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_cache_that_cannot_be_used_is_a_warning() {
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", &unique("a")),
    ]);
    let mut request = request(&context, "any");
    for s3 in s3_caches(&mut request) {
        s3.bucket = "no-such-bucket-here".to_owned();
    }
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    events.assert_warned(&["exporting cache"]);
    assert_eq!(events.about(&env("S3_SECRET_ACCESS_KEY")), 0);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cache_in_a_registry_is_read_by_another_project() {
    let mark = unique("r");
    let image = format!("{}/{mark}:cache", env("REGISTRY")).parse().unwrap();
    let cache = BuildCache::Registry { image };
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {mark}\n"))]);
    let mut request = context.request();
    request.cache_to = vec![cache.clone()];
    request.cache_from = vec![cache];
    let events = Recorder::default();
    solve(request.clone(), &events).await.unwrap();
    assert!(
        events.warnings().is_empty(),
        "a cache that is not there yet is no news: {:?}",
        events.warnings()
    );
    prune().await;
    let again = solve(request, &Discard).await.unwrap();
    assert_eq!((again.steps, again.cached), (1, 1));
}

#[cfg(feature = "cache-collect")]
mod collection {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use jiff::Timestamp;
    use object_store::ObjectStoreExt as _;
    use pipeops_buildkit::cache::collect::{
        Collector, Fate, Policy, RecordingBuilder, UsageLog, open,
    };
    use pipeops_core::Failure;

    use super::*;

    /// A place of its own in the bucket, so that nothing of other tests is collected.
    fn place() -> S3Cache {
        let BuildCache::S3(mut s3) = cache("any") else {
            unreachable!("cache gives an S3 cache")
        };
        s3.prefix = format!("{}/", unique("collect"));
        s3
    }

    fn build_in(place: &S3Cache, context: &Context, name: &str) -> BuildRequest {
        let mut s3 = place.clone();
        s3.name = name.to_owned();
        let mut request = context.request();
        request.cache_from = vec![BuildCache::S3(s3.clone())];
        request.cache_to = vec![BuildCache::S3(s3)];
        request
    }

    /// Sees the bucket as if so much time had passed.
    fn later(place: &S3Cache, policy: Policy, by: Duration) -> Collector {
        Collector::open(place)
            .unwrap()
            .policy(policy)
            .clock(move || Timestamp::now() + by)
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[tokio::test]
    #[ignore = "needs testbed: s3"]
    async fn an_upload_that_a_daemon_left_behind_is_ended() {
        let place = place();
        let key = format!("{}blobs/sha256:{}", place.prefix, "ab".repeat(32));
        let mut upload = open(&place)
            .unwrap()
            .put_multipart(&key.into())
            .await
            .unwrap();
        upload.put_part(vec![0; 5 << 20].into()).await.unwrap();
        let collect = |by| later(&place, Policy::default(), by);
        let young = collect(Duration::ZERO)
            .plan()
            .await
            .unwrap()
            .uploads
            .unwrap();
        assert_eq!((young.running, young.failed), (1, None));
        let ended = collect(DAY).collect().await.unwrap().uploads.unwrap();
        assert_eq!((ended.ended, ended.failed), (1, None));
        let left = collect(DAY).plan().await.unwrap().uploads.unwrap();
        assert_eq!((left.ended, left.running), (0, 0));
    }

    #[tokio::test]
    #[ignore = "needs testbed: buildkit, registry, s3"]
    async fn an_abandoned_cache_is_freed_and_the_rest_still_serves() {
        let place = place();
        let shared = unique("shared");
        let context = |own: &str| {
            let text = format!("FROM busybox\nRUN echo {shared} > /base\nRUN echo {own} > /own\n");
            Context::new(&[("Dockerfile", &text)])
        };
        let names = ["r_-_main_-_D", "r_-_fix_-_D"];
        let contexts = names.map(context);
        for (context, name) in contexts.iter().zip(names) {
            solve(build_in(&place, context, name), &Discard)
                .await
                .unwrap();
        }
        let first = later(&place, Policy::default(), 20 * DAY)
            .collect()
            .await
            .unwrap();
        let fates: Vec<_> = first.namespaces.iter().map(|report| report.fate).collect();
        assert_eq!(
            (fates, first.manifests.objects),
            (vec![Fate::Always, Fate::Expired], 1)
        );
        let planned = later(&place, Policy::default(), 21 * DAY)
            .plan()
            .await
            .unwrap();
        let second = later(&place, Policy::default(), 21 * DAY)
            .collect()
            .await
            .unwrap();
        assert_eq!(planned.freed, second.freed);
        assert_eq!(
            second.freed.objects, 1,
            "the branch's own step, and nothing that is shared: {second:?}"
        );

        prune().await;
        let mut main = build_in(&place, &contexts[0], names[0]);
        main.image = contexts[0].request().image;
        let again = solve(main, &Discard).await.unwrap();
        assert_eq!((again.steps, again.cached), (2, 2));
        // The abandoned branch comes back: its build runs, and takes what the bucket still has by its own means.
        prune().await;
        let back = solve(build_in(&place, &contexts[1], names[1]), &Discard)
            .await
            .unwrap();
        assert_eq!(back.steps, 2);
    }

    const TOUCH_REFRESH: Duration = Duration::from_secs(3);

    /// A policy for builds that take at most `longest`.
    fn hasty(longest: Duration) -> Policy {
        let mut policy = Policy::default()
            .ages(Duration::ZERO, longest / 5)
            .longest_build(longest)
            .default_branches([""; 0]);
        policy.clock_skew = longest / 10;
        policy.touch_refresh = TOUCH_REFRESH;
        policy
    }

    /// One round: three branches at once on an empty daemon. Each reads its cache at the beginning, and needs what it found
    /// there only after a step of two seconds that is never cached.
    async fn round(
        place: &S3Cache,
        mark: &str,
        number: usize,
        events: &Recorder,
    ) -> Result<usize, Failure> {
        let log = UsageLog::new(open(place).unwrap(), &place.prefix);
        let builder = RecordingBuilder::new(builder(), log);
        let builds = (0..3).map(|branch| {
            let text = format!(
                "FROM busybox AS slow\nRUN sleep 2; echo {number} > /now\nFROM busybox\n\
                 RUN echo {mark} > /base\nRUN echo {branch} {} > /branch\nCOPY --from=slow /now /\n",
                number / 3
            );
            let context = Context::new(&[("Dockerfile", &text)]);
            let mut request = build_in(place, &context, &format!("r_-_b{branch}_-_D"));
            for s3 in s3_caches(&mut request) {
                s3.touch_refresh = Some(TOUCH_REFRESH);
            }
            let builder = &builder;
            async move {
                let built = builder.build(request, events).await;
                drop(context);
                Ok(built?.cached)
            }
        });
        let cached = futures::future::join_all(builds).await;
        prune().await;
        cached.into_iter().sum()
    }

    /// While builds run, a collector runs without a pause, and deletes what they wrote a few seconds ago.
    #[tokio::test]
    #[ignore = "needs testbed: buildkit, registry, s3"]
    async fn collection_beside_a_loop_of_builds_never_breaks_one() {
        let mut longest = Duration::from_secs(20);
        // A build that takes longer than the policy says proves nothing: a slower machine gets a slower policy.
        while !builds_beside_collections(longest).await {
            longest *= 4;
        }
    }

    /// False if a build took longer than `longest`.
    async fn builds_beside_collections(longest: Duration) -> bool {
        let place = place();
        let stop = AtomicBool::new(false);
        let (freed, caches) = (AtomicU64::new(0), AtomicU64::new(0));
        let collector = Collector::open(&place)
            .unwrap()
            .policy(hasty(longest))
            .clock(Timestamp::now);
        let collect = async {
            let mut runs = 0;
            while !stop.load(Ordering::Relaxed) {
                let report = collector.collect().await.unwrap();
                freed.fetch_add(report.freed.objects, Ordering::Relaxed);
                caches.fetch_add(report.manifests.objects, Ordering::Relaxed);
                runs += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            runs
        };
        let both = || freed.load(Ordering::Relaxed) > 0 && caches.load(Ordering::Relaxed) > 0;
        let mark = unique("loop");
        let events = Recorder::default();
        let builds = async {
            let (mut rounds, mut cached, mut in_time) = (0, 0, true);
            let begin = Instant::now();
            // Blobs become old enough in a few times `longest`.
            while in_time && (rounds < 20 || (!both() && begin.elapsed() < longest * 30)) {
                let begin = Instant::now();
                let built = round(&place, &mark, rounds, &events).await;
                in_time = begin.elapsed() < longest;
                cached += if in_time { built.unwrap() } else { 0 };
                rounds += 1;
            }
            stop.store(true, Ordering::Relaxed);
            (rounds, cached, in_time)
        };
        let (runs, (rounds, cached, in_time)) = futures::join!(collect, builds);
        let warned = events.warnings();
        eprintln!(
            "{} builds beside {runs} collections, in time: {in_time}; {freed:?} blobs and {caches:?} manifests deleted, \
             {cached} of {} steps from cache, warnings: {warned:?}",
            3 * rounds,
            12 * rounds
        );
        if in_time {
            assert!(both(), "nothing was collected: that proves nothing");
            assert!(cached > 0, "no cache was used: that proves nothing");
            assert_eq!(warned, Vec::<String>::new());
        }
        in_time
    }
}
