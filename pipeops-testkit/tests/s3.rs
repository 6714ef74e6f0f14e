//! The S3 stand-in, tested with `object_store`'s own suite.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStoreExt, PutPayload, RetryConfig, integration,
};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::s3::{S3Options, S3Server};

async fn start() -> (S3Server, AmazonS3) {
    let server = S3Server::start(S3Options::default().bucket("cache"))
        .await
        .unwrap();
    let store = client(&server.endpoint(), "testkit-secret")
        .build()
        .unwrap();
    (server, store)
}

fn client(endpoint: &str, secret: &str) -> AmazonS3Builder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_region("us-east-1")
        .with_bucket_name("cache")
        .with_access_key_id("testkit")
        .with_secret_access_key(secret)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            max_retries: 2,
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(5),
                ..BackoffConfig::default()
            },
            ..RetryConfig::default()
        })
}

#[tokio::test]
async fn it_passes_the_suite_of_object_store() {
    let (_server, store) = start().await;
    suite(&store).await;
    integration::put_opts(&store, true).await;
    integration::list_paginated(&store, &store).await;
}

#[tokio::test]
#[ignore = "needs testbed: s3"]
async fn a_real_server_passes_the_same_suite() {
    let environment = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("set {name}: `cargo testbed env` prints it"))
    };
    let store = client(
        &environment("S3_ENDPOINT"),
        &environment("S3_SECRET_ACCESS_KEY"),
    )
    .with_bucket_name(environment("S3_BUCKET"))
    .with_region(environment("S3_REGION"))
    .with_access_key_id(environment("S3_ACCESS_KEY_ID"))
    .build()
    .unwrap();
    suite(&store).await;
}

async fn suite(store: &AmazonS3) {
    integration::list_uses_directories_correctly(store).await;
    integration::list_with_delimiter(store).await;
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let (server, _) = start().await;
    let stranger = client(&server.endpoint(), "wrong").build().unwrap();
    let error = stranger
        .put(&Path::from("a"), PutPayload::from("x"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("SignatureDoesNotMatch"),
        "{error}"
    );
    assert!(server.keys("cache").is_empty());
}

#[tokio::test]
async fn a_missing_bucket_says_so() {
    let (server, _) = start().await;
    let store = client(&server.endpoint(), "testkit-secret")
        .with_bucket_name("nowhere")
        .build()
        .unwrap();
    let error = store
        .put(&Path::from("a"), PutPayload::from("x"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn faults_pass_when_they_are_retried() {
    let (server, store) = start().await;
    let slow = server.faults().add(
        Fault::status(503)
            .on(Matcher::operation("object.put"))
            .times(2),
    );
    store
        .put(&Path::from("a"), PutPayload::from("x"))
        .await
        .unwrap();
    assert_eq!(slow.fired(), 2);
    store
        .put(&Path::from("a"), PutPayload::from("0123456789"))
        .await
        .unwrap();
    let cut = server.faults().add(
        Fault::Cut { after_bytes: 0 }
            .on(Matcher::operation("object.get"))
            .always(),
    );
    let get = async { store.get(&Path::from("a")).await?.bytes().await };
    assert!(get.await.is_err());
    cut.remove();
    let got = store
        .get(&Path::from("a"))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(&got[..], b"0123456789");
}

#[tokio::test]
async fn what_it_does_not_know_is_not_implemented() {
    let (server, store) = start().await;
    let (a, b) = (Path::from("a"), Path::from("b"));
    server.put("cache", "a", "x");
    let mut upload = store.put_multipart(&b).await.unwrap();
    upload.put_part(PutPayload::from("part")).await.unwrap();
    for error in [
        upload.complete().await.unwrap_err(),
        store.copy(&a, &b).await.unwrap_err(),
    ] {
        let text = format!("{error:?}");
        assert!(
            text.contains("stand-in: ") && text.contains(" is not implemented"),
            "{text}"
        );
    }
    assert_eq!(server.keys("cache"), ["a"]);
}
