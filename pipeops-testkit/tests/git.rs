//! The git server stand-in, seen by gix and by git itself.
#![cfg(feature = "git")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use gix::remote::fetch::{Shallow, Tags};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::git::{GitOptions, GitServer, Repo};

async fn start() -> GitServer {
    GitServer::start(GitOptions::default()).await.unwrap()
}

fn sample(server: &GitServer) -> (Repo, String, String) {
    let repo = server.create("team/app");
    let change = repo
        .change()
        .file("README.md", "one\n")
        .executable("bin/run", "#!/bin/sh\n");
    let first = change.symlink("latest", "bin/run").commit("First").unwrap();
    let second = repo
        .commit(&[("README.md", "two\n"), ("src/a/b.txt", "deep")], "Second")
        .unwrap();
    (repo, first, second)
}

/// Exactly one commit, by its SHA, with depth 1, checked out: what a deployment does.
fn gix_clone(
    url: &str,
    sha: &str,
    to: &Path,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = AtomicBool::new(false);
    let mut fetch = gix::clone::PrepareFetch::new(
        url,
        to,
        gix::create::Kind::WithWorktree,
        gix::create::Options::default(),
        gix::open::Options::isolated(),
    )?
    .with_shallow(Shallow::DepthAtRemote(NonZeroU32::MIN))
    .with_revision(Some(sha))?
    .configure_remote(|remote| Ok(remote.with_fetch_tags(Tags::None)));
    let (mut checkout, _) = fetch.fetch_then_checkout(gix::progress::Discard, &stop)?;
    checkout.main_worktree(gix::progress::Discard, &stop)?;
    Ok(())
}

async fn clone(url: &str, sha: &str, to: &Path) -> Result<(), String> {
    let (url, sha, to) = (url.to_owned(), sha.to_owned(), to.to_owned());
    let done = tokio::task::spawn_blocking(move || {
        gix_clone(&url, &sha, &to).map_err(|error| {
            let chain =
                std::iter::successors(Some(&*error as &dyn std::error::Error), |e| e.source());
            chain
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": ")
        })
    });
    done.await.unwrap()
}

#[tokio::test]
async fn gix_fetches_one_commit_by_its_sha() {
    let server = start().await;
    let (repo, first, second) = sample(&server);
    for (sha, text) in [(&first, "one\n"), (&second, "two\n")] {
        let dir = tempfile::tempdir().unwrap();
        clone(repo.url(), sha, dir.path()).await.unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("README.md")).unwrap(),
            text
        );
        assert_eq!(dir.path().join("src/a/b.txt").exists(), *sha == second);
        let link = fs::read_link(dir.path().join("latest")).unwrap();
        assert_eq!(link, Path::new("bin/run"));
        let shallow = fs::read_to_string(dir.path().join(".git/shallow")).unwrap();
        assert_eq!(shallow.trim(), sha);
    }
    let operations: Vec<_> = server
        .requests()
        .iter()
        .map(|seen| seen.operation.clone())
        .collect();
    assert!(
        ["refs", "fetch"].map(|word| operations.iter().any(|seen| *seen == word)) == [true; 2],
        "{operations:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn executables_arrive_executable() {
    use std::os::unix::fs::PermissionsExt;
    let server = start().await;
    let (repo, first, _) = sample(&server);
    let dir = tempfile::tempdir().unwrap();
    clone(repo.url(), &first, dir.path()).await.unwrap();
    let mode = |path: &str| {
        fs::metadata(dir.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o111
    };
    assert_ne!(mode("bin/run"), 0);
    assert_eq!(mode("README.md"), 0);
}

#[tokio::test]
async fn a_missing_commit_is_not_our_ref() {
    let server = start().await;
    let (repo, ..) = sample(&server);
    let dir = tempfile::tempdir().unwrap();
    let missing = "1234567890123456789012345678901234567890";
    let error = clone(repo.url(), missing, dir.path()).await.unwrap_err();
    assert!(
        error.contains(&format!("upload-pack: not our ref {missing}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_repository_and_a_cut_pack_are_errors() {
    let server = start().await;
    let (repo, first, _) = sample(&server);
    let dir = tempfile::tempdir().unwrap();
    let error = clone(&server.url("no/such"), &first, dir.path())
        .await
        .unwrap_err();
    assert!(error.contains("404"), "{error}");
    let cut = Fault::Cut { after_bytes: 60 }.on(Matcher::operation("fetch"));
    let cut = server.faults().add(cut);
    let dir = tempfile::tempdir().unwrap();
    clone(repo.url(), &first, dir.path()).await.unwrap_err();
    assert_eq!(cut.fired(), 1);
    let dir = tempfile::tempdir().unwrap();
    clone(repo.url(), &first, dir.path())
        .await
        .expect("the fault has passed");
}

#[tokio::test]
async fn logins_are_asked_for() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = GitOptions::default().user("bob", "pw").token("t0ken");
    let server = GitServer::start(options).await.unwrap();
    server.create("a");
    let status = async |login: Option<(&str, &str)>| {
        let url = format!("{}/info/refs?service=git-upload-pack", server.url("a"));
        let request = reqwest::Client::new().get(url);
        let request = match login {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None).await, 401);
    assert_eq!(status(Some(("bob", "wrong"))).await, 401);
    assert_eq!(status(Some(("bob", "pw"))).await, 200);
    assert_eq!(status(Some(("x-access-token", "t0ken"))).await, 200);
    server.set_logins(GitOptions::default().token("new"));
    assert_eq!(status(Some(("x-access-token", "t0ken"))).await, 401);
}

/// Runs git without the configuration of this machine; `None` where there is no git.
fn git(dir: &Path, arguments: &[&str]) -> Option<Output> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output();
    output.ok()
}

async fn git_ok(dir: &Path, arguments: &[&str]) -> Option<String> {
    let (dir, owned) = (
        dir.to_owned(),
        arguments
            .iter()
            .map(|a| (*a).to_owned())
            .collect::<Vec<_>>(),
    );
    let output = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = owned.iter().map(String::as_str).collect();
        git(&dir, &arguments)
    });
    let output = output.await.unwrap()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Each protocol version that git speaks and this server serves.
const VERSIONS: [&str; 2] = ["protocol.version=0", "protocol.version=2"];

#[tokio::test]
async fn git_clones_fetches_more_and_finds_the_objects_sound() {
    for version in VERSIONS {
        let server = start().await;
        let (repo, first, second) = sample(&server);
        repo.tag("v1", &first).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("clone");
        let clone = ["-c", version, "clone", "--quiet", repo.url(), "clone"];
        if git_ok(dir.path(), &clone).await.is_none() {
            eprintln!("no git binary here: nothing to compare with");
            return;
        }
        assert_eq!(git_ok(&at, &["rev-parse", "HEAD"]).await, Some(second));
        assert_eq!(git_ok(&at, &["rev-parse", "v1"]).await, Some(first));
        git_ok(&at, &["fsck", "--strict"]).await;
        let third = repo.commit(&[("new", "file")], "Third").unwrap();
        git_ok(&at, &["-c", version, "fetch", "--quiet", "origin"]).await;
        assert_eq!(
            git_ok(&at, &["rev-parse", "origin/main"]).await,
            Some(third)
        );
        assert_eq!(
            git_ok(&at, &["rev-list", "--count", "origin/main"])
                .await
                .as_deref(),
            Some("3")
        );
    }
}

#[tokio::test]
async fn git_clones_shallow_and_deepens() {
    for version in VERSIONS {
        let server = start().await;
        let (repo, ..) = sample(&server);
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("clone");
        let clone = [
            "-c",
            version,
            "clone",
            "--quiet",
            "--depth",
            "1",
            repo.url(),
            "clone",
        ];
        if git_ok(dir.path(), &clone).await.is_none() {
            eprintln!("no git binary here: nothing to compare with");
            return;
        }
        let count = ["rev-list", "--count", "HEAD"];
        assert_eq!(git_ok(&at, &count).await.as_deref(), Some("1"));
        git_ok(&at, &["-c", version, "fetch", "--quiet", "--unshallow"]).await;
        assert_eq!(git_ok(&at, &count).await.as_deref(), Some("2"));
        git_ok(&at, &["fsck", "--strict"]).await;
    }
}
