//! Against the stand-ins of pipeops-testkit: what goes wrong between client, daemon and registry.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::standin::{LIMIT, World, hasty, leaves_no_task, make};
use common::{Recorder, until};
use pipeops_buildkit::{Cause, Error, Solve};
use pipeops_core::build::{BuildCache, DockerfileSource, S3Cache};
use pipeops_core::diagnosis::codes::build::CREDENTIAL_UNAVAILABLE;
use pipeops_core::event::Discard;
use pipeops_core::{
    Backoff, Credential, CredentialProvider, Diagnose, Diagnosis, Failure, RegistryScope,
    RetryClass,
};
use pipeops_testkit::buildkit::BuildkitOptions;
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{RegistryOptions, User};

#[tokio::test]
async fn an_image_is_pushed_and_a_second_build_is_cached_and_sends_nothing() {
    let world = World::new().await;
    let first = world.solve(world.request("app"), &Discard).await.unwrap();
    let manifest = world.registry.manifest("team/app", "1").unwrap();
    assert_eq!(first.digest.as_ref(), Some(&manifest.digest));
    assert_eq!((first.steps, first.cached), (2, 0));
    let second = world.solve(world.request("app"), &Discard).await.unwrap();
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
    let first = world.solve(world.request("app"), &Discard).await.unwrap();
    assert_eq!(first.context.files, 2_503, "{first:?}");
    let second = world.solve(world.request("app"), &Discard).await.unwrap();
    assert!(second.context.files <= 2, "{second:?}");
}

#[tokio::test]
async fn an_inline_dockerfile_replaces_the_ignore_file_of_the_context() {
    let world = World::new().await;
    world.write("wanted", "1");
    world.write(".dockerignore", "*\n!other\n");
    let mut request = world.request("app");
    request.dockerfile = DockerfileSource::Inline("FROM base:1\nCOPY wanted /\n".into());
    let hidden = world.solve(request.clone(), &Discard).await.unwrap_err();
    assert!(hidden.to_string().contains("wanted"), "{hidden}");
    request.dockerignore = Some("other\n".into());
    world.solve(request, &Discard).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_again_a_few_times() {
    for (times, succeeds) in [(2, true), (u32::MAX, false)] {
        let world = World::new().await;
        let throttle = Fault::too_many_requests(1).on(Matcher::operation("manifest.put"));
        let throttled = world.registry.faults().add(throttle.times(times));
        let events = Recorder::default();
        let built = world.builder().build(world.request("app"), &events).await;
        assert_eq!(events.about("RateLimited"), 2);
        let class = built.map_err(|error| error.diagnosis().class).err();
        assert_eq!(class, (!succeeds).then_some(RetryClass::Exhausted));
        assert_eq!(throttled.fired(), if succeeds { 2 } else { 3 });
    }
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
    let request = world.request("app");
    let failure = world.builder().build(request, &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: Denied");
    // The daemon may push several blobs at once, but asks only once for each of them.
    assert!(denied.fired() <= 3, "{} times", denied.fired());
}

#[tokio::test]
async fn a_daemon_that_crashes_is_waited_for() {
    let world = World::new().await;
    world
        .daemon()
        .faults()
        .add(Fault::Crash.on(Matcher::operation("build.step")));
    let warnings = Recorder::default();
    let revive = async {
        until(|| warnings.about("DaemonLost") > 0).await;
        world.daemon().restart().await.unwrap();
    };
    // However long the restart takes.
    let backoff = Backoff::default().base(Duration::from_millis(20));
    let builder = world.builder_with(hasty().backoff(backoff.attempts(100)));
    let (built, ()) = tokio::join!(builder.build(world.request("app"), &warnings), revive);
    built.unwrap();
    assert!(warnings.about("trying again") >= 1);
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
            let cut = world.daemon().faults().add(cut);
            let result = tokio::time::timeout(LIMIT, world.solve(world.request("app"), &Discard))
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
            .daemon()
            .faults()
            .add(Fault::Refuse.on(Matcher::operation(operation)));
    }
    let request = world.request("app");
    world.builder().build(request, &Discard).await.unwrap();
}

#[tokio::test]
async fn a_failing_command_is_decoded() {
    let fails = make(|rule| rule.stdout("compiling\n").stderr("no rule\n").exit_code(2));
    let world = World::of([fails]).await;
    let request = world.request("app");
    let failure = world.builder().build(request, &Discard).await.unwrap_err();
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
        let world = World::with(options, [BuildkitOptions::default()]).await;
        let login = Arc::new(Login(Mutex::new("wrong-password")));
        let request = world.request("app").credentials(login);
        let warnings = Recorder::default();
        world.builder().build(request, &warnings).await.unwrap();
        assert_eq!(warnings.about("once more"), 1);
    }
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
    let registry = RegistryOptions::default().basic_auth();
    let registry = registry.user(User::new("ci", "pw-1234"));
    let world = World::with(registry, [BuildkitOptions::default()]).await;
    let request = world.request("app").credentials(Arc::new(Broken));
    let failure = world.builder().build(request, &Discard).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "IAM role expired");
}

#[tokio::test]
async fn cache_imports_are_sent_in_both_places() {
    let world = World::new().await;
    let mut s3 = S3Cache::new("bucket", "us-east-1", "main");
    s3.keys = Some(("key-id-1".into(), "key-secret-1".into()));
    let request = world
        .request("app")
        .cache_from(BuildCache::S3(s3.clone()))
        .cache_to(BuildCache::S3(s3));
    let warnings = Recorder::default();
    world.builder().build(request, &warnings).await.unwrap();
    let build = &world.daemon().builds()[0];
    assert_eq!(build.cache_imports[0].1["name"], "main");
    assert_eq!(build.cache_exports[0].1["ignore-error"], "true");
    assert!(build.frontend_attrs["cache-imports"].contains("\"bucket\":\"bucket\""));
    // The stand-in cannot reach S3: that costs time and not the build.
    assert!(warnings.about("The build continues without its cache") >= 1);
    assert_eq!(warnings.about("key-secret-1"), 0);
}

#[test]
fn a_dropped_build_leaves_nothing_behind() {
    let hour = make(|rule| rule.takes(Duration::from_secs(3600)));
    leaves_no_task(hour, async |world| {
        let (builder, events) = (world.builder(), Recorder::default());
        tokio::select! {
            result = builder.build(world.request("app"), &events) => panic!("ended: {result:?}"),
            () = events.began("RUN make") => {}
        }
    });
}

#[tokio::test]
async fn many_builds_at_once_all_succeed() {
    let world = World::new().await;
    let client = world.client().await;
    let builds = (0..30).map(|number| {
        let mut request = world.request("app");
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
    let request = world.request("app").secret("tok", "s3cr3t-value");
    let client = world.client().await;
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
