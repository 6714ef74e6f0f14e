//! Sessions: the client's services, which the daemon calls through a tunnel.
//!
//! The client runs an HTTP/2 server inside of the byte messages of `Control.Session`; the daemon is its client.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard_buildkit_proto::health::HealthCheckRequest;
use bollard_buildkit_proto::health::health_client::HealthClient;
use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};

use super::error::{BuildError, BuildResult};
use crate::fault::{Call, Fault, Faults};
use crate::serve::{Switch, lock};

/// How often the daemon asks the client whether it is well, and how long it waits for the answer.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a build waits for its session, as in real daemons.
const WAIT: Duration = Duration::from_secs(5);

/// How many bytes one message of the tunnel carries at most.
const PIECE: usize = 32 << 10;

/// The largest message of one of the client's services: 16 MiB, as in real daemons.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// A client's services.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    /// What sessions of one client have in common; contexts are kept under it from build to build.
    pub(super) shared_key: String,
    pub(super) channel: Channel,
    methods: HashSet<String>,
}

impl Session {
    /// Whether the client said that it serves this method, such as `/moby.filesync.v1.Auth/Credentials`.
    pub(super) fn serves(&self, method: &str) -> bool {
        self.methods.contains(&method.to_lowercase())
    }
}

/// The open sessions of a daemon.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    changed: watch::Sender<()>,
}

impl Sessions {
    /// Opens a session; the stream that is returned carries the daemon's side of the tunnel.
    pub(super) fn open(
        self: &Arc<Self>,
        metadata: &MetadataMap,
        inbound: Streaming<BytesMessage>,
        faults: &Faults,
        switch: &Switch,
    ) -> Result<ReceiverStream<Result<BytesMessage, Status>>, Status> {
        let header = |name| {
            let value = metadata.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let id = header("x-docker-expose-session-uuid");
        if id.is_empty() {
            return Err(Status::invalid_argument("the session has no id"));
        }
        let methods = metadata.get_all("x-docker-expose-session-grpc-method");
        let methods = methods.iter().filter_map(|method| method.to_str().ok());
        let (near, far) = tokio::io::duplex(PIECE);
        let session = Session {
            id: id.clone(),
            shared_key: header("x-docker-expose-session-sharedkey"),
            channel: connect(far),
            methods: methods.map(str::to_lowercase).collect(),
        };
        self.insert(session.clone());
        let (tunnel_read, tunnel_write) = tokio::io::split(near);
        let (outbound, receiver) = mpsc::channel(16);
        let tunnel = Tunnel {
            id,
            faults: faults.clone(),
            switch: switch.clone(),
        };
        let sessions = self.clone();
        switch.tasks().spawn(async move {
            // Whatever ends first ends the session; the guard also does when the daemon crashes.
            let _guard = Closing(&sessions, &tunnel.id);
            tokio::select! {
                () = tunnel.receive(inbound, tunnel_write) => {}
                () = tunnel.send(tunnel_read, outbound) => {}
                () = watch_health(session.channel) => {}
                () = sessions.wait_closed(&tunnel.id) => {}
            }
        });
        Ok(ReceiverStream::new(receiver))
    }

    /// The session with this id; waits up to [`WAIT`] for it.
    pub(super) async fn get(&self, id: &str) -> BuildResult<Session> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(session) = lock(&self.open).get(id).cloned() {
                    return session;
                }
                // The sender lives as long as `self`.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(WAIT, found).await.map_err(|_| {
            BuildError::new(format!(
                "no active session for {id}: context deadline exceeded"
            ))
            .code(Code::DeadlineExceeded)
        })
    }

    /// Ends a session as if its connection were lost.
    pub(super) fn close(&self, id: &str) {
        lock(&self.open).remove(id);
        self.changed.send_replace(());
    }

    fn insert(&self, session: Session) {
        lock(&self.open).insert(session.id.clone(), session);
        self.changed.send_replace(());
    }

    /// Returns when there is no such session any more.
    async fn wait_closed(&self, id: &str) {
        let mut changed = self.changed.subscribe();
        while lock(&self.open).contains_key(id) {
            let _ = changed.changed().await;
        }
    }
}

/// Takes a session from the list when its tunnel ends, in whatever way.
struct Closing<'a>(&'a Sessions, &'a str);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close(self.1);
    }
}

/// The bytes of one session, on their way in both directions.
struct Tunnel {
    id: String,
    faults: Faults,
    switch: Switch,
}

impl Tunnel {
    /// From the client's messages to the daemon's HTTP/2 connection.
    async fn receive(
        &self,
        mut inbound: Streaming<BytesMessage>,
        mut out: WriteHalf<DuplexStream>,
    ) {
        while let Ok(Some(message)) = inbound.message().await {
            let (data, goes_on) = self.pass("tunnel.receive", &message.data).await;
            if out.write_all(data).await.is_err() || !goes_on {
                return;
            }
        }
    }

    /// From the daemon's HTTP/2 connection to messages for the client.
    async fn send(
        &self,
        mut from: ReadHalf<DuplexStream>,
        out: mpsc::Sender<Result<BytesMessage, Status>>,
    ) {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let (data, goes_on) = self.pass("tunnel.send", &buffer[..length]).await;
            let message = BytesMessage {
                data: data.to_vec(),
            };
            if out.send(Ok(message)).await.is_err() || !goes_on {
                return;
            }
        }
    }

    /// As much of a message as the faults let through, and whether the tunnel stays open.
    async fn pass<'a>(&self, operation: &str, data: &'a [u8]) -> (&'a [u8], bool) {
        let call = Call::new("TUNNEL", self.id.as_str(), operation);
        match self.faults.next(&call) {
            None => (data, true),
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                (data, true)
            }
            Some(Fault::Cut { after_bytes }) => (&data[..after_bytes.min(data.len())], false),
            Some(Fault::Crash) => {
                self.switch.off();
                (&[], false)
            }
            Some(_) => (&[], false),
        }
    }
}

/// A gRPC channel over one end of the tunnel. It connects at its first use, and once.
fn connect(far: DuplexStream) -> Channel {
    let far = Arc::new(Mutex::new(Some(far)));
    let connector = tower::service_fn(move |_: Uri| {
        let far = lock(&far).take();
        async move {
            let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "the session has ended");
            far.map(TokioIo::new).ok_or_else(closed)
        }
    });
    Endpoint::from_static("http://localhost")
        .http2_max_header_list_size(16 << 20)
        .connect_with_connector_lazy(connector)
}

/// Returns when the client does not answer, twice in a row.
async fn watch_health(channel: Channel) {
    let mut client = HealthClient::new(channel);
    let mut failures = 0;
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    while failures < 2 {
        ticks.tick().await;
        let check = client.check(HealthCheckRequest::default());
        match tokio::time::timeout(HEALTH_TIMEOUT, check).await {
            Ok(Ok(_)) => failures = 0,
            _ => failures += 1,
        }
    }
}
