//! The stand-in beside the recording of a real cluster, and the recording beside a real cluster.

use std::path::PathBuf;

use kube::Client;
use pipeops_testkit::conformance::kubernetes::{Conformance, Deviation};
use pipeops_testkit::kubernetes::{ClusterOptions, PodBehaviour, PullFailure};

use super::client::start;

/// The image of the stand-in's pods; nothing is really pulled.
const IMAGE: &str = "example.com/busybox:1";

fn assert_none(deviations: &[Deviation]) {
    let lines: Vec<String> = deviations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} deviations:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[tokio::test]
async fn the_stand_in_answers_as_a_real_cluster() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour(
        "127.0.0.1:1/*",
        PodBehaviour::pull_fails(PullFailure::ConnectionRefused),
    );
    for (label, behaviour) in [
        ("does=log", PodBehaviour::ready().log(["one", "two"])),
        ("does=crash", PodBehaviour::crash(3).log(["broken"])),
        (
            "does=not-run",
            PodBehaviour::run_fails("exec: \"/nope\": stat /nope: no such file or directory"),
        ),
    ] {
        cluster.behaviour_of(label, behaviour).unwrap();
    }
    let deviations = Conformance::new(client).image(IMAGE).check().await.unwrap();
    assert_none(&deviations);
}

async fn real() -> Conformance {
    let registry = std::env::var("REGISTRY").expect("REGISTRY is set by `cargo testbed env`");
    assert!(
        std::env::var("KUBECONFIG").is_ok(),
        "KUBECONFIG is set by `cargo testbed env`"
    );
    let client = Client::try_default().await.unwrap();
    Conformance::new(client).image(format!("{registry}/library/busybox:1"))
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn a_real_cluster_answers_as_recorded() {
    assert_none(&real().await.check().await.unwrap());
}

/// Writes the recording anew, from the real cluster.
#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry; changes recorded.json"]
async fn record_a_real_cluster() {
    let recording = real().await.record().await.unwrap();
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/conformance/kubernetes/recorded.json");
    std::fs::write(file, recording).unwrap();
}
