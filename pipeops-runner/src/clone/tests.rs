//! Clones from the stand-in git server.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use pipeops_core::{Diagnose, RetryClass};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::git::{GitOptions, GitServer, Repo};

use super::fetcher::ask_server;
use super::*;
use crate::project::Project;
use crate::workspace::Workspaces;

struct Setup {
    server: GitServer,
    repo: Repo,
    workspace: Arc<Workspace>,
    _folder: tempfile::TempDir,
}

async fn setup(options: GitOptions) -> Setup {
    let server = GitServer::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::open(folder.path()).unwrap();
    Setup {
        repo: server.create("team/shop"),
        server,
        workspace: Arc::new(workspaces.create().unwrap()),
        _folder: folder,
    }
}

impl Setup {
    fn request(&self, sha: &str) -> CloneRequest {
        CloneRequest::new(self.repo.url().parse().unwrap(), sha.parse().unwrap())
    }

    async fn clone(&self, request: &CloneRequest) -> Result<Cloned, CloneError> {
        clone(&self.workspace, request).await
    }

    fn file(&self, path: &str) -> String {
        fs::read_to_string(source_folder(&self.workspace).join(path)).unwrap()
    }
}

/// Asserts that an error is of this variant, and shows it otherwise.
macro_rules! assert_is {
    ($error:expr, $variant:ident) => {
        assert!(
            matches!($error, CloneError::$variant { .. }),
            "{:?}",
            $error
        )
    };
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn exactly_the_commit_is_fetched_with_gits_modes_and_without_history() {
    let setup = setup(GitOptions::default()).await;
    let time: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
    let change = setup.repo.change().file("app.py", "first\n");
    let first = change
        .executable("bin/run", "#!/bin/sh\n")
        .time(time)
        .commit("First")
        .unwrap();
    setup
        .repo
        .commit(&[("app.py", "second\n")], "Second")
        .unwrap();

    let cloned = setup.clone(&setup.request(&first)).await.unwrap();
    assert_eq!(cloned.commit_time, time);
    assert_eq!((cloned.files, cloned.bytes), (2, 16));
    assert_eq!(setup.file("app.py"), "first\n");
    let folder = source_folder(&setup.workspace);
    assert_eq!(mode(&folder.join("bin/run")), 0o755);
    assert_eq!(mode(&folder.join("app.py")), 0o644);
    assert!(!folder.join(".git").exists());
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_named() {
    let setup = setup(GitOptions::default()).await;
    setup.repo.commit(&[("a", "1")], "First").unwrap();
    let missing = setup.request(&"d".repeat(40));
    let error = setup.clone(&missing).await.unwrap_err();
    assert_is!(error, MissingCommit);
    assert_eq!(error.diagnosis().title, "Deployment failed: CommitNotFound");
}

#[tokio::test]
async fn a_branch_a_tag_and_a_short_sha_resolve_to_their_commit() {
    let setup = setup(GitOptions::default().token("s3cr3t-token")).await;
    let old = setup.repo.commit(&[("a", "1")], "First").unwrap();
    let new = setup.repo.commit(&[("a", "2")], "Second").unwrap();
    setup.repo.tag("v1", &old).unwrap();
    let public = Project::new("shop")
        .unwrap()
        .repository(setup.repo.url().parse().unwrap());
    let project = public.clone().git_login("bob", "s3cr3t-token");
    let resolve = async |name: &str| GitFetcher.resolve(&project, name).await;
    for (name, commit) in [
        ("main", &new),
        ("refs/heads/main", &new),
        ("HEAD", &new),
        ("v1", &old),
        ("refs/tags/v1", &old),
        (&new[..7], &new),
        (&old.to_uppercase()[..7], &old),
        (new.as_str(), &new),
    ] {
        assert_eq!(resolve(name).await.unwrap().as_str(), commit, "{name}");
    }
    for name in ["mai", "main2", "refs/heads/", "a\nb", "", "0000000"] {
        let error = resolve(name).await.unwrap_err();
        assert_is!(error, UnknownRevision);
    }
    assert_eq!(GitFetcher.refs(&project).await.unwrap(), ["main", "v1"]);
    let error = GitFetcher.resolve(&public, "main").await.unwrap_err();
    assert_is!(error, LoginNeeded);
    let empty = Project::new("shop").unwrap();
    let error = GitFetcher.resolve(&empty, "main").await.unwrap_err();
    assert!(error.diagnosis().fixes[0].contains("repository"));
}

#[tokio::test]
async fn tags_and_branches_with_misleading_names_resolve_to_their_commit() {
    let setup = setup(GitOptions::default()).await;
    let old = setup.repo.commit(&[("a", "1")], "First").unwrap();
    let new = setup.repo.commit(&[("a", "2")], "Second").unwrap();
    let on = |branch: &str| {
        let change = setup.repo.change().file("b", branch).branch(branch);
        change.commit("Elsewhere").unwrap()
    };
    // Short SHAs of other commits, and names with hexadecimal digits alone.
    let (as_sha, beef, cafe) = (on(&new[..7]), on("beef"), on("CAFE42"));
    let both = on("both");
    setup.repo.tag("both", &old).unwrap();
    setup.repo.tag("feed", &old).unwrap();
    setup.repo.annotated_tag("v1", &old, "One").unwrap();
    setup.repo.annotated_tag("dead", &new, "Two").unwrap();
    let project = Project::new("shop")
        .unwrap()
        .repository(setup.repo.url().parse().unwrap());
    for (name, commit) in [
        ("v1", &old),
        ("refs/tags/v1", &old),
        ("dead", &new),
        ("both", &both),
        ("refs/heads/both", &both),
        ("refs/tags/both", &old),
        ("feed", &old),
        ("beef", &beef),
        ("CAFE42", &cafe),
        (&new[..7], &as_sha),
        (&new[..8], &new),
        (&old[..9], &old),
    ] {
        let resolved = GitFetcher.resolve(&project, name).await.unwrap();
        assert_eq!(resolved.as_str(), commit, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_keeps_no_thread() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/team/shop", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // An answer before the request is a failure of its own.
        let _ = stream.read(&mut [0; 16 << 10]).unwrap();
        // A line of 64 KiB, of which a byte comes well before the connection counts as idle.
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\nfff0";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            std::thread::sleep(Duration::from_millis(50));
            sent = stream.write_all(b"x");
        }
    });
    let project = Project::new("shop")
        .unwrap()
        .repository(url.parse().unwrap());
    let limits = CloneLimits {
        time: Duration::from_millis(200),
        ..CloneLimits::default()
    };
    let (ended, wait) = tokio::sync::oneshot::channel();
    let asked = ask_server(&project, limits, move |url, login, limits| {
        let result = resolve::names(url, login, limits);
        let _ = ended.send(());
        result
    });
    let error = asked.await.unwrap_err();
    assert_is!(error, Timeout);
    let ended = tokio::time::timeout(Duration::from_secs(60), wait).await;
    ended.expect("the thread still reads").unwrap();
}

#[tokio::test]
async fn a_token_opens_a_private_repository_and_is_in_no_url() {
    let setup = setup(GitOptions::default().token("s3cr3t-token")).await;
    let sha = setup.repo.commit(&[("a", "1")], "First").unwrap();
    let request = setup.request(&sha);

    let error = setup.clone(&request).await.unwrap_err();
    assert_is!(error, LoginNeeded);
    let wrong = request
        .clone()
        .login(Some(Login::new("bob", "wrong-token")));
    let error = setup.clone(&wrong).await.unwrap_err();
    assert_is!(error, LoginRefused);
    assert_eq!(error.diagnosis().class, RetryClass::NeedsCredential);
    assert!(!format!("{error:?} {}", error.diagnosis()).contains("wrong-token"));

    let right = request.login(Some(Login::new("bob", "s3cr3t-token")));
    setup.clone(&right).await.unwrap();
    let seen = format!("{:?}", setup.server.requests());
    assert!(!seen.contains("s3cr3t-token@") && !seen.contains(":s3cr3t-token"));
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_no_login_problem() {
    let setup = setup(GitOptions::default()).await;
    let url = setup.server.url("team/other").parse().unwrap();
    let request = CloneRequest::new(url, "d".repeat(40).parse().unwrap());
    let error = setup.clone(&request).await.unwrap_err();
    assert_is!(error, NoRepository);
}

#[tokio::test]
async fn a_server_that_is_down_or_cuts_the_connection_may_be_back() {
    let setup = setup(GitOptions::default()).await;
    let sha = setup.repo.commit(&[("a", "1")], "First").unwrap();
    setup.server.crash();
    let error = setup.clone(&setup.request(&sha)).await.unwrap_err();
    assert_is!(error, Unreachable);
    assert_eq!(error.diagnosis().class, RetryClass::Transient);

    setup.server.restart().await.unwrap();
    let faults = setup.server.faults();
    faults.add(Fault::status(503).on(Matcher::operation("refs")).times(1));
    let error = setup.clone(&setup.request(&sha)).await.unwrap_err();
    assert_is!(error, Unreachable);

    let cut = Fault::Cut { after_bytes: 40 };
    faults.add(cut.on(Matcher::operation("fetch")).times(1));
    let error = setup.clone(&setup.request(&sha)).await.unwrap_err();
    assert_is!(error, Unreachable);

    setup.clone(&setup.request(&sha)).await.unwrap();
}

#[tokio::test]
async fn sizes_are_counted_before_files_are_written() {
    let setup = setup(GitOptions::default()).await;
    let zeros = "0".repeat(100_000);
    let sha = setup
        .repo
        .commit(&[("a", &zeros), ("b", &zeros)], "Big")
        .unwrap();
    let (mut small, mut few) = (CloneLimits::default(), CloneLimits::default());
    small.bytes = 150_000;
    few.entries = 1;
    for limits in [small, few] {
        let request = setup.request(&sha).limits(limits);
        let error = setup.clone(&request).await.unwrap_err();
        assert_is!(error, TooLarge);
        assert_eq!(error.diagnosis().class, RetryClass::Permanent);
        assert!(!source_folder(&setup.workspace).join("a").exists());
    }
    setup.clone(&setup.request(&sha)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let short = Duration::from_millis(200);
    let error_with = async |limits: CloneLimits| {
        let setup = setup(GitOptions::default()).await;
        let sha = setup.repo.commit(&[("a", "1")], "First").unwrap();
        let hang = Fault::Delay(Duration::from_secs(600));
        setup
            .server
            .faults()
            .add(hang.on(Matcher::operation("refs")).always());
        setup
            .clone(&setup.request(&sha).limits(limits))
            .await
            .unwrap_err()
    };
    let (mut brief, mut impatient) = (CloneLimits::default(), CloneLimits::default());
    brief.time = short;
    impatient.idle = short;
    let error = error_with(brief).await;
    assert_is!(error, Timeout);
    let error = error_with(impatient).await;
    assert_is!(error, Unreachable);
}

#[tokio::test]
async fn links_out_are_written_as_links_and_a_git_folder_in_the_tree_is_refused() {
    let setup = setup(GitOptions::default()).await;
    let change = setup.repo.change().symlink("evil", "/etc/passwd");
    let sha = change.commit("Link").unwrap();
    setup.clone(&setup.request(&sha)).await.unwrap();
    let link = source_folder(&setup.workspace).join("evil");
    assert_eq!(fs::read_link(link).unwrap(), Path::new("/etc/passwd"));

    for path in [".git/hooks/post-checkout", "../outside", "a/../../outside"] {
        let hostile = setup.server.create(&format!("hostile{}", path.len()));
        let sha = hostile.change().file(path, "x").commit("Hostile");
        let Ok(sha) = sha else { continue };
        let request = CloneRequest::new(hostile.url().parse().unwrap(), sha.parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(folder.path()).unwrap();
        let workspace = Arc::new(workspaces.create().unwrap());
        assert!(
            clone(&workspace, &request).await.is_err(),
            "{path} was written"
        );
        assert!(!workspace.path().join("outside").exists());
    }
}
