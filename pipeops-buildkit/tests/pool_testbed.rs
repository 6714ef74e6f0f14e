//! A pool of real daemons, which these tests start themselves: they are killed, stopped and cut off.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::{Duration, Instant};

use common::daemons::{Daemon, Network};
use common::many::{BUILDS, build_all, check, daemons, options, pool, show};
use common::{Context, Gate, Recorder, env, platform_manifests, unique, until};
use pipeops_buildkit::{Member, MemberState, Pool, StaticMembers};
use pipeops_core::BuildRequest;
use pipeops_core::event::Discard;
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};

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
    until(|| pool.members()[0].state == MemberState::Down).await;
    let members = pool.members();
    assert!(
        members[0].lost > 0,
        "the killed daemon had no build: {members:?}"
    );
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
    until(|| pool.members()[0].state == MemberState::Down).await;
    assert!(pool.members()[0].finished > 0);
}

/// A daemon that gets all builds, behind a network that can be cut, and another one.
async fn near_and_far() -> (Vec<Daemon>, Network, Pool) {
    let daemons = daemons(2).await;
    let network = Network::to(&daemons[0].address()).await;
    let near = Member::new(network.address()).name(daemons[0].name());
    let members = StaticMembers::new([near.region("near"), daemons[1].member()]);
    // A build waits for the near daemon as long as that takes to answer the first probe.
    let options = options().region("near").patience(Duration::from_secs(120));
    let pool = Pool::start(members, options);
    (daemons, network, pool)
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cut_network_moves_the_build_elsewhere() {
    let (_daemons, network, pool) = near_and_far().await;
    let dockerfile = "FROM busybox\nCOPY seconds /\nRUN echo started && sleep $(cat /seconds)\n";
    let context = Context::new(&[("Dockerfile", dockerfile), ("seconds", "600")]);
    let events = Recorder::default();
    let cut = async {
        events.heard("started").await;
        // The next attempt ends at once.
        context.write("seconds", b"0");
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
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    // The push waits until the reports of the export have arrived here.
    let gate = Gate::new().await;
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY mark /\n"),
        ("mark", &unique("m")),
    ]);
    let image = format!("{}/team/app:1", gate.host());
    let request = BuildRequest::new(context.path(), image.parse().unwrap());
    let events = Recorder::default();
    let cut = async {
        events.reported("exporting manifest ").await;
        network.freeze();
        let opened = gate.open(registry.host());
        until(|| registry.manifest("team/app", "1").is_some()).await;
        drop(network);
        opened
    };
    let (built, _opened) = tokio::join!(pool.build(request, &events), cut);
    assert_eq!(
        built.unwrap().digest,
        registry.manifest("team/app", "1").unwrap().digest
    );
    events.assert_warned(&["was already pushed"]);
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
