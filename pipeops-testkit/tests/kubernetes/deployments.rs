//! Rollouts: from an applied Deployment to ready pods.

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Api;
use kube::api::ListParams;
use pipeops_testkit::kubernetes::ClusterOptions;

use super::client::{apply, deployment, is_complete, pods, start, until};

#[tokio::test]
async fn a_deployment_becomes_ready() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let applied = apply(&client, &deployment("web", "r/web:1", 3)).await;
    assert_eq!(applied.metadata.generation, Some(1));
    let done = until(&client, "web", is_complete).await;
    assert_eq!(
        done.metadata.annotations.unwrap()["deployment.kubernetes.io/revision"],
        "1"
    );
    assert_eq!(pods(&client).await.len(), 3);
}

#[tokio::test]
async fn a_rolled_back_template_reuses_its_replica_set() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    for image in ["r/web:1", "r/web:2", "r/web:1"] {
        let generation = apply(&client, &deployment("web", image, 2))
            .await
            .metadata
            .generation;
        until(&client, "web", |d| {
            is_complete(d) && d.metadata.generation == generation
        })
        .await;
    }
    let sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
    let sets = sets.list(&ListParams::default()).await.unwrap().items;
    let mut revisions: Vec<String> = sets
        .iter()
        .map(|set| {
            set.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"].clone()
        })
        .collect();
    revisions.sort();
    assert_eq!(revisions, ["2", "3"]);
}

#[tokio::test]
async fn many_rollouts_at_once_complete() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let names: Vec<String> = (0..30).map(|number| format!("web-{number}")).collect();
    for name in &names {
        apply(&client, &deployment(name, "r/web:1", 3)).await;
    }
    for name in &names {
        until(&client, name, is_complete).await;
    }
    assert_eq!(pods(&client).await.len(), 90);
}
