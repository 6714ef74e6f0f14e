//! Pods and controllers. The tests of `pipeops-rollout` cover every way in which a pod fails.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use pipeops_testkit::kubernetes::{ClusterOptions, PodBehaviour};
use serde_json::{Value, json};

use super::client::{
    apply, condition, deployment, events, eventually, is_complete, pods, start, until, until_pod,
    waiting,
};

/// Waits until a container waits for this reason; its message.
async fn waits_for(client: &Client, reason: &str) -> String {
    let pod = until_pod(client, |pod| {
        waiting(pod).is_some_and(|found| found.0 == reason)
    })
    .await;
    waiting(&pod).unwrap().1
}

/// Waits for an event.
async fn has_event(client: &Client, reason: &str, part: &str) {
    eventually(&format!("{reason} with {part:?}"), async || {
        let all = events(client).await;
        all.iter()
            .any(|(r, message)| r == reason && message.contains(part))
    })
    .await;
}

#[tokio::test]
async fn back_off_grows_and_restarts_are_counted() {
    let (cluster, client) = start(ClusterOptions::default().speed(4)).await;
    cluster.behaviour("r/app:*", PodBehaviour::crash(1));
    apply(&client, &deployment("app", "r/app:1", 1)).await;
    let pod = until_pod(&client, |pod| {
        waiting(pod).is_some_and(|found| found.1.starts_with("back-off 20s"))
    })
    .await;
    assert_eq!(
        pod.status.unwrap().container_statuses.unwrap()[0].restart_count,
        2
    );
}

#[tokio::test]
async fn readiness_that_never_comes_runs_into_the_deadline() {
    let (cluster, client) = start(ClusterOptions::default().speed(200)).await;
    apply(&client, &deployment("app", "r/app:1", 2)).await;
    until(&client, "app", is_complete).await;
    cluster.behaviour(
        "r/app:2",
        PodBehaviour::never_ready("HTTP probe failed with statuscode: 503"),
    );
    apply(&client, &deployment("app", "r/app:2", 2)).await;
    let stalled = until(&client, "app", |d| {
        condition(d, "Progressing")
            .is_some_and(|c| c == ("False".into(), "ProgressDeadlineExceeded".into()))
    })
    .await;
    // The old version stays available all the time.
    assert_eq!(condition(&stalled, "Available").unwrap().0, "True");
    has_event(
        &client,
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
    )
    .await;

    // Back to the old template: done at once, with the old ReplicaSet.
    let generation = apply(&client, &deployment("app", "r/app:1", 2))
        .await
        .metadata
        .generation;
    until(&client, "app", |d| {
        is_complete(d) && d.metadata.generation == generation
    })
    .await;
}

#[tokio::test]
async fn a_missing_config_map_is_found_missing_and_then_found() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let mut object = deployment("app", "r/app:1", 1);
    object["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "config"}}]);
    apply(&client, &object).await;
    let message = waits_for(&client, "CreateContainerConfigError").await;
    assert_eq!(message, "configmap \"config\" not found");

    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = serde_json::from_value(json!({"metadata": {"name": "config"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    until(&client, "app", is_complete).await;
}

#[tokio::test]
async fn a_missing_secret_keeps_the_volume_from_being_mounted() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let mut object = deployment("app", "r/app:1", 1);
    let spec = &mut object["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "tls", "secret": {"secretName": "tls"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "tls", "mountPath": "/tls"}]);
    apply(&client, &object).await;
    waits_for(&client, "ContainerCreating").await;
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let secret = serde_json::from_value(json!({"metadata": {"name": "tls"}})).unwrap();
    has_event(&client, "FailedMount", "secret \"tls\" not found").await;
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    until(&client, "app", is_complete).await;
}

#[tokio::test]
async fn an_image_name_that_cannot_be_read() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    apply(&client, &deployment("app", "r.io/App:1", 1)).await;
    let message = waits_for(&client, "InvalidImageName").await;
    assert!(
        message.ends_with("repository name (App) must be lowercase"),
        "{message}"
    );
}

#[tokio::test]
async fn a_node_without_room() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let mut object = deployment("app", "r/app:1", 2);
    object["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "6"}});
    apply(&client, &object).await;
    until_pod(&client, |pod| {
        scheduled(pod).is_some_and(|found| found.contains("1 Insufficient cpu"))
    })
    .await;
    has_event(&client, "FailedScheduling", "1 Insufficient cpu").await;
}

/// Why a pod is not scheduled.
fn scheduled(pod: &Pod) -> Option<String> {
    let pod = serde_json::to_value(pod).unwrap();
    pod["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == "PodScheduled" && c["status"] == "False")
        .and_then(|c| c["message"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn services_lead_to_ready_pods_only() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour("r/app:2", PodBehaviour::never_ready("no"));
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"},
        "spec": {"selector": {"app": "app"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    let services: Api<k8s_openapi::api::core::v1::Service> =
        Api::default_namespaced(client.clone());
    services
        .create(
            &PostParams::default(),
            &serde_json::from_value(service).unwrap(),
        )
        .await
        .unwrap();
    apply(&client, &deployment("app", "r/app:1", 2)).await;
    until(&client, "app", is_complete).await;
    apply(&client, &deployment("app", "r/app:2", 2)).await;
    waiting_pods(&client, 3).await;

    let slices: Api<EndpointSlice> = Api::default_namespaced(client.clone());
    eventually("three endpoints, two of them ready", async || {
        let slices = slices.list(&ListParams::default()).await.unwrap();
        let slices = serde_json::to_value(slices.items).unwrap();
        let slices = slices.as_array().unwrap().iter();
        let endpoints: Vec<&Value> = slices
            .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
            .collect();
        let is_ready = |endpoint: &&&Value| endpoint["conditions"]["ready"] == true;
        (endpoints.len(), endpoints.iter().filter(is_ready).count()) == (3, 2)
    })
    .await;
}

/// Waits until this many pods run.
async fn waiting_pods(client: &Client, count: usize) {
    eventually("enough running pods", async || {
        let pods = pods(client).await;
        let phases = pods
            .iter()
            .filter_map(|pod| pod.status.as_ref()?.phase.as_deref());
        phases.filter(|phase| *phase == "Running").count() == count
    })
    .await;
}

#[tokio::test]
async fn deleting_a_deployment_takes_its_pods_along() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    apply(&client, &deployment("app", "r/app:1", 2)).await;
    until(&client, "app", is_complete).await;
    let api: Api<Deployment> = Api::default_namespaced(client.clone());
    api.delete("app", &DeleteParams::background())
        .await
        .unwrap();
    eventually("the end of all pods", async || {
        pods(&client).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_running_pod_goes_wrong_when_its_script_does() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    apply(&client, &deployment("app", "r/app:1", 1)).await;
    until(&client, "app", is_complete).await;
    cluster.behaviour("r/app:1", PodBehaviour::never_ready("timeout"));
    until(&client, "app", |d| {
        condition(d, "Available").is_some_and(|c| c.0 == "False")
    })
    .await;
    cluster.behaviour("r/app:1", PodBehaviour::crash(2));
    waits_for(&client, "CrashLoopBackOff").await;
    cluster.behaviour("r/app:1", PodBehaviour::ready());
    until(&client, "app", |d| {
        condition(d, "Available").is_some_and(|c| c.0 == "True")
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_template_reuses_its_replica_set() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    for image in ["r/app:1", "r/app:2", "r/app:1"] {
        let generation = apply(&client, &deployment("app", image, 2))
            .await
            .metadata
            .generation;
        until(&client, "app", |d| {
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
