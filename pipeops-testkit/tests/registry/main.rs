//! The registry stand-in, seen by clients.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod conformance;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance::{Client, digest, error_code, manifest};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};
use reqwest::{Method, RequestBuilder, StatusCode};

const HOUR: Duration = Duration::from_secs(3600);

async fn start(options: RegistryOptions) -> Registry {
    Registry::start(options).await.unwrap()
}

fn ci() -> User {
    User::new("ci", "secret")
}

#[tokio::test]
async fn conformance_without_login() {
    let registry = start(RegistryOptions::default()).await;
    conformance::run(&Client::new(&registry.host(), None), "team/app").await;
}

#[tokio::test]
async fn conformance_with_basic() {
    let registry = start(RegistryOptions::default().basic_auth().user(ci())).await;
    let client = Client::new(&registry.host(), Some(("ci", "secret")));
    conformance::run(&client, "team/app").await;
}

#[tokio::test]
async fn conformance_with_tokens() {
    let registry = start(RegistryOptions::default().token_auth(HOUR).user(ci())).await;
    let client = Client::new(&registry.host(), Some(("ci", "secret")));
    conformance::run(&client, "team/app").await;
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
async fn a_real_client_pushes_and_pulls() {
    for options in [
        RegistryOptions::default(),
        RegistryOptions::default().basic_auth().user(ci()),
        RegistryOptions::default().token_auth(HOUR).user(ci()),
    ] {
        let login = RegistryAuth::Basic("ci".to_owned(), "secret".to_owned());
        let auth = match options.users.is_empty() {
            true => RegistryAuth::Anonymous,
            false => login,
        };
        let registry = start(options).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = oci_client::Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            use_monolithic_push: true,
            ..ClientConfig::default()
        });
        let image = format!("{}/team/app:1", registry.host()).parse().unwrap();
        let layers = [ImageLayer::oci_v1("layer", None)];
        let config = Config::oci_v1("{}", None);
        client
            .push(&image, &layers, config, &auth, None)
            .await
            .unwrap();
        let types = vec!["application/vnd.oci.image.layer.v1.tar"];
        let pulled = client.pull(&image, &auth, types).await.unwrap();
        assert_eq!(&pulled.layers[0].data[..], b"layer");
        let kept = registry.manifest("team/app", "1").unwrap();
        assert_eq!(pulled.digest.as_deref(), Some(kept.digest.as_str()));
    }
}

#[tokio::test]
async fn wrong_logins_are_refused_and_nothing_is_stored() {
    for options in [
        RegistryOptions::default().basic_auth(),
        RegistryOptions::default().token_auth(HOUR),
    ] {
        let registry = start(options.user(ci())).await;
        for login in [None, Some(("ci", "wrong"))] {
            let client = Client::new(&registry.host(), login);
            let path = "/v2/team/app/blobs/uploads/";
            let refused = client.send(Method::POST, path, |request| request).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
        assert!(
            registry
                .requests()
                .iter()
                .all(|request| request.status != Some(202))
        );
    }
}

#[tokio::test]
async fn a_reader_may_not_push_and_a_stranger_may_pull_what_is_public() {
    let reader = User::new("reader", "pw").read_only();
    let options = RegistryOptions::default()
        .basic_auth()
        .anonymous_pull()
        .user(reader);
    let registry = start(options).await;
    registry
        .seed("team/app", "1", &BaseImage::new().file("etc/motd", "hi"))
        .unwrap();
    let stranger = Client::new(&registry.host(), None);
    assert_eq!(
        stranger.get("/v2/team/app/manifests/1").await.status(),
        StatusCode::OK
    );
    let reader = Client::new(&registry.host(), Some(("reader", "pw")));
    let refused = reader
        .send(Method::POST, "/v2/team/app/blobs/uploads/", |request| {
            request
        })
        .await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(error_code(refused).await, "DENIED");
}

#[tokio::test]
async fn throttling_and_errors_come_as_scripted_and_then_pass() {
    let registry = start(RegistryOptions::default()).await;
    let client = Client::new(&registry.host(), None);
    let throttled = Fault::too_many_requests(3).on(Matcher::operation("upload.start"));
    let throttled = registry.faults().add(throttled);
    let response = client
        .send(Method::POST, "/v2/a/blobs/uploads/", |request| request)
        .await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "3");
    assert_eq!(error_code(response).await, "TOOMANYREQUESTS");
    assert_eq!(throttled.fired(), 1);
    client.start_upload("a").await;

    registry.faults().add(Fault::forbidden().on(Matcher::any()));
    let response = client.get("/v2/").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.text().await.unwrap().contains("token has expired"));
    registry
        .faults()
        .add(Fault::unauthorized().on(Matcher::any()));
    let response = client.get("/v2/").await;
    assert!(response.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn tags_come_in_pages_with_a_link_to_the_next() {
    let registry = start(RegistryOptions::default()).await;
    for tag in ["1", "2", "3"] {
        registry.seed("a", tag, &BaseImage::new()).unwrap();
    }
    let client = Client::new(&registry.host(), None);
    let page = client.get("/v2/a/tags/list?n=1&last=1").await;
    assert_eq!(
        page.headers()["link"],
        "</v2/a/tags/list?last=2&n=1>; rel=\"next\""
    );
    let page: serde_json::Value = page.json().await.unwrap();
    assert_eq!(page["tags"], serde_json::json!(["2"]));
    let last = client.get("/v2/a/tags/list?n=1&last=2").await;
    assert!(!last.headers().contains_key("link"));
}

#[tokio::test]
async fn deleted_means_gone() {
    let registry = start(RegistryOptions::default()).await;
    let client = Client::new(&registry.host(), None);
    let config = client.push_blob("a", b"{}").await;
    client.push_blob("a", b"layer").await;
    let manifest = manifest(&config, b"layer");
    client.put_manifest("a", "1", &manifest).await;
    let kept = registry.manifest("a", "1").unwrap();
    let path = format!("/v2/a/manifests/{}", kept.digest);
    let deleted = client.send(Method::DELETE, &path, |request| request).await;
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    assert_eq!(
        client.get("/v2/a/manifests/1").await.status(),
        StatusCode::NOT_FOUND
    );
    assert!(registry.tags("a").is_empty() && registry.repositories().is_empty());
}

#[tokio::test]
async fn what_it_does_not_know_is_an_error() {
    let registry = start(RegistryOptions::default()).await;
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
