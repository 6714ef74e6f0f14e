//! The client's side of a session: the services that a daemon calls back.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::{FileSync, FileSyncServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

/// One file of a context.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
}

/// What the session offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    pub(crate) files: Vec<File>,
    pub(crate) login: Option<(String, String)>,
    /// The client fetches tokens itself and signs for it, with the right key or with another one.
    pub(crate) authority: Option<Authority>,
    pub(crate) shared_key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    Honest,
    Forged,
}

/// What the daemon asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) credentials: Vec<String>,
    pub(crate) tokens: Vec<String>,
    /// The files that were sent.
    pub(crate) sent: Vec<String>,
    /// `followpaths` and `exclude-patterns` of each transfer, by folder.
    pub(crate) transfers: Vec<(String, Vec<String>, Vec<String>)>,
}

pub(crate) type Shared = Arc<Mutex<Asked>>;

const METHODS: [&str; 6] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.Auth/FetchToken",
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    "/grpc.health.v1.Health/Check",
];

/// Opens a session and serves it until the returned task ends or is aborted.
pub(crate) async fn open(
    channel: Channel,
    id: &str,
    offer: Offer,
    asked: Shared,
) -> Result<tokio::task::JoinHandle<()>, Status> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (outbound, receiver) = mpsc::channel(16);
    let mut request = Request::new(ReceiverStream::new(receiver));
    let metadata = request.metadata_mut();
    metadata.insert("x-docker-expose-session-uuid", id.parse().unwrap());
    metadata.insert("x-docker-expose-session-name", "test".parse().unwrap());
    metadata.insert(
        "x-docker-expose-session-sharedkey",
        offer.shared_key.parse().unwrap(),
    );
    for method in METHODS {
        metadata.append(
            "x-docker-expose-session-grpc-method",
            method.parse().unwrap(),
        );
    }
    let services = Services {
        offer: Arc::new(offer),
        asked,
    };
    let server = Server::builder()
        .add_service(HealthServer::new(services.clone()))
        .add_service(FileSyncServer::new(services.clone()))
        .add_service(AuthServer::new(services));
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(far));
    let mut inbound = ControlClient::new(channel)
        .session(request)
        .await?
        .into_inner();
    let (mut read, mut write) = tokio::io::split(near);
    Ok(tokio::spawn(async move {
        let send = async {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(length @ 1..) = read.read(&mut buffer).await {
                let message = BytesMessage {
                    data: buffer[..length].to_vec(),
                };
                if outbound.send(message).await.is_err() {
                    return;
                }
            }
        };
        let receive = async {
            while let Ok(Some(message)) = inbound.message().await {
                if write.write_all(&message.data).await.is_err() {
                    return;
                }
            }
        };
        let serve = async {
            let _ = server.serve_with_incoming(incoming).await;
            // The stream of connections ends after the one; the connection lives on.
            std::future::pending::<()>().await;
        };
        tokio::select! { () = send => {} () = receive => {} () = serve => {} }
    }))
}

#[derive(Debug, Clone)]
struct Services {
    offer: Arc<Offer>,
    asked: Shared,
}

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

#[tonic::async_trait]
impl FileSync for Services {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Packets>, Status> {
        let list = |name: &str| -> Vec<String> {
            let values = request.metadata().get_all(name).iter();
            values
                .filter_map(|value| value.to_str().ok())
                .map(str::to_owned)
                .collect()
        };
        let dir = list("dir-name").pop().unwrap_or_default();
        let follow = list("followpaths");
        let transfer = (dir, follow.clone(), list("exclude-patterns"));
        self.asked.lock().unwrap().transfers.push(transfer);
        let listed = listing(&self.offer.files, &follow);
        let (sender, receiver) = mpsc::channel(64);
        let asked = self.asked.clone();
        tokio::spawn(send_files(listed, request.into_inner(), sender, asked));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        Err(Status::unimplemented("no tar"))
    }
}

/// The files and their folders in pre-order; with `follow` only those that it names.
fn listing(files: &[File], follow: &[String]) -> Vec<(Stat, Vec<u8>)> {
    let wanted = |path: &str| {
        follow.is_empty()
            || follow
                .iter()
                .any(|name| path == name || path.starts_with(&format!("{name}/")))
    };
    let mut entries: HashMap<String, (Stat, Vec<u8>)> = HashMap::new();
    for file in files.iter().filter(|file| wanted(&file.path)) {
        for (at, _) in file.path.match_indices('/') {
            let path = file.path[..at].to_owned();
            let stat = Stat {
                path: path.clone(),
                mode: 1 << 31 | 0o755,
                ..Stat::default()
            };
            entries.insert(path, (stat, Vec::new()));
        }
        let stat = Stat {
            path: file.path.clone(),
            mode: file.mode,
            size: file.content.len() as i64,
            mod_time: file.time,
            ..Stat::default()
        };
        entries.insert(file.path.clone(), (stat, file.content.clone()));
    }
    let mut entries: Vec<_> = entries.into_values().collect();
    let parts = |stat: &Stat| stat.path.split('/').map(str::to_owned).collect::<Vec<_>>();
    entries.sort_by_key(|(stat, _)| parts(stat));
    entries
}

async fn send_files(
    files: Vec<(Stat, Vec<u8>)>,
    mut requests: Streaming<Packet>,
    out: mpsc::Sender<Result<Packet, Status>>,
    asked: Shared,
) {
    let packet = |kind: PacketType| Packet {
        r#type: kind.into(),
        ..Packet::default()
    };
    for (stat, _) in &files {
        let stat = Some(stat.clone());
        let _ = out
            .send(Ok(Packet {
                stat,
                ..packet(PacketType::PacketStat)
            }))
            .await;
    }
    let _ = out.send(Ok(packet(PacketType::PacketStat))).await;
    while let Ok(Some(request)) = requests.message().await {
        match request.r#type() {
            PacketType::PacketReq => {
                let (stat, content) = &files[request.id as usize];
                asked.lock().unwrap().sent.push(stat.path.clone());
                for piece in content.chunks(32 << 10).chain([&[][..]]) {
                    let data = piece.to_vec();
                    let id = request.id;
                    let _ = out
                        .send(Ok(Packet {
                            id,
                            data,
                            ..packet(PacketType::PacketData)
                        }))
                        .await;
                }
            }
            PacketType::PacketFin => {
                let _ = out.send(Ok(packet(PacketType::PacketFin))).await;
                return;
            }
            _ => return,
        }
    }
}

/// The key of the token authority: any fixed one does for tests.
fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

#[tonic::async_trait]
impl Auth for Services {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        self.asked
            .lock()
            .unwrap()
            .credentials
            .push(request.into_inner().host);
        let (username, secret) = self.offer.login.clone().unwrap_or_default();
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(
        &self,
        request: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        let request = request.into_inner();
        self.asked
            .lock()
            .unwrap()
            .tokens
            .extend(request.scopes.clone());
        let (name, password) = self.offer.login.clone().unwrap_or_default();
        let mut query = vec![("service", request.service)];
        query.extend(request.scopes.into_iter().map(|scope| ("scope", scope)));
        let http = reqwest::Client::new().get(&request.realm).query(&query);
        let answer = http.basic_auth(name, Some(password)).send().await;
        let answer = answer.map_err(|error| Status::unavailable(error.to_string()))?;
        let json: serde_json::Value = answer.json().await.unwrap_or_default();
        let token = json["token"].as_str();
        let token = token.ok_or_else(|| Status::unauthenticated("the token server refused"))?;
        Ok(Response::new(FetchTokenResponse {
            token: token.to_owned(),
            ..FetchTokenResponse::default()
        }))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        match self.offer.authority {
            Some(_) => Ok(Response::new(GetTokenAuthorityResponse {
                public_key: key(1).public_key().as_ref().to_vec(),
            })),
            None => Err(Status::unavailable("no authority")),
        }
    }

    async fn verify_token_authority(
        &self,
        request: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        let seed = match self.offer.authority {
            Some(Authority::Honest) => 1,
            _ => 2,
        };
        let payload = request.into_inner().payload;
        let mut signed = key(seed).sign(&payload).as_ref().to_vec();
        signed.extend(payload);
        Ok(Response::new(VerifyTokenAuthorityResponse { signed }))
    }
}

#[tonic::async_trait]
impl Health for Services {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("no list"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("no watch"))
    }
}
