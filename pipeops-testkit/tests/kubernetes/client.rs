//! A client of a cluster, and helpers of the tests.

use std::fmt::Debug;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A cluster, and a client that found it by its kubeconfig.
pub(crate) async fn start(options: ClusterOptions) -> (Cluster, Client) {
    let cluster = Cluster::start(options).await.unwrap();
    let client = client(&cluster).await;
    (cluster, client)
}

/// A client of a cluster.
pub(crate) async fn client(cluster: &Cluster) -> Client {
    let config = Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

/// A Deployment of one container with a readiness probe.
pub(crate) fn deployment(name: &str, image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "app",
                    "image": image,
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                }]},
            },
        },
    })
}

/// Applies an object as the test's own manager.
pub(crate) async fn apply(client: &Client, object: &Value) -> Deployment {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let name = object["metadata"]["name"].as_str().unwrap();
    deployments
        .patch(name, &PatchParams::apply("test"), &Patch::Apply(object))
        .await
        .unwrap()
}

/// Watches a Deployment until it is as wanted.
pub(crate) async fn until(
    client: &Client,
    name: &str,
    wanted: impl Fn(&Deployment) -> bool,
) -> Deployment {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watch(client, config, wanted).await
}

/// Watches pods until one is as wanted.
pub(crate) async fn until_pod(client: &Client, wanted: impl Fn(&Pod) -> bool) -> Pod {
    watch(client, watcher::Config::default(), wanted).await
}

async fn watch<K>(client: &Client, config: watcher::Config, wanted: impl Fn(&K) -> bool) -> K
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::default_namespaced(client.clone());
    let stream = watcher(api, config).default_backoff().applied_objects();
    let mut stream = std::pin::pin!(stream);
    let search = async {
        while let Some(object) = stream.try_next().await.unwrap() {
            if wanted(&object) {
                return object;
            }
        }
        panic!("the watch ended");
    };
    match tokio::time::timeout(LIMIT, search).await {
        Ok(found) => found,
        Err(_) => panic!("nothing is as wanted: {:#?}", pods(client).await),
    }
}

/// Asks until the answer is yes.
pub(crate) async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let search = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(LIMIT, search).await;
    found.unwrap_or_else(|_| panic!("{what} never came"));
}

/// All pods.
pub(crate) async fn pods(client: &Client) -> Vec<Pod> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    api.list(&ListParams::default()).await.unwrap().items
}

/// Reasons and messages of all events.
pub(crate) async fn events(client: &Client) -> Vec<(String, String)> {
    let api: Api<Event> = Api::default_namespaced(client.clone());
    let events = api.list(&ListParams::default()).await.unwrap().items;
    events
        .into_iter()
        .map(|event| {
            (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            )
        })
        .collect()
}

/// A condition of a Deployment: status, reason.
pub(crate) fn condition(deployment: &Deployment, kind: &str) -> Option<(String, String)> {
    let status = serde_json::to_value(deployment.status.as_ref()?).unwrap();
    let mut conditions = status["conditions"].as_array()?.iter();
    let condition = conditions.find(|condition| condition["type"] == kind)?;
    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason")))
}

/// Whether a rollout is complete, in the strict sense.
pub(crate) fn is_complete(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let value = serde_json::to_value(deployment).unwrap();
    let wanted = value["spec"]["replicas"].as_i64().unwrap_or(1);
    let count = |number: Option<i32>| i64::from(number.unwrap_or(0)) == wanted;
    status.observed_generation >= deployment.metadata.generation
        && count(status.updated_replicas)
        && count(status.replicas)
        && count(status.available_replicas)
        && condition(deployment, "Progressing").is_some_and(|c| c.1 == "NewReplicaSetAvailable")
}

/// The waiting reason and message of a pod's first container.
pub(crate) fn waiting(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let state = status
        .container_statuses
        .as_ref()?
        .first()?
        .state
        .as_ref()?;
    let waiting = state.waiting.as_ref()?;
    Some((
        waiting.reason.clone()?,
        waiting.message.clone().unwrap_or_default(),
    ))
}
