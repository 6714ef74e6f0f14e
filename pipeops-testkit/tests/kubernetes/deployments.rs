//! Rollouts: from an applied Deployment to ready pods.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams};
use pipeops_testkit::kubernetes::{ClusterOptions, PodBehaviour, PullFailure};

use super::client::{
    LIMIT, apply, deployment, is_complete, pods, start, until, until_pod, waiting,
};

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

#[tokio::test]
async fn a_log_can_be_followed_to_its_end() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour("r/web:*", PodBehaviour::ready().log(["started"]));
    apply(&client, &deployment("web", "r/web:1", 1)).await;
    until(&client, "web", is_complete).await;
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let name = pods(&client).await[0].metadata.name.clone().unwrap();
    let params = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = api.log_stream(&name, &params).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("started"));
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    let end = tokio::time::timeout(LIMIT, lines.try_next())
        .await
        .expect("the log ends");
    assert_eq!(end.unwrap(), None);
}

#[tokio::test]
async fn a_stateful_set_that_is_stuck_needs_its_pod_deleted() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour("r/db:2", PodBehaviour::pull_fails(PullFailure::NotFound));
    let sets: Api<StatefulSet> = Api::default_namespaced(client.clone());
    let set = |image: &str| {
        let mut object = deployment("db", image, 2);
        object["kind"] = "StatefulSet".into();
        object["spec"]["serviceName"] = "db".into();
        object
    };
    let put = async |image: &str| {
        let patch = set(image);
        let applied = sets
            .patch("db", &PatchParams::apply("test"), &Patch::Apply(&patch))
            .await;
        applied.unwrap().metadata.generation
    };
    put("r/db:1").await;
    let is_there = |pod: &Pod, name: &str| pod.metadata.name.as_deref() == Some(name);
    until_pod(&client, |pod| is_there(pod, "db-1") && is_ready(pod)).await;
    put("r/db:2").await;
    let is_stuck = |pod: &Pod| waiting(pod).is_some_and(|found| found.0 == "ImagePullBackOff");
    until_pod(&client, |pod| is_there(pod, "db-1") && is_stuck(pod)).await;

    // The old template alone changes nothing: the controller waits for the stuck pod.
    let generation = put("r/db:1").await;
    let observed = |set: &StatefulSet| {
        set.status
            .as_ref()
            .and_then(|status| status.observed_generation)
    };
    let search = async {
        while observed(&sets.get("db").await.unwrap()) != generation {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, search)
        .await
        .expect("the new generation is seen");
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    assert!(is_stuck(&api.get("db-1").await.unwrap()));
    api.delete("db-1", &DeleteParams::default()).await.unwrap();
    until_pod(&client, |pod| is_there(pod, "db-1") && is_ready(pod)).await;
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
