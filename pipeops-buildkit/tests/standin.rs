//! Against the stand-ins of pipeops-testkit: what goes wrong between client, daemon and registry.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use pipeops_buildkit::{
    Address, Builder, BuilderOptions, Cause, Client, ConnectOptions, Error, Solve,
};
use pipeops_core::build::{BuildCache, S3Cache};
use pipeops_core::diagnosis::codes::build::CREDENTIAL_UNAVAILABLE;
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{
    Backoff, BuildRequest, Credential, CredentialProvider, Diagnose, Diagnosis, Failure,
    RegistryScope, RetryClass, SecretString,
};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions, RunRule, RunScript};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};

/// No test needs as long; one that hangs fails here.
const LIMIT: Duration = Duration::from_secs(60);

/// A daemon, a registry with a base image, and a context.
struct World {
    daemon: BuildkitDaemon,
    registry: Registry,
    context: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(RegistryOptions::default(), RunScript::default()).await
    }

    async fn with(registry: RegistryOptions, run: RunScript) -> Self {
        let registry = Registry::start(registry).await.unwrap();
        registry
            .seed("library/base", "1", &BaseImage::new())
            .unwrap();
        let options = BuildkitOptions::default()
            .mirror("docker.io", registry.host())
            .run(run);
        let daemon = BuildkitDaemon::start(options).await.unwrap();
        let world = Self {
            daemon,
            registry,
            context: tempfile::tempdir().unwrap(),
        };
        world.write("Dockerfile", "FROM base:1\nCOPY a /a\nRUN make\n");
        world.write("a", "content of a");
        world
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.context.path().join(name), text).unwrap();
    }

    fn request(&self) -> BuildRequest {
        let image = format!("{}/team/app:1", self.registry.host());
        BuildRequest::new(self.context.path(), image.parse().unwrap())
    }

    fn address(&self) -> Address {
        Address::parse(&self.daemon.address()).unwrap()
    }

    fn builder(&self) -> Builder {
        let backoff = Backoff::default().base(Duration::from_millis(20));
        Builder::new(
            self.address(),
            BuilderOptions::default().backoff(backoff).timeout(LIMIT),
        )
    }

    async fn solve(&self, request: BuildRequest) -> Result<pipeops_buildkit::Solved, Error> {
        let client = Client::connect(&self.address(), ConnectOptions::default()).await?;
        client
            .solve(Solve::new(request).timeout(LIMIT), &Discard)
            .await
    }
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl pipeops_core::EventSink for Warnings {
    fn emit(&self, kind: EventKind) {
        if let EventKind::Warning { message } = kind {
            self.0.lock().unwrap().push(message);
        }
    }
}

impl Warnings {
    fn about(&self, text: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|warning| warning.contains(text))
            .count()
    }
}

#[tokio::test]
async fn an_image_is_pushed_and_a_second_build_is_cached_and_sends_nothing() {
    let world = World::new().await;
    let first = world.solve(world.request()).await.unwrap();
    let manifest = world.registry.manifest("team/app", "1").unwrap();
    assert_eq!(first.digest.as_ref(), Some(&manifest.digest));
    assert_eq!((first.steps, first.cached), (2, 0));
    let second = world.solve(world.request()).await.unwrap();
    assert_eq!((second.steps, second.cached), (2, 2));
    assert_eq!(second.digest, first.digest);
}

#[tokio::test]
async fn thousands_of_files_arrive_and_are_not_sent_again() {
    let world = World::new().await;
    for number in 0..2_500 {
        world.write(&format!("f{number}"), "the same for all");
    }
    world.write("Dockerfile", "FROM base:1\nCOPY . /\n");
    let first = world.solve(world.request()).await.unwrap();
    assert_eq!(first.context.files, 2_503, "{first:?}");
    let second = world.solve(world.request()).await.unwrap();
    assert!(second.context.files <= 2, "{second:?}");
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_again() {
    let world = World::new().await;
    let throttled = world.registry.faults().add(
        Fault::too_many_requests(1)
            .on(Matcher::operation("manifest.put"))
            .times(2),
    );
    let warnings = Warnings::default();
    world
        .builder()
        .build(world.request(), &warnings)
        .await
        .unwrap();
    assert_eq!(throttled.fired(), 2);
    assert_eq!(warnings.about("RateLimited"), 2);
}

#[tokio::test]
async fn a_registry_that_keeps_throttling_ends_the_attempts() {
    let world = World::new().await;
    let throttled = world.registry.faults().add(
        Fault::too_many_requests(1)
            .on(Matcher::operation("manifest.put"))
            .always(),
    );
    let failure = world
        .builder()
        .build(world.request(), &Discard)
        .await
        .unwrap_err();
    assert_eq!(
        failure.diagnosis().class,
        RetryClass::Exhausted,
        "{failure}"
    );
    assert_eq!(throttled.fired(), 3);
}

#[tokio::test]
async fn a_denied_push_is_not_tried_again() {
    let world = World::new().await;
    let denied = Fault::status(403).body(
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
    );
    let denied = world
        .registry
        .faults()
        .add(denied.on(Matcher::operation("upload.start")).always());
    let failure = world
        .builder()
        .build(world.request(), &Discard)
        .await
        .unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: Denied");
    // The daemon may push several blobs at once, but asks only once for each of them.
    assert!(denied.fired() <= 3, "{} times", denied.fired());
}

#[tokio::test]
async fn a_daemon_that_crashes_is_waited_for() {
    let world = World::new().await;
    world
        .daemon
        .faults()
        .add(Fault::Crash.on(Matcher::operation("build.step")));
    let warnings = Warnings::default();
    let revive = async {
        while warnings.about("DaemonLost") == 0 {
            tokio::task::yield_now().await;
        }
        world.daemon.restart().await.unwrap();
    };
    let builder = world.builder();
    let (built, ()) = tokio::join!(builder.build(world.request(), &warnings), revive);
    built.unwrap();
    assert!(warnings.about("trying again") >= 1);
}

#[tokio::test]
async fn a_daemon_that_is_told_to_stop_finishes_the_build() {
    let script =
        RunScript::default().rule(RunRule::matching("make").takes(Duration::from_millis(300)));
    let world = World::with(RegistryOptions::default(), script).await;
    let client = Client::connect(&world.address(), ConnectOptions::default())
        .await
        .unwrap();
    let drain = |event: EventKind| {
        if matches!(&event, EventKind::Vertex { name, .. } if name.contains("RUN make")) {
            world.daemon.drain();
        }
    };
    client
        .solve(Solve::new(world.request()).timeout(LIMIT), &drain)
        .await
        .unwrap();
}

/// Every message of the session's tunnel is lost once; no build may hang, and none may end without a typed reason.
#[tokio::test]
async fn a_tunnel_cut_at_any_message_is_an_error_and_never_a_hang() {
    for direction in ["tunnel.send", "tunnel.receive"] {
        for skip in 0..40 {
            let world = World::new().await;
            let cut = Fault::Cut { after_bytes: 5 }
                .on(Matcher::operation(direction))
                .after(skip);
            let cut = world.daemon.faults().add(cut);
            let result = tokio::time::timeout(LIMIT, world.solve(world.request()))
                .await
                .expect("the build hangs");
            if cut.fired() == 0 {
                result.unwrap();
                break;
            }
            let Err(error) = result else { continue };
            let cause = error.build_failure().map(|failure| &failure.cause);
            let typed = matches!(&error, Error::DaemonLost { .. } | Error::Session { .. });
            assert!(
                typed || matches!(cause, Some(Cause::SessionLost | Cause::Cancelled)),
                "{direction} {skip}: {error:?}"
            );
            assert!(
                error.diagnosis().class.is_transient(),
                "{direction} {skip}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_call_is_tried_again() {
    let world = World::new().await;
    for operation in ["session", "solve"] {
        world
            .daemon
            .faults()
            .add(Fault::Refuse.on(Matcher::operation(operation)));
    }
    world
        .builder()
        .build(world.request(), &Discard)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_report_does_not_lose_the_build() {
    let world = World::new().await;
    world
        .daemon
        .faults()
        .add(Fault::status(500).on(Matcher::operation("status")));
    world.solve(world.request()).await.unwrap();
}

#[tokio::test]
async fn a_failing_command_is_decoded() {
    let script = RunScript::default().rule(
        RunRule::matching("make")
            .stdout("compiling\n")
            .stderr("no rule\n")
            .exit_code(2),
    );
    let world = World::with(RegistryOptions::default(), script).await;
    let failure = world
        .builder()
        .build(world.request(), &Discard)
        .await
        .unwrap_err();
    let text = failure.diagnosis().to_string();
    for part in [
        "Build failed: InstructionFailed",
        "exit code 2",
        ">>> RUN make",
        "no rule",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

/// A user's password, which the world may change.
#[derive(Debug)]
struct Login(Mutex<&'static str>);

#[async_trait]
impl CredentialProvider for Login {
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure> {
        // The base image's host is asked for without push; only the target's with it.
        Ok(match scope.push || host.starts_with("127.0.0.1") {
            true => Credential::basic("ci", *self.0.lock().unwrap()),
            false => Credential::anonymous(),
        })
    }

    fn refused(&self, _host: &str) {
        *self.0.lock().unwrap() = "right-password";
    }
}

#[tokio::test]
async fn an_expired_credential_is_renewed_and_tried_once_more() {
    for options in [
        RegistryOptions::default().basic_auth(),
        RegistryOptions::default().token_auth(Duration::from_secs(60)),
    ] {
        let options = options
            .user(User::new("ci", "right-password"))
            .anonymous_pull();
        let world = World::with(options, RunScript::default()).await;
        let mut request = world.request();
        request.credentials = Arc::new(Login(Mutex::new("wrong-password")));
        let warnings = Warnings::default();
        world.builder().build(request, &warnings).await.unwrap();
        assert_eq!(warnings.about("new credential"), 1);
    }
}

#[tokio::test]
async fn a_token_registry_gets_the_password_from_here_and_not_from_the_daemon() {
    let options = RegistryOptions::default().token_auth(Duration::from_secs(60));
    let world = World::with(
        options.user(User::new("ci", "right-password")),
        RunScript::default(),
    )
    .await;
    let mut request = world.request();
    request.credentials = Arc::new(Login(Mutex::new("right-password")));
    world.solve(request).await.unwrap();
    assert!(world.registry.manifest("team/app", "1").is_some());
}

/// Fails for every host.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl CredentialProvider for Broken {
    async fn credential(&self, _host: &str, _scope: &RegistryScope) -> Result<Credential, Failure> {
        Err(Failure::from_diagnosis(
            Diagnosis::new(&CREDENTIAL_UNAVAILABLE).title("IAM role expired"),
        ))
    }
}

#[tokio::test]
async fn a_provider_that_fails_says_why_the_build_failed() {
    let world = World::with(
        RegistryOptions::default()
            .basic_auth()
            .user(User::new("ci", "pw-1234")),
        RunScript::default(),
    )
    .await;
    let mut request = world.request();
    request.credentials = Arc::new(Broken);
    let failure = world.builder().build(request, &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "IAM role expired");
}

#[tokio::test]
async fn cache_imports_are_sent_in_both_places() {
    let world = World::new().await;
    let mut request = world.request();
    let mut s3 = S3Cache::new("bucket", "us-east-1", "main");
    s3.keys = Some(("key-id-1".into(), SecretString::from("key-secret-1")));
    request.cache_from = vec![BuildCache::S3(s3.clone())];
    request.cache_to = vec![BuildCache::S3(s3)];
    let warnings = Warnings::default();
    world.builder().build(request, &warnings).await.unwrap();
    let build = &world.daemon.builds()[0];
    assert_eq!(build.cache_imports[0].1["name"], "main");
    assert_eq!(build.cache_exports[0].1["ignore-error"], "true");
    assert!(build.frontend_attrs["cache-imports"].contains("\"bucket\":\"bucket\""));
    // The stand-in cannot reach S3: that costs time and not the build.
    assert!(warnings.about("The build continues without its cache") >= 1);
    assert_eq!(warnings.about("key-secret-1"), 0);
}

/// Dropping a build ends it at the daemon, and leaves no task behind here.
#[test]
fn a_dropped_build_leaves_nothing_behind() {
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let script =
        RunScript::default().rule(RunRule::matching("make").takes(Duration::from_secs(3600)));
    let world = servers.block_on(World::with(RegistryOptions::default(), script));
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    client.block_on(async {
        let (started, running) = tokio::sync::oneshot::channel();
        let started = Mutex::new(Some(started));
        let watch = move |event: EventKind| {
            if matches!(&event, EventKind::Vertex { name, .. } if name.contains("RUN make")) {
                started
                    .lock()
                    .unwrap()
                    .take()
                    .map(|started| started.send(()));
            }
        };
        let builder = world.builder();
        tokio::select! {
            result = builder.build(world.request(), &watch) => panic!("ended: {result:?}"),
            _ = running => {}
        }
        let gone = async {
            while tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                > 0
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, gone)
            .await
            .expect("tasks are left");
    });
    // The daemon's step would have taken an hour: a build that can have its place shows that it was cancelled.
    let outcome = &world.daemon.builds()[0].outcome;
    assert!(outcome.is_none(), "{outcome:?}");
}

#[tokio::test]
async fn many_builds_at_once_all_succeed() {
    let world = World::new().await;
    let client = Client::connect(&world.address(), ConnectOptions::default())
        .await
        .unwrap();
    let builds = (0..30).map(|number| {
        let mut request = world.request();
        request.image = request.image.with_tag(&format!("t{number}")).unwrap();
        let client = client.clone();
        async move {
            client
                .solve(Solve::new(request).timeout(LIMIT), &Discard)
                .await
        }
    });
    for result in futures::future::join_all(builds).await {
        result.unwrap();
    }
    assert_eq!(world.registry.tags("team/app").len(), 30);
}

#[tokio::test]
async fn what_the_leak_check_cannot_see_is_said_and_stops_nothing() {
    let world = World::new().await;
    let mut request = world.request();
    request.secrets.insert("tok".into(), "s3cr3t-value".into());
    let client = Client::connect(&world.address(), ConnectOptions::default())
        .await
        .unwrap();
    // The stand-in shows neither images nor records.
    let solved = client
        .solve(Solve::new(request.clone()), &Discard)
        .await
        .unwrap();
    assert_eq!(solved.leaks.searched, ["build secret \"tok\""]);
    assert_eq!(solved.leaks.unchecked.len(), 2, "{:?}", solved.leaks);
    let solve = Solve::new(request).without_leak_check();
    let solved = client.solve(solve, &Discard).await.unwrap();
    assert!(solved.leaks.searched.is_empty());
}
