//! The build cache in S3, against real servers. In a file of its own because it empties the daemon.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{BuildHistoryRequest, PruneRequest};
use common::{Context, Recorder, env, solve, unique};
use futures::StreamExt;
use pipeops_buildkit::{Builder, BuilderOptions};
use pipeops_core::build::{BuildCache, S3Cache};
use pipeops_core::event::Discard;
use pipeops_core::{BuildRequest, ImageBuilder, SecretString};
use prost::Message;
use tonic::transport::{Channel, Endpoint};

const PREFIX: &str = "pipeops-buildkit-test/";

fn cache(name: &str) -> BuildCache {
    let mut s3 = S3Cache::new(env("S3_BUCKET"), env("S3_REGION"), name);
    s3.endpoint = Some(env("S3_ENDPOINT"));
    s3.prefix = PREFIX.to_owned();
    s3.keys = Some((
        env("S3_ACCESS_KEY_ID"),
        SecretString::from(env("S3_SECRET_ACCESS_KEY")),
    ));
    BuildCache::S3(s3)
}

fn request(context: &Context, name: &str) -> BuildRequest {
    let mut request = context.request();
    request.cache_from = vec![cache(name)];
    request.cache_to = vec![cache(name)];
    request
}

async fn control() -> ControlClient<Channel> {
    let channel = Endpoint::from_shared(env("BUILDKIT_HOST").replace("tcp://", "http://"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    ControlClient::new(channel)
}

/// Empties the daemon's own cache.
async fn prune() {
    let request = PruneRequest {
        all: true,
        ..PruneRequest::default()
    };
    let mut records = control().await.prune(request).await.unwrap().into_inner();
    while let Some(record) = records.next().await {
        record.unwrap();
    }
}

/// Signs and sends one S3 request with curl's own implementation of AWS signatures.
fn s3(method: &str, path: &str) -> String {
    let output = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "-X", method, "--aws-sigv4"])
        .arg(format!("aws:amz:{}:s3", env("S3_REGION")))
        // The hash of an empty body.
        .args(["-H", "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"])
        .arg("--user")
        .arg(format!("{}:{}", env("S3_ACCESS_KEY_ID"), env("S3_SECRET_ACCESS_KEY")))
        .arg(format!("{}/{}{path}", env("S3_ENDPOINT"), env("S3_BUCKET")))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{method} {path}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The keys of all blobs that a cache names.
fn blobs(name: &str) -> Vec<String> {
    let manifest = s3("GET", &format!("/{PREFIX}manifests/{name}"));
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| {
            format!(
                "/{PREFIX}blobs/{}",
                layer["blob"].as_str().unwrap().replace(':', "%3A")
            )
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs peers: buildkit, registry, s3"]
async fn an_empty_daemon_takes_everything_from_the_cache_and_survives_its_holes() {
    let name = unique("main");
    let dockerfile = format!(
        "FROM busybox AS build\nRUN echo {name} > /made\nFROM busybox\nCOPY --from=build /made /\nCOPY a /\nRUN cat /made /a\n"
    );
    let context = Context::new(&[("Dockerfile", &dockerfile), ("a", &name)]);
    let request = request(&context, &name);
    let first = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!(first.cached, 0, "{first:?}");

    prune().await;
    let second = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!((second.steps, second.cached), (first.steps, first.steps));

    // The daemon's history shows requests to everybody: those with keys are not in it.
    let mut history = control()
        .await
        .listen_build_history(BuildHistoryRequest {
            early_exit: true,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    while let Some(event) = history.next().await {
        let bytes = event.unwrap().encode_to_vec();
        let secret = env("S3_SECRET_ACCESS_KEY");
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "the key is in the daemon's history"
        );
    }

    // All blobs vanish; the manifest still names them. The registry has none of them either under a new name.
    prune().await;
    let mut request = request;
    request.image = context.request().image;
    for key in blobs(&name) {
        s3("DELETE", &key);
    }
    let events = Recorder::default();
    let builder = Builder::new(
        common::address(),
        BuilderOptions::default().timeout(Duration::from_secs(120)),
    );
    let built = builder.build(request, &events).await.unwrap();
    assert_eq!(built.steps, first.steps, "{:?}", events.warnings());
    assert!(
        events
            .warnings()
            .iter()
            .any(|warning| warning.contains("without the cache")),
        "{:?}",
        events.warnings()
    );
}

#[tokio::test]
#[ignore = "needs peers: buildkit, registry, s3"]
async fn a_cache_that_cannot_be_used_is_a_warning() {
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", &unique("a")),
    ]);
    let mut request = request(&context, "any");
    for cache in request.cache_from.iter_mut().chain(&mut request.cache_to) {
        if let BuildCache::S3(s3) = cache {
            s3.bucket = "no-such-bucket-here".to_owned();
        }
    }
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    let warnings = events.warnings();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("exporting cache")),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .all(|warning| !warning.contains(&env("S3_SECRET_ACCESS_KEY"))),
        "{warnings:?}"
    );
}

#[tokio::test]
#[ignore = "needs peers: buildkit, registry"]
async fn a_cache_in_a_registry_is_read_by_another_project() {
    let mark = unique("r");
    let image = format!("{}/{mark}:cache", env("REGISTRY")).parse().unwrap();
    let cache = BuildCache::Registry { image };
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {mark}\n"))]);
    let mut request = context.request();
    request.cache_to = vec![cache.clone()];
    request.cache_from = vec![cache];
    let events = Recorder::default();
    solve(request.clone(), &events).await.unwrap();
    assert!(
        events.warnings().is_empty(),
        "a cache that is not there yet is no news: {:?}",
        events.warnings()
    );
    prune().await;
    let again = solve(request, &Discard).await.unwrap();
    assert_eq!((again.steps, again.cached), (1, 1));
}
