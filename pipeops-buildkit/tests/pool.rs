//! A pool of stand-in daemons: where builds go, and what happens when daemons fall away.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::standin::{LIMIT, World, hasty, leaves_no_task, make};
use common::{Gate, Recorder, Sink, holds, until};
use futures::StreamExt;
use futures::stream::BoxStream;
use pipeops_buildkit::{
    Address, AnnotationLevel, Discover, Error, ImageOptions, Member, MemberState, MemberStatus,
    NamedContext, Output, OutputTarget, Pool, PoolOptions, Solve, StaticMembers,
};
use pipeops_core::diagnosis::codes;
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{
    BuildRequest, BuiltImage, Diagnose, Diagnosis, Digest, Failure, ImageRef, ImageRegistry,
    RetryClass,
};
use pipeops_registry::Registries;
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::fault::{Fault, Handle, Matcher};

/// Daemons for this machine, in which `make` takes this long.
async fn world(daemons: usize, time: Duration) -> World {
    World::of((0..daemons).map(|_| make(|rule| rule.takes(time)))).await
}

fn members(world: &World) -> StaticMembers {
    let member = |(number, daemon): (usize, &BuildkitDaemon)| {
        let address = Address::parse(&daemon.address()).unwrap();
        Member::new(address).name(format!("m{number}"))
    };
    StaticMembers::new(world.daemons.iter().enumerate().map(member))
}

fn start(world: &World, options: PoolOptions) -> Pool {
    Pool::start(members(world), options)
}

/// A pool over stand-ins that take no time.
async fn pool(daemons: usize) -> (World, Pool) {
    let world = world(daemons, Duration::ZERO).await;
    let pool = start(&world, options());
    (world, pool)
}

/// The daemon that a project belongs to.
async fn home<'a>(world: &'a World, pool: &Pool) -> &'a BuildkitDaemon {
    build(world, pool).await.unwrap();
    let mut daemons = world.daemons.iter();
    let home = daemons.find(|daemon| !daemon.builds().is_empty()).unwrap();
    home.prune();
    home
}

async fn build(world: &World, pool: &Pool) -> Result<BuiltImage, Error> {
    pool.build(world.request("app"), &Discard).await
}

/// A daemon does what it was asked, and its answer is lost.
const LOST_ANSWER: Fault = Fault::Cut { after_bytes: 0 };

/// The next call of this kind meets the fault.
fn fails(daemon: &BuildkitDaemon, fault: Fault, operation: &str) -> Handle {
    daemon.faults().add(fault.on(Matcher::operation(operation)))
}

/// Builds that all daemons were asked for.
fn asked(world: &World) -> usize {
    let builds = world.daemons.iter().map(|daemon| daemon.builds().len());
    builds.sum()
}

fn digest(world: &World, app: &str) -> Option<Digest> {
    let manifest = world.registry.manifest(&format!("team/{app}"), "1");
    manifest.map(|manifest| manifest.digest)
}

fn options() -> PoolOptions {
    PoolOptions::default()
        .builder(hasty())
        .registry(Arc::new(Registries::default()))
        // On a slow machine a project's own daemon may take long to answer the first probe.
        .patience(LIMIT)
}

fn state(pool: &Pool, daemon: &BuildkitDaemon) -> MemberStatus {
    let mut members = pool.members().into_iter();
    members
        .find(|member| member.address == daemon.address())
        .unwrap()
}

async fn all_up(pool: &Pool, count: usize) {
    until(|| {
        let members = pool.members();
        members.len() == count && members.iter().all(|member| member.state == MemberState::Up)
    })
    .await;
}

#[tokio::test]
async fn a_project_stays_at_one_daemon_and_finds_its_cache() {
    let (world, pool) = pool(3).await;
    for app in ["one", "two", "three", "four"] {
        let first = pool.build(world.request(app), &Discard).await.unwrap();
        assert_eq!(
            (first.cached, Some(&first.digest)),
            (0, digest(&world, app).as_ref())
        );
        let second = pool.build(world.request(app), &Discard).await.unwrap();
        assert_eq!((second.steps, second.cached), (2, 2), "{app}");
        // The next project has the same steps.
        world.daemons.iter().for_each(BuildkitDaemon::prune);
    }
    let members = pool.members();
    assert_eq!(members.iter().map(|member| member.finished).sum::<u64>(), 8);
    assert!(members.iter().all(|member| member.state == MemberState::Up));
}

#[tokio::test]
async fn many_builds_are_spread_and_no_daemon_gets_more_than_it_may() {
    let world = world(3, Duration::from_millis(50)).await;
    let pool = start(&world, options().capacity(2));
    all_up(&pool, 3).await;
    let most = Arc::new(AtomicUsize::new(0));
    let builds = (0..24).map(|number| {
        let (pool, most) = (pool.clone(), Arc::clone(&most));
        let mut request = world.request(&format!("app-{}", number % 6));
        request.image = request.image.with_tag(&format!("t{number}")).unwrap();
        request.no_cache = true;
        async move {
            let watch = |_: EventKind| {
                let running = pool.members().iter().map(|member| member.running).max();
                most.fetch_max(running.unwrap_or(0), Ordering::Relaxed);
            };
            pool.build(request, &watch).await.unwrap();
        }
    });
    futures::future::join_all(builds).await;
    assert_eq!(most.load(Ordering::Relaxed), 2);
    // The first six builds fill all daemons; who takes the rest is a matter of who is done first.
    assert!(
        world
            .daemons
            .iter()
            .all(|daemon| daemon.builds().len() >= 2)
    );
    assert_eq!((asked(&world), pool.waiting()), (24, 0));
}

#[tokio::test]
async fn a_build_that_lost_its_daemon_is_done_elsewhere_and_says_why() {
    for point in ["build.context", "build.step", "build.export", "build.push"] {
        let (world, pool) = pool(3).await;
        let home = home(&world, &pool).await;
        let crash = fails(home, Fault::Crash, point);
        let events = Recorder::default();
        let built = pool.build(world.request("app"), &events).await.unwrap();
        assert_eq!(crash.fired(), 1, "{point}");
        assert_eq!(digest(&world, "app"), Some(built.digest), "{point}");
        events.assert_warned(&[
            "DaemonLost",
            &home.address(),
            "retrying on another daemon (attempt 2 of 3)",
        ]);
        assert_eq!(
            asked(&world),
            3,
            "{point}: one that was lost, and one before and after it"
        );
        until(|| state(&pool, home).state == MemberState::Down).await;
        assert_eq!(state(&pool, home).lost, 1);
    }
}

#[tokio::test]
async fn a_cut_connection_is_done_elsewhere_too() {
    for operation in ["session", "solve"] {
        let (world, pool) = pool(2).await;
        let home = home(&world, &pool).await;
        let cut = fails(home, Fault::Refuse, operation);
        let events = Recorder::default();
        pool.build(world.request("app"), &events).await.unwrap();
        assert_eq!(cut.fired(), 1);
        events.assert_warned(&["on another daemon"]);
        // Only the connection was cut: a probe finds it well. One that takes no sessions is left alone for a while.
        if operation == "solve" {
            until(|| state(&pool, home).state == MemberState::Up).await;
        }
    }
}

#[tokio::test]
async fn an_image_that_was_pushed_is_not_built_again() {
    let (world, pool) = pool(2).await;
    let home = home(&world, &pool).await;
    world.write("a", "another content");
    let cut = fails(home, LOST_ANSWER, "solve");
    let events = Recorder::default();
    let built = pool.build(world.request("app"), &events).await.unwrap();
    assert_eq!(cut.fired(), 1);
    assert_eq!(digest(&world, "app"), Some(built.digest));
    assert_eq!((built.steps, built.cached), (2, 0));
    assert_eq!(
        asked(&world),
        2,
        "the first build, and the one that was lost"
    );
    events.assert_warned(&["was already pushed"]);
}

/// A registry in which somebody else moved the tag.
#[derive(Debug)]
struct Moved(AtomicUsize);

#[async_trait]
impl ImageRegistry for Moved {
    async fn digest(&self, _: &BuildRequest) -> Result<Option<Digest>, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Some(format!("sha256:{}", "0".repeat(64)).parse().unwrap()))
    }

    async fn join(&self, _: &BuildRequest, _: &[Digest]) -> Result<Digest, Failure> {
        panic!("there is nothing to join")
    }
}

#[tokio::test]
async fn another_image_under_the_tag_is_not_taken_for_the_own() {
    let world = world(2, Duration::ZERO).await;
    let moved = Arc::new(Moved(AtomicUsize::new(0)));
    let pool = start(&world, options().registry(moved.clone()));
    let home = home(&world, &pool).await;
    fails(home, LOST_ANSWER, "solve");
    build(&world, &pool).await.unwrap();
    assert_eq!((asked(&world), moved.0.load(Ordering::Relaxed)), (3, 1));
}

#[tokio::test]
async fn a_daemon_without_disk_gets_nothing_for_a_while() {
    let (world, pool) = pool(2).await;
    let home = home(&world, &pool).await;
    let full = Fault::status(500).body("failed to copy files: write /x: no space left on device");
    home.faults()
        .add(full.on(Matcher::operation("build.step")).always());
    let events = Recorder::default();
    pool.build(world.request("app"), &events).await.unwrap();
    events.assert_warned(&["DiskFull"]);
    build(&world, &pool).await.unwrap();
    assert_eq!(home.builds().len(), 2, "it was not asked a third time");
    assert_eq!(state(&pool, home).state, MemberState::Down);
}

/// What containerd says of a blob that came damaged, and for as long as it keeps it.
const DAMAGED: &str = "failed to load cache key: failed commit on ref \"layer-sha256:2c\": unexpected commit digest sha256:0a, expected sha256:2c: failed precondition";

#[tokio::test]
async fn a_daemon_that_keeps_a_damaged_blob_is_left_and_goes_on_to_serve() {
    let (world, pool) = pool(2).await;
    let home = home(&world, &pool).await;
    let damaged = Fault::status(412).body(DAMAGED);
    let damaged = damaged.on(Matcher::operation("build.resolve")).always();
    let damaged = home.faults().add(damaged);
    let before = asked(&world);
    build(&world, &pool).await.unwrap();
    assert_eq!((damaged.fired(), asked(&world)), (1, before + 2));
    // It is not ill: others need other blobs.
    assert_eq!(state(&pool, home).state, MemberState::Up);
}

#[tokio::test]
async fn an_error_of_the_dockerfile_is_not_tried_elsewhere() {
    let world = world(3, Duration::ZERO).await;
    world.write("Dockerfile", "FROM base:1\nCOPY missing /\n");
    let pool = start(&world, options());
    let failure = build(&world, &pool).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: FileMissing");
    assert_eq!(asked(&world), 1);
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_again_by_the_same_daemon() {
    let world = world(3, Duration::ZERO).await;
    let throttled = world.registry.faults().add(
        Fault::too_many_requests(1)
            .on(Matcher::operation("manifest.put"))
            .times(1),
    );
    let pool = start(&world, options());
    build(&world, &pool).await.unwrap();
    assert_eq!((throttled.fired(), asked(&world)), (1, 2));
    let used = world
        .daemons
        .iter()
        .filter(|daemon| !daemon.builds().is_empty());
    assert_eq!(used.count(), 1);
}

#[tokio::test]
async fn a_build_that_fails_at_every_daemon_is_given_up() {
    let damaged = Fault::status(412).body(DAMAGED);
    for (fault, operation, title) in [
        (Fault::Crash, "build.step", "DaemonLost"),
        (damaged, "build.resolve", "ContentDamaged"),
    ] {
        let (world, pool) = pool(5).await;
        for daemon in &world.daemons {
            let fault = fault.clone().on(Matcher::operation(operation));
            daemon.faults().add(fault.always());
        }
        let failure = build(&world, &pool).await.unwrap_err();
        let diagnosis = failure.diagnosis();
        assert_eq!(diagnosis.class, RetryClass::Exhausted, "{diagnosis}");
        assert_eq!(diagnosis.title, format!("Build failed: {title}"));
        assert!(diagnosis.reason.contains("3 attempts"), "{diagnosis}");
        assert_eq!(asked(&world), 3, "two daemons were not asked");
    }
}

#[tokio::test]
async fn daemons_that_refuse_connections_cost_no_try() {
    let world = world(5, Duration::ZERO).await;
    let pool = start(&world, options().attempts(1));
    all_up(&pool, 5).await;
    // Nobody has noticed yet.
    world.daemons[1..].iter().for_each(BuildkitDaemon::drain);
    for app in ["one", "two", "three", "four"] {
        pool.build(world.request(app), &Discard).await.unwrap();
    }
    assert_eq!(world.daemons[0].builds().len(), 4);
}

#[tokio::test]
async fn a_single_daemon_that_restarts_is_waited_for() {
    let world = world(1, Duration::ZERO).await;
    let daemon = &world.daemons[0];
    let pool = start(&world, options());
    fails(daemon, Fault::Crash, "build.step");
    let events = Recorder::default();
    let revive = async {
        until(|| events.about("DaemonLost") > 0).await;
        daemon.restart().await.unwrap();
    };
    let (built, ()) = tokio::join!(pool.build(world.request("app"), &events), revive);
    built.unwrap();
    assert!(!events.positions().is_empty(), "it waited, and said so");
}

#[tokio::test]
async fn a_draining_daemon_ends_its_build_and_the_next_goes_elsewhere() {
    let world = world(2, Duration::ZERO).await;
    let options = options().probe_interval(Duration::from_millis(20));
    // The host of the images says nothing about the project: the drained daemon's build pushes through a gate.
    let options = options.namespace(|request| request.image.repository().to_owned());
    let pool = start(&world, options);
    let home = home(&world, &pool).await;
    let gate = Gate::new().await;
    let mut request = world.request("app");
    request.image = format!("{}/team/app:held", gate.host()).parse().unwrap();
    let (drained, events) = (Recorder::default(), Recorder::default());
    let next = async {
        drained.began("RUN make").await;
        home.drain();
        until(|| state(&pool, home).state == MemberState::Draining).await;
        assert_eq!(state(&pool, home).running, 1);
        pool.build(world.request("app"), &events).await.unwrap();
        gate.open(world.registry.host())
    };
    let (running, _opened) = tokio::join!(pool.build(request, &drained), next);
    running.unwrap();
    assert_eq!(home.builds().len(), 2);
    assert_eq!((asked(&world), events.warnings().len()), (3, 0));
}

#[tokio::test]
async fn a_pool_without_a_daemon_says_which_do_not_answer() {
    let world = world(2, Duration::ZERO).await;
    world.daemons.iter().for_each(BuildkitDaemon::crash);
    let pool = start(&world, options().unreachable_timeout(Duration::ZERO));
    until(|| {
        let members = pool.members();
        members.len() == 2
            && members
                .iter()
                .all(|member| member.state == MemberState::Down)
    })
    .await;
    let failure = build(&world, &pool).await.unwrap_err();
    let text = failure.diagnosis().to_string();
    for daemon in &world.daemons {
        assert!(text.contains(&daemon.address()), "{text}");
    }
    assert!(text.contains("DaemonsUnreachable"), "{text}");
    let nobody = Pool::start(
        StaticMembers::default(),
        options().unreachable_timeout(Duration::ZERO),
    );
    let failure = nobody
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
    assert_eq!(failure.diagnosis().reason, "the pool has no members");
}

/// A list that cannot be had.
#[derive(Debug)]
struct NoList;

impl Discover for NoList {
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
        let diagnosis = Diagnosis::new(&codes::pool::NO_MEMBERS).error("the name is not known");
        futures::stream::iter([Err(Failure::from_diagnosis(diagnosis))]).boxed()
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_the_reason() {
    let pool = Pool::start(
        NoList,
        options().unreachable_timeout(Duration::from_secs(5)),
    );
    let request = BuildRequest::new("/nowhere", "reg.io/a:1".parse().unwrap());
    let failure = pool.build(request, &Discard).await.unwrap_err();
    assert!(
        failure
            .diagnosis()
            .reason
            .ends_with("the name is not known"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn who_waits_is_told_and_may_leave_at_any_time() {
    let world = world(1, Duration::from_secs(3600)).await;
    let pool = start(&world, options().capacity(1).queue_limit(2));
    let build = |app: &str| {
        let (pool, request) = (pool.clone(), world.request(app));
        let events = Arc::new(Recorder::default());
        let told = Arc::clone(&events);
        (
            events,
            tokio::spawn(async move { pool.build(request, &*told).await }),
        )
    };
    let (_, first) = build("a");
    until(|| {
        pool.members()
            .first()
            .is_some_and(|member| member.running == 1)
    })
    .await;
    let (second_events, second) = build("a");
    until(|| second_events.positions() == [0]).await;
    let (third_events, third) = build("a");
    until(|| third_events.positions() == [1]).await;
    assert_eq!(pool.members()[0].waiting, 2);
    let failure = pool.build(world.request("a"), &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: QueueFull");
    assert_eq!(failure.diagnosis().class, RetryClass::Transient);

    second.abort();
    until(|| pool.waiting() == 1).await;
    first.abort();
    // The place of the first is the third's at once.
    until(|| pool.waiting() == 0).await;
    until(|| asked(&world) == 2).await;
    third.abort();
    until(|| pool.members()[0].running == 0).await;
}

/// Every daemon builds for one platform.
async fn two_platforms() -> World {
    let platforms = ["linux/amd64", "linux/arm64"];
    let daemon = |name| BuildkitOptions::default().platforms([name]);
    let world = World::of(platforms.map(daemon)).await;
    world.write(
        "Dockerfile",
        "ARG TARGETARCH\nFROM base:${TARGETARCH}\nCOPY a /a\nRUN make\n",
    );
    world
}

fn for_both(world: &World) -> BuildRequest {
    let request = world.request("app").platform("linux/amd64");
    request.platform("linux/arm64/v8").platform("linux/aarch64")
}

#[tokio::test]
async fn platforms_of_different_daemons_become_one_image() {
    let world = two_platforms().await;
    let pool = start(&world, options());
    let events = Recorder::default();
    let built = pool.build(for_both(&world), &events).await.unwrap();
    assert_eq!(
        (built.steps, digest(&world, "app")),
        (4, Some(built.digest))
    );
    assert_eq!(
        world.registry.tags("team/app"),
        ["1"],
        "the parts have no tags"
    );
    let index = world.registry.manifest("team/app", "1").unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index.bytes).unwrap();
    for (daemon, architecture) in world.daemons.iter().zip(["amd64", "arm64"]) {
        let builds = daemon.builds();
        assert_eq!(builds.len(), 1);
        let entries = index["manifests"].as_array().unwrap();
        let entry = entries
            .iter()
            .find(|entry| entry["platform"]["architecture"] == architecture);
        let digest = entry.unwrap()["digest"].as_str().unwrap();
        assert_eq!(builds[0].outcome, Some(Ok(digest.to_owned())));
    }
    // The platforms' steps can be told apart.
    events.began("[linux/arm64/v8 ").await;
}

#[tokio::test]
async fn a_part_that_was_pushed_is_not_built_again() {
    let world = two_platforms().await;
    let pool = start(&world, options());
    fails(&world.daemons[1], LOST_ANSWER, "solve");
    let events = Recorder::default();
    pool.build(for_both(&world), &events).await.unwrap();
    assert_eq!(asked(&world), 2);
    events.assert_warned(&["linux/arm64/v8: "]);
}

#[tokio::test]
async fn a_part_that_fails_ends_the_others_and_leaves_no_tag() {
    let world = two_platforms().await;
    world.write(
        "Dockerfile",
        "ARG TARGETARCH\nFROM base:${TARGETARCH}\nRUN make\n",
    );
    let pool = start(&world, options());
    world.daemons[1].faults().add(
        Fault::status(500)
            .body("process \"make\" did not complete successfully: exit code: 2")
            .on(Matcher::operation("build.step")),
    );
    let failure = pool.build(for_both(&world), &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: InstructionFailed");
    assert_eq!(digest(&world, "app"), None);
}

#[tokio::test]
async fn platforms_that_nobody_builds_for_or_joins_are_errors() {
    let world = two_platforms().await;
    let pool = start(&world, options());
    let request = world
        .request("app")
        .platform("linux/amd64")
        .platform("linux/s390x");
    let failure = pool.build(request, &Discard).await.unwrap_err();
    let text = failure.diagnosis().to_string();
    assert!(
        text.contains("NoDaemonForPlatform") && text.contains("linux/amd64, linux/arm64"),
        "{text}"
    );
    let without = start(&world, PoolOptions::default());
    let failure = without.build(for_both(&world), &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: NoRegistryClient");
    assert_eq!(asked(&world), 0);
}

fn customized(
    customize: impl Fn(Solve) -> Result<Solve, Error> + Send + Sync + 'static,
) -> PoolOptions {
    let options = options();
    let builder = options.builder.clone().customize(customize);
    options.builder(builder)
}

#[tokio::test]
async fn everything_that_a_solve_can_say_reaches_the_daemon_through_a_pool() {
    let world = world(1, Duration::ZERO).await;
    let ssh = "RUN --mount=type=ssh,id=deploy,required make";
    world.write("Dockerfile", &format!("FROM base:none\nCOPY a /a\n{ssh}\n"));
    let base: ImageRef = "base:1".parse().unwrap();
    let archive = Sink::default();
    let pool = start(
        &world,
        customized({
            let archive = archive.clone();
            move |solve| {
                let image = ImageOptions::default();
                let team = solve.request().labels["team"].clone();
                Ok(solve
                    .ssh_agent("deploy", "/nowhere/agent")
                    .context("base:none", NamedContext::Image(base.clone()))
                    .image(image.annotation(AnnotationLevel::Manifest, "team", team))
                    .ulimit("nofile", 1024, 2048)
                    .output(Output::tar(OutputTarget::writer(archive.clone()))))
            }
        }),
    );
    let request = world.request("app").label("team", "shop");
    pool.build(request, &Discard).await.unwrap();

    let seen = world.daemons[0].builds().remove(0);
    assert_eq!(seen.ssh_agents, ["deploy"]);
    let attributes = &seen.frontend_attrs;
    assert_eq!(
        attributes["context:base:none"],
        "docker-image://docker.io/library/base:1"
    );
    assert_eq!(attributes["ulimit"], "nofile=1024:2048");
    let exporters: Vec<&str> = seen
        .exporters
        .iter()
        .map(|(kind, _)| kind.as_str())
        .collect();
    assert_eq!(exporters, ["tar", "image"]);
    let manifest = world.registry.manifest("team/app", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    assert_eq!(manifest["annotations"]["team"], "shop");
    assert!(holds(&archive.bytes(), "content of a"));
}

#[tokio::test]
async fn an_attempt_at_another_daemon_gets_writers_of_its_own() {
    let world = world(2, Duration::ZERO).await;
    let archives: Arc<Mutex<Vec<Sink>>> = Arc::default();
    let pool = start(
        &world,
        customized({
            let archives = Arc::clone(&archives);
            move |solve| {
                let archive = Sink::default();
                archives.lock().unwrap().push(archive.clone());
                Ok(solve.output(Output::tar(OutputTarget::writer(archive))))
            }
        }),
    );
    // The image is there, but whether the archive is complete is not known: it is built again.
    let home = home(&world, &pool).await;
    fails(home, LOST_ANSWER, "solve");
    build(&world, &pool).await.unwrap();
    let archives = archives.lock().unwrap();
    assert_eq!((asked(&world), archives.len()), (3, 3));
    assert!(!archives[2].bytes().is_empty());
}

#[tokio::test]
async fn an_error_of_the_customization_ends_the_build() {
    let world = world(1, Duration::ZERO).await;
    let pool = start(
        &world,
        customized(|_| {
            Err(Error::Invalid {
                field: "ssh_key",
                why: "no such key".to_owned(),
            })
        }),
    );
    let error = build(&world, &pool).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!(asked(&world), 0);
}

#[test]
fn a_dropped_pool_leaves_nothing_behind() {
    leaves_no_task(BuildkitOptions::default(), async |world| {
        let pool = start(world, options());
        build(world, &pool).await.unwrap();
    });
}
