//! A pool of real daemons, which these tests start themselves: they are killed, stopped and cut off.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::daemons::{Daemon, Network};
use common::{Context, Recorder, env, platform_manifests, registry_get, unique, until};
use pipeops_buildkit::{Error, Member, MemberState, Pool, PoolOptions, StaticMembers};
use pipeops_core::event::Discard;
use pipeops_core::{BuildRequest, BuiltImage, Diagnose};
use pipeops_registry::Registries;
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};

const BUILDS: usize = 50;

async fn daemons(count: usize) -> Vec<Daemon> {
    let mut daemons = Vec::new();
    for number in 0..count {
        daemons.push(Daemon::start(&format!("m{number}")).await);
    }
    daemons
}

fn options() -> PoolOptions {
    PoolOptions::default()
        .registry(Arc::new(Registries::default()))
        .probe_interval(Duration::from_secs(1))
}

fn pool(daemons: &[Daemon], options: PoolOptions) -> Pool {
    Pool::start(
        StaticMembers::new(daemons.iter().map(Daemon::member)),
        options,
    )
}

/// One build among many: some files, a step that works and one that waits.
fn context() -> Context {
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN sha256sum /ctx/* > /sums && sleep 1\n";
    let context = Context::new(&[("Dockerfile", dockerfile), ("mark", &unique("pool"))]);
    for number in 0..20 {
        context.write(&format!("f{number}"), unique("f").repeat(100).as_bytes());
    }
    context
}

/// Runs all builds at once; `ended` is told how many have ended.
async fn build_all(
    pool: &Pool,
    ended: impl Fn(usize),
) -> Vec<(BuildRequest, Result<BuiltImage, Error>)> {
    let count = AtomicUsize::new(0);
    let builds = (0..BUILDS).map(|_| async {
        let context = context();
        let request = context.request();
        let result = pool.build(request.clone(), &Discard).await;
        ended(count.fetch_add(1, Ordering::Relaxed) + 1);
        (request, result)
    });
    futures::future::join_all(builds).await
}

async fn check(results: Vec<(BuildRequest, Result<BuiltImage, Error>)>) {
    for (request, result) in results {
        let built = result.unwrap_or_else(|failure| panic!("{}", failure.diagnosis()));
        let path = format!(
            "{}/manifests/{}",
            request.image.repository(),
            request.image.tag().unwrap()
        );
        assert_eq!(
            registry_get(&path).await.0.as_deref(),
            Some(built.digest.as_str())
        );
    }
}

/// The most memory that this process ever had, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

fn show(what: &str, begin: Instant, pool: &Pool) {
    let members: Vec<String> = pool
        .members()
        .iter()
        .map(|member| {
            format!(
                "{}: {} ended, {} lost",
                member.name, member.finished, member.lost
            )
        })
        .collect();
    println!(
        "{what}: {:.1} s, peak of this process {} MiB ({})",
        begin.elapsed().as_secs_f32(),
        peak_memory(),
        members.join("; ")
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn fifty_builds_at_once_over_one_and_over_three_daemons() {
    let daemons = daemons(3).await;
    println!("before: peak of this process {} MiB", peak_memory());
    for count in [1, 3] {
        let pool = pool(&daemons[..count], options());
        let begin = Instant::now();
        let results = build_all(&pool, |_| {}).await;
        show(&format!("{BUILDS} builds over {count}"), begin, &pool);
        check(results).await;
        let members = pool.members();
        assert!(
            members
                .iter()
                .all(|member| member.finished > 0 && member.lost == 0)
        );
    }
    assert!(peak_memory() < 256, "{} MiB", peak_memory());
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_daemon_killed_in_the_middle_loses_no_build() {
    let daemons = std::sync::Mutex::new(daemons(3).await);
    let pool = pool(&daemons.lock().unwrap(), options());
    let begin = Instant::now();
    let results = build_all(&pool, |ended| {
        if ended == BUILDS / 5 {
            daemons.lock().unwrap()[0].kill();
        }
    });
    let results = results.await;
    show(&format!("{BUILDS} builds over 3, one killed"), begin, &pool);
    check(results).await;
    let members = pool.members();
    assert!(
        members[0].lost > 0,
        "the killed daemon had no build: {members:?}"
    );
    assert_eq!(members[0].state, MemberState::Down);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_daemon_stopped_in_the_middle_ends_its_builds() {
    let daemons = daemons(3).await;
    let pool = pool(&daemons, options());
    let begin = Instant::now();
    let results = build_all(&pool, |ended| {
        if ended == BUILDS / 5 {
            daemons[0].terminate();
        }
    });
    let results = results.await;
    show(
        &format!("{BUILDS} builds over 3, one stopped"),
        begin,
        &pool,
    );
    check(results).await;
    let members = pool.members();
    assert!(members[0].finished > 0);
    assert_eq!(members[0].state, MemberState::Down);
}

/// A daemon that gets all builds, behind a network that can be cut, and another one.
async fn near_and_far() -> (Vec<Daemon>, Network, Pool) {
    let daemons = daemons(2).await;
    let network = Network::to(&daemons[0].address()).await;
    let near = Member::new(network.address()).name(daemons[0].name());
    let members = StaticMembers::new([near.region("near"), daemons[1].member()]);
    let pool = Pool::start(members, options().region("near"));
    (daemons, network, pool)
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cut_network_moves_the_build_elsewhere() {
    let (_daemons, network, pool) = near_and_far().await;
    let dockerfile = "FROM busybox\nRUN echo started && sleep 3\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let events = Recorder::default();
    let cut = async {
        events.heard("started").await;
        drop(network);
    };
    let (built, ()) = tokio::join!(pool.build(context.fresh_request(), &events), cut);
    built.unwrap();
    events.assert_warned(&["DaemonLost", "retrying on another daemon"]);
    assert_eq!(pool.members()[1].finished, 1);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_pushed_by_a_daemon_that_was_lost_then_is_taken() {
    let (_daemons, network, pool) = near_and_far().await;
    // The push takes long enough for the reports of the export to arrive here.
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let slow = Fault::Delay(Duration::from_secs(2)).on(Matcher::operation("manifest.put"));
    let slow = registry.faults().add(slow);
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY mark /\n"),
        ("mark", &unique("m")),
    ]);
    let image = format!("{}/team/app:1", registry.host());
    let request = BuildRequest::new(context.path(), image.parse().unwrap());
    let events = Recorder::default();
    let cut = async {
        slow.wait_fired(1).await;
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        network.freeze();
        until(|| registry.manifest("team/app", "1").is_some()).await;
        drop(network);
    };
    let (built, ()) = tokio::join!(pool.build(request, &events), cut);
    assert_eq!(
        built.unwrap().digest,
        registry.manifest("team/app", "1").unwrap().digest
    );
    events.assert_warned(&["was already pushed"]);
    assert_eq!(slow.fired(), 1);
    assert_eq!(pool.members()[1].finished, 0, "nothing was built again");
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn platforms_of_different_daemons_become_one_image() {
    let daemons = daemons(2).await;
    let members = StaticMembers::new([
        daemons[0].member().platform("linux/amd64"),
        daemons[1].member().platform("linux/arm64"),
    ]);
    let pool = Pool::start(members, options());
    let context = Context::new(&[
        (
            "Dockerfile",
            "FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /which\n",
        ),
        ("amd64", &unique("amd64")),
        ("arm64", &unique("arm64")),
    ]);
    let request = context.request();
    let request = request.platform("linux/amd64").platform("linux/arm64");
    let built = pool.build(request.clone(), &Discard).await.unwrap();
    platform_manifests(&request.image, built.digest.as_str(), &["amd64", "arm64"]).await;
    let host = env("REGISTRY");
    assert!(built.image.to_string().starts_with(&host));
}

/// A daemon may keep what came damaged, and fail each build that needs it.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_blob_that_came_damaged_is_fetched_by_another_daemon() {
    let daemons = daemons(2).await;
    let pool = pool(&daemons, options());
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let files = BaseImage::new().file("mark", unique("m").as_bytes());
    registry.seed("team/base", "1", &files).unwrap();
    // Only the first time: the next daemon gets the bytes as they are.
    let other_bytes = Fault::status(200).body("these are not the bytes");
    let damaged = registry
        .faults()
        .add(other_bytes.on(Matcher::operation("blob.get").method("GET")));
    let dockerfile = format!("FROM {}/team/base:1\nCOPY own /\n", registry.host());
    let context = Context::new(&[("Dockerfile", &dockerfile), ("own", &unique("o"))]);
    let events = Recorder::default();
    pool.build(context.request(), &events).await.unwrap();
    assert_eq!(damaged.fired(), 1);
    events.assert_warned(&["ContentDamaged"]);
    let members = pool.members();
    assert!(
        members
            .iter()
            .all(|member| member.state == MemberState::Up && member.lost == 0)
    );
}
