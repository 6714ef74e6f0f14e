//! What the tests against real servers share. `cargo testbed env` prints the environment that they need.

// Each test file compiles this module for itself and uses a part of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this module; a test may panic"
)]

#[cfg(unix)]
pub(crate) mod daemons;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use pipeops_buildkit::{Address, Client, ConnectOptions, Error, Solve, Solved};
use pipeops_core::event::{EventKind, VertexState};
use pipeops_core::{BuildRequest, EventSink, ImageRef};

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
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
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

    pub(crate) fn logs(&self) -> Vec<String> {
        let line = |event| match event {
            EventKind::Log { line, .. } => Some(line),
            _ => None,
        };
        self.all().into_iter().filter_map(line).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = |event| match event {
            EventKind::Warning { message } => Some(message),
            _ => None,
        };
        self.all().into_iter().filter_map(text).collect()
    }

    /// Names of the steps that ended so.
    pub(crate) fn ended(&self, wanted: VertexState) -> Vec<String> {
        let name = |event| match event {
            EventKind::Vertex { name, state, .. } if state == wanted => Some(name),
            _ => None,
        };
        self.all().into_iter().filter_map(name).collect()
    }
}

/// Builds with a limit that no test reaches unless something hangs.
pub(crate) async fn solve(request: BuildRequest, events: &dyn EventSink) -> Result<Solved, Error> {
    client()
        .await
        .solve(
            Solve::new(request).timeout(Duration::from_secs(120)),
            events,
        )
        .await
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

/// All bytes of an image: manifest, configuration and unpacked layers.
pub(crate) async fn image_bytes(image: &ImageRef) -> Vec<u8> {
    use std::io::Read;
    let repository = image.repository();
    let (_, manifest) =
        registry_get(&format!("{repository}/manifests/{}", image.tag().unwrap())).await;
    let json: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
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
