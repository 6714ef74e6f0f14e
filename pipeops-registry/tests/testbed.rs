//! The client against real registries: one open, one with htpasswd, and Gitea's with bearer tokens.
//!
//! `cargo testbed env` prints the addresses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use pipeops_core::credential::Anonymous;
use pipeops_core::{Credential, CredentialProvider, ImageRef};
use pipeops_registry::{ClientOptions, Error, RegistryClient, StaticCredentials};
use sha2::{Digest as _, Sha256};

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run `cargo testbed up` and export what `cargo testbed env` prints"
        )
    })
}

fn client(credentials: impl CredentialProvider) -> RegistryClient {
    RegistryClient::new(Arc::new(credentials), ClientOptions::default()).unwrap()
}

/// Whether the rejected request had credentials; `None` for other errors.
fn presented(error: &Error) -> Option<bool> {
    match error {
        Error::Unauthorized { presented, .. } => Some(*presented),
        _ => None,
    }
}

fn image(host: &str, repository: &str, tag: &str) -> ImageRef {
    format!("{host}/{repository}:{tag}").parse().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn push_blob(http: &reqwest::Client, base: &str, bytes: &[u8]) -> String {
    let started = http
        .post(format!("{base}/blobs/uploads/"))
        .body("")
        .send()
        .await
        .unwrap();
    let location = started.headers()["location"].to_str().unwrap();
    let mut location = started.url().join(location).unwrap();
    location
        .query_pairs_mut()
        .append_pair("digest", &digest(bytes));
    let answer = http
        .put(location)
        .body(bytes.to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    digest(bytes)
}

async fn push_manifest(
    http: &reqwest::Client,
    base: &str,
    reference: &str,
    json: serde_json::Value,
) -> (String, usize) {
    let (media_type, body) = (
        json["mediaType"].as_str().unwrap().to_owned(),
        json.to_string(),
    );
    let put = http
        .put(format!("{base}/manifests/{reference}"))
        .header("content-type", media_type)
        .body(body.clone());
    assert_eq!(put.send().await.unwrap().status(), 201);
    (digest(body.as_bytes()), body.len())
}

/// Pushes an image for two platforms to the open registry, past the client under test.
async fn pushed(repository: &str) -> ImageRef {
    let host = env("REGISTRY");
    let base = format!("http://{host}/v2/{repository}");
    let tls = pipeops_core::tls::without_authorities().unwrap();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap();
    let layer = push_blob(&http, &base, b"a layer").await;
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let config = serde_json::json!({"architecture": architecture, "os": "linux", "config": {"User": "10001"}, "rootfs": {"type": "layers", "diff_ids": [layer]}});
        let config_digest = push_blob(&http, &base, config.to_string().as_bytes()).await;
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.to_string().len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 7}],
        });
        let (digest, size) = push_manifest(&http, &base, architecture, manifest).await;
        manifests.push(serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests});
    push_manifest(&http, &base, "1", index).await;
    image(&host, repository, "1")
}

#[tokio::test]
#[ignore = "needs testbed: registry"]
async fn an_open_registry_is_read_and_written() {
    let pushed = pushed("pipeops-registry/open").await;
    let client = client(Anonymous);
    client.check_push(&pushed).await.unwrap();
    let manifest = client.manifest(&pushed).await.unwrap();
    assert!(manifest.is_index());
    assert_eq!(
        client.resolve(&pushed).await.unwrap(),
        Some(manifest.digest)
    );
    let config = client.config(&pushed, "linux/arm64").await.unwrap();
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["config"]["User"], "10001");
    client.retag(&pushed, "stable").await.unwrap();
    let tags = client.tags(&pushed).await.unwrap();
    assert!(tags.contains(&"stable".to_owned()), "{tags:?}");
    let missing = image(&env("REGISTRY"), "pipeops-registry/open", "missing");
    assert!(!client.exists(&missing).await.unwrap());
}

#[tokio::test]
#[ignore = "needs testbed: registry, registry-auth"]
async fn all_platforms_are_copied_into_a_registry_with_a_password() {
    let pushed = pushed("pipeops-registry/copied").await;
    let host = env("REGISTRY_AUTH");
    let login = Credential::basic(env("REGISTRY_AUTH_USERNAME"), env("REGISTRY_AUTH_PASSWORD"));
    let client = client(StaticCredentials::new().with(&host, login));
    let to = image(&host, "pipeops-registry/copied", "7");
    let digest = client.copy(&pushed, &to).await.unwrap();
    assert_eq!(client.resolve(&to).await.unwrap(), Some(digest));
    let config = client.config(&to, "linux/amd64").await.unwrap();
    assert_eq!(config["architecture"], "amd64");
    // Within the registry: by mounting.
    let mounted = image(&host, "pipeops-registry/mounted", "7");
    client.copy(&to, &mounted).await.unwrap();
    assert!(client.exists(&mounted).await.unwrap());
}

#[tokio::test]
#[ignore = "needs testbed: registry-auth"]
async fn a_real_registry_refuses_missing_and_wrong_passwords() {
    let host = env("REGISTRY_AUTH");
    let to = image(&host, "pipeops-registry/refused", "1");
    let error = client(Anonymous).check_push(&to).await.unwrap_err();
    assert_eq!(presented(&error), Some(false), "{error:?}");
    let wrong = Credential::basic(env("REGISTRY_AUTH_USERNAME"), "wrong");
    let error = client(StaticCredentials::new().with(&host, wrong))
        .check_push(&to)
        .await
        .unwrap_err();
    assert_eq!(presented(&error), Some(true), "{error:?}");
}

#[tokio::test]
#[ignore = "needs testbed: gitea"]
async fn a_real_token_server_is_logged_in_at() {
    let (user, host) = (
        env("GITEA_USERNAME"),
        env("GITEA_URL").replace("http://", ""),
    );
    let to = image(&host, &format!("{user}/app"), "1");
    let login = Credential::basic(&user, env("GITEA_TOKEN"));
    client(StaticCredentials::new().with(&host, login))
        .check_push(&to)
        .await
        .unwrap();
    let wrong = Credential::basic(&user, "wrong");
    let error = client(StaticCredentials::new().with(&host, wrong))
        .check_push(&to)
        .await
        .unwrap_err();
    assert_eq!(presented(&error), Some(true), "{error:?}");
    let error = client(Anonymous).check_push(&to).await.unwrap_err();
    assert_eq!(presented(&error), Some(false), "{error:?}");
}
