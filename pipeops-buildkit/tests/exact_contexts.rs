//! Exact contexts against a real daemon: what changed is always seen, what did not change is never sent again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Context, Recorder, solve, unique};
use pipeops_core::BuildRequest;
use pipeops_core::event::Discard;

/// A clone of one commit: its files, all written now.
fn clone(files: &[(String, String)], dockerfile: &str) -> Context {
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    for (path, text) in files {
        context.write(path, text.as_bytes());
    }
    context
}

fn commit(first: &BuildRequest, context: &Context, time: &str) -> BuildRequest {
    let mut request = first.clone();
    request.context = context.path().to_owned();
    request.commit_time = Some(time.parse().unwrap());
    request
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn the_next_commit_sends_what_it_changed_and_nothing_else() {
    let mark = unique("x");
    let mut files: Vec<(String, String)> = (0..100)
        .map(|n| (format!("d{}/f{n}", n % 7), format!("{mark} {n}")))
        .collect();
    let dockerfile = "FROM scratch\nCOPY . /\n";
    let one = clone(&files, dockerfile);
    let request = commit(&one.request(), &one, "2026-01-02T03:04:05Z");
    let first = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!(first.context.files, 102, "{first:?}");

    // Another clone of another commit that changed one file, but neither its size nor, as far as anyone asks, its time.
    files[42].1 = format!("{mark} AB");
    let other = clone(&files, dockerfile);
    let second = solve(commit(&request, &other, "2026-05-06T07:08:09Z"), &Discard)
        .await
        .unwrap();
    // The frontend fetches the Dockerfile without comparing.
    assert_eq!((second.context.files, second.cached), (2, 0), "{second:?}");
    assert_eq!(second.context.entries, first.context.entries);

    let third = clone(&files, dockerfile);
    let same = solve(commit(&request, &third, "2026-05-07T00:00:00Z"), &Discard)
        .await
        .unwrap();
    assert_eq!((same.context.files, same.cached), (1, 1), "{same:?}");
}

/// A tool that builds `a` into its state only when `a` is newer, as make does.
const MAKE: &str = "#!/bin/sh\nif [ ! -e /state/out ] || [ /src/a -nt /state/out ]; then cp /src/a /state/out; fi\ncat /state/out\n";

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_tool_that_builds_what_is_newer_than_its_state_sees_the_change() {
    let dockerfile = format!(
        "FROM busybox\nCOPY make /bin/make\nRUN chmod 755 /bin/make\nCOPY a /src/a\nRUN --mount=type=cache,id={},target=/state RUN_OF={} make\n",
        unique("state"),
        unique("run")
    );
    let files = |a: &str| {
        vec![
            ("a".to_owned(), a.to_owned()),
            ("make".to_owned(), MAKE.to_owned()),
        ]
    };
    // Contents that no daemon has seen: what is in its layer cache keeps the time of when it was made.
    let (first, other_text) = (unique("first") + "\n", unique("other") + "\n");
    let one = clone(&files(&first), &dockerfile);
    let request = commit(&one.request(), &one, "2026-01-02T03:04:05Z");
    let events = Recorder::default();
    solve(request.clone(), &events).await.unwrap();
    assert_eq!(events.logs(), [first.trim()]);
    let warnings = events.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("line 5") && warnings[0].contains("make rebuilds only"),
        "{warnings:?}"
    );

    // Its state is newer than every commit: only the times of the clone show that something changed.
    let other = clone(&files(&other_text), &dockerfile);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    std::fs::File::options()
        .write(true)
        .open(other.path().join("a"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    let events = Recorder::default();
    solve(commit(&request, &other, "2026-01-03T00:00:00Z"), &events)
        .await
        .unwrap();
    assert_eq!(events.logs(), [other_text.trim()]);
}
