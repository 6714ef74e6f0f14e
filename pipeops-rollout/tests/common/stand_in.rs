//! The testkit's cluster, and rollouts into it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pipeops_core::Stack;
use pipeops_core::event::Discard;
use pipeops_rollout::{Outcome, Rollout, RolloutOptions};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
use serde_json::Value;

use super::web;

pub(crate) const NAMESPACE: &str = "default";

pub(crate) async fn cluster() -> Cluster {
    Cluster::start(ClusterOptions::default()).await.unwrap()
}

pub(crate) fn client(cluster: &Cluster) -> kube::Client {
    let config = kube::Config::new(cluster.url().parse().unwrap());
    kube::Client::try_from(config).unwrap()
}

pub(crate) fn stack(revision: &str) -> Stack {
    web(
        NAMESPACE,
        "web",
        revision,
        &format!("registry.example.com/web:{revision}"),
        |_| {},
    )
}

pub(crate) fn options() -> RolloutOptions {
    RolloutOptions::default().holder("test")
}

pub(crate) fn rollout(cluster: &Cluster, options: RolloutOptions) -> Rollout {
    Rollout::new(client(cluster), options)
}

pub(crate) async fn run(cluster: &Cluster, stack: &Stack) -> Outcome {
    rollout(cluster, options())
        .run(stack, &Discard)
        .await
        .unwrap()
}

pub(crate) fn live(cluster: &Cluster) -> Value {
    cluster
        .object("apps/v1", "Deployment", NAMESPACE, "web")
        .unwrap()
}

pub(crate) fn live_revision(cluster: &Cluster) -> String {
    live(cluster)["metadata"]["annotations"]["pipeops.dev/revision"]
        .as_str()
        .unwrap()
        .to_owned()
}
