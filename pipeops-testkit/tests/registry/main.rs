//! The registry stand-in.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod conformance;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance::{Client, digest, error_code};
use pipeops_testkit::registry::{Registry, RegistryOptions, User};
use reqwest::{Method, RequestBuilder, StatusCode};

#[tokio::test]
async fn conformance_with_and_without_login() {
    let user = || RegistryOptions::default().user(User::new("ci", "secret"));
    for options in [
        RegistryOptions::default(),
        user().basic_auth(),
        user().token_auth(Duration::from_secs(3600)),
    ] {
        let login = Some(("ci", "secret")).filter(|_| !options.users.is_empty());
        let registry = Registry::start(options).await.unwrap();
        conformance::run(&Client::new(&registry.host(), login), "team/app").await;
    }
}

#[tokio::test]
#[ignore = "needs testbed: registry"]
async fn conformance_of_a_real_registry() {
    let client = Client::new(&environment("REGISTRY"), None);
    conformance::run(&client, &fresh_name()).await;
}

#[tokio::test]
#[ignore = "needs testbed: registry-auth"]
async fn conformance_of_a_real_registry_with_basic() {
    let name = environment("REGISTRY_AUTH_USERNAME");
    let password = environment("REGISTRY_AUTH_PASSWORD");
    let client = Client::new(&environment("REGISTRY_AUTH"), Some((&name, &password)));
    conformance::run(&client, &fresh_name()).await;
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}: `cargo testbed env` prints it"))
}

/// Real servers keep what earlier runs pushed.
fn fresh_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("conformance/run-{}", now.as_nanos())
}

#[tokio::test]
async fn what_it_does_not_know_is_an_error() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let client = Client::new(&registry.host(), None);
    let referrers = client
        .get(&format!("/v2/a/referrers/{}", digest(b"x")))
        .await;
    assert_eq!(referrers.status(), StatusCode::NOT_FOUND);
    let upload = client.start_upload("a").await;
    let piece = |request: RequestBuilder| request.body("ab");
    let refused = client.send(Method::PATCH, &upload, piece).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    let odd = serde_json::json!({"mediaType": "application/vnd.example+json"});
    let refused = client.put_manifest("a", "1", &odd).await;
    assert_eq!(error_code(refused).await, "MANIFEST_INVALID");
}
