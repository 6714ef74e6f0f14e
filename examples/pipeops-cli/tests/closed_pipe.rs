//! Commands whose reader is gone, as after `pipeops detect | head -1`: no panic, and the same exit code.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::fs;
use std::io::{Read, pipe};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeops::testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops::testkit::git::{GitOptions, GitServer};
use pipeops::testkit::kubernetes::{Cluster, ClusterOptions};
use pipeops::testkit::registry::{Registry, RegistryOptions};
use tempfile::TempDir;

/// Command lines without quotes, with the exit code that each has with an open pipe, too. They need no server.
#[rustfmt::skip]
const COMMANDS: &[(&str, i32)] = &[
    ("--help", 0),
    ("--version", 0),
    ("detect --help", 0),
    ("no-such-command", 2),
    ("detect .", 0),
    ("detect empty", 3),
    ("detect missing", 2),
    ("dockerfile args Dockerfile", 0),
    ("dockerfile args app.py", 2),
    ("dockerfile filter Dockerfile --build-arg A=1 --build-arg B=2", 0),
    ("dockerfile generate .", 0),
    ("dockerfile generate . --explain", 0),
    ("dockerfile generate . --write", 0),
    ("dockerfile images", 0),
    ("manifests --name shop --image registry.example.com/shop:1 --allow-tag --env DSN=postgres://a:b@c/d", 0),
    ("manifests --name Shop --image registry.example.com/shop:1", 2),
    ("project list", 0),
    ("project create shop --repository https://git.example.com/a/shop.git --image registry.example.com/a/shop", 0),
    ("project show shop", 0),
    ("project list", 0),
    ("project show other", 3),
    ("explain", 0),
    ("explain image-pull/auth", 0),
    ("explain no-such-code", 3),
    ("cache list", 2),
    ("doctor", 0),
    ("demo", 0),
];

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(
        dir.path().join("app.py"),
        "from flask import Flask\napp = Flask(__name__)\n",
    )
    .unwrap();
    fs::write(dir.path().join("requirements.txt"), "flask\n").unwrap();
    fs::write(dir.path().join("Dockerfile"), "FROM alpine\nARG A\n").unwrap();
    dir
}

/// Where the reader of a stream is.
#[derive(Clone, Copy, PartialEq)]
enum Reader {
    Gone,
    There,
}

fn stream(reader: Reader) -> Stdio {
    match reader {
        Reader::There => Stdio::piped(),
        Reader::Gone => {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            writer.into()
        }
    }
}

fn command(arguments: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeops"));
    command
        .args(arguments.split_whitespace())
        .current_dir(dir)
        // Servers of this machine are for other tests.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("PIPEOPS_DATA", dir.join("data"));
    command
}

/// Runs a command with a closed standard output, then with a closed standard error too.
fn check(mut run: impl FnMut() -> Command, code: i32) {
    for error in [Reader::There, Reader::Gone] {
        let mut command = run();
        let mut child = command
            .stdout(stream(Reader::Gone))
            .stderr(stream(error))
            .spawn()
            .unwrap();
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        let status = child.wait().unwrap();
        assert!(!said.contains("panicked"), "{command:?}: {said}");
        assert_eq!(status.code(), Some(code), "{command:?}: {status}: {said}");
    }
}

#[test]
fn no_command_panics_when_its_reader_is_gone() {
    for format in ["text", "json"] {
        let dir = folder();
        for (arguments, code) in COMMANDS {
            let again = arguments.starts_with("project create");
            if again {
                // A second one of the same name is refused.
                let first = command(arguments, dir.path())
                    .stdout(stream(Reader::Gone))
                    .status();
                assert_eq!(first.unwrap().code(), Some(*code));
                continue;
            }
            let arguments = format!("--output {format} {arguments}");
            check(|| command(&arguments, dir.path()), *code);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_and_deployments_end_as_with_a_reader() {
    let git = GitServer::start(GitOptions::default()).await.unwrap();
    let repository = git.create("team/shop");
    repository
        .commit(
            &[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")],
            "First",
        )
        .unwrap();
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let buildkit = BuildkitDaemon::start(BuildkitOptions::default())
        .await
        .unwrap();
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
    fs::write(
        dir.path().join("Dockerfile"),
        "FROM scratch\nCOPY Dockerfile /\n",
    )
    .unwrap();
    let with_servers = |arguments: &str| {
        let mut command = command(arguments, dir.path());
        command
            .env("BUILDKIT_HOST", buildkit.address())
            .env("KUBECONFIG", dir.path().join("kubeconfig"));
        command
    };
    let image = format!("{}/team/shop", registry.host());
    let created = format!(
        "project create shop --image {image} --repository {}",
        repository.url()
    );
    assert!(with_servers(&created).status().unwrap().success());
    for arguments in [
        format!("build . --tag {image}:1"),
        "deploy shop".to_owned(),
        "rollout status shop --namespace shop".to_owned(),
    ] {
        for format in ["text", "json"] {
            check(
                || with_servers(&format!("--output {format} {arguments}")),
                0,
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_serves_also_when_nobody_reads_where_it_listens() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut serve = command(&format!("serve --listen {address}"), dir.path());
    let child = serve
        .env("KUBECONFIG", dir.path().join("kubeconfig"))
        .stdout(stream(Reader::Gone))
        .stderr(stream(Reader::Gone))
        .spawn();
    let mut server = Ended(child.unwrap());
    for _ in 0..300 {
        if TcpStream::connect(address).is_ok() {
            // It has printed the address by now.
            std::thread::sleep(Duration::from_millis(200));
            assert!(server.0.try_wait().unwrap().is_none());
            return;
        }
        if let Some(status) = server.0.try_wait().unwrap() {
            panic!("{status}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{address} doesn't answer");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let dir = folder();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command("detect .", dir.path())
        .stdout(full)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
}

/// Ends the process with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
