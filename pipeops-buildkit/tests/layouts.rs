//! Folders of this side that a real daemon reads and writes blob by blob: images in OCI layouts, and build caches.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::daemons::Daemon;
use common::{Context, Recorder, run, solve, unique};
use pipeops_buildkit::{NamedContext, Output, OutputTarget, Solve};
use pipeops_core::build::BuildCache;
use pipeops_core::cache::LocalCache;
use pipeops_core::event::Discard;

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_in_a_folder_is_a_named_context() {
    let (folder, mark) = (tempfile::tempdir().unwrap(), unique("layout"));
    let base = Context::new(&[
        (
            "Dockerfile",
            "FROM scratch\nCOPY mark /\nENV FROM_LAYOUT=yes\n",
        ),
        ("mark", &mark),
    ]);
    let archive = folder.path().join("image.tar");
    let write = Solve::new(base.request())
        .without_push()
        .output(Output::oci(OutputTarget::file(&archive)));
    run(write, &Discard).await.unwrap();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status();
    assert!(unpacked.unwrap().success());

    let dockerfile =
        "FROM vendor/base:1 AS base\nFROM busybox\nCOPY --from=base /mark /\nRUN cat /mark\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let solve = |tag: Option<&str>| {
        let base = NamedContext::OciLayout {
            folder: folder.path().to_owned(),
            tag: tag.map(str::to_owned),
        };
        Solve::new(context.request())
            .without_push()
            .context("vendor/base:1", base)
    };
    let events = Recorder::default();
    run(solve(None), &events).await.unwrap();
    assert_eq!(events.logs(), [mark]);
    let error = run(solve(Some("other")), &Discard).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no image with the tag \"other\""),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_cache_in_a_folder_serves_an_empty_daemon() {
    let (folder, mark) = (tempfile::tempdir().unwrap(), unique("local"));
    let cache = LocalCache::new(folder.path().join("cache"));
    let dockerfile = format!("FROM busybox\nRUN echo {mark} > /a\nRUN cat /a\n");
    let context = Context::new(&[("Dockerfile", &dockerfile)]);
    // The first build finds no folder, and makes it.
    let request = context.request();
    let mut request = request
        .cache_from(BuildCache::Local(cache.clone()))
        .cache_to(BuildCache::Local(cache));
    let events = Recorder::default();
    let first = solve(request.clone(), &events).await.unwrap();
    assert_eq!((first.steps, first.cached), (2, 0));
    assert_eq!(events.warnings(), Vec::<String>::new());

    let empty = Daemon::start("empty").await;
    let events = Recorder::default();
    let again = Solve::new(request.clone()).timeout(Duration::from_secs(120));
    let second = empty.client().await.solve(again, &events).await.unwrap();
    assert_eq!((second.steps, second.cached), (2, 2));
    assert_eq!(events.warnings(), Vec::<String>::new());

    // A folder that cannot be written costs its cache.
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    request.cache_from.clear();
    request.cache_to = vec![BuildCache::Local(LocalCache::new(&file))];
    let events = Recorder::default();
    let third = solve(request, &events).await.unwrap();
    assert_eq!(third.caches.unwritten.len(), 1, "{:?}", third.caches);
    assert_eq!(events.warnings().len(), 1, "{:?}", events.warnings());
}
