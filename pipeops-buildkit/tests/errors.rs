//! Failures made at real daemons: what one sees, and whether it is tried again. `cargo testbed up buildkit registry` starts
//! what is needed. Where the daemon itself must fail, the test starts one of its own: as root, with `unshare`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use pipeops_buildkit::{Address, Cause, Client, ConnectOptions, Error, Solve, Solved};
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{Diagnose, RetryClass};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;

mod common;
use common::{Context, env, solve, unique};

/// A daemon of its own, in its own namespaces: killing it leaves neither processes nor mounts behind.
struct Daemon {
    process: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// `disk` is the size of its disk.
    async fn start(disk: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(at("root")).unwrap();
        let config = format!(
            "root = \"{}\"\n[grpc]\naddress = [\"unix://{}\"]\n[worker.oci]\nenabled = true\n[worker.containerd]\nenabled = false\n[cdi]\ndisabled = true\n[registry.\"docker.io\"]\nmirrors = [\"{registry}\"]\n[registry.\"{registry}\"]\nhttp = true\n",
            at("root"),
            at("sock"),
            registry = env("REGISTRY"),
        );
        std::fs::write(at("config"), config).unwrap();
        let program = Path::new(&env("BUILDCTL")).with_file_name("buildkitd");
        let script = format!(
            "mount -t tmpfs -o size={disk} none {} && exec {} --config {}",
            at("root"),
            program.display(),
            at("config")
        );
        let process = Command::new("unshare")
            .args([
                "--fork",
                "--kill-child",
                "--pid",
                "--mount",
                "--mount-proc",
                "sh",
                "-c",
                &script,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { process, folder };
        for _ in 0..300 {
            if daemon.try_connect().await.is_ok() {
                return daemon;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the daemon did not start");
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("sock")
    }

    async fn try_connect(&self) -> Result<Client, Error> {
        let client =
            Client::connect(&Address::Unix(self.socket()), ConnectOptions::default()).await?;
        client.info().await.map(|_| client)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn build(
    client: &Client,
    context: &Context,
    events: &dyn pipeops_core::EventSink,
) -> Result<Solved, Error> {
    client
        .solve(
            Solve::new(context.fresh_request()).timeout(Duration::from_secs(120)),
            events,
        )
        .await
}

/// An event sink that tells once when a step has printed `holding`.
fn on_holding() -> (impl Fn(EventKind) + Send + Sync, oneshot::Receiver<()>) {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let sink = move |event: EventKind| {
        if matches!(event, EventKind::Log { line, .. } if line == "holding") {
            tell.lock().unwrap().take().map(|tell| tell.send(()));
        }
    };
    (sink, told)
}

const HOLD: &str = "FROM busybox\nRUN echo holding; sleep 600\n";

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn carets_point_at_the_word_that_is_wrong() {
    let image = format!("{}/not/{}:1", env("REGISTRY"), unique("there"));
    let base = format!("FROM busybox AS x\nFROM {image}\nRUN true\n");
    for (dockerfile, word) in [
        (base.as_str(), image.as_str()),
        (
            "FROM busybox\nCOPY Dockerfile src/app.jsn /x/\n",
            "src/app.jsn",
        ),
        ("FROM busybox\nRUNN make\n", "RUNN"),
        (
            "FROM busybox\nRUN --mount=type=secret,id=npm-token,required true\n",
            "npm-token",
        ),
        (
            "FROM busybox\nCOPY --from=127.0.0.1:1/x:1 /a /b\n",
            "127.0.0.1:1",
        ),
    ] {
        let context = Context::new(&[("Dockerfile", dockerfile)]);
        let error = solve(context.fresh_request(), &Discard).await.unwrap_err();
        let failure = error.build_failure().unwrap();
        let source = failure
            .source
            .as_ref()
            .unwrap_or_else(|| panic!("{failure:?}"));
        let shown = source.to_string();
        let carets = shown
            .lines()
            .find(|line| line.ends_with('^'))
            .unwrap_or_else(|| panic!("{failure:?}"));
        let above = shown
            .lines()
            .take_while(|line| !line.ends_with('^'))
            .last()
            .unwrap();
        let column = carets.find('^').unwrap();
        assert_eq!(&above[column..][..carets.len() - column], word, "{shown}");
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_full_disk_is_named_whoever_meets_it() {
    let daemon = Daemon::start("24m").await;
    let client = daemon.try_connect().await.unwrap();
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=40\n",
    )]);
    context.write("blob", &vec![7; 40 << 20]);
    for dockerfile in [
        "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=40\n",
        "FROM scratch\nCOPY blob /\n",
    ] {
        context.write("Dockerfile", dockerfile.as_bytes());
        let error = build(&client, &context, &Discard).await.unwrap_err();
        let failure = error.build_failure().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(failure.cause, Cause::DiskFull, "{failure:?}");
        assert_eq!(error.diagnosis().class, RetryClass::Permanent);
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_daemon_that_is_killed_in_the_middle_is_lost() {
    let mut daemon = Daemon::start("256m").await;
    let client = daemon.try_connect().await.unwrap();
    let context = Context::new(&[("Dockerfile", HOLD)]);
    let (sink, holding) = on_holding();
    let kill = async {
        holding.await.unwrap();
        daemon.process.kill().unwrap();
    };
    let (result, ()) = tokio::join!(build(&client, &context, &sink), kill);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DaemonLost { .. }), "{error:?}");
    assert_eq!(error.diagnosis().class, RetryClass::Transient);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_connection_that_is_cut_is_a_lost_daemon() {
    let Address::Unix(socket) = common::address() else {
        panic!("the testbed's daemon listens on a socket");
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::parse(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (sink, holding) = on_holding();
    let wire = async {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = UnixStream::connect(socket).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => panic!("ended"),
            _ = holding => {}
        }
        // Both ends are closed here.
    };
    let context = Context::new(&[("Dockerfile", HOLD)]);
    let run = async {
        let client = Client::connect(&address, ConnectOptions::default())
            .await
            .unwrap();
        build(&client, &context, &sink).await
    };
    let (result, ()) = tokio::join!(run, wire);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DaemonLost { .. }), "{error:?}");
    assert_eq!(error.diagnosis().class, RetryClass::Transient);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_build_that_takes_too_long_is_said_to() {
    let context = Context::new(&[("Dockerfile", HOLD)]);
    let client = common::client().await;
    let solve = Solve::new(context.fresh_request()).timeout(Duration::from_secs(3));
    let error = client.solve(solve, &Discard).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(error.diagnosis().class, RetryClass::Permanent);
}
