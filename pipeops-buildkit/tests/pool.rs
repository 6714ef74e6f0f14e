//! A pool of stand-in daemons: where builds go, and what happens when daemons fall away.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use pipeops_buildkit::{
    Address, AnnotationLevel, BuilderOptions, Discover, Error, ImageOptions, Member, MemberState,
    MemberStatus, NamedContext, Output, OutputTarget, Pool, PoolOptions, Solve, StaticMembers,
};
use pipeops_core::diagnosis::codes;
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{
    Backoff, BuildRequest, Diagnose, Diagnosis, Digest, EventSink, Failure, ImageRef,
    ImageRegistry, RetryClass,
};
use pipeops_registry::Registries;
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions, RunRule, RunScript};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};

/// No test needs as long; one that hangs fails here.
const LIMIT: Duration = Duration::from_secs(60);

/// Some daemons, a registry with a base image, and a context.
struct World {
    daemons: Vec<BuildkitDaemon>,
    registry: Registry,
    context: tempfile::TempDir,
}

impl World {
    /// All daemons build for this machine, and `make` takes this long.
    async fn new(daemons: usize, make: Duration) -> Self {
        let here = BuildkitOptions::default().platforms;
        let platforms: Vec<Vec<String>> = vec![here; daemons];
        Self::with(&platforms, make).await
    }

    /// One daemon for each list of platforms.
    async fn with(platforms: &[Vec<String>], make: Duration) -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        for architecture in ["amd64", "arm64"] {
            let base = BaseImage::new().architecture(architecture);
            registry.seed("library/base", architecture, &base).unwrap();
        }
        let mut world = Self {
            daemons: Vec::new(),
            registry,
            context: tempfile::tempdir().unwrap(),
        };
        for platforms in platforms {
            let script = RunScript::default().rule(RunRule::matching("make").takes(make));
            let options = BuildkitOptions::default()
                .mirror("docker.io", world.registry.host())
                .platforms(platforms)
                .run(script);
            world
                .daemons
                .push(BuildkitDaemon::start(options).await.unwrap());
        }
        world.write("Dockerfile", "FROM base:amd64\nCOPY a /a\nRUN make\n");
        world.write("a", "content of a");
        world
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.context.path().join(name), text).unwrap();
    }

    fn request(&self, app: &str) -> BuildRequest {
        let image = format!("{}/team/{app}:1", self.registry.host());
        BuildRequest::new(self.context.path(), image.parse().unwrap())
    }

    fn members(&self) -> StaticMembers {
        let member = |(number, daemon): (usize, &BuildkitDaemon)| {
            let address = Address::parse(&daemon.address()).unwrap();
            Member::new(address).name(format!("m{number}"))
        };
        StaticMembers::new(self.daemons.iter().enumerate().map(member))
    }

    fn pool(&self, options: PoolOptions) -> Pool {
        Pool::start(self.members(), options)
    }

    /// The daemon that a project belongs to.
    async fn home(&self, pool: &Pool, app: &str) -> &BuildkitDaemon {
        pool.build(self.request(app), &Discard).await.unwrap();
        let home = self
            .daemons
            .iter()
            .find(|daemon| !daemon.builds().is_empty());
        let home = home.unwrap();
        home.prune();
        home
    }

    /// Builds that all daemons were asked for.
    fn asked(&self) -> usize {
        self.daemons
            .iter()
            .map(|daemon| daemon.builds().len())
            .sum()
    }

    fn digest(&self, app: &str) -> Option<Digest> {
        let manifest = self.registry.manifest(&format!("team/{app}"), "1");
        manifest.map(|manifest| manifest.digest)
    }
}

fn options() -> PoolOptions {
    let backoff = Backoff::default().base(Duration::from_millis(20));
    PoolOptions::default()
        .builder(BuilderOptions::default().backoff(backoff).timeout(LIMIT))
        .registry(Arc::new(Registries::default()))
}

fn state(pool: &Pool, address: &str) -> MemberStatus {
    let members = pool.members();
    members
        .into_iter()
        .find(|member| member.address == address)
        .unwrap()
}

/// Keeps all events.
#[derive(Default)]
struct Events(Mutex<Vec<EventKind>>);

impl EventSink for Events {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
}

impl Events {
    fn warnings(&self) -> String {
        let text = |event: &EventKind| match event {
            EventKind::Warning { message } => Some(format!("{message}\n")),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(text).collect()
    }

    fn positions(&self) -> Vec<u64> {
        let ahead = |event: &EventKind| match event {
            EventKind::BuildWaiting { ahead } => Some(*ahead),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(ahead).collect()
    }
}

/// Waits for something that will be so in the end.
async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait)
        .await
        .expect("it never happens");
}

#[tokio::test]
async fn a_project_stays_at_one_daemon_and_finds_its_cache() {
    let world = World::new(3, Duration::ZERO).await;
    let pool = world.pool(options());
    for app in ["one", "two", "three", "four"] {
        let first = pool.build(world.request(app), &Discard).await.unwrap();
        assert_eq!(
            (first.cached, Some(&first.digest)),
            (0, world.digest(app).as_ref())
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
    let world = World::new(3, Duration::from_millis(50)).await;
    let pool = world.pool(options().capacity(2));
    until(|| {
        let members = pool.members();
        let up = |member: &&MemberStatus| member.state == MemberState::Up;
        members.iter().filter(up).count() == 3
    })
    .await;
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
    assert_eq!((world.asked(), pool.waiting()), (24, 0));
}

#[tokio::test]
async fn a_build_that_lost_its_daemon_is_done_elsewhere_and_says_why() {
    for point in ["build.context", "build.step", "build.export", "build.push"] {
        let world = World::new(3, Duration::ZERO).await;
        let pool = world.pool(options());
        let home = world.home(&pool, "app").await;
        let crash = home
            .faults()
            .add(Fault::Crash.on(Matcher::operation(point)));
        let events = Events::default();
        let built = pool.build(world.request("app"), &events).await.unwrap();
        assert_eq!(crash.fired(), 1, "{point}");
        assert_eq!(world.digest("app"), Some(built.digest), "{point}");
        let warnings = events.warnings();
        for part in [
            "DaemonLost",
            &home.address(),
            "building again elsewhere (try 2 of 3)",
        ] {
            assert!(
                warnings.contains(part),
                "{point}: {part} is not in {warnings}"
            );
        }
        assert_eq!(
            world.asked(),
            3,
            "{point}: one that was lost, and one before and after it"
        );
        until(|| state(&pool, &home.address()).state == MemberState::Down).await;
        assert_eq!(state(&pool, &home.address()).lost, 1);
    }
}

#[tokio::test]
async fn a_cut_connection_is_done_elsewhere_too() {
    for operation in ["session", "solve"] {
        let world = World::new(2, Duration::ZERO).await;
        let pool = world.pool(options());
        let home = world.home(&pool, "app").await;
        let cut = home
            .faults()
            .add(Fault::Refuse.on(Matcher::operation(operation)));
        let events = Events::default();
        pool.build(world.request("app"), &events).await.unwrap();
        assert_eq!(cut.fired(), 1);
        assert!(events.warnings().contains("elsewhere"), "{operation}");
        // Only the connection was cut: a probe finds it well. One that takes no sessions is left alone for a while.
        if operation == "solve" {
            until(|| state(&pool, &home.address()).state == MemberState::Up).await;
        }
    }
}

#[tokio::test]
async fn an_image_that_was_pushed_is_not_built_again() {
    let world = World::new(2, Duration::ZERO).await;
    let pool = world.pool(options());
    let home = world.home(&pool, "app").await;
    world.write("a", "another content");
    // The daemon does all of it, and its answer is lost.
    let cut = Fault::Cut { after_bytes: 0 }.on(Matcher::operation("solve"));
    let cut = home.faults().add(cut);
    let events = Events::default();
    let built = pool.build(world.request("app"), &events).await.unwrap();
    assert_eq!(cut.fired(), 1);
    assert_eq!(world.digest("app"), Some(built.digest));
    assert_eq!((built.steps, built.cached), (2, 0));
    assert_eq!(
        world.asked(),
        2,
        "the first build, and the one that was lost"
    );
    assert!(
        events.warnings().contains("was pushed before"),
        "{}",
        events.warnings()
    );
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
    let world = World::new(2, Duration::ZERO).await;
    let moved = Arc::new(Moved(AtomicUsize::new(0)));
    let pool = world.pool(options().registry(moved.clone()));
    let home = world.home(&pool, "app").await;
    home.faults()
        .add(Fault::Cut { after_bytes: 0 }.on(Matcher::operation("solve")));
    pool.build(world.request("app"), &Discard).await.unwrap();
    assert_eq!((world.asked(), moved.0.load(Ordering::Relaxed)), (3, 1));
}

#[tokio::test]
async fn a_daemon_without_disk_gets_nothing_for_a_while() {
    let world = World::new(2, Duration::ZERO).await;
    let pool = world.pool(options());
    let home = world.home(&pool, "app").await;
    let full = Fault::status(500).body("failed to copy files: write /x: no space left on device");
    home.faults()
        .add(full.on(Matcher::operation("build.step")).always());
    let events = Events::default();
    pool.build(world.request("app"), &events).await.unwrap();
    assert!(
        events.warnings().contains("DiskFull"),
        "{}",
        events.warnings()
    );
    pool.build(world.request("app"), &Discard).await.unwrap();
    assert_eq!(home.builds().len(), 2, "it was not asked a third time");
    assert_eq!(state(&pool, &home.address()).state, MemberState::Down);
}

/// What containerd says of a blob that came damaged, and for as long as it keeps it.
const DAMAGED: &str = "failed to load cache key: failed commit on ref \"layer-sha256:2c\": unexpected commit digest sha256:0a, expected sha256:2c: failed precondition";

#[tokio::test]
async fn a_daemon_that_keeps_a_damaged_blob_is_left_and_goes_on_to_serve() {
    let world = World::new(2, Duration::ZERO).await;
    let pool = world.pool(options());
    let home = world.home(&pool, "app").await;
    let damaged = Fault::status(412)
        .body(DAMAGED)
        .on(Matcher::operation("build.resolve"))
        .always();
    let damaged = home.faults().add(damaged);
    let before = world.asked();
    pool.build(world.request("app"), &Discard).await.unwrap();
    assert_eq!((damaged.fired(), world.asked()), (1, before + 2));
    // It is not ill: others need other blobs.
    assert_eq!(state(&pool, &home.address()).state, MemberState::Up);
}

#[tokio::test]
async fn a_blob_that_is_damaged_everywhere_ends_the_attempts() {
    let world = World::new(2, Duration::ZERO).await;
    let pool = world.pool(options());
    for daemon in &world.daemons {
        let damaged = Fault::status(412).body(DAMAGED);
        daemon
            .faults()
            .add(damaged.on(Matcher::operation("build.resolve")).always());
    }
    let failure = pool
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: ContentDamaged");
    assert_eq!(
        failure.diagnosis().class,
        RetryClass::Exhausted,
        "{failure}"
    );
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn an_error_of_the_dockerfile_is_not_tried_elsewhere() {
    let world = World::new(3, Duration::ZERO).await;
    world.write("Dockerfile", "FROM base:amd64\nCOPY missing /\n");
    let pool = world.pool(options());
    let failure = pool
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: FileMissing");
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_again_by_the_same_daemon() {
    let world = World::new(3, Duration::ZERO).await;
    let throttled = world.registry.faults().add(
        Fault::too_many_requests(1)
            .on(Matcher::operation("manifest.put"))
            .times(1),
    );
    let pool = world.pool(options());
    pool.build(world.request("app"), &Discard).await.unwrap();
    assert_eq!((throttled.fired(), world.asked()), (1, 2));
    let used = world
        .daemons
        .iter()
        .filter(|daemon| !daemon.builds().is_empty());
    assert_eq!(used.count(), 1);
}

#[tokio::test]
async fn a_build_that_kills_its_daemons_is_given_up() {
    let world = World::new(5, Duration::ZERO).await;
    for daemon in &world.daemons {
        daemon
            .faults()
            .add(Fault::Crash.on(Matcher::operation("build.step")));
    }
    let pool = world.pool(options());
    let failure = pool
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
    assert_eq!(
        failure.diagnosis().class,
        RetryClass::Exhausted,
        "{failure}"
    );
    assert!(failure.diagnosis().reason.contains("3 attempts"));
    assert_eq!(world.asked(), 3, "two daemons are left alive");
}

#[tokio::test]
async fn daemons_that_refuse_connections_cost_no_try() {
    let world = World::new(5, Duration::ZERO).await;
    let pool = world.pool(options().attempts(1));
    let up = || {
        let members = pool.members();
        members.len() == 5 && members.iter().all(|member| member.state == MemberState::Up)
    };
    until(up).await;
    // Nobody has noticed yet.
    world.daemons[1..].iter().for_each(BuildkitDaemon::drain);
    for app in ["one", "two", "three", "four"] {
        pool.build(world.request(app), &Discard).await.unwrap();
    }
    assert_eq!(world.daemons[0].builds().len(), 4);
}

#[tokio::test]
async fn a_single_daemon_that_restarts_is_waited_for() {
    let world = World::new(1, Duration::ZERO).await;
    let daemon = &world.daemons[0];
    let pool = world.pool(options());
    daemon
        .faults()
        .add(Fault::Crash.on(Matcher::operation("build.step")));
    let events = Events::default();
    let revive = async {
        until(|| events.warnings().contains("DaemonLost")).await;
        daemon.restart().await.unwrap();
    };
    let (built, ()) = tokio::join!(pool.build(world.request("app"), &events), revive);
    built.unwrap();
    assert!(!events.positions().is_empty(), "it waited, and said so");
}

#[tokio::test]
async fn a_draining_daemon_ends_its_build_and_the_next_goes_elsewhere() {
    let world = World::new(2, Duration::from_millis(300)).await;
    let pool = world.pool(options().probe_interval(Duration::from_millis(20)));
    let home = world.home(&pool, "app").await;
    let drain = |event: EventKind| {
        if matches!(&event, EventKind::Vertex { name, .. } if name.contains("RUN make")) {
            home.drain();
        }
    };
    let events = Events::default();
    let next = async {
        until(|| state(&pool, &home.address()).state == MemberState::Draining).await;
        assert_eq!(state(&pool, &home.address()).running, 1);
        pool.build(world.request("app"), &events).await.unwrap();
    };
    let (running, ()) = tokio::join!(pool.build(world.request("app"), &drain), next);
    running.unwrap();
    assert_eq!(home.builds().len(), 2);
    assert_eq!((world.asked(), events.warnings()), (3, String::new()));
}

#[tokio::test]
async fn a_pool_without_a_daemon_says_which_do_not_answer() {
    let world = World::new(2, Duration::ZERO).await;
    world.daemons.iter().for_each(BuildkitDaemon::crash);
    let pool = world.pool(options().unreachable_timeout(Duration::from_secs(1)));
    let failure = pool
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
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
        options().unreachable_timeout(Duration::from_secs(1)),
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
    let world = World::new(1, Duration::from_secs(3600)).await;
    let pool = world.pool(options().capacity(1).queue_limit(2));
    let build = |app: &str| {
        let (pool, request) = (pool.clone(), world.request(app));
        let events = Arc::new(Events::default());
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
    until(|| world.asked() == 2).await;
    third.abort();
    until(|| pool.members()[0].running == 0).await;
}

/// Every daemon builds for one platform.
async fn two_platforms() -> World {
    let platforms = ["linux/amd64", "linux/arm64"].map(|name| vec![name.to_owned()]);
    let world = World::with(&platforms, Duration::ZERO).await;
    world.write(
        "Dockerfile",
        "ARG TARGETARCH\nFROM base:${TARGETARCH}\nCOPY a /a\nRUN make\n",
    );
    world
}

fn for_both(world: &World) -> BuildRequest {
    let mut request = world.request("app");
    request.platforms = vec![
        "linux/amd64".into(),
        "linux/arm64/v8".into(),
        "linux/aarch64".into(),
    ];
    request
}

#[tokio::test]
async fn platforms_of_different_daemons_become_one_image() {
    let world = two_platforms().await;
    let pool = world.pool(options());
    let events = Events::default();
    let built = pool.build(for_both(&world), &events).await.unwrap();
    assert_eq!((built.steps, world.digest("app")), (4, Some(built.digest)));
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
    let marked = events.0.lock().unwrap().iter().any(|event| {
        matches!(event, EventKind::Vertex { name, .. } if name.starts_with("[linux/arm64/v8 ") && name.ends_with("RUN make"))
    });
    assert!(marked, "nobody can tell the platforms' steps apart");
}

#[tokio::test]
async fn a_part_that_was_pushed_is_not_built_again() {
    let world = two_platforms().await;
    let pool = world.pool(options());
    world.daemons[1]
        .faults()
        .add(Fault::Cut { after_bytes: 0 }.on(Matcher::operation("solve")));
    let events = Events::default();
    pool.build(for_both(&world), &events).await.unwrap();
    assert_eq!(world.asked(), 2);
    assert!(
        events.warnings().contains("linux/arm64/v8: "),
        "{}",
        events.warnings()
    );
}

#[tokio::test]
async fn a_part_that_fails_ends_the_others_and_leaves_no_tag() {
    let world = two_platforms().await;
    world.write(
        "Dockerfile",
        "ARG TARGETARCH\nFROM base:${TARGETARCH}\nRUN make\n",
    );
    let pool = world.pool(options());
    world.daemons[1].faults().add(
        Fault::status(500)
            .body("process \"make\" did not complete successfully: exit code: 2")
            .on(Matcher::operation("build.step")),
    );
    let failure = pool.build(for_both(&world), &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: InstructionFailed");
    assert_eq!(world.digest("app"), None);
}

#[tokio::test]
async fn platforms_that_nobody_builds_for_or_joins_are_errors() {
    let world = two_platforms().await;
    let pool = world.pool(options());
    let mut request = world.request("app");
    request.platforms = vec!["linux/amd64".into(), "linux/s390x".into()];
    let failure = pool.build(request, &Discard).await.unwrap_err();
    let text = failure.diagnosis().to_string();
    assert!(
        text.contains("NoDaemonForPlatform") && text.contains("linux/amd64, linux/arm64"),
        "{text}"
    );
    let without = world.pool(PoolOptions::default());
    let failure = without.build(for_both(&world), &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: NoRegistryClient");
    assert_eq!(world.asked(), 0);
}

/// What a writer was given.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl tokio::io::AsyncWrite for Written {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
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
    let world = World::new(1, Duration::ZERO).await;
    let ssh = "RUN --mount=type=ssh,id=deploy,required make";
    world.write("Dockerfile", &format!("FROM base:none\nCOPY a /a\n{ssh}\n"));
    let base: ImageRef = "base:amd64".parse().unwrap();
    let archive = Written::default();
    let pool = world.pool(customized({
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
    }));
    let mut request = world.request("app");
    request.labels.insert("team".into(), "shop".into());
    pool.build(request, &Discard).await.unwrap();

    let seen = world.daemons[0].builds().remove(0);
    assert_eq!(seen.ssh_agents, ["deploy"]);
    let attributes = &seen.frontend_attrs;
    assert_eq!(
        attributes["context:base:none"],
        "docker-image://docker.io/library/base:amd64"
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
    let archive = archive.0.lock().unwrap();
    let content = "content of a".as_bytes();
    assert!(archive.windows(content.len()).any(|part| part == content));
}

#[tokio::test]
async fn an_attempt_at_another_daemon_gets_writers_of_its_own() {
    let world = World::new(2, Duration::ZERO).await;
    let archives: Arc<Mutex<Vec<Written>>> = Arc::default();
    let pool = world.pool(customized({
        let archives = Arc::clone(&archives);
        move |solve| {
            let archive = Written::default();
            archives.lock().unwrap().push(archive.clone());
            Ok(solve.output(Output::tar(OutputTarget::writer(archive))))
        }
    }));
    // The image is there, but whether the archive is complete is not known: it is built again.
    let home = world.home(&pool, "app").await;
    home.faults()
        .add(Fault::Cut { after_bytes: 0 }.on(Matcher::operation("solve")));
    pool.build(world.request("app"), &Discard).await.unwrap();
    let archives = archives.lock().unwrap();
    assert_eq!((world.asked(), archives.len()), (3, 3));
    assert!(!archives[2].0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_error_of_the_customization_ends_the_build() {
    let world = World::new(1, Duration::ZERO).await;
    let pool = world.pool(customized(|_| {
        Err(Error::Invalid {
            field: "ssh_key",
            why: "no such key".to_owned(),
        })
    }));
    let error = pool
        .build(world.request("app"), &Discard)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!(world.asked(), 0);
}

#[test]
fn a_dropped_pool_leaves_nothing_behind() {
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = servers.block_on(World::new(2, Duration::ZERO));
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    client.block_on(async {
        let pool = world.pool(options());
        pool.build(world.request("app"), &Discard).await.unwrap();
        drop(pool);
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        until(|| tasks() == 0).await;
    });
}
