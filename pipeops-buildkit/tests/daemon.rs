//! Against a real daemon and real registries.

mod common;

use std::fs::File;
use std::time::{Duration, SystemTime};

use common::{
    Context, Login, Recorder, client, env, holds, image_bytes, registry_get, solve, unique,
};
use pipeops_buildkit::{Builder, BuilderOptions, Cause, Error};
use pipeops_core::build::DockerfileSource;
use pipeops_core::event::{Discard, VertexState};
use pipeops_core::{Backoff, BuildRequest, Diagnose, RetryClass};

const SCRATCH: &str = "FROM scratch\nCOPY . /\n";

/// Whether a cause is the expected one.
type Expected = fn(&Cause) -> bool;

fn build_failure(error: &Error) -> &pipeops_buildkit::BuildFailure {
    error
        .build_failure()
        .unwrap_or_else(|| panic!("another error: {error:?}"))
}

#[tokio::test]
#[ignore = "needs testbed: buildkit"]
async fn a_daemon_says_what_it_is() {
    let client = client().await;
    assert!(client.info().await.unwrap().version.starts_with('v'));
    let workers = client.workers().await.unwrap();
    assert!(
        workers[0]
            .platforms
            .iter()
            .any(|platform| platform.starts_with("linux/"))
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn the_digest_is_the_registrys_and_a_second_build_is_cached() {
    let context = Context::new(&[("Dockerfile", SCRATCH), ("a", &unique("a"))]);
    let request = context.request();
    let builder = Builder::new(common::address(), BuilderOptions::default());
    let first = builder.build(request.clone(), &Discard).await.unwrap();
    let path = format!("{}/manifests/1", request.image.repository());
    assert_eq!(
        registry_get(&path).await.0.as_deref(),
        Some(first.digest.as_str())
    );
    assert_eq!((first.steps, first.cached), (1, 0));

    let second = builder.build(request, &Discard).await.unwrap();
    assert_eq!((second.steps, second.cached), (1, 1));
    assert_eq!(second.digest, first.digest);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_failing_command_is_shown_with_its_lines_exit_code_and_output() {
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nWORKDIR /x\nRUN echo before; \\\n  echo the reason >&2; exit 42\nCMD x\n",
    )]);
    let events = Recorder::default();
    let error = solve(context.fresh_request(), &events).await.unwrap_err();
    let failure = build_failure(&error);
    assert_eq!(
        (&failure.cause, failure.exit_code),
        (&Cause::Instruction, Some(42))
    );
    let mut log = failure.log.clone();
    log.sort();
    assert_eq!(log, ["before", "the reason"], "both streams, in any order");
    assert!(
        failure
            .step
            .as_ref()
            .unwrap()
            .starts_with("[3/3] RUN echo before"),
        "{failure:?}"
    );
    let source = failure.source.as_ref().unwrap();
    assert_eq!((source.file.as_str(), source.line), ("Dockerfile", 3));
    assert_eq!(source.lines.iter().filter(|line| line.failing).count(), 2);
    assert_eq!(events.ended(VertexState::Failed).len(), 1);
    assert!(
        error
            .diagnosis()
            .to_string()
            .contains(">>> RUN echo before")
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn each_kind_of_failure_is_told_from_the_others() {
    let registry = env("REGISTRY");
    let missing = format!("FROM {registry}/not/there:1\n");
    let cases: [(&str, Expected); 7] = [
        (
            &missing,
            |cause| matches!(cause, Cause::BaseImageMissing { image } if image.ends_with("/not/there:1")),
        ),
        ("FROM scratch\nFOO bar\n", |cause| {
            *cause == Cause::Dockerfile { line: Some(2) }
        }),
        (
            "FROM scratch\nCOPY nothere /\n",
            |cause| matches!(cause, Cause::FileMissing { path } if path == "/nothere"),
        ),
        (
            "FROM 127.0.0.1:1/x:1\n",
            |cause| matches!(cause, Cause::Network { host: Some(host) } if host == "127.0.0.1:1"),
        ),
        (
            "FROM busybox\nRUN --mount=type=secret,id=tok,required true\n",
            |cause| matches!(cause, Cause::SecretMissing { id } if id == "tok"),
        ),
        ("FROM busybox\nRUN kill -9 -1; exit 137\n", |cause| {
            *cause == Cause::OutOfMemory
        }),
        ("FROM busybox\nCOPY bad /bad\nRUN [\"/bad\"]\n", |cause| {
            *cause == Cause::ForeignPlatform
        }),
    ];
    for (dockerfile, expected) in cases {
        let context = Context::new(&[("Dockerfile", dockerfile), ("bad", "\x7fELF not")]);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(
            context.path().join("bad"),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let error = solve(context.fresh_request(), &Discard).await.unwrap_err();
        assert!(
            expected(&build_failure(&error).cause),
            "{dockerfile}: {error:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn the_error_of_a_long_dockerfile_arrives_whole() {
    // Its text comes in a header that is longer than HTTP/2 clients usually take.
    let comment = "# a comment that makes this Dockerfile long\n".repeat(1_500);
    let context = Context::new(&[(
        "Dockerfile",
        &format!("FROM busybox\n{comment}RUN exit 3\n"),
    )]);
    let error = solve(context.request(), &Discard).await.unwrap_err();
    assert_eq!(build_failure(&error).exit_code, Some(3));
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn dropping_a_build_cancels_it_at_the_daemon() {
    let id = unique("lock");
    let dockerfile = |command: &str| {
        format!("FROM busybox\nRUN --mount=type=cache,id={id},sharing=locked,target=/c {command}\n")
    };
    let context = Context::new(&[("Dockerfile", &dockerfile("echo holding; sleep 600"))]);
    let events = Recorder::default();
    tokio::select! {
        result = solve(context.request(), &events) => panic!("ended: {result:?}"),
        () = events.heard("holding") => {}
    }
    // The first build held the lock for ten minutes: the second one gets it because the first is gone.
    context.write("Dockerfile", dockerfile("echo mine").as_bytes());
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["mine"]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_secret_is_mounted_and_stays_out_of_image_and_log() {
    let secret = unique("s3cr3t");
    let dockerfile = "FROM busybox\nRUN --mount=type=secret,id=tok cat /run/secrets/tok; wc -c < /run/secrets/tok > /length\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let request = context.fresh_request().secret("tok", secret.as_str());
    let events = Recorder::default();
    solve(request.clone(), &events).await.unwrap();
    assert_eq!(events.logs(), ["[redacted]"]);
    let bytes = image_bytes(&request.image).await;
    let length = format!("{}\n", secret.len());
    assert!(holds(&bytes, &length), "the step saw the secret");
    assert!(!holds(&bytes, &secret), "the secret is in the image");
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_change_that_keeps_size_and_time_is_seen() {
    let (before, after) = (unique("f"), unique("f"));
    assert_eq!(before.len(), after.len());
    let context = Context::new(&[("Dockerfile", SCRATCH), ("f", &before)]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let touch = || {
        File::options()
            .write(true)
            .open(context.path().join("f"))
            .unwrap()
            .set_modified(time)
            .unwrap()
    };
    touch();
    let request = context.request();
    let first = solve(request.clone(), &Discard).await.unwrap();
    context.write("f", after.as_bytes());
    touch();
    let second = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!(second.cached, 0);
    assert_ne!(second.digest, first.digest);
    assert!(holds(&image_bytes(&request.image).await, &after));
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn thousands_of_files_arrive() {
    let mark = unique("m");
    let context = Context::new(&[("Dockerfile", SCRATCH)]);
    for number in 0..4_000 {
        context.write(&format!("d{}/f{number}", number % 50), mark.as_bytes());
    }
    let solved = solve(context.request(), &Discard).await.unwrap();
    assert_eq!(solved.context.files, 4_002, "{solved:?}");
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn another_commit_time_keeps_the_cache() {
    let context = Context::new(&[
        (
            "Dockerfile",
            &format!(
                "FROM busybox\nWORKDIR /{}\nCOPY a a\nRUN true\n",
                unique("w")
            ),
        ),
        ("a", "a"),
    ]);
    let mut request = context.request();
    request.commit_time = Some("2026-01-01T00:00:00Z".parse().unwrap());
    solve(request.clone(), &Discard).await.unwrap();
    request.commit_time = Some("2026-02-02T00:00:00Z".parse().unwrap());
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    let cached = events.ended(VertexState::Cached);
    for step in ["WORKDIR", "COPY", "RUN"] {
        assert!(
            cached.iter().any(|name| name.contains(step)),
            "{step} ran again: {cached:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn dockerignore_has_dockers_meaning() {
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN cd /ctx && find . -type f | sort\n";
    let context = Context::new(&[
        ("Dockerfile", dockerfile),
        (".dockerignore", "*\n!keep\n!docs/x/*.md\n"),
        ("keep/a", "1"),
        ("drop", "1"),
        ("docs/x/r.md", "1"),
        ("docs/private/s.md", "1"),
        ("docs/b.txt", "1"),
    ]);
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["./docs/x/r.md", "./keep/a"]);

    // The Dockerfile's own one counts instead.
    context.write(
        "Dockerfile.dockerignore",
        b"docs\nkeep\n.dockerignore\nDockerfile*\n",
    );
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["./drop"]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn thousands_of_patterns_are_understood() {
    // Each comes to the session as a header of its own.
    let mut ignored: String = (0..4_000)
        .map(|number| format!("some/folder/with/a/name/{number}\n"))
        .collect();
    ignored.push_str("caf\u{e9}\n.dockerignore\nDockerfile\n");
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN find /ctx -type f\n";
    let context = Context::new(&[
        ("Dockerfile", dockerfile),
        (".dockerignore", &ignored),
        ("caf\u{e9}", "1"),
        ("some/folder/with/a/name/3999", "1"),
        ("kept", "1"),
    ]);
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["/ctx/kept"]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_session_outlives_the_daemons_health_checks() {
    // Without an answer to them it would end after ten seconds, and COPY would find nobody.
    let dockerfile = "FROM busybox\nRUN sleep 16\nCOPY a /a\nRUN --mount=type=secret,id=late cat /run/secrets/late | wc -c\n";
    let context = Context::new(&[("Dockerfile", dockerfile), ("a", "1")]);
    let request = context.fresh_request().secret("late", "12345");
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    assert_eq!(events.logs(), ["5"]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn links_and_odd_names_arrive_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN cd /ctx && readlink out && readlink in && ls -i a b | awk '{print $1}' | uniq | wc -l && cat caf* && stat -c '%a %Y' a run\n";
    let context = Context::new(&[("deploy/Dockerfile", dockerfile), ("a", "1"), ("run", "2")]);
    let at = |name: &str| context.path().join(name);
    std::os::unix::fs::symlink("/etc/hostname", at("out")).unwrap();
    std::os::unix::fs::symlink("a", at("in")).unwrap();
    std::fs::hard_link(at("a"), at("b")).unwrap();
    std::fs::write(
        context.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")),
        "latin\n",
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(at("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut request = context.fresh_request();
    request.dockerfile = DockerfileSource::Path("deploy/Dockerfile".into());
    request.commit_time = Some("2026-01-02T03:04:05Z".parse().unwrap());
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    assert_eq!(
        events.logs(),
        [
            "/etc/hostname",
            "a",
            "1",
            "latin",
            // The times of the contents "1" and "2".
            "644 1174383390",
            "755 1014630508"
        ]
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_inline_dockerfile_leaves_the_context_alone() {
    let context = Context::new(&[("Dockerfile", "FROM nothing-of-this-name"), ("a", "1")]);
    let dockerfile = "FROM busybox\nARG WHO\nCOPY a Dockerfile /\nRUN cat /a; echo $WHO\n";
    let request = context
        .fresh_request()
        .dockerfile(DockerfileSource::Inline(dockerfile.into()))
        .build_arg("WHO", "me");
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    assert_eq!(events.logs(), ["1me"]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, registry-auth"]
async fn credentials_come_from_the_provider_and_a_wrong_one_is_renewed_once() {
    let context = Context::new(&[("Dockerfile", SCRATCH), ("a", "1")]);
    let mut request = context.request();
    request.image = format!("{}/{}:1", env("REGISTRY_AUTH"), unique("bk"))
        .parse()
        .unwrap();
    let builder = Builder::new(
        common::address(),
        BuilderOptions::default().backoff(Backoff::default().attempts(1)),
    );

    let failure = builder.build(request.clone(), &Discard).await.unwrap_err();
    assert_eq!(
        failure.diagnosis().class,
        RetryClass::NeedsCredential,
        "{failure}"
    );

    let login = |password: &str| {
        Login::new(
            env("REGISTRY_AUTH"),
            env("REGISTRY_AUTH_USERNAME"),
            password,
        )
    };
    let wrong = login("wrong-password");
    request.credentials = wrong.clone();
    let events = Recorder::default();
    let failure = builder.build(request.clone(), &events).await.unwrap_err();
    assert_eq!(failure.diagnosis().title, "Build failed: Unauthorized");
    assert_eq!(wrong.refusals(), 1);
    events.assert_warned(&["once more"]);

    request.credentials = login(&env("REGISTRY_AUTH_PASSWORD"));
    builder.build(request, &Discard).await.unwrap();
}

#[tokio::test]
#[ignore = "needs testbed: buildkit"]
async fn tokens_are_fetched_here_and_the_password_stays_here() {
    use pipeops_testkit::registry::{Registry, RegistryOptions, User};
    let options = RegistryOptions::default().token_auth(Duration::from_secs(60));
    let registry = Registry::start(options.user(User::new("ci", "right-password")))
        .await
        .unwrap();
    let context = Context::new(&[("Dockerfile", SCRATCH), ("a", &unique("a"))]);
    let image = format!("{}/team/app:1", registry.host()).parse().unwrap();
    let mut request = BuildRequest::new(context.path(), image);
    let login = Login::new(registry.host(), "ci", "right-password");
    request.credentials = login.clone();
    let solved = solve(request, &Discard).await.unwrap();
    login.assert_asked_only_for("team/app");
    assert_eq!(
        registry
            .manifest("team/app", "1")
            .map(|manifest| manifest.digest),
        solved.digest
    );
    // The daemon itself begins with GET; a POST is this side's.
    let methods: Vec<String> = registry
        .requests()
        .into_iter()
        .filter(|seen| seen.operation == "token")
        .map(|seen| seen.method)
        .collect();
    assert!(
        !methods.is_empty() && methods.iter().all(|method| method == "POST"),
        "{methods:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, gitea"]
async fn a_forges_token_server_is_understood() {
    let host = env("GITEA_URL")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let username = env("GITEA_USERNAME");
    let repository = format!("{username}/{}", unique("bk"));
    let context = Context::new(&[("Dockerfile", SCRATCH), ("a", &unique("a"))]);
    let mut request = BuildRequest::new(
        context.path(),
        format!("{host}/{repository}:1").parse().unwrap(),
    );
    let login = Login::new(host, username, env("GITEA_PASSWORD"));
    request.credentials = login.clone();
    solve(request, &Discard).await.unwrap();
    login.assert_asked_only_for(&repository);
}
