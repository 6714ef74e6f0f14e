//! Build caches in S3: the stand-in's daemon with the S3 stand-in.

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::s3::{S3Options, S3Server};

use serde_json::{Value, json};

use crate::client::{Client, Job, Outcome};

async fn bucket() -> S3Server {
    S3Server::start(S3Options::default().bucket("cache"))
        .await
        .unwrap()
}

async fn start() -> (BuildkitDaemon, Client) {
    let options = BuildkitOptions::default().s3_role("testkit", "testkit-secret");
    let daemon = BuildkitDaemon::start(options).await.unwrap();
    let client = Client::connect(&daemon.address()).await;
    (daemon, client)
}

fn entry(server: &S3Server, more: &[(&str, &str)]) -> CacheOptionsEntry {
    let endpoint = server.endpoint();
    let mut attrs = vec![
        ("bucket", "cache"),
        ("region", "us-east-1"),
        ("endpoint_url", endpoint.as_str()),
        ("use_path_style", "true"),
        ("prefix", "team/"),
        ("name", "main"),
    ];
    attrs.extend(more);
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    CacheOptionsEntry {
        r#type: "s3".to_owned(),
        attrs: attrs.into_iter().map(own).collect(),
    }
}

fn job(content: &str, import: Option<CacheOptionsEntry>, export: Option<CacheOptionsEntry>) -> Job {
    let job = Job::new("FROM scratch\nCOPY a /a\nCOPY a /b\n").file("a", content);
    let json = |entry: &CacheOptionsEntry| json!({"Type": entry.r#type, "Attrs": entry.attrs});
    let imports: Vec<Value> = import.iter().map(json).collect();
    Job {
        cache: CacheOptions {
            imports: import.into_iter().collect(),
            exports: export.into_iter().collect(),
            ..CacheOptions::default()
        },
        ..job.attr("cache-imports", &Value::from(imports).to_string())
    }
}

fn cached(outcome: &Outcome) -> bool {
    outcome.result.as_ref().expect("the build succeeds");
    outcome.vertex("[1/2] COPY a /a").cached && outcome.vertex("[2/2] COPY a /b").cached
}

#[tokio::test]
async fn another_daemon_finds_what_the_first_one_kept() {
    let server = bucket().await;
    let (_first, client) = start().await;
    let outcome = client
        .build(job("1", None, Some(entry(&server, &[]))))
        .await;
    assert!(!cached(&outcome));
    let keys = server.keys("cache");
    assert!(keys.contains(&"team/manifests/main".to_owned()), "{keys:?}");
    assert_eq!(
        keys.iter()
            .filter(|key| key.starts_with("team/blobs/sha256:"))
            .count(),
        2
    );
    let (_second, client) = start().await;
    let outcome = client
        .build(job("1", Some(entry(&server, &[])), None))
        .await;
    assert!(cached(&outcome));
    let outcome = client
        .build(job("2", Some(entry(&server, &[])), None))
        .await;
    assert!(!cached(&outcome));
}

#[tokio::test]
async fn a_missing_blob_fails_the_build() {
    let server = bucket().await;
    let (_first, client) = start().await;
    client
        .build(job("1", None, Some(entry(&server, &[]))))
        .await;
    let (_second, client) = start().await;
    let gone = Fault::status(404)
        .on(Matcher::operation("object.get").and_path("*/blobs/*"))
        .always();
    server.faults().add(gone);
    let outcome = client
        .build(job("1", Some(entry(&server, &[])), None))
        .await;
    assert!(
        outcome.error().message().contains("NoSuchKey"),
        "{}",
        outcome.error()
    );
}

#[tokio::test]
async fn imports_outside_of_the_frontends_attributes_are_not_looked_at() {
    let server = bucket().await;
    let (_daemon, client) = start().await;
    let mut job = job("1", Some(entry(&server, &[])), None);
    job.attrs.clear();
    client.build(job).await.result.expect("the build succeeds");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_cache_that_is_not_there_yet_costs_nothing() {
    let server = bucket().await;
    let (_daemon, client) = start().await;
    let outcome = client
        .build(job("1", Some(entry(&server, &[("name", "none")])), None))
        .await;
    assert!(!cached(&outcome));
    assert_eq!(
        outcome
            .vertex("importing cache manifest from Amazon S3")
            .error,
        ""
    );
}

#[tokio::test]
async fn failed_exports_fail_the_build_unless_they_are_to_be_ignored() {
    let server = bucket().await;
    let (_daemon, client) = start().await;
    let wrong = [("access_key_id", "other"), ("secret_access_key", "keys")];
    let outcome = client
        .build(job("1", None, Some(entry(&server, &wrong))))
        .await;
    assert!(
        outcome
            .error()
            .message()
            .starts_with("failed to check file presence in cache: operation error S3: HeadObject")
    );
    let ignored = [&wrong[..], &[("ignore-error", "true")]].concat();
    let outcome = client
        .build(job(
            "1",
            Some(entry(&server, &wrong)),
            Some(entry(&server, &ignored)),
        ))
        .await;
    outcome
        .result
        .as_ref()
        .expect("a failed export was to be ignored");
    for name in [
        "importing cache manifest from Amazon S3",
        "exporting cache to Amazon S3",
    ] {
        assert!(!outcome.vertex(name).error.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn caches_of_other_types_are_not_reached() {
    let (daemon, client) = start().await;
    let registry = CacheOptionsEntry {
        r#type: "registry".to_owned(),
        attrs: [("ref".to_owned(), "127.0.0.1:1/a:cache".to_owned())].into(),
    };
    let outcome = client.build(job("1", Some(registry.clone()), None)).await;
    assert!(
        !outcome
            .vertex("importing cache manifest from registry:127.0.0.1:1/a:cache")
            .error
            .is_empty()
    );
    assert!(
        client
            .build(job("1", None, Some(registry)))
            .await
            .result
            .is_err()
    );
    assert_eq!(daemon.builds()[0].cache_imports[0].0, "registry");
}
