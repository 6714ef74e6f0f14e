//! Collection of caches, over the S3 stand-in of pipeops-testkit: with ages, faults, and builds in between.

#![cfg(feature = "cache-collect")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use object_store::ObjectStoreExt as _;
use pipeops_buildkit::cache::collect::{
    CollectError, Collector, Fate, Policy, Report, UsageLog, open,
};
use pipeops_core::cache::S3Cache;
use pipeops_core::{Diagnose, RetryClass};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::s3::{S3Options, S3Server};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A bucket and a clock of its own.
struct World {
    server: S3Server,
    now: Arc<AtomicI64>,
    /// When each object was written.
    ages: Mutex<BTreeMap<String, i64>>,
}

impl World {
    async fn new() -> Self {
        let server = S3Server::start(S3Options::default().bucket("cache"))
            .await
            .unwrap();
        Self {
            server,
            now: Arc::new(AtomicI64::new(1_790_000_000)),
            ages: Mutex::default(),
        }
    }

    fn settings(&self) -> S3Cache {
        let mut s3 = S3Cache::new("cache", "us-east-1", "");
        s3.endpoint = Some(self.server.endpoint());
        s3.prefix = "p/".to_owned();
        s3.keys = Some(("testkit".to_owned(), "testkit-secret".into()));
        s3
    }

    fn collector(&self, policy: Policy) -> Collector {
        let now = Arc::clone(&self.now);
        let clock = move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap();
        Collector::open(&self.settings())
            .unwrap()
            .policy(policy)
            .clock(clock)
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        let key = format!("p/{key}");
        self.server.put("cache", &key, content.into());
        self.renew(&key);
    }

    fn renew(&self, key: &str) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.now().try_into().unwrap());
        assert!(self.server.set_modified("cache", key, time));
        self.ages.lock().unwrap().insert(key.to_owned(), self.now());
    }

    fn blob(&self, number: u32, size: usize) {
        self.put(&format!("blobs/{}", digest(number)), vec![0; size]);
    }

    fn manifest(&self, name: &str, blobs: &[u32]) {
        self.put(&format!("manifests/{name}"), manifest(blobs));
    }

    fn has(&self, key: &str) -> bool {
        self.server.object("cache", &format!("p/{key}")).is_some()
    }

    fn has_blob(&self, number: u32) -> bool {
        self.has(&format!("blobs/{}", digest(number)))
    }
}

fn digest(number: u32) -> String {
    format!("sha256:{}", format!("{number:08x}").repeat(8))
}

/// As BuildKit writes it.
fn manifest(blobs: &[u32]) -> String {
    let layer = |(place, blob): (usize, &u32)| {
        format!(
            r#"{{"blob":"{}","parent":{},"annotations":{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","diffID":"{}","size":10,"createdAt":"2026-11-25T00:00:00Z"}}}}"#,
            digest(*blob),
            place as i64 - 1,
            digest(*blob)
        )
    };
    let layers: Vec<String> = blobs.iter().enumerate().map(layer).collect();
    format!(
        r#"{{"layers":[{}],"records":[{{"digest":"{}"}}]}}"#,
        layers.join(","),
        digest(0)
    )
}

/// Numbers below a bound, always the same ones for a seed.
fn random(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

fn fate(report: &Report, name: &str) -> Fate {
    report
        .namespaces
        .iter()
        .find(|namespace| namespace.name == name)
        .unwrap()
        .fate
}

#[tokio::test]
async fn uploads_that_no_build_can_end_any_more_are_given_up() {
    let world = World::new().await;
    let store = open(&world.settings()).unwrap();
    for key in ["p/blobs/sha256:a", "p/blobs/sha256:b", "other/blobs/x"] {
        let mut upload = store.put_multipart(&key.into()).await.unwrap();
        upload.put_part(vec![0; 5 << 20].into()).await.unwrap();
    }
    // The server's own clock says when they began.
    let passed = Timestamp::now().as_second() - world.now();
    world.pass(passed);
    let uploads = |report: Report| report.uploads.unwrap();
    let young = uploads(world.collector(Policy::default()).collect().await.unwrap());
    assert_eq!((young.running, young.ended), (2, 0));

    world.pass(DAY);
    let planned = uploads(world.collector(Policy::default()).plan().await.unwrap());
    assert_eq!(planned.ended, 2);
    assert_eq!(world.server.open_uploads("cache"), 3, "a plan ends nothing");
    let old = uploads(world.collector(Policy::default()).collect().await.unwrap());
    assert_eq!((old.running, old.ended, old.failed), (0, 2, None));
    assert_eq!(
        world.server.open_uploads("cache"),
        1,
        "other folders are not ours"
    );
}

#[tokio::test]
async fn a_server_that_lists_no_uploads_is_collected_all_the_same() {
    let world = World::new().await;
    world.blob(1, 10);
    let unknown = Fault::status(501).on(Matcher::operation("upload.list"));
    world.server.faults().add(unknown.always());
    let report = world.collector(Policy::default()).collect().await.unwrap();
    assert_eq!(report.waiting.objects, 1);
    let why = report.uploads.unwrap().failed.unwrap();
    assert!(why.contains("501"), "{why}");
}

#[tokio::test]
async fn an_abandoned_branch_goes_and_its_blobs_only_when_no_build_can_need_them() {
    let world = World::new().await;
    world.blob(1, 100);
    world.blob(2, 1000);
    world.manifest("r_-_main_-_D", &[1]);
    world.manifest("r_-_fix_-_D", &[1, 2]);
    world.put("blobs/notes.txt", "not a blob");
    let collector = world.collector(Policy::default());

    world.pass(4 * DAY);
    let early = collector.collect().await.unwrap();
    assert_eq!(
        (early.manifests.objects, early.freed.objects, early.next),
        (0, 0, None)
    );

    world.pass(2 * DAY);
    let first = collector.collect().await.unwrap();
    assert_eq!(fate(&first, "r_-_fix_-_D"), Fate::Expired);
    assert_eq!(fate(&first, "r_-_main_-_D"), Fate::Always);
    assert!(!world.has("manifests/r_-_fix_-_D") && world.has_blob(2));
    assert_eq!(
        (
            first.kept.objects,
            first.waiting.bytes,
            first.foreign.objects
        ),
        (1, 1000, 1)
    );

    // A build that began a moment before may run for an hour.
    world.pass(HOUR);
    let second = collector.collect().await.unwrap();
    assert_eq!((second.freed.objects, second.waiting.objects), (0, 1));
    assert_eq!(second.next, first.next, "waiting does not begin anew");
    world.pass(HOUR);
    let third = collector.collect().await.unwrap();
    assert_eq!(
        (third.freed.objects, third.freed.bytes, third.next),
        (1, 1000, None)
    );
    assert!(!world.has_blob(2) && world.has_blob(1) && world.has("blobs/notes.txt"));
}

#[tokio::test]
async fn a_blob_that_a_build_renewed_or_named_again_stays() {
    let world = World::new().await;
    for number in 1..=3 {
        world.blob(number, 10);
    }
    world.manifest("r_-_fix_-_D", &[1, 2, 3]);
    let collector = world.collector(Policy::default());
    world.pass(10 * DAY);
    assert_eq!(collector.collect().await.unwrap().waiting.objects, 3);
    world.pass(2 * HOUR);
    // One build found the first and renewed it, and its manifest is not there yet. Another's names the second.
    world.renew(&format!("p/blobs/{}", digest(1)));
    world.manifest("r_-_new_-_D", &[2]);
    let report = collector.collect().await.unwrap();
    assert_eq!(
        (
            report.freed.objects,
            report.waiting.objects,
            report.kept.objects
        ),
        (1, 1, 1)
    );
    assert!(world.has_blob(1) && world.has_blob(2) && !world.has_blob(3));
}

#[tokio::test]
async fn a_plan_says_what_the_collection_does() {
    let world = World::new().await;
    // 40 branches of 8 apps, with shared blobs, sizes, ages and holes that a small generator chooses.
    let mut next = random(7);
    for number in 0..150 {
        world.blob(number, 1 + next(5000) as usize);
    }
    for branch in 0..40 {
        let blobs: BTreeSet<u32> = (0..=next(12))
            .map(|_| next(if branch < 38 { 150 } else { 160 }) as u32)
            .collect();
        let blobs: Vec<u32> = blobs.into_iter().collect();
        let branch_name = if branch % 8 == 0 {
            "main".to_owned()
        } else {
            format!("b{branch}")
        };
        world.manifest(&format!("app{}_-_{branch_name}_-_D", branch % 5), &blobs);
        world.pass(next(DAY as u64) as i64);
    }
    world.put("manifests/broken", "no manifest");
    let policy = Policy::default().budget(200_000);
    let collector = world.collector(policy);
    for round in 0..6 {
        let keys = world.server.keys("cache");
        let planned = collector.plan().await.unwrap();
        assert!(planned.dry_run);
        assert_eq!(keys, world.server.keys("cache"), "a plan changes nothing");
        let mut done = collector.collect().await.unwrap();
        done.dry_run = true;
        assert_eq!(planned, done, "round {round}");
        world.pass(3 * DAY);
    }
    let last = collector.plan().await.unwrap();
    assert!(last.kept.objects > 0 && last.kept.objects < 150, "{last:?}");
}

#[tokio::test]
async fn what_is_not_understood_is_reported_and_may_name_younger_blobs() {
    let world = World::new().await;
    world.blob(1, 10);
    world.pass(3 * DAY);
    // Nothing that is older than this can be named by it: its build would have renewed it.
    world.blob(2, 10);
    world.put("manifests/cut", &manifest(&[2])[..40]);
    world.put(
        "manifests/foreign",
        r#"{"layers":[{"blob":"../../secret"}],"records":[]}"#,
    );
    world.put("manifests/huge", vec![b' '; (64 << 20) + 1]);
    let collector = world.collector(Policy::default());
    let mut report = collector.collect().await.unwrap();
    for _ in 0..3 {
        world.pass(20 * DAY);
        report = collector.collect().await.unwrap();
    }
    let why: Vec<&str> = report
        .corrupt
        .iter()
        .map(|corrupt| corrupt.why.as_str())
        .collect();
    assert!(
        why[0].contains("not a manifest")
            && why[1].contains("not a blob")
            && why[2].contains("too large"),
        "{why:?}"
    );
    assert!(!world.has_blob(1) && world.has_blob(2));
    assert_eq!(report.waiting.objects, 1);
    assert!(world.has("manifests/cut"), "it stays for people to look at");
}

#[tokio::test]
async fn builds_that_were_counted_decide_how_long_a_cache_is_kept() {
    let world = World::new().await;
    world
        .now
        .store(Timestamp::now().as_second(), Ordering::Relaxed);
    let log = UsageLog::new(open(&world.settings()).unwrap(), "p/");
    for branch in ["busy", "quiet"] {
        world.blob(1, 10);
        world.manifest(&format!("r_-_{branch}_-_D"), &[1]);
    }
    for _ in 0..10 {
        log.record("r_-_busy_-_D", 10, 9).await.unwrap();
    }
    log.record("r_-_quiet_-_D", 10, 0).await.unwrap();
    world.pass(10 * DAY);
    let report = world.collector(Policy::default()).plan().await.unwrap();
    assert_eq!(fate(&report, "r_-_busy_-_D"), Fate::Recent);
    assert_eq!(fate(&report, "r_-_quiet_-_D"), Fate::Expired);
    let busy = &report.namespaces[0];
    assert_eq!(
        (busy.name.as_str(), busy.hit_rate),
        ("r_-_busy_-_D", Some(0.9))
    );
    assert_eq!(report.hit_rate, Some(90.0 / 110.0));
}

#[tokio::test]
async fn a_run_that_breaks_off_is_finished_by_the_next() {
    let world = World::new().await;
    for number in 0..250 {
        world.blob(number, 10);
    }
    let all: Vec<u32> = (0..250).collect();
    world.manifest("r_-_fix_-_D", &all);
    let collector = world.collector(Policy::default());
    world.pass(20 * DAY);
    collector.collect().await.unwrap();
    world.pass(2 * HOUR);

    // The first batch goes, the second is refused: those blobs are reported, and the third goes.
    let faults = world.server.faults();
    let refused = faults.add(
        Fault::forbidden()
            .on(Matcher::operation("objects.delete"))
            .after(1),
    );
    let report = collector.collect().await.unwrap();
    assert_eq!(refused.fired(), 1);
    let failed = report.failed.clone().unwrap();
    assert_eq!(
        (report.freed.objects, failed.objects),
        (150, 100),
        "{failed:?}"
    );

    // The list breaks off.
    let broken = faults.add(Fault::forbidden().on(Matcher::operation("list")).times(1));
    let error = collector.collect().await.unwrap_err();
    assert_eq!(broken.fired(), 1);
    assert!(matches!(error, CollectError::Store { .. }), "{error}");
    assert_ne!(
        error.diagnosis().class,
        RetryClass::Transient,
        "{}",
        error.diagnosis()
    );

    world.pass(2 * HOUR);
    let report = collector.collect().await.unwrap();
    world.pass(2 * HOUR);
    let last = collector.collect().await.unwrap();
    assert_eq!(report.freed.objects + last.freed.objects, 100);
    assert!(last.failed.is_none() && last.waiting.objects == 0);
}

#[tokio::test]
async fn a_manifest_that_could_not_be_deleted_still_counts() {
    let world = World::new().await;
    world.blob(1, 10);
    world.manifest("r_-_fix_-_D", &[1]);
    let collector = world.collector(Policy::default());
    world.pass(20 * DAY);
    world.server.faults().add(
        Fault::forbidden()
            .on(Matcher::operation("objects.delete"))
            .times(1),
    );
    let report = collector.collect().await.unwrap();
    assert_eq!(report.failed.unwrap().objects, 1);
    assert_eq!((report.kept.objects, report.waiting.objects), (1, 0));
}

#[tokio::test]
async fn a_server_with_another_time_is_refused() {
    let world = World::new().await;
    // The stand-in's time is the machine's, however long a request takes.
    let mut strict = Policy::default();
    strict.clock_skew = Duration::ZERO;
    let collector = Collector::open(&world.settings()).unwrap().policy(strict);
    collector.collect().await.unwrap();
    let old = Fault::status(200)
        .header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        .header("content-length", "30");
    let old = old.on(Matcher::any().method("HEAD"));
    world.server.faults().add(old);
    let error = collector.collect().await.unwrap_err();
    assert!(matches!(error, CollectError::Clock { .. }), "{error}");
}

/// What happens in the simulation below.
enum Event {
    /// A build of this branch begins and reads the manifests of its branch and of the first one.
    Begin(usize),
    /// It fetches a blob that one of them named.
    Fetch(u32),
    /// It looks which of its blobs are there, renews old ones and uploads what is missing.
    Export(Vec<u32>),
    /// It writes its manifest.
    Write(usize, Vec<u32>),
    Collect,
}

/// Builds of several branches, with collections in between, for a month. Gives what was freed, and the fetches that missed.
async fn simulate(seed: u64, policy: Policy) -> (u64, usize) {
    let world = World::new().await;
    let mut next = random(seed);
    let mut random = |below: i64| next(below.max(1) as u64) as i64;
    let collector = world.collector(policy);
    let begin = world.now();
    let mut events: BTreeMap<(i64, usize), Event> = BTreeMap::new();
    let mut number = 0;
    let mut add = |events: &mut BTreeMap<_, _>, at: i64, event| {
        number += 1;
        events.insert((at, number), event);
    };
    for _ in 0..120 {
        // Several at a time, and then nothing for long.
        let at = begin + random(60) * 12 * HOUR + random(2 * HOUR);
        add(&mut events, at, Event::Begin(random(4) as usize));
        let at = begin + random(60) * 12 * HOUR + random(3 * HOUR);
        add(&mut events, at, Event::Collect);
    }
    let (mut next_blob, mut freed, mut missed) = (1, 0, 0);
    while let Some(((at, _), event)) = events.pop_first() {
        world.now.store(at, Ordering::Relaxed);
        match event {
            Event::Begin(branch) => {
                let read = |branch| {
                    world
                        .server
                        .object("cache", &format!("p/manifests/r_-_b{branch}_-_D"))
                };
                let named = |text: &[u8]| -> Vec<u32> {
                    let text: serde_json::Value = serde_json::from_slice(text).unwrap();
                    let blob = |layer: &serde_json::Value| {
                        layer["blob"].as_str().unwrap()[7..15].to_owned()
                    };
                    let blobs = text["layers"].as_array().unwrap().iter().map(blob);
                    blobs
                        .map(|hex| u32::from_str_radix(&hex, 16).unwrap())
                        .collect()
                };
                let found = [branch, 0].into_iter().filter_map(read);
                let imported: BTreeSet<u32> = found.flat_map(|text| named(&text)).collect();
                let ends = at + 1 + random(HOUR - 1);
                for blob in &imported {
                    add(&mut events, at + random(ends - at), Event::Fetch(*blob));
                }
                // Some steps changed, some did not.
                let mut result: Vec<u32> = imported.into_iter().filter(|_| random(3) > 0).collect();
                result.extend(next_blob..next_blob + 2);
                next_blob += 2;
                result.reverse();
                result.truncate(8);
                add(
                    &mut events,
                    at + random(ends - at),
                    Event::Export(result.clone()),
                );
                add(&mut events, ends, Event::Write(branch, result));
            }
            Event::Fetch(blob) => missed += usize::from(!world.has_blob(blob)),
            Event::Export(blobs) => {
                for blob in blobs {
                    let key = format!("p/blobs/{}", digest(blob));
                    match world
                        .ages
                        .lock()
                        .unwrap()
                        .get(&key)
                        .copied()
                        .filter(|_| world.has_blob(blob))
                    {
                        None => {}
                        Some(written) if at - written > DAY => {}
                        // Young enough: nothing moves its time.
                        Some(_) => continue,
                    }
                    world.blob(blob, 10);
                }
            }
            Event::Write(branch, blobs) => world.manifest(&format!("r_-_b{branch}_-_D"), &blobs),
            Event::Collect => freed += collector.collect().await.unwrap().freed.objects,
        }
    }
    (freed, missed)
}

/// Two, or more for a longer look: `SEEDS=100`.
fn seeds() -> u64 {
    std::env::var("SEEDS").map_or(2, |seeds| seeds.parse().unwrap())
}

fn short_lived() -> Policy {
    let mut policy =
        Policy::default().ages(Duration::from_secs(3600), Duration::from_secs(60 * 3600));
    policy.half_life = Duration::from_secs(12 * 3600);
    policy
}

#[tokio::test]
async fn no_build_ever_misses_a_blob_that_was_collected() {
    let mut freed = 0;
    for seed in 0..seeds() {
        let (more, missed) = simulate(seed, short_lived()).await;
        assert_eq!(missed, 0, "seed {seed}");
        freed += more;
    }
    assert!(
        freed > 40 * seeds(),
        "only {freed} blobs were freed: that proves nothing"
    );
}

/// The same, with a policy that believes that builds take no time: the simulation notices.
#[tokio::test]
async fn the_simulation_notices_a_collection_that_is_too_fast() {
    let mut policy = short_lived().longest_build(Duration::ZERO);
    policy.clock_skew = Duration::ZERO;
    policy.touch_refresh = Duration::ZERO;
    for seed in 0.. {
        if simulate(seed, policy.clone()).await.1 > 0 {
            return;
        }
        assert!(seed < 20, "nothing was noticed");
    }
}
