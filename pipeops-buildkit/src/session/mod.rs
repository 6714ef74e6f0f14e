//! The session: an HTTP/2 server inside a call to the daemon. Through it the daemon fetches files, credentials and secrets during
//! the build.

pub(crate) mod access;
pub(crate) mod auth;
mod blob_messages;
pub(crate) mod blobs;
mod content;
pub(crate) mod filesync;
pub(crate) mod filter;
pub(crate) mod folder;
pub(crate) mod notes;
mod os;
pub(crate) mod packet;
pub(crate) mod patterns;
pub(crate) mod receive;
mod received;
mod root;
pub(crate) mod secrets;
pub(crate) mod send;
pub(crate) mod ssh;
pub(crate) mod stat;
pub(crate) mod token;
mod tree;
mod tunnel;
pub(crate) mod upload;
mod wanted;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::health as health_proto;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use bollard_buildkit_proto::moby::upload::v1::upload_server::UploadServer;
use futures::stream::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tonic::codegen::Service as _;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::client::{HEADER_LIMIT, WINDOW};
use crate::error::Error;
use crate::random;

use self::auth::Auth;
use self::blobs::Blobs;
use self::filesync::FileSync;
use self::packet::DiffCopy;
use self::secrets::Secrets;
use self::send::FileSend;
use self::ssh::Ssh;
use self::tunnel::{Heard, Tunnel, WAITING};
use self::upload::Upload;

/// Time limit for the daemon to accept the session.
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// The services of a session.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) files: Arc<FileSync>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) results: Arc<FileSend>,
    pub(crate) ssh: Arc<Ssh>,
    pub(crate) uploads: Arc<Upload>,
    pub(crate) blobs: Arc<Blobs>,
}

/// The announced methods. The daemon calls no others.
const METHODS: [&str; 15] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.FileSend/DiffCopy",
    "/moby.upload.v1.Upload/Pull",
    "/containerd.services.content.v1.Content/Info",
    "/containerd.services.content.v1.Content/Read",
    "/containerd.services.content.v1.Content/Write",
    "/containerd.services.content.v1.Content/Abort",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.Auth/FetchToken",
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];

/// An open session. Dropping it ends all its tasks.
pub(crate) struct Session {
    /// The id by which a build refers to it.
    pub(crate) id: String,
    server: AbortOnDropHandle<Option<String>>,
    heard: Heard,
    _tasks: DropGuard,
}

impl Session {
    /// Opens a session and waits until the daemon uses it.
    ///
    /// Builds with the same `shared_key` share the context files that the daemon keeps.
    pub(crate) async fn open(
        control: &mut ControlClient<Channel>,
        services: Services,
        shared_key: &str,
    ) -> Result<Self, Error> {
        let id = random::id()?;
        let (outgoing, messages) = mpsc::channel(WAITING);
        let mut request = Request::new(ReceiverStream::new(messages));
        describe(request.metadata_mut(), &id, shared_key)?;
        // The daemon knows the session once it sends these headers.
        let incoming = match timeout(OPEN_LIMIT, control.session(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(Error::session(status.message())),
            Err(_) => return Err(Error::session("the daemon did not accept it in time")),
        };
        let heard = Heard::new();
        let tunnel = Tunnel::new(incoming, outgoing, heard.clone());
        let tasks = CancellationToken::new();
        let server = tokio::spawn(serve(tunnel, services, tasks.clone()));
        Ok(Self {
            id,
            server: AbortOnDropHandle::new(server),
            heard,
            _tasks: tasks.drop_guard(),
        })
    }

    /// Waits until the session ends, which it shouldn't during a build. Returns the reason, if known.
    pub(crate) async fn ended(&mut self) -> Option<String> {
        (&mut self.server)
            .await
            .unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.server.is_finished()
    }

    /// The time since the daemon last used it, including health checks.
    pub(crate) fn silence(&self) -> Duration {
        self.heard.silence()
    }
}

fn describe(headers: &mut MetadataMap, id: &str, shared_key: &str) -> Result<(), Error> {
    let value = |text: &str| {
        AsciiMetadataValue::try_from(text).map_err(|_| Error::Invalid {
            field: "shared_key",
            why: "only printable ASCII is allowed".to_owned(),
        })
    };
    headers.insert("x-docker-expose-session-uuid", value(id)?);
    headers.insert("x-docker-expose-session-sharedkey", value(shared_key)?);
    for method in METHODS {
        headers.append(
            "x-docker-expose-session-grpc-method",
            AsciiMetadataValue::from_static(method),
        );
    }
    Ok(())
}

/// Serves one tunnel until it ends. Returns the reason if that was an error.
async fn serve(tunnel: Tunnel, services: Services, tasks: CancellationToken) -> Option<String> {
    let service = hyper::service::service_fn(move |request| {
        let services = services.clone();
        async move { services.answer(request).await }
    });
    let connection = hyper::server::conn::http2::Builder::new(Bounded(tasks))
        // Each pattern of a .dockerignore comes as a separate header.
        .max_header_list_size(HEADER_LIMIT)
        // The server ends a connection if too many small messages wait, and file requests are small and many. The window
        // determines how many may wait.
        .initial_connection_window_size(WINDOW)
        .serve_connection(TokioIo::new(tunnel), service);
    connection.await.err().map(|error| error.to_string())
}

impl Services {
    async fn answer(
        self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<tonic::body::Body>, Infallible> {
        let path = request.uri().path();
        if path == "/moby.filesync.v1.FileSync/DiffCopy" {
            let files: Arc<dyn DiffCopy> = self.files;
            packet::serve(files, request).await
        } else if path == "/moby.filesync.v1.FileSend/DiffCopy" {
            self.results.answer(request).await
        } else if path.starts_with(blobs::SERVICE) {
            self.blobs.answer(request).await
        } else if path.starts_with("/moby.sshforward.v1.SSH/") {
            SshServer::from_arc(self.ssh).call(request).await
        } else if path.starts_with("/moby.upload.v1.Upload/") {
            UploadServer::from_arc(self.uploads).call(request).await
        } else if path.starts_with("/grpc.health.v1.Health/") {
            HealthServer::new(Healthy).call(request).await
        } else if path.starts_with("/moby.filesync.v1.Auth/") {
            AuthServer::from_arc(self.auth).call(request).await
        } else if path.starts_with("/moby.buildkit.secrets.v1.Secrets/") {
            SecretsServer::from_arc(self.secrets).call(request).await
        } else {
            Ok(Status::unimplemented(path.to_owned()).into_http())
        }
    }
}

/// Runs the server's tasks so that they end with the session.
#[derive(Clone)]
struct Bounded(CancellationToken);

impl<F> hyper::rt::Executor<F> for Bounded
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let token = self.0.clone();
        hyper::rt::Executor::execute(&TokioExecutor::new(), token.run_until_cancelled_owned(task));
    }
}

/// Always reports health. Without answers to its health checks, the daemon ends a session after ten seconds.
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        _request: Request<health_proto::HealthCheckRequest>,
    ) -> Result<Response<health_proto::HealthCheckResponse>, Status> {
        let status = health_proto::health_check_response::ServingStatus::Serving.into();
        Ok(Response::new(health_proto::HealthCheckResponse { status }))
    }

    async fn list(
        &self,
        _request: Request<health_proto::HealthListRequest>,
    ) -> Result<Response<health_proto::HealthListResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    type WatchStream = Empty<Result<health_proto::HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _request: Request<health_proto::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }
}
