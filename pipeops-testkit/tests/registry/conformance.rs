//! The conformance suite of registries, for the stand-in and for real servers.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A plain client with one login, which follows a bearer challenge.
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) host: String,
    login: Option<(String, String)>,
}

impl Client {
    pub(crate) fn new(host: &str, login: Option<(&str, &str)>) -> Self {
        // Fails when another test was first: the provider is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            host: host.to_owned(),
            login: login.map(|(name, password)| (name.to_owned(), password.to_owned())),
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Response {
        let url = if path.starts_with("http://") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.host)
        };
        let request = || with(self.http.request(method.clone(), &url));
        let first = match &self.login {
            Some((name, password)) => request().basic_auth(name, Some(password)),
            None => request(),
        };
        let response = first.send().await.expect("the registry answers");
        let challenge = response.headers().get(WWW_AUTHENTICATE).cloned();
        match challenge.as_ref().and_then(|value| value.to_str().ok()) {
            Some(challenge) if challenge.starts_with("Bearer ") => {
                let token = self.token(challenge).await;
                let request = request().header(AUTHORIZATION, format!("Bearer {token}"));
                request.send().await.expect("the registry answers")
            }
            _ => response,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, |request| {
            request.header("accept", format!("{MANIFEST}, {INDEX}"))
        })
        .await
    }

    async fn token(&self, challenge: &str) -> String {
        let field = |name: &str| {
            let start = challenge
                .find(&format!("{name}=\""))
                .map(|at| at + name.len() + 2)?;
            challenge[start..].split('"').next()
        };
        let realm = field("realm").expect("a bearer challenge names its realm");
        let query: Vec<(&str, &str)> = ["service", "scope"]
            .into_iter()
            .filter_map(|name| Some((name, field(name)?)))
            .collect();
        let mut request = self.http.get(realm).query(&query);
        if let Some((name, password)) = &self.login {
            request = request.basic_auth(name, Some(password));
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["token"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn start_upload(&self, name: &str) -> String {
        let path = format!("/v2/{name}/blobs/uploads/");
        let response = self.send(Method::POST, &path, |request| request).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let header = response.headers().get(LOCATION);
        let header = header.expect("the answer has a Location").to_str();
        header.unwrap().to_owned()
    }

    pub(crate) async fn finish_upload(&self, upload: &str, digest: &str, data: &[u8]) -> Response {
        let separator = if upload.contains('?') { '&' } else { '?' };
        let url = format!("{upload}{separator}digest={digest}");
        let put = |request: RequestBuilder| request.body(data.to_vec());
        self.send(Method::PUT, &url, put).await
    }

    pub(crate) async fn push_blob(&self, name: &str, data: &[u8]) -> String {
        let digest = digest(data);
        let upload = self.start_upload(name).await;
        let response = self.finish_upload(&upload, &digest, data).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        manifest: &Value,
    ) -> Response {
        let path = format!("/v2/{name}/manifests/{reference}");
        let media_type = manifest["mediaType"]
            .as_str()
            .unwrap_or(MANIFEST)
            .to_owned();
        let put = |request: RequestBuilder| {
            request
                .header(CONTENT_TYPE, &media_type)
                .body(manifest.to_string())
        };
        self.send(Method::PUT, &path, put).await
    }
}

pub(crate) fn digest(data: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(data)))
}

pub(crate) async fn error_code(response: Response) -> String {
    let body: Value = response.json().await.expect("errors are JSON");
    body["errors"][0]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn manifest(config: &str, layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest(layer),
            "size": layer.len(),
        }],
    })
}

/// The whole suite, in a repository of its own.
pub(crate) async fn run(client: &Client, name: &str) {
    base(client).await;
    blobs(client, name).await;
    uploads(client, name).await;
    mounts(client, name).await;
    manifests(client, name).await;
    tags(client, name).await;
}

async fn base(client: &Client) {
    assert_eq!(client.get("/v2/").await.status(), StatusCode::OK);
    let unknown = client.get("/v2/no/such/repository/tags/list").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(error_code(unknown).await, "NAME_UNKNOWN");
}

async fn blobs(client: &Client, name: &str) {
    let missing = format!("/v2/{name}/blobs/{}", digest(b"missing"));
    let response = client.get(&missing).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(error_code(response).await, "BLOB_UNKNOWN");

    let digest = client.push_blob(name, b"hello blob").await;
    let path = format!("/v2/{name}/blobs/{digest}");
    let head = client.send(Method::HEAD, &path, |request| request).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-length"], "10");
    assert_eq!(head.headers()["docker-content-digest"], *digest);
    assert_eq!(client.get(&path).await.text().await.unwrap(), "hello blob");
}

async fn uploads(client: &Client, name: &str) {
    let upload = client.start_upload(name).await;
    let wrong = client
        .finish_upload(&upload, &digest(b"another"), b"this")
        .await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(error_code(wrong).await, "DIGEST_INVALID");
    let unknown = format!("/v2/{name}/blobs/uploads/00000000-0000-0000-0000-000000000000");
    let unknown = client.finish_upload(&unknown, &digest(b""), b"").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

async fn mounts(client: &Client, name: &str) {
    let digest = client.push_blob(name, b"to be mounted").await;
    let other = format!("{name}-other");
    let mount = format!("/v2/{other}/blobs/uploads/?mount={digest}&from={name}");
    let mounted = client.send(Method::POST, &mount, |request| request).await;
    assert_eq!(mounted.status(), StatusCode::CREATED);
    let there = client.get(&format!("/v2/{other}/blobs/{digest}")).await;
    assert_eq!(there.text().await.unwrap(), "to be mounted");
    let unknown = self::digest(b"never pushed");
    let mount = format!("/v2/{other}/blobs/uploads/?mount={unknown}&from={name}");
    let upload = client.send(Method::POST, &mount, |request| request).await;
    assert_eq!(
        upload.status(),
        StatusCode::ACCEPTED,
        "a mount that fails becomes an upload"
    );
}

async fn manifests(client: &Client, name: &str) {
    let incomplete = manifest(&digest(b"nowhere"), b"nowhere");
    let refused = client.put_manifest(name, "broken", &incomplete).await;
    assert!(refused.status().is_client_error());
    assert_eq!(error_code(refused).await, "MANIFEST_BLOB_UNKNOWN");

    let config = client.push_blob(name, b"{}").await;
    client.push_blob(name, b"layer").await;
    let manifest = manifest(&config, b"layer");
    let digest = digest(manifest.to_string().as_bytes());
    let created = client.put_manifest(name, "v1", &manifest).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()["docker-content-digest"], *digest);
    for reference in ["v1", &digest] {
        let got = client
            .get(&format!("/v2/{name}/manifests/{reference}"))
            .await;
        assert_eq!(got.headers()[CONTENT_TYPE], MANIFEST);
        assert_eq!(got.headers()["docker-content-digest"], *digest);
        assert_eq!(got.text().await.unwrap(), manifest.to_string());
    }
    let wrong = client
        .put_manifest(name, &self::digest(b"x"), &manifest)
        .await;
    assert_eq!(error_code(wrong).await, "DIGEST_INVALID");
    let missing = client.get(&format!("/v2/{name}/manifests/missing")).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(error_code(missing).await, "MANIFEST_UNKNOWN");

    let child =
        json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len()});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]});
    let created = client.put_manifest(name, "multi", &index).await;
    assert_eq!(created.status(), StatusCode::CREATED);
}

async fn tags(client: &Client, name: &str) {
    let mut all: Value = client
        .get(&format!("/v2/{name}/tags/list"))
        .await
        .json()
        .await
        .unwrap();
    // Registry 2.8 lists them in the order of its folder, although the specification asks for a lexical one.
    let listed = all["tags"].as_array_mut().unwrap();
    listed.sort_by_key(ToString::to_string);
    assert_eq!(all, json!({"name": name, "tags": ["multi", "v1"]}));
}
