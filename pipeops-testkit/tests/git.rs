//! git clones from the stand-in. The tests of `pipeops-runner` do the same with gix.
#![cfg(feature = "git")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pipeops_testkit::git::{GitOptions, GitServer};

/// Runs git without the configuration of this machine; `None` where there is no git.
async fn git(dir: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().ok()
}

async fn git_ok(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = git(dir, arguments).await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[tokio::test]
async fn git_clones_fetches_more_and_finds_the_objects_sound() {
    let server = GitServer::start(GitOptions::default()).await.unwrap();
    let repo = server.create("team/app");
    let change = repo.change().file("README.md", "one\n");
    let change = change.symlink("latest", "bin/run");
    let first = change.executable("bin/run", "#!/bin/sh\n").commit("First");
    let files = [("README.md", "two\n"), ("src/a/b.txt", "deep")];
    let second = repo.commit(&files, "Second").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = repo.url();
    if git_ok(dir.path(), &["clone", "--quiet", url, "all"])
        .await
        .is_none()
    {
        eprintln!("no git binary here: nothing to compare with");
        return;
    }
    let all = dir.path().join("all");
    let head = git_ok(&all, &["rev-parse", "HEAD", "HEAD~"]).await.unwrap();
    assert_eq!(head, format!("{second}\n{}", first.unwrap()));
    assert_eq!(
        fs::read_link(all.join("latest")).unwrap(),
        Path::new("bin/run")
    );
    git_ok(&all, &["fsck", "--strict"]).await;
    repo.annotated_tag("v2", &second, "The second").unwrap();
    git_ok(&all, &["fetch", "--quiet", "--tags", "origin"]).await;
    let tag = git_ok(&all, &["cat-file", "-t", "v2"]).await;
    assert_eq!(tag.as_deref(), Some("tag"));
    let tagged = git_ok(&all, &["rev-parse", "v2^{commit}"]).await;
    assert_eq!(tagged, Some(second));
    git_ok(&all, &["fsck", "--strict"]).await;
    let third = repo.commit(&[("new", "file")], "Third").unwrap();
    git_ok(&all, &["fetch", "--quiet", "origin"]).await;
    let fetched = git_ok(&all, &["rev-parse", "origin/main"]).await;
    assert_eq!(fetched, Some(third));

    git_ok(
        dir.path(),
        &["clone", "--quiet", "--depth", "1", url, "shallow"],
    )
    .await;
    let shallow = dir.path().join("shallow");
    let count = git_ok(&shallow, &["rev-list", "--count", "HEAD"]).await;
    assert_eq!(count.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_it_does_not_know_is_an_error_that_names_it() {
    let server = GitServer::start(GitOptions::default()).await.unwrap();
    let repo = server.create("team/app");
    repo.commit(&[("a", "1")], "First").unwrap();
    repo.commit(&[("a", "2")], "Second").unwrap();
    let (dir, url) = (tempfile::tempdir().unwrap(), repo.url());
    let shallow = ["clone", "--quiet", "--depth", "1", url, "shallow"];
    if git_ok(dir.path(), &shallow).await.is_none() {
        eprintln!("no git binary here: nothing to compare with");
        return;
    }
    let deepened = git(&dir.path().join("shallow"), &["fetch", "--unshallow"]).await;
    let deepened = deepened.unwrap();
    let stderr = String::from_utf8_lossy(&deepened.stderr);
    assert!(
        stderr.contains("stand-in: a fetch into a shallow clone"),
        "{stderr}"
    );
}
