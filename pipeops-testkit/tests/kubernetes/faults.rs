//! What goes wrong on the way: cut watches, forgotten versions, refusals, a server that dies.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Error};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::kubernetes::ClusterOptions;
use serde_json::json;

use super::client::{LIMIT, apply, client, deployment, is_complete, start, until};

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
async fn a_watch_goes_on_after_its_connection_is_cut() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    let stream = watch(maps(&client), watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut names = Vec::new();
    let search = async {
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::InitDone) => create_map(&client, "one").await,
                Ok(Event::Apply(map)) => {
                    names.push(map.metadata.name.unwrap());
                    if names.len() == 2 {
                        break;
                    }
                    cluster.cut_connections();
                    create_map(&client, "two").await;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, search).await.unwrap();
    assert_eq!(names, ["one", "two"]);
    // It went on from where it was: nothing was listed again.
    let lists = cluster
        .requests()
        .iter()
        .filter(|seen| seen.operation == "list configmaps")
        .count();
    assert_eq!(lists, 1);
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
async fn a_watch_that_is_cut_in_mid_stream_loses_nothing() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    let cut = Fault::Cut { after_bytes: 100 }
        .on(Matcher::operation("watch deployments"))
        .times(2);
    let cut = cluster.faults().add(cut);
    apply(&client, &deployment("app", "r/app:1", 3)).await;
    until(&client, "app", is_complete).await;
    assert!(cut.fired() >= 1);
}

#[tokio::test]
async fn throttling_and_outages_are_answered_as_told() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    let throttled = cluster.faults().add(
        Fault::too_many_requests(0)
            .on(Matcher::operation("list configmaps"))
            .times(2),
    );
    // kube tries again by itself.
    maps(&client).list(&Default::default()).await.unwrap();
    assert_eq!(throttled.fired(), 2);
    for (fault, expected) in [
        (Fault::status(500), (500, "InternalError")),
        (Fault::unauthorized(), (401, "Unauthorized")),
        (Fault::forbidden(), (403, "Forbidden")),
        (Fault::Gone, (410, "Expired")),
    ] {
        cluster
            .faults()
            .add(fault.on(Matcher::operation("get configmaps")));
        let error = maps(&client).get("x").await.unwrap_err();
        assert_eq!(status(&error), (expected.0, expected.1.to_owned()));
    }
    cluster
        .faults()
        .add(Fault::Refuse.on(Matcher::operation("get configmaps")));
    assert!(!matches!(maps(&client).get("x").await, Err(Error::Api(_))));
}

#[tokio::test]
async fn a_crashed_server_comes_back_with_everything() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    create_map(&client, "kept").await;
    cluster
        .faults()
        .add(Fault::Crash.on(Matcher::operation("get configmaps")));
    assert!(maps(&client).get("kept").await.is_err());
    assert!(maps(&client).get("kept").await.is_err(), "it is down");
    cluster.restart().await.unwrap();
    maps(&client).get("kept").await.unwrap();
}

#[tokio::test]
async fn what_is_denied_is_forbidden() {
    let (cluster, client) = start(ClusterOptions::default()).await;
    cluster.deny("watch", "events");
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::default_namespaced(client.clone());
    let error = events
        .watch(&WatchParams::default(), "0")
        .await
        .err()
        .unwrap();
    assert_eq!(status(&error).0, 403);
    events.list(&Default::default()).await.unwrap();
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
async fn conflicts_name_the_other_manager() {
    let (_cluster, client) = start(ClusterOptions::default()).await;
    apply(&client, &deployment("app", "r/app:1", 0)).await;
    let api: Api<Deployment> = Api::default_namespaced(client.clone());
    let other = deployment("app", "r/app:2", 0);
    let error = api
        .patch("app", &PatchParams::apply("other"), &Patch::Apply(&other))
        .await
        .unwrap_err();
    let Error::Api(status) = error else {
        panic!("{error:?}")
    };
    assert_eq!(status.code, 409);
    let details = serde_json::to_value(&status.details).unwrap();
    assert_eq!(details["causes"][0]["message"], "conflict with \"test\"");
    api.patch(
        "app",
        &PatchParams::apply("other").force(),
        &Patch::Apply(&other),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_is_left_after_drop() {
    let (cluster, _client) = start(ClusterOptions::default()).await;
    let address = cluster.url().trim_start_matches("http://").to_owned();
    let again = client(&cluster).await;
    drop(cluster);
    let search = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, search).await.unwrap();
    assert!(maps(&again).list(&Default::default()).await.is_err());
}

mod private_registry {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Secret;
    use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};
    use serde_json::Value;

    use super::super::client::{until_pod, waiting};
    use super::*;

    async fn pull_secret(client: &Client, host: &str, password: &str) {
        let config = json!({"auths": {host: {"username": "ci", "password": password}}});
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
    }

    fn with_pull_secret(mut object: Value) -> Value {
        object["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
        object
    }

    async fn check(options: RegistryOptions) {
        let registry = Registry::start(options.user(User::new("ci", "secret")))
            .await
            .unwrap();
        registry.seed("app", "1", &BaseImage::new()).unwrap();
        let host = registry.host();
        let options = ClusterOptions::default().registry(&registry);
        let (_cluster, client) = start(options).await;
        let good = format!("{host}/app:1");

        apply(&client, &deployment("anonymous", &good, 1)).await;
        let refused = until_pod(&client, |pod| {
            waiting(pod).is_some_and(|w| w.0 == "ImagePullBackOff")
        });
        let message = waiting(&refused.await).unwrap().1;
        assert!(
            message.contains("authorization failed") || message.contains("failed to authorize"),
            "{message}"
        );

        pull_secret(&client, &host, "secret").await;
        apply(&client, &with_pull_secret(deployment("known", &good, 1))).await;
        until(&client, "known", is_complete).await;

        apply(
            &client,
            &with_pull_secret(deployment("missing", &format!("{host}/app:2"), 1)),
        )
        .await;
        let gone = until_pod(&client, |pod| {
            waiting(pod)
                .is_some_and(|w| w.0 == "ImagePullBackOff" && w.1.ends_with("app:2: not found"))
        });
        gone.await;

        registry.crash();
        apply(
            &client,
            &with_pull_secret(deployment("down", &format!("{host}/app:3"), 1)),
        )
        .await;
        let refused = format!("dial tcp {host}: connect: connection refused");
        let down = until_pod(&client, |pod| {
            waiting(pod).is_some_and(|w| w.0 == "ImagePullBackOff" && w.1.ends_with(&refused))
        });
        down.await;
    }

    #[tokio::test]
    async fn pull_secrets_open_it() {
        check(RegistryOptions::default().basic_auth()).await;
    }

    #[tokio::test]
    async fn its_token_server_is_asked() {
        check(RegistryOptions::default().token_auth(Duration::from_secs(60))).await;
    }
}
