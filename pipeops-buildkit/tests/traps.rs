//! Where clients of BuildKit go wrong, each against a real daemon.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{Context, Login, Recorder, client, env, holds, run, solve, unique};
use pipeops_buildkit::{Cause, Output, OutputTarget, Solve};
use pipeops_core::event::Discard;

/// The daemon keeps no socket bit in a mode: with it, the entry would be refused.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_socket_arrives_as_an_empty_file() {
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN stat -c '%A %s' /ctx/run/sock\n";
    let context = Context::new(&[("Dockerfile", dockerfile), ("run/a", "1")]);
    let _socket = std::os::unix::net::UnixListener::bind(context.path().join("run/sock")).unwrap();
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["-rw-r--r-- 0"]);
}

/// macOS puts `com.apple.quarantine` and its like on every download; in a layer they break its unpacking on Linux, and differ
/// between clones.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn extended_attributes_stay_here() {
    use rustix::fs::{XattrFlags, setxattr};
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", &unique("a")),
    ]);
    let path = context.path().join("a");
    for name in ["user.com.apple.quarantine", "user.other"] {
        setxattr(&path, name, b"0081;downloaded", XattrFlags::empty()).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let archive = out.path().join("out.tar");
    let output = Output::tar(OutputTarget::file(&archive));
    let solve = Solve::new(context.request()).without_push().output(output);
    run(solve, &Discard).await.unwrap();
    let archive = std::fs::read(archive).unwrap();
    assert!(holds(&archive, "a-"), "the file is in it");
    assert!(!holds(&archive, "xattr") && !holds(&archive, "downloaded"));
}

/// The daemon would look for the other name, which it never got.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_link_to_a_file_that_is_ignored_is_a_file() {
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN cd /ctx && ls && cat b c && stat -c %h b\n";
    let context = Context::new(&[
        ("Dockerfile", dockerfile),
        (".dockerignore", "a\nDockerfile\n.dockerignore\n"),
        ("a", "shared"),
    ]);
    for name in ["b", "c"] {
        std::fs::hard_link(context.path().join("a"), context.path().join(name)).unwrap();
    }
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    // The two that are sent still share one content.
    assert_eq!(events.logs(), ["b", "c", "sharedshared2"]);
}

/// `COPY current/app` wants what the link leads to, and nothing else.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn only_what_copied_links_lead_to_is_sent() {
    let dockerfile = "FROM busybox\nCOPY current/app /one\nCOPY l*k /two\nRUN cat /one /two\n";
    let context = Context::new(&[
        ("Dockerfile", dockerfile),
        ("releases/7/app", "app\n"),
        ("releases/7/other", "other\n"),
        ("releases/6/app", "old\n"),
        ("unused/a", ""),
        ("unused/b", ""),
    ]);
    for (name, target) in [("current", "releases/7"), ("link", "releases/7/other")] {
        std::os::unix::fs::symlink(target, context.path().join(name)).unwrap();
    }
    let events = Recorder::default();
    let solved = solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["app", "other"]);
    // The Dockerfile, two links, two folders and two files.
    assert_eq!(
        (solved.context.entries, solved.context.files),
        (7, 3),
        "{solved:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cache_mount_is_kept_from_build_to_build() {
    let id = unique("kept");
    for runs in ["1", "2", "3"] {
        // Another command each time: without cache (`no_cache`) the mount would be empty, too.
        let mark = unique("run");
        let dockerfile = format!(
            "FROM busybox\nRUN --mount=type=cache,id={id},target=/c echo {mark} >> /c/runs; wc -l < /c/runs\n"
        );
        let context = Context::new(&[("Dockerfile", &dockerfile)]);
        let events = Recorder::default();
        solve(context.request(), &events).await.unwrap();
        assert_eq!(events.logs(), [runs]);
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, registry-auth"]
async fn a_private_base_image_is_pulled_with_the_providers_credential() {
    let mark = unique("private");
    let base = format!("{}/{mark}:1", env("REGISTRY_AUTH"));
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY mark /\n"),
        ("mark", &mark),
    ]);
    let mut request = context.request();
    request.image = base.parse().unwrap();
    let login = Login::new(
        env("REGISTRY_AUTH"),
        env("REGISTRY_AUTH_USERNAME"),
        env("REGISTRY_AUTH_PASSWORD"),
    );
    request.credentials = login.clone();
    solve(request, &Discard).await.unwrap();

    let dockerfile =
        format!("FROM {base} AS base\nFROM busybox\nCOPY --from=base /mark /\nRUN cat /mark\n");
    let context = Context::new(&[("Dockerfile", &dockerfile)]);
    let error = solve(context.fresh_request(), &Discard).await.unwrap_err();
    let cause = &error.build_failure().unwrap().cause;
    assert!(
        matches!(cause, Cause::Unauthorized { host: Some(host) } if *host == env("REGISTRY_AUTH")),
        "{error:?}"
    );
    let mut request = context.fresh_request();
    request.credentials = login;
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    assert_eq!(events.logs(), [mark]);
}

/// More than the 4 MiB that gRPC clients take by default: the frontend's answer about a Dockerfile with many warnings.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_answer_of_many_megabytes_is_taken() {
    // Few long lines: the frontend's time grows with the square of their number.
    let name = "A_NAME_THAT_IS_NEVER_DECLARED".repeat(200);
    let mut dockerfile = "FROM busybox\n".to_owned();
    for number in 0..250 {
        dockerfile.push_str(&format!("ENV V{number}=${name}{number}\n"));
    }
    let context = Context::new(&[("Dockerfile", &dockerfile)]);
    let solve = Solve::new(context.request())
        .without_push()
        .timeout(Duration::from_secs(600));
    let lint = client().await.lint(solve).await.unwrap();
    let size: usize = lint
        .warnings
        .iter()
        .map(|warning| warning.detail.len())
        .sum();
    println!("{} warnings, {size} bytes of details", lint.warnings.len());
    assert_eq!(lint.warnings.len(), 250);
}
