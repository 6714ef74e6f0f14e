//! What the tests against real servers share. `cargo testbed env` prints the environment that they need.

// Each test file compiles this module for itself and uses a part of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this module; a test may panic"
)]

#[cfg(unix)]
pub(crate) mod daemons;
#[cfg(unix)]
pub(crate) mod many;
pub(crate) mod standin;

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use pipeops_buildkit::{Address, Client, ConnectOptions, Error, Solve, Solved};
use pipeops_core::build::{BuildCache, S3Cache};
use pipeops_core::event::{EventKind, VertexState};
use pipeops_core::{
    BuildRequest, Credential, CredentialProvider, EventSink, Failure, ImageRef, RegistryScope,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A variable of the environment, or a failure that says how to get it.
pub(crate) fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo testbed up` and take what `cargo testbed env` prints")
    })
}

pub(crate) fn address() -> Address {
    Address::parse(&env("BUILDKIT_HOST")).unwrap()
}

pub(crate) async fn client() -> Client {
    Client::connect(&address(), ConnectOptions::default())
        .await
        .unwrap()
}

/// A name that no other test run uses.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{now:x}-{next}", std::process::id())
}

/// A build context on disk.
pub(crate) struct Context(tempfile::TempDir);

impl Context {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let context = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            context.write(path, text.as_bytes());
        }
        context
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A request to push this to the registry without authentication, under a new name. Its steps run even if an earlier
    /// test run left their results in the daemon's cache.
    pub(crate) fn fresh_request(&self) -> BuildRequest {
        let mut request = self.request();
        request.no_cache = true;
        request
    }

    /// A request to push this to the registry without authentication, under a new name.
    pub(crate) fn request(&self) -> BuildRequest {
        let image: ImageRef = format!("{}/{}:1", env("REGISTRY"), unique("bk"))
            .parse()
            .unwrap();
        BuildRequest::new(self.path(), image)
    }
}

/// Keeps all events.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<EventKind>>);

impl EventSink for Recorder {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
}

impl Recorder {
    pub(crate) fn all(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().clone()
    }

    fn select<T>(&self, pick: impl FnMut(EventKind) -> Option<T>) -> Vec<T> {
        self.all().into_iter().filter_map(pick).collect()
    }

    pub(crate) fn logs(&self) -> Vec<String> {
        self.select(|event| match event {
            EventKind::Log { line, .. } => Some(line),
            _ => None,
        })
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.select(|event| match event {
            EventKind::Warning { message } => Some(message),
            _ => None,
        })
    }

    /// The places in the queue that a build was told.
    pub(crate) fn positions(&self) -> Vec<u64> {
        self.select(|event| match event {
            EventKind::BuildWaiting { ahead } => Some(ahead),
            _ => None,
        })
    }

    /// Names of the steps that ended so.
    pub(crate) fn ended(&self, wanted: VertexState) -> Vec<String> {
        self.select(|event| match event {
            EventKind::Vertex { name, state, .. } if state == wanted => Some(name),
            _ => None,
        })
    }

    /// Waits until a step has printed this line.
    pub(crate) async fn heard(&self, line: &str) {
        until(|| self.logs().iter().any(|logged| logged == line)).await;
    }

    /// Waits until a step has begun whose name contains `part`.
    pub(crate) async fn began(&self, part: &str) {
        let names = || {
            self.select(|event| match event {
                EventKind::Vertex { name, .. } => Some(name),
                _ => None,
            })
        };
        until(|| names().iter().any(|name| name.contains(part))).await;
    }

    /// Waits until a part of a step has been reported whose id starts with `prefix`.
    pub(crate) async fn reported(&self, prefix: &str) {
        let ids = || {
            self.select(|event| match event {
                EventKind::Transfer { id, .. } => Some(id),
                _ => None,
            })
        };
        until(|| ids().iter().any(|id| id.starts_with(prefix))).await;
    }

    /// How many warnings contain `text`.
    pub(crate) fn about(&self, text: &str) -> usize {
        let warnings = self.warnings();
        warnings.iter().filter(|told| told.contains(text)).count()
    }

    /// Checks that one warning has all these parts.
    #[track_caller]
    pub(crate) fn assert_warned(&self, parts: &[&str]) {
        let warnings = self.warnings();
        let has = |told: &String| parts.iter().all(|part| told.contains(part));
        assert!(warnings.iter().any(has), "{parts:?} not in {warnings:#?}");
    }

    /// Checks that there was one warning, and that it has all these parts.
    #[track_caller]
    pub(crate) fn assert_warned_once(&self, parts: &[&str]) {
        assert_eq!(self.warnings().len(), 1, "{:#?}", self.warnings());
        self.assert_warned(parts);
    }
}

/// Waits for something that will be so in the end.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait)
        .await
        .expect("it never happens");
}

/// An address in front of a registry. Requests wait there until it opens.
pub(crate) struct Gate(TcpListener);

impl Gate {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn host(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Passes everything on to the registry until the result is dropped.
    pub(crate) fn open(self, registry: String) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = self.0.accept().await {
                let registry = registry.clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(registry).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        tasks
    }
}

/// The login of one registry. Keeps what it was asked.
#[derive(Debug)]
pub(crate) struct Login {
    host: String,
    username: String,
    password: String,
    asked: Mutex<Vec<(String, RegistryScope)>>,
    refused: AtomicU32,
}

impl Login {
    pub(crate) fn new(
        host: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            host: host.into(),
            username: username.into(),
            password: password.into(),
            asked: Mutex::default(),
            refused: AtomicU32::new(0),
        })
    }

    pub(crate) fn refusals(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Checks that it was asked for nothing but to push to one repository.
    pub(crate) fn assert_asked_only_for(&self, repository: &str) {
        let only = (self.host.clone(), RegistryScope::push(repository));
        let asked = self.asked.lock().unwrap();
        assert!(asked.iter().all(|asked| *asked == only), "{asked:?}");
        assert!(!asked.is_empty());
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Login {
    async fn credential(&self, host: &str, scope: &RegistryScope) -> Result<Credential, Failure> {
        let asked = (host.to_owned(), scope.clone());
        self.asked.lock().unwrap().push(asked);
        Ok(match host == self.host {
            true => Credential::basic(&self.username, self.password.as_str()),
            false => Credential::anonymous(),
        })
    }

    fn refused(&self, _host: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps the bytes that an output writes.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl tokio::io::AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// The settings of all S3 caches of a request.
pub(crate) fn s3_caches(request: &mut BuildRequest) -> impl Iterator<Item = &mut S3Cache> {
    let caches = request.cache_from.iter_mut().chain(&mut request.cache_to);
    caches.filter_map(|cache| match cache {
        BuildCache::S3(s3) => Some(s3),
        _ => None,
    })
}

/// Builds with a limit that no test reaches unless something hangs.
pub(crate) async fn run(solve: Solve, events: &dyn EventSink) -> Result<Solved, Error> {
    let solve = solve.timeout(Duration::from_secs(120));
    client().await.solve(solve, events).await
}

pub(crate) async fn solve(request: BuildRequest, events: &dyn EventSink) -> Result<Solved, Error> {
    run(Solve::new(request), events).await
}

/// Asks a registry that speaks plain HTTP; gives the headers' digest and the body.
pub(crate) async fn registry_get(path: &str) -> (Option<String>, Vec<u8>) {
    let accept =
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let url = format!("http://{}/v2/{path}", env("REGISTRY"));
    let response = http()
        .get(url)
        .header("Accept", accept)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let digest = response
        .headers()
        .get("docker-content-digest")
        .map(|value| value.to_str().unwrap().to_owned());
    (digest, response.bytes().await.unwrap().to_vec())
}

/// An HTTP client that needs no TLS.
pub(crate) fn http() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

/// A manifest, an index or a configuration, with its digest.
pub(crate) async fn registry_json(path: &str) -> (Option<String>, Value) {
    let (digest, body) = registry_get(path).await;
    (digest, serde_json::from_slice(&body).unwrap())
}

/// Checks that a tag names an index of this digest, with one image for each architecture under its own digest. Gives their
/// manifests.
pub(crate) async fn platform_manifests(
    image: &ImageRef,
    digest: &str,
    architectures: &[&str],
) -> Vec<Value> {
    let repository = image.repository();
    let (found, index) =
        registry_json(&format!("{repository}/manifests/{}", image.tag().unwrap())).await;
    assert_eq!(found.as_deref(), Some(digest));
    println!("{image} = {index}");
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), architectures.len(), "{index}");
    let mut manifests = Vec::new();
    for (entry, architecture) in entries.iter().zip(architectures) {
        assert_eq!(entry["platform"]["architecture"], *architecture);
        let wanted = entry["digest"].as_str().unwrap();
        let (found, manifest) = registry_json(&format!("{repository}/manifests/{wanted}")).await;
        assert_eq!(found.as_deref(), Some(wanted));
        let config = manifest["config"]["digest"].as_str().unwrap();
        let (_, config) = registry_json(&format!("{repository}/blobs/{config}")).await;
        assert_eq!(config["architecture"], *architecture);
        manifests.push(manifest);
    }
    manifests
}

/// All bytes of an image: manifest, configuration and unpacked layers.
pub(crate) async fn image_bytes(image: &ImageRef) -> Vec<u8> {
    use std::io::Read;
    let repository = image.repository();
    let (_, manifest) =
        registry_get(&format!("{repository}/manifests/{}", image.tag().unwrap())).await;
    let json: Value = serde_json::from_slice(&manifest).unwrap();
    let mut all = manifest;
    let layers = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| &layer["digest"]);
    for digest in layers.chain([&json["config"]["digest"]]) {
        let (_, blob) =
            registry_get(&format!("{repository}/blobs/{}", digest.as_str().unwrap())).await;
        match blob.starts_with(&[0x1f, 0x8b]) {
            true => drop(
                flate2::read::GzDecoder::new(blob.as_slice())
                    .read_to_end(&mut all)
                    .unwrap(),
            ),
            false => all.extend_from_slice(&blob),
        }
    }
    all
}
