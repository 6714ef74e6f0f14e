//! Pods that go wrong, each in its own way, and the old version that goes on.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::{Api, Client};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour, PullFailure};
use serde_json::{Value, json};

use super::client::{
    apply, condition, deployment, events, is_complete, pods, start, until, until_pod, waiting,
};

/// Applies a Deployment of one pod whose image has this script.
async fn with(behaviour: PodBehaviour) -> (Cluster, Client) {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour("r/app:*", behaviour);
    apply(&client, &deployment("app", "r/app:1", 1)).await;
    (cluster, client)
}

/// Waits until a container waits for this reason; its message.
async fn waits_for(client: &Client, reason: &str) -> String {
    let pod = until_pod(client, |pod| {
        waiting(pod).is_some_and(|found| found.0 == reason)
    })
    .await;
    waiting(&pod).unwrap().1
}

async fn has_event(client: &Client, reason: &str, part: &str) {
    let all = events(client).await;
    let found = all
        .iter()
        .any(|(r, message)| r == reason && message.contains(part));
    assert!(found, "no {reason} with {part:?} in {all:#?}");
}

#[tokio::test]
async fn an_image_that_is_not_there() {
    let (_cluster, client) = with(PodBehaviour::pull_fails(PullFailure::NotFound)).await;
    let message = waits_for(&client, "ImagePullBackOff").await;
    assert!(message.ends_with("r/app:1: not found"), "{message}");
    has_event(
        &client,
        "Failed",
        "Failed to pull image \"r/app:1\": rpc error: code = NotFound",
    )
    .await;
}

#[tokio::test]
async fn a_pull_that_succeeds_in_the_end() {
    let behaviour = PodBehaviour::pull_fails(PullFailure::RateLimited).recovers_after(2);
    let (_cluster, client) = with(behaviour).await;
    until(&client, "app", is_complete).await;
    has_event(&client, "Failed", "429 Too Many Requests").await;
    has_event(&client, "Pulled", "Successfully pulled image").await;
}

#[tokio::test]
async fn a_container_that_crashes() {
    let behaviour = PodBehaviour::crash(3).log(["one", "cannot open the database"]);
    let (_cluster, client) = with(behaviour).await;
    let message = waits_for(&client, "CrashLoopBackOff").await;
    assert!(
        message.starts_with("back-off 10s restarting failed container=app pod=app-"),
        "{message}"
    );
    let pod = pods(&client).await.remove(0);
    let status = &pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_ref()
        .unwrap()[0];
    let last = status
        .last_state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    assert_eq!(status.restart_count, 1);

    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let name = pod.metadata.name.as_deref().unwrap();
    let params = LogParams {
        previous: true,
        tail_lines: Some(1),
        ..LogParams::default()
    };
    assert_eq!(
        api.logs(name, &params).await.unwrap(),
        "cannot open the database\n"
    );
}

#[tokio::test]
async fn back_off_grows_and_restarts_are_counted() {
    let (_cluster, client) = with(PodBehaviour::crash(1)).await;
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
async fn a_container_that_needs_too_much_memory() {
    let (_cluster, client) = with(PodBehaviour::oom_killed()).await;
    let pod = until_pod(&client, |pod| waiting(pod).is_some()).await;
    drop(pod);
    waits_for(&client, "CrashLoopBackOff").await;
    let pod = serde_json::to_value(&pods(&client).await[0]).unwrap();
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (&last["reason"], &last["exitCode"]),
        (&json!("OOMKilled"), &json!(137))
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
async fn a_startup_probe_that_never_succeeds_restarts_the_container() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour("r/app:*", PodBehaviour::never_started("connection refused"));
    let mut object = deployment("app", "r/app:1", 1);
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 2});
    object["spec"]["template"]["spec"]["containers"][0]["startupProbe"] = probe;
    apply(&client, &object).await;
    waits_for(&client, "CrashLoopBackOff").await;
    has_event(
        &client,
        "Killing",
        "Container app failed startup probe, will be restarted",
    )
    .await;
}

#[tokio::test]
async fn a_liveness_probe_that_fails_restarts_the_container() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.behaviour(
        "r/app:*",
        PodBehaviour::liveness_fails(Duration::ZERO, "timeout"),
    );
    let mut object = deployment("app", "r/app:1", 1);
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
    object["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = probe;
    apply(&client, &object).await;
    waits_for(&client, "CrashLoopBackOff").await;
    has_event(&client, "Unhealthy", "Liveness probe failed: timeout").await;
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
    // The volume is looked for at once; the event is there when the pod waits.
    until_pod(&client, |pod| {
        pod.status.as_ref().is_some_and(|s| s.start_time.is_some())
    })
    .await;
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
async fn scripted_failures_before_the_container_starts() {
    for (behaviour, reason, part) in [
        (
            PodBehaviour::unschedulable("no such node"),
            "FailedScheduling",
            "no such node",
        ),
        (
            PodBehaviour::mount_fails("no such disk"),
            "FailedMount",
            "no such disk",
        ),
        (
            PodBehaviour::sandbox_fails("no address left"),
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: no address left",
        ),
        (
            PodBehaviour::create_fails("name is in use"),
            "Failed",
            "Error: name is in use",
        ),
        (
            PodBehaviour::run_fails("exec: \"/nope\": no such file or directory"),
            "Failed",
            "unable to start container process: exec: \"/nope\"",
        ),
        (
            PodBehaviour::denied("exceeded quota: q"),
            "FailedCreate",
            "\"app-",
        ),
    ] {
        let (_cluster, client) = with(behaviour).await;
        let search = async {
            loop {
                let all = events(&client).await;
                if all
                    .iter()
                    .any(|(r, message)| r == reason && message.contains(part))
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(super::client::LIMIT, search)
            .await
            .unwrap_or_else(|_| panic!("{reason} never came"));
    }
}

#[tokio::test]
async fn a_refused_pod_is_a_replica_failure() {
    let (_cluster, client) = with(PodBehaviour::denied("exceeded quota: q")).await;
    let refused = until(&client, "app", |d| condition(d, "ReplicaFailure").is_some()).await;
    assert_eq!(
        condition(&refused, "ReplicaFailure").unwrap(),
        ("True".into(), "FailedCreate".into())
    );
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
    let search = async {
        loop {
            let slice = slices.list(&ListParams::default()).await.unwrap().items;
            let ready: Vec<bool> = slice
                .iter()
                .flat_map(|slice| {
                    serde_json::to_value(slice).unwrap()["endpoints"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default()
                })
                .map(|endpoint: Value| endpoint["conditions"]["ready"] == true)
                .collect();
            if ready.len() == 3 {
                assert_eq!(ready.iter().filter(|ready| **ready).count(), 2);
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::client::LIMIT, search)
        .await
        .expect("three endpoints");
}

/// Waits until this many pods run.
async fn waiting_pods(client: &Client, count: usize) {
    let search = async {
        loop {
            let running = |pod: &Pod| {
                pod.status
                    .as_ref()
                    .is_some_and(|s| s.phase.as_deref() == Some("Running"))
            };
            if pods(client).await.iter().filter(|pod| running(pod)).count() == count {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::client::LIMIT, search)
        .await
        .expect("enough running pods");
}

#[tokio::test]
async fn deleting_a_deployment_takes_its_pods_along() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    apply(&client, &deployment("app", "r/app:1", 2)).await;
    until(&client, "app", is_complete).await;
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::default_namespaced(client.clone());
    api.delete("app", &DeleteParams::background())
        .await
        .unwrap();
    waiting_pods(&client, 0).await;
    let search = async {
        while !pods(&client).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::client::LIMIT, search)
        .await
        .expect("no pods");
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
