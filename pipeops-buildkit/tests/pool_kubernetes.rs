//! A pool over the pods behind a Service, in a stand-in of a Kubernetes cluster and in a real one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use common::unique;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use pipeops_buildkit::{Discover, EndpointSliceMembers, Member};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
use serde_json::json;

/// No test needs as long; one that hangs fails here.
const LIMIT: Duration = Duration::from_secs(60);

fn slice(name: &str, service: &str, endpoints: serde_json::Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "grpc", "port": 1234, "protocol": "TCP"}],
    }))
    .unwrap()
}

fn endpoint(pod: &str, address: &str, ready: bool) -> serde_json::Value {
    json!({
        "addresses": [address],
        "zone": "eu-1a",
        "conditions": {"ready": ready},
        "targetRef": {"kind": "Pod", "name": pod, "namespace": "default"},
    })
}

fn brief(members: &[Member]) -> Vec<String> {
    let line = |member: &Member| {
        let drains = if member.draining { " drains" } else { "" };
        format!("{} {}{drains}", member.name, member.address)
    };
    members.iter().map(line).collect()
}

#[tokio::test]
async fn pods_come_drain_and_go() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let config = kube::Config::new(cluster.url().parse().unwrap());
    let client = Client::try_from(config).unwrap();
    follow(client, "default").await;
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes"]
async fn pods_come_drain_and_go_in_a_real_cluster() {
    assert!(
        std::env::var_os("KUBECONFIG").is_some(),
        "KUBECONFIG is not set: run `cargo testbed up kubernetes` and export what `cargo testbed env` prints"
    );
    let client = Client::try_default().await.unwrap();
    let name = unique("pipeops-pool");
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let post = PostParams::default();
    namespaces.create(&post, &namespace).await.unwrap();
    let followed = AssertUnwindSafe(follow(client, &name)).catch_unwind();
    let followed = followed.await;
    let delete = DeleteParams::default();
    namespaces.delete(&name, &delete).await.unwrap();
    followed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Follows the pods of one Service while its slices change.
async fn follow(client: Client, namespace: &str) {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let create = async |slice| slices.create(&PostParams::default(), &slice).await.unwrap();
    create(slice(
        "other",
        "web",
        json!([endpoint("web-0", "10.0.0.9", true)]),
    ))
    .await;
    create(slice(
        "one",
        "buildkit",
        json!([endpoint("buildkit-0", "10.0.0.1", true)]),
    ))
    .await;

    let members = EndpointSliceMembers::new(client, namespace, "buildkit").port("grpc");
    let mut watch = members.watch();
    let mut next = async || {
        let list = tokio::time::timeout(LIMIT, watch.next())
            .await
            .expect("no news");
        list.unwrap().unwrap()
    };
    let first = next().await;
    assert_eq!(brief(&first), ["buildkit-0 tcp://10.0.0.1:1234"]);
    assert_eq!(first[0].region.as_deref(), Some("eu-1a"));

    create(slice(
        "two",
        "buildkit",
        json!([endpoint("buildkit-1", "10.0.0.2", true)]),
    ))
    .await;
    assert_eq!(
        brief(&next().await),
        [
            "buildkit-0 tcp://10.0.0.1:1234",
            "buildkit-1 tcp://10.0.0.2:1234"
        ]
    );
    let ends = json!({"endpoints": [endpoint("buildkit-0", "10.0.0.1", false)]});
    slices
        .patch("one", &PatchParams::default(), &Patch::Merge(ends))
        .await
        .unwrap();
    assert_eq!(
        brief(&next().await),
        [
            "buildkit-0 tcp://10.0.0.1:1234 drains",
            "buildkit-1 tcp://10.0.0.2:1234"
        ]
    );
    slices
        .delete("one", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(brief(&next().await), ["buildkit-1 tcp://10.0.0.2:1234"]);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    cluster.deny("list", "endpointslices");
    let config = kube::Config::new(cluster.url().parse().unwrap());
    let client = Client::try_from(config).unwrap();
    let members = EndpointSliceMembers::new(client, "default", "buildkit");
    let first = tokio::time::timeout(LIMIT, members.watch().next()).await;
    let failure = first.expect("no answer").unwrap().unwrap_err();
    let diagnosis = failure.diagnosis();
    assert!(diagnosis.error.contains("default/buildkit"), "{diagnosis}");
    assert!(diagnosis.fixes[0].contains("endpointslices"), "{diagnosis}");
}
