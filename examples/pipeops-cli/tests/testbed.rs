//! The deployment pipeline of the `pipeops` binary on real servers: BuildKit, a registry, Kubernetes with real pods.
//!
//! The sample repositories come from the testkit's git server; the story of the demo pushes to a real Gitea.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]
#![expect(
    unreachable_pub,
    reason = "a test has no public API: `pub` marks what its modules share"
)]

mod common;

use common::{Scene, is_final, pipeops};
use pipeops::testkit::fault::{Fault, Matcher};
use pipeops::testkit::registry::{Registry, RegistryOptions, User};
use serde_json::Value;

/// Listens and answers `/health`; `{before}` runs before it.
const APP: &str = r#"
import os, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
        self.wfile.write(b"ok {version}")

{before}
server = ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"#;

/// A build that takes long enough to be killed in.
const SLOW_DOCKERFILE: &str = "FROM python:3.12-slim\nWORKDIR /app\nRUN sleep 5\nCOPY app.py .\nENV PORT=8080\nEXPOSE 8080\n\
                               USER 10001\nCMD [\"python\", \"app.py\"]\n";

fn app(version: &str, before: &str, status: u16) -> String {
    APP.replace("{version}", version)
        .replace("{before}", before)
        .replace("{status}", &status.to_string())
}

#[test]
#[ignore = "needs testbed: buildkit, registry, gitea, s3, kubernetes, python:3.12, python:3.12-slim"]
fn the_story_of_the_demo_holds_on_real_servers() {
    let output = pipeops()
        .args(["--output", "json", "demo", "--story"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines[0]["servers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|server| server["real"] == true),
        "{}",
        lines[0]
    );
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!(
        (of("succeeded"), of("failed"), of("rollingBack")),
        (2, 1, 1)
    );
    let probed: Vec<&Value> = lines
        .iter()
        .filter(|line| line.get("answered").is_some())
        .collect();
    assert_eq!(probed.len(), 2);
    assert!(
        probed
            .iter()
            .all(|probed| probed["failed"].as_object().unwrap().is_empty()),
        "{probed:?}"
    );
    let failed = lines.iter().find(|line| line["type"] == "failed").unwrap();
    assert_eq!(
        failed["diagnosis"]["title"], "Deployment failed: CrashLoopBackOff",
        "{failed}"
    );
    assert!(
        failed["diagnosis"]["log"]
            .to_string()
            .contains("SHOP_DATABASE"),
        "{failed}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, kubernetes, python:3.12, python:3.12-slim"]
async fn a_killed_server_finishes_the_deployment_once() {
    let scene = Scene::new("killed", &[]).await;
    let files = [
        ("app.py", app("v1", "", 200)),
        ("Dockerfile", SLOW_DOCKERFILE.to_owned()),
    ];

    let mut server = scene.serve();
    let id = scene.push(&server, &files).await;
    server
        .events(&id)
        .until(|event| event["type"] == "vertex" && event["name"].to_string().contains("sleep"))
        .await;
    server.kill();

    let mut server = scene.serve();
    server
        .events(&id)
        .until(|event| event["type"] == "stepStarted" && event["step"] == "rollout")
        .await;
    server.kill();

    let server = scene.serve();
    let events = server.events(&id).until(is_final).await;
    let last = events.last().unwrap();
    assert_eq!(last["type"], "succeeded", "{last}");
    let is_built = |event: &&Value| event["type"] == "stepFinished" && event["step"] == "build";
    let built = events.iter().filter(is_built).count();
    assert_eq!(built, 1, "the build finished once: {events:?}");
    assert_eq!(scene.replica_sets().await, 1, "one revision was deployed");
    assert_eq!(server.deployments().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, kubernetes, python:3.12, python:3.12-slim"]
async fn readiness_that_never_comes_is_diagnosed_and_rolled_back() {
    let scene = Scene::new("unready", &[]).await;
    let server = scene.serve();
    let first = scene
        .deploy(&server, &[("app.py", app("v1", "", 200))])
        .await;
    assert_eq!(first["type"], "succeeded", "{first}");

    let failed = scene
        .deploy(&server, &[("app.py", app("v2", "", 503))])
        .await;
    assert_eq!(
        (&failed["type"], &failed["rolledBack"]),
        (&"failed".into(), &true.into()),
        "{failed}"
    );
    assert!(
        failed["diagnosis"].to_string().contains("503"),
        "the probe's answer is the reason: {failed}"
    );
    scene.expect_answer("ok v1").await;
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, kubernetes, python:3.12, python:3.12-slim"]
async fn an_image_that_the_cluster_may_not_pull_is_diagnosed_and_rolled_back() {
    let options = RegistryOptions::default()
        .basic_auth()
        .user(User::new("ci", "s3cr3t"));
    let registry = Registry::start(options).await.unwrap();
    let login = [
        ("REGISTRY", registry.host()),
        ("REGISTRY_USERNAME", "ci".into()),
        ("REGISTRY_PASSWORD", "s3cr3t".into()),
    ];
    let scene = Scene::new("unpullable", &login).await;
    let server = scene.serve();
    let first = scene
        .deploy(&server, &[("app.py", app("v1", "", 200))])
        .await;
    assert_eq!(first["type"], "succeeded", "{first}");

    // Builds push by tag and nodes pull by digest: the build succeeds, the pull is refused.
    for method in ["HEAD", "GET"] {
        let pull = Matcher::path("*/manifests/sha256:*").method(method);
        let refused = Fault::unauthorized().on(pull).always();
        registry.faults().add(refused);
    }
    let failed = scene
        .deploy(&server, &[("app.py", app("v2", "", 200))])
        .await;
    let diagnosis = &failed["diagnosis"];
    assert!(
        diagnosis["title"].as_str().unwrap().contains("ImagePull"),
        "{failed}"
    );
    assert_eq!(diagnosis["reason"], "authentication required", "{failed}");
    let run = diagnosis["run"].as_str().unwrap();
    assert!(
        run.starts_with("pipeops project registry update"),
        "{failed}"
    );
    assert_eq!(failed["rolledBack"], true, "{failed}");
    scene.expect_answer("ok v1").await;
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry-auth, kubernetes"]
async fn a_missing_registry_login_is_found_before_the_build() {
    let auth = std::env::var("REGISTRY_AUTH").expect("REGISTRY_AUTH");
    let scene = Scene::new("nologin", &[("REGISTRY", auth)]).await;
    let server = scene.serve();
    let id = scene.push(&server, &[("app.py", app("v1", "", 200))]).await;
    let events = server.events(&id).until(is_final).await;
    let failed = events.last().unwrap();
    assert!(
        !events.iter().any(|event| event["type"] == "vertex"),
        "nothing was built"
    );
    let run = failed["diagnosis"]["run"].as_str().unwrap();
    assert!(
        run.starts_with("pipeops project registry update"),
        "{failed}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, kubernetes"]
async fn a_dockerfile_that_does_not_parse_fails_with_its_line() {
    let scene = Scene::new("unparsable", &[]).await;
    let server = scene.serve();
    let files = [("Dockerfile", "FROM scratch\n\nRUNN true\n".to_owned())];
    let failed = scene.deploy(&server, &files).await;
    assert!(
        failed["diagnosis"].to_string().contains("line 3"),
        "{failed}"
    );
}
