//! The BuildKit stand-in, seen by clients.
#![cfg(all(feature = "buildkit", feature = "registry"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[cfg(feature = "s3")]
mod cache;
mod client;
mod conformance;
mod pushes;
mod session;

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryRequest, InfoRequest, ListWorkersRequest, StatusRequest, Vertex,
};
use client::{Client, Job, fresh, request};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions, RunRule, RunScript};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};
use session::{Authority, Shared};
use tonic::Code;

async fn start() -> (Registry, BuildkitDaemon, Client) {
    start_with(RegistryOptions::default(), RunScript::default()).await
}

async fn start_with(
    registry: RegistryOptions,
    run: RunScript,
) -> (Registry, BuildkitDaemon, Client) {
    let registry = Registry::start(registry).await.unwrap();
    let mut options = BuildkitOptions::default()
        .mirror("docker.io", registry.host())
        .run(run);
    options.session_wait = Duration::from_millis(500);
    let daemon = BuildkitDaemon::start(options).await.unwrap();
    let client = Client::connect(&daemon.address()).await;
    (registry, daemon, client)
}

fn image(registry: &Registry) -> String {
    format!("{}/team/app:1", registry.host())
}

#[tokio::test]
async fn conformance_of_the_stand_in() {
    let (registry, _daemon, client) = start().await;
    conformance::run(&client, &registry.host()).await;
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn conformance_of_a_real_daemon() {
    let client = Client::connect(&environment("BUILDKIT_HOST")).await;
    conformance::run(&client, &environment("REGISTRY")).await;
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}: `cargo testbed env` prints it"))
}

#[tokio::test]
#[ignore = "needs testbed: buildkit"]
async fn a_real_daemon_pushes_to_the_registry_stand_in() {
    let client = Client::connect(&environment("BUILDKIT_HOST")).await;
    pushes::run(&client).await;
}

#[tokio::test]
async fn the_image_is_what_the_dockerfile_says() {
    let (registry, _daemon, client) = start().await;
    let base = BaseImage::new()
        .file("etc/passwd", "app:x:1001:1002::/:/bin/sh\n")
        .env("LANG", "C")
        .cmd(["sh"]);
    registry.seed("library/python", "3.12-slim", &base).unwrap();
    let file = "FROM python:3.12-slim\nARG VERSION=0\nENV VERSION=$VERSION\nWORKDIR srv\n\
                COPY --chown=app main.py conf/*.ini ./\nUSER app\nEXPOSE 8080 53/udp\nLABEL a=\"b c\"\n\
                HEALTHCHECK --interval=5s CMD curl -f localhost\nENTRYPOINT [\"python\"]\nCMD [\"main.py\"]\n";
    let job = Job::new(file)
        .file("conf/a.ini", "a")
        .file("main.py", "print()")
        .attr("build-arg:VERSION", "1.2")
        .attr("label:commit", "abc")
        .push(&image(&registry));
    client.build(job).await.digest();
    let config = registry.config("team/app", "1").unwrap();
    let run = &config["config"];
    assert_eq!(run["Env"][0], "LANG=C");
    assert_eq!(run["Env"][2], "VERSION=1.2");
    assert_eq!(run["WorkingDir"], "/srv");
    assert_eq!(run["User"], "app");
    assert_eq!(
        run["ExposedPorts"],
        serde_json::json!({"53/udp": {}, "8080/tcp": {}})
    );
    assert_eq!(
        run["Labels"],
        serde_json::json!({"a": "b c", "commit": "abc"})
    );
    assert_eq!(run["Entrypoint"], serde_json::json!(["python"]));
    assert_eq!(run["Cmd"], serde_json::json!(["main.py"]));
    assert_eq!(run["Healthcheck"]["Interval"], 5_000_000_000_i64);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    let made: Vec<&str> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["created_by"].as_str().unwrap())
        .collect();
    assert_eq!(made[1], "ARG VERSION=1.2");
    assert_eq!(made[4], "COPY --chown=app main.py conf/*.ini ./ # buildkit");
}

#[tokio::test]
async fn the_same_build_from_cache_makes_the_same_image() {
    let (registry, daemon, client) = start().await;
    let job = Job::new("FROM scratch\nCOPY a /a\nENV X=1\n")
        .file("a", "1")
        .push(&image(&registry));
    let first = client.build(job.clone()).await.digest();
    assert_eq!(client.build(job.clone()).await.digest(), first);
    daemon.prune();
    assert_ne!(
        client.build(job.clone()).await.digest(),
        first,
        "another time, another image"
    );
    let dated = job.attr("build-arg:SOURCE_DATE_EPOCH", "1700000000");
    let first = client
        .build(dated.clone().attr("no-cache", ""))
        .await
        .digest();
    assert_eq!(
        client.build(dated.attr("no-cache", "")).await.digest(),
        first
    );
}

#[tokio::test]
async fn commands_are_skipped_and_the_log_says_so() {
    let (registry, _daemon, client) = start().await;
    registry
        .seed("library/golang", "1.26", &BaseImage::new())
        .unwrap();
    let file = "FROM golang:1.26 AS build\nRUN go build -o /out/app .\n\
                FROM scratch\nCOPY --from=build /out/app /app\n";
    let outcome = client.build(Job::new(file).push(&image(&registry))).await;
    outcome.digest();
    let log = outcome.log();
    assert!(
        log.contains("does not run commands; this one was skipped"),
        "{log}"
    );
    assert!(log.contains("/out/app is not there"), "{log}");
}

#[tokio::test]
async fn scripted_commands_print_leave_files_and_fail() {
    let script = RunScript::default()
        .rule(
            RunRule::matching("go build*")
                .stdout("building\n")
                .creates("/out/app", "ELF"),
        )
        .rule(
            RunRule::matching("go test*")
                .stdout("ok\n")
                .stderr("FAIL: TestX\n")
                .exit_code(3),
        );
    let (registry, _daemon, client) = start_with(RegistryOptions::default(), script).await;
    registry
        .seed("library/golang", "1.26", &BaseImage::new())
        .unwrap();
    let file = "FROM golang:1.26 AS build\nRUN go build -o /out/app .\nFROM scratch\nCOPY --from=build /out/app /app\n";
    let outcome = client.build(Job::new(file).push(&image(&registry))).await;
    outcome.digest();
    assert_eq!(outcome.log(), "building\n");

    let file = "FROM golang:1.26\nRUN go build .\nRUN go test ./...\n";
    let outcome = client.build(Job::new(file)).await;
    let message =
        "process \"/bin/sh -c go test ./...\" did not complete successfully: exit code: 3";
    assert_eq!(outcome.error().message(), message);
    assert_eq!(outcome.detail("gatewayapi.ExitMessage").unwrap()["Code"], 3);
    assert_eq!(
        outcome.detail("errdefs.Source").unwrap()["ranges"][0]["start"]["line"],
        3
    );
    assert!(outcome.log().ends_with("ok\nFAIL: TestX\n"));
    assert_eq!(outcome.vertex("[3/3] RUN go test ./...").error, message);
}

#[tokio::test]
async fn the_stand_in_pushes_and_fails_as_a_real_daemon() {
    let daemon = BuildkitDaemon::start(BuildkitOptions::default())
        .await
        .unwrap();
    pushes::run(&Client::connect(&daemon.address()).await).await;
}

#[tokio::test]
async fn a_forged_token_authority_is_refused() {
    let options = RegistryOptions::default()
        .token_auth(Duration::from_secs(60))
        .user(User::new("ci", "secret"));
    let (registry, _daemon, client) = start_with(options, RunScript::default()).await;
    let job = Job::new("FROM scratch\nCOPY Dockerfile /\n").push(&image(&registry));
    let mut job = job.login("ci", "secret");
    job.offer.authority = Some(Authority::Forged);
    let outcome = client.build(job).await;
    assert!(outcome.error().message().contains("signature"));
}

#[tokio::test]
async fn tokens_that_expire_in_mid_build_are_renewed() {
    let options = RegistryOptions::default()
        .token_auth(Duration::from_secs(60))
        .user(User::new("ci", "secret"));
    let (registry, _daemon, client) = start_with(options, RunScript::default()).await;
    registry
        .faults()
        .add(Fault::unauthorized().on(Matcher::operation("manifest.put")));
    let job = Job::new("FROM scratch\nCOPY Dockerfile /\n")
        .push(&image(&registry))
        .login("ci", "secret");
    client.build(job).await.digest();
}

#[tokio::test]
async fn a_throttled_push_fails_the_build() {
    let (registry, daemon, client) = start().await;
    let throttled = Fault::too_many_requests(1).on(Matcher::operation("manifest.put"));
    registry.faults().add(throttled);
    let job = Job::new("FROM scratch\nCOPY Dockerfile /\n").push(&image(&registry));
    let outcome = client.build(job.clone()).await;
    let message = outcome.error().message().to_owned();
    assert!(
        message.starts_with(&format!("failed to push {}: ", image(&registry))),
        "{message}"
    );
    assert!(message.ends_with(": toomanyrequests"), "{message}");
    client.build(job).await.digest();
    assert_eq!(daemon.builds().len(), 2);
    assert!(matches!(&daemon.builds()[0].outcome, Some(Err(error)) if *error == message));
}

#[tokio::test]
async fn faults_meet_calls_points_of_a_build_and_the_tunnel() {
    let (_registry, daemon, client) = start().await;
    let job = || Job::new("FROM scratch\nCOPY Dockerfile /\n");
    daemon
        .faults()
        .add(Fault::status(503).on(Matcher::operation("solve")));
    assert_eq!(client.build(job()).await.error().code(), Code::Unavailable);
    daemon.faults().add(
        Fault::status(500)
            .body("out of disk")
            .on(Matcher::operation("build.step")),
    );
    let outcome = client.build(job()).await;
    assert_eq!(
        (outcome.error().code(), outcome.error().message()),
        (Code::Internal, "out of disk")
    );
    for operation in ["tunnel.receive", "tunnel.send"] {
        for skip in [0, 3, 6] {
            let cut = Fault::Cut { after_bytes: 1 }
                .on(Matcher::operation(operation))
                .after(skip);
            let cut = daemon.faults().add(cut);
            let outcome = client.build(job()).await;
            assert!(outcome.result.is_err(), "{operation} {skip}");
            assert_eq!(cut.fired(), 1);
        }
    }
    client
        .build(job())
        .await
        .result
        .expect("the faults have passed");
}

#[tokio::test]
async fn a_crash_in_mid_build_loses_the_build_and_keeps_the_cache() {
    let (_registry, daemon, client) = start().await;
    let job = Job::new("FROM scratch\nCOPY Dockerfile /\nCOPY Dockerfile /again/\n");
    daemon
        .faults()
        .add(Fault::Crash.on(Matcher::operation("build.step")).after(1));
    let outcome = client.build(job.clone()).await;
    assert!(outcome.result.is_err());
    daemon.restart().await.unwrap();
    let client = Client::connect(&daemon.address()).await;
    let outcome = client.build(job).await;
    outcome.result.as_ref().expect("the daemon is up again");
    assert!(outcome.vertex("[1/2] COPY Dockerfile /").cached);
    assert!(!outcome.vertex("[2/2] COPY Dockerfile /again/").cached);
}

#[tokio::test]
async fn a_draining_daemon_finishes_what_runs() {
    let slow =
        RunScript::default().rule(RunRule::matching("slow").takes(Duration::from_millis(50)));
    let (registry, daemon, client) = start_with(RegistryOptions::default(), slow).await;
    registry
        .seed("library/base", "latest", &BaseImage::new())
        .unwrap();
    let step = Fault::Delay(Duration::ZERO).on(Matcher::operation("build.step"));
    let reached = daemon.faults().add(step);
    let build = client.build(Job::new("FROM base\nRUN slow\n"));
    let drain = async {
        reached.wait_fired(1).await;
        daemon.drain();
    };
    let (outcome, ()) = tokio::join!(build, drain);
    outcome
        .result
        .as_ref()
        .expect("the running build ends well");
    let address = daemon.address().replace("tcp://", "");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropping_the_call_cancels_the_build() {
    let endless =
        RunScript::default().rule(RunRule::matching("endless").takes(Duration::from_secs(3600)));
    let (registry, daemon, client) = start_with(RegistryOptions::default(), endless).await;
    registry
        .seed("library/base", "latest", &BaseImage::new())
        .unwrap();
    let job = Job::new("FROM base\nRUN endless\n");
    let (id, session_id) = (fresh("build"), fresh("session"));
    let session = session::open(
        client.channel.clone(),
        &session_id,
        job.offer.clone(),
        Shared::default(),
    );
    let session = session.await.unwrap();
    let mut control = client.control();
    let watch = async {
        let status = client
            .control()
            .status(StatusRequest { r#ref: id.clone() })
            .await;
        let mut events = status.unwrap().into_inner();
        loop {
            let event = events.message().await.unwrap().expect("the build goes on");
            let started =
                |vertex: &Vertex| vertex.name == "[2/2] RUN endless" && vertex.started.is_some();
            if event.vertexes.iter().any(started) {
                return events;
            }
        }
    };
    let mut events = tokio::select! {
        _ = control.solve(request(&id, &session_id, &job)) => panic!("the build is endless"),
        events = watch => events,
    };
    let mut last = None;
    while let Some(event) = events.message().await.expect("the stream goes on") {
        last = event.vertexes.last().cloned().or(last);
    }
    let last = last.unwrap();
    assert_eq!(
        (last.name.as_str(), last.error.as_str()),
        ("[2/2] RUN endless", "context canceled")
    );
    assert_eq!(daemon.builds()[0].outcome, None);
    session.abort();
}

#[tokio::test]
async fn it_says_what_it_is_and_what_it_cannot_do() {
    let (_registry, _daemon, client) = start().await;
    let info = client
        .control()
        .info(InfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(
        info.buildkit_version
            .unwrap()
            .version
            .contains("pipeops-testkit")
    );
    let workers = client
        .control()
        .list_workers(ListWorkersRequest::default())
        .await
        .unwrap();
    assert_eq!(workers.into_inner().record.len(), 1);
    let history = client
        .control()
        .listen_build_history(BuildHistoryRequest::default())
        .await;
    assert_eq!(history.unwrap_err().code(), Code::Unimplemented);
    let mut frontend = Job::new("# syntax=example.com/other\nFROM scratch\n");
    assert_eq!(
        client.build(frontend.clone()).await.error().code(),
        Code::Unimplemented
    );
    frontend = Job::new("FROM scratch\nADD https://example.com/x /\n");
    assert_eq!(
        client.build(frontend).await.error().code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn a_session_that_never_comes_ends_the_wait() {
    let (_registry, _daemon, client) = start().await;
    let request = request(&fresh("build"), "nobody", &Job::default());
    let error = client.control().solve(request).await.unwrap_err();
    assert!(
        error.message().starts_with("no active session for nobody"),
        "{error}"
    );
}
