//! A real daemon that wants certificates.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::env;
use pipeops_buildkit::{Address, Client, ConnectOptions, Error, Tls};

/// A daemon on TCP with mutual TLS. Ends with the test.
struct Daemon {
    process: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = Command::new("kill")
                .arg(self.process.id().to_string())
                .status();
        }
        let _ = self.process.wait();
    }
}

fn openssl(dir: &Path, args: &str) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(args.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {args}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A CA, a certificate for the daemon (`buildkitd` and 127.0.0.1) and one for a client, as `--tlsdir` wants them.
fn certificates(dir: &Path, who: &str) -> PathBuf {
    let folder = dir.join(who);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("server.ext"),
        "subjectAltName=DNS:buildkitd,IP:127.0.0.1",
    )
    .unwrap();
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        &folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca-{who} -days 2"),
    );
    for (name, cert, private) in [
        ("server", "server.pem", "server.key"),
        ("client", "cert.pem", "key.pem"),
    ] {
        openssl(
            &folder,
            &format!("req {key} -keyout {private} -out {name}.csr -subj /CN={name}"),
        );
        openssl(
            &folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {cert} -days 2 -extfile {name}.ext"
            ),
        );
    }
    folder
}

impl Daemon {
    async fn start() -> Self {
        for _ in 0..5 {
            if let Some(daemon) = Self::try_start().await {
                return daemon;
            }
        }
        panic!("buildkitd exits")
    }

    /// `None` if buildkitd exits: another process may have taken the port before it.
    async fn try_start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let certs = certificates(dir.path(), "ours");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let at = |name: &str| certs.join(name).display().to_string();
        let process = Command::new(Path::new(&env("BUILDCTL")).with_file_name("buildkitd"))
            .args(["--root", &dir.path().join("root").display().to_string()])
            .args(["--addr", &format!("tcp://127.0.0.1:{port}")])
            .args([
                "--tlscacert",
                &at("ca.pem"),
                "--tlscert",
                &at("server.pem"),
                "--tlskey",
                &at("server.key"),
            ])
            .args([
                "--oci-worker=true",
                "--containerd-worker=false",
                "--cdi-disabled=true",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut daemon = Self { process, port, dir };
        // Any other process on this port has other certificates.
        let tls = Tls::from_folder(&certs).unwrap();
        let begin = Instant::now();
        while daemon.info("127.0.0.1", Some(tls.clone())).await.is_err() {
            if daemon.process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(120),
                "buildkitd did not come up"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(daemon)
    }

    async fn info(&self, host: &str, tls: Option<Tls>) -> Result<String, Error> {
        let address = Address::parse(&format!("tcp://{host}:{}", self.port)).unwrap();
        let mut options = ConnectOptions::default();
        if let Some(tls) = tls {
            options = options.tls(tls);
        }
        Ok(Client::connect(&address, options)
            .await?
            .info()
            .await?
            .version)
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit"]
async fn certificates_open_the_door_and_nothing_else_does() {
    let daemon = Daemon::start().await;
    let folder = daemon.dir.path().join("ours");
    let ours = Tls::from_folder(&folder).unwrap();
    assert!(
        daemon
            .info("127.0.0.1", Some(ours.clone()))
            .await
            .unwrap()
            .starts_with('v')
    );
    // By another host than the certificate's, with its name said.
    assert!(daemon.info("localhost", Some(ours.clone())).await.is_err());
    assert!(
        daemon
            .info("localhost", Some(ours.server_name("buildkitd")))
            .await
            .is_ok()
    );

    let theirs = certificates(daemon.dir.path(), "theirs");
    let text = |folder: &Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let stranger = Tls::new(text(&folder, "ca.pem"))
        .identity(text(&theirs, "cert.pem"), text(&theirs, "key.pem"));
    for (what, tls) in [
        ("plain text", None),
        ("no certificate", Some(Tls::new(text(&folder, "ca.pem")))),
        ("a certificate of another CA", Some(stranger)),
        (
            "a daemon of another CA",
            Some(Tls::from_folder(&theirs).unwrap()),
        ),
    ] {
        let error = daemon.info("127.0.0.1", tls).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Connect { .. } | Error::DaemonLost { .. } | Error::Call { .. }
            ),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn certificates_that_are_none_and_sockets_with_certificates_are_refused() {
    let options = || ConnectOptions::default().tls(Tls::new("not a certificate"));
    let tcp = Address::parse("tcp://127.0.0.1:1").unwrap();
    assert!(matches!(
        Client::connect(&tcp, options()).await.unwrap_err(),
        Error::Connect { .. }
    ));
    let error = Client::connect(&Address::default(), options())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Invalid { field: "tls", .. }),
        "{error:?}"
    );
}
