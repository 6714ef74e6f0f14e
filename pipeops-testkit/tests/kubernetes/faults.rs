//! Watches, unimplemented requests, private registries, and a cluster's end. `pipeops-rollout` covers the scripted faults.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Error};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::kubernetes::ClusterOptions;
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};
use serde_json::json;

use super::client::{
    LIMIT, apply, client, deployment, eventually, is_complete, start, until, until_pod, waiting,
};

async fn create_map(client: &Client, name: &str) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

fn status(error: &Error) -> (u16, String) {
    match error {
        Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an answer of the server: {other:?}"),
    }
}

#[tokio::test]
async fn a_forgotten_version_is_gone_and_the_watcher_lists_again() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    create_map(&client, "one").await;
    cluster.compact();
    let mut events = maps(&client)
        .watch(&WatchParams::default(), "1")
        .await
        .unwrap()
        .boxed();
    match events.try_next().await.unwrap() {
        Some(WatchEvent::Error(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"))
        }
        other => panic!("{other:?}"),
    }

    let gone = cluster
        .faults()
        .add(Fault::Gone.on(Matcher::operation("watch configmaps")));
    let stream = watch(maps(&client), watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut starts = 0;
    let search = async {
        while let Some(event) = stream.next().await {
            if matches!(event, Ok(Event::InitDone)) {
                starts += 1;
                if starts == 2 {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, search).await.unwrap();
    assert_eq!(gone.fired(), 1);
}

#[tokio::test]
async fn streaming_lists_end_with_a_bookmark() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    create_map(&client, "one").await;
    let stream = watch(maps(&client), watcher::Config::default().streaming_lists());
    let mut stream = std::pin::pin!(stream);
    let mut names = Vec::new();
    let search = async {
        while let Some(event) = stream.try_next().await.unwrap() {
            match event {
                Event::InitApply(map) => names.push(map.metadata.name.unwrap()),
                Event::InitDone => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, search).await.unwrap();
    assert_eq!(names, ["one"]);
}

#[tokio::test]
async fn bookmarks_carry_the_latest_version() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let version = pods
        .list(&Default::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    create_map(&client, "elsewhere").await;
    let mut events = pods
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    match tokio::time::timeout(LIMIT, events.try_next())
        .await
        .unwrap()
        .unwrap()
    {
        Some(WatchEvent::Bookmark(bookmark)) => {
            let seen: u64 = bookmark.metadata.resource_version.parse().unwrap();
            assert!(seen > version.parse().unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_stand_in_does_not_know_is_an_error() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    for (path, code) in [
        (
            "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes",
            404,
        ),
        ("/apis/apps/v1/namespaces/default/daemonsets", 404),
        ("/apis/apps/v1/namespaces/default/statefulsets", 404),
        ("/apis/apps/v1/namespaces/default/deployments/x/scale", 501),
        ("/api/v1/namespaces/default/pods/x/exec", 501),
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let error = client
            .request::<serde_json::Value>(request)
            .await
            .unwrap_err();
        assert_eq!(status(&error).0, code, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_left_after_drop() {
    let (cluster, _client) = start(ClusterOptions::default()).await;
    let address = cluster.url().trim_start_matches("http://").to_owned();
    let again = client(&cluster).await;
    drop(cluster);
    eventually("the end of the server", async || {
        tokio::net::TcpStream::connect(&address).await.is_err()
    })
    .await;
    assert!(maps(&again).list(&Default::default()).await.is_err());
}

#[tokio::test]
async fn images_of_a_private_registry_need_a_pull_secret() {
    for options in [
        RegistryOptions::default().basic_auth(),
        RegistryOptions::default().token_auth(Duration::from_secs(60)),
    ] {
        let options = options.user(User::new("ci", "secret"));
        let registry = Registry::start(options).await.unwrap();
        registry.seed("app", "1", &BaseImage::new()).unwrap();
        let host = registry.host();
        let (_cluster, client) = start(ClusterOptions::default().registry(&registry)).await;
        let image = format!("{host}/app:1");
        apply(&client, &deployment("anonymous", &image, 1)).await;
        let message = pull_fails(&client, "anonymous").await;
        assert!(message.contains("authoriz"), "{message}");

        let config = json!({"auths": {&host: {"username": "ci", "password": "secret"}}});
        let secret = json!({
            "metadata": {"name": "pull"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config.to_string()},
        });
        let secrets: Api<Secret> = Api::default_namespaced(client.clone());
        let secret = serde_json::from_value(secret).unwrap();
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
        let known = async |name: &str, image: &str| {
            let mut object = deployment(name, image, 1);
            object["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
            apply(&client, &object).await;
        };
        known("known", &image).await;
        until(&client, "known", is_complete).await;
        known("missing", &format!("{host}/app:2")).await;
        let message = pull_fails(&client, "missing").await;
        assert!(message.ends_with("app:2: not found"), "{message}");
        registry.crash();
        known("down", &format!("{host}/app:3")).await;
        let message = pull_fails(&client, "down").await;
        let refused = format!("dial tcp {host}: connect: connection refused");
        assert!(message.ends_with(&refused), "{message}");
    }
}

/// Waits until a Deployment's pod cannot pull its image; the message.
async fn pull_fails(client: &Client, deployment: &str) -> String {
    let pod = until_pod(client, |pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels["app"] == deployment)
            && waiting(pod).is_some_and(|waiting| waiting.0 == "ImagePullBackOff")
    });
    waiting(&pod.await).unwrap().1
}
