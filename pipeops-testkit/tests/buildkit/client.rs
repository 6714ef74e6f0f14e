//! A small BuildKit client over the generated stubs: enough to drive the stand-in, and a real daemon the same way.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, Exporter, SolveRequest, SolveResponse, StatusRequest, StatusResponse, Vertex,
};
use prost::Message;
use serde_json::Value;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::session::{self, File, Offer, Shared};

/// A client of one daemon.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) channel: Channel,
}

/// One build to ask for.
#[derive(Clone, Default)]
pub(crate) struct Job {
    pub(crate) offer: Offer,
    pub(crate) attrs: Vec<(String, String)>,
    pub(crate) push: Option<String>,
    pub(crate) cache: CacheOptions,
}

impl Job {
    /// A build of this Dockerfile, which is also a file of the context.
    pub(crate) fn new(dockerfile: &str) -> Self {
        Self::default().file("Dockerfile", dockerfile)
    }

    /// Adds a file. Its time comes from its content: daemons do not see a change that keeps size and time.
    pub(crate) fn file(mut self, path: &str, content: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        self.offer.files.push(File {
            path: path.to_owned(),
            mode: 0o644,
            content: content.as_bytes().to_vec(),
            time: (hasher.finish() >> 2).cast_signed(),
        });
        self
    }

    pub(crate) fn attr(mut self, key: &str, value: &str) -> Self {
        self.attrs.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn push(mut self, name: &str) -> Self {
        self.push = Some(name.to_owned());
        self
    }

    pub(crate) fn login(mut self, name: &str, password: &str) -> Self {
        self.offer.login = Some((name.to_owned(), password.to_owned()));
        self
    }
}

/// How a build ended, and what was seen on the way.
pub(crate) struct Outcome {
    pub(crate) result: Result<SolveResponse, Status>,
    pub(crate) events: Vec<StatusResponse>,
    pub(crate) asked: Shared,
}

impl Outcome {
    /// The image's digest.
    pub(crate) fn digest(&self) -> String {
        let response = self.result.as_ref().expect("the build succeeds");
        response.exporter_response["containerimage.digest"].clone()
    }

    pub(crate) fn error(&self) -> &Status {
        self.result.as_ref().expect_err("the build fails")
    }

    /// The JSON of the error's detail of this kind, such as `errdefs.Source`.
    pub(crate) fn detail(&self, kind: &str) -> Option<Value> {
        let status = rpc::Status::decode(self.error().details()).unwrap();
        let end = format!("{kind}+json");
        let detail = status
            .details
            .into_iter()
            .find(|any| any.type_url.ends_with(&end))?;
        serde_json::from_slice(&detail.value).ok()
    }

    /// The last state of each vertex, in the order in which they first came.
    pub(crate) fn vertices(&self) -> Vec<Vertex> {
        let mut all: Vec<Vertex> = Vec::new();
        for vertex in self.events.iter().flat_map(|event| &event.vertexes) {
            match all.iter_mut().find(|known| known.digest == vertex.digest) {
                Some(known) => *known = vertex.clone(),
                None => all.push(vertex.clone()),
            }
        }
        all
    }

    pub(crate) fn vertex(&self, name: &str) -> Vertex {
        let found = self
            .vertices()
            .into_iter()
            .find(|vertex| vertex.name == name);
        found.unwrap_or_else(|| {
            let names: Vec<_> = self
                .vertices()
                .into_iter()
                .map(|vertex| vertex.name)
                .collect();
            panic!("no vertex {name:?} among {names:#?}")
        })
    }

    pub(crate) fn log(&self) -> String {
        let logs = self.events.iter().flat_map(|event| &event.logs);
        logs.map(|log| String::from_utf8_lossy(&log.msg).into_owned())
            .collect()
    }
}

impl Client {
    /// For `tcp://HOST:PORT` and `unix:///PATH`.
    pub(crate) async fn connect(address: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A failed build carries the whole Dockerfile in its headers.
        let endpoint =
            Endpoint::from_static("http://localhost").http2_max_header_list_size(16 << 20);
        let channel = match address.strip_prefix("unix://") {
            Some(path) => {
                let path = Arc::new(path.to_owned());
                let connector = tower::service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move {
                        let stream = tokio::net::UnixStream::connect(&*path).await?;
                        Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
                    }
                });
                endpoint.connect_with_connector(connector).await
            }
            None => {
                let uri = address.replace("tcp://", "http://");
                let endpoint = Endpoint::from_shared(uri).unwrap();
                endpoint
                    .http2_max_header_list_size(16 << 20)
                    .connect()
                    .await
            }
        };
        Self {
            channel: channel.expect("the daemon listens"),
        }
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone()).max_decoding_message_size(16 << 20)
    }

    /// Builds, and watches it until the end.
    pub(crate) async fn build(&self, job: Job) -> Outcome {
        let (id, session_id) = (fresh("build"), fresh("session"));
        let asked = Shared::default();
        let session = session::open(
            self.channel.clone(),
            &session_id,
            job.offer.clone(),
            asked.clone(),
        );
        let session = session.await.expect("the session opens");
        let request = request(&id, &session_id, &job);
        let watch = async {
            let mut events = Vec::new();
            let status = self
                .control()
                .status(StatusRequest { r#ref: id.clone() })
                .await;
            let Ok(stream) = status else { return events };
            let mut stream = stream.into_inner();
            while let Ok(Some(event)) = stream.message().await {
                events.push(event);
            }
            events
        };
        let mut control = self.control();
        let (result, events) = tokio::join!(control.solve(request), watch);
        session.abort();
        Outcome {
            result: result.map(tonic::Response::into_inner),
            events,
            asked,
        }
    }
}

pub(crate) fn request(id: &str, session: &str, job: &Job) -> SolveRequest {
    let exporter = job.push.as_ref().map(|name| Exporter {
        r#type: "image".to_owned(),
        attrs: [
            ("name".to_owned(), name.clone()),
            ("push".to_owned(), "true".to_owned()),
        ]
        .into(),
    });
    SolveRequest {
        r#ref: id.to_owned(),
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: job.attrs.iter().cloned().collect(),
        exporters: exporter.into_iter().collect(),
        cache: Some(job.cache.clone()),
        ..SolveRequest::default()
    }
}

/// A name that no other test and no earlier run has used.
pub(crate) fn fresh(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!("{what}-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
