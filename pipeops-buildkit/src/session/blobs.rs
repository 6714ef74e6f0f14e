//! Serves blobs of local folders to the daemon: images in an OCI layout, and build caches in a folder.
//!
//! This implements the part of containerd's content API that the daemon uses, only for the folders that the build names. Digests
//! are validated before they become part of a path. A written blob gets its name once its content matches the digest.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read, Seek, SeekFrom};
use std::pin::Pin;

use futures::{Stream, StreamExt};
use hyper::body::Incoming;
use pipeops_core::Digest;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::blob_messages::{
    Action, Empty, Info, InfoRequest, InfoResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use crate::client::MESSAGE_LIMIT;
use crate::layout::{Layout, NewBlob};

/// The path before the method's name.
pub(crate) const SERVICE: &str = "/containerd.services.content.v1.Content/";

/// The header with the name of the folder.
const STORE: &str = "buildkit-attachable-store-id";

/// Limit for the data of one message, in bytes.
const PIECE: usize = 256 << 10;

/// Limit for the messages that wait for the network or the disk.
const WAITING: usize = 8;

/// A folder that the daemon may use.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) layout: Layout,
    /// Whether the daemon may write.
    pub(crate) writable: bool,
}

/// The service: folders by the names under which the daemon asks for them.
#[derive(Debug, Default)]
pub(crate) struct Blobs(BTreeMap<String, Store>);

impl Blobs {
    pub(crate) fn new(stores: BTreeMap<String, Store>) -> Self {
        Self(stores)
    }

    /// Answers one call.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<tonic::body::Body>, Infallible> {
        let name = request
            .headers()
            .get(STORE)
            .and_then(|name| name.to_str().ok());
        let Some(store) = name.and_then(|name| self.0.get(name)).cloned() else {
            let name = name.unwrap_or_default();
            let why = format!("this session has no blob store named {name:?}");
            return Ok(Status::not_found(why).into_http());
        };
        let method = request.uri().path().trim_start_matches(SERVICE).to_owned();
        Ok(match method.as_str() {
            "Info" => {
                let codec = ProstCodec::<InfoResponse, InfoRequest>::default();
                Grpc::new(codec).unary(Method(store), request).await
            }
            "Read" => {
                let codec = ProstCodec::<ReadResponse, ReadRequest>::default();
                Grpc::new(codec)
                    .server_streaming(Method(store), request)
                    .await
            }
            "Write" => {
                let codec = ProstCodec::<WriteResponse, WriteRequest>::default();
                let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE_LIMIT);
                grpc.streaming(Method(store), request).await
            }
            // Incomplete blobs aren't kept.
            "Abort" => {
                let codec = ProstCodec::<Empty, Empty>::default();
                Grpc::new(codec).unary(Method(store), request).await
            }
            _ => Status::unimplemented(method).into_http(),
        })
    }
}

/// One method of one folder, by the type of its request.
struct Method(Store);

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl UnaryService<InfoRequest> for Method {
    type Response = InfoResponse;
    type Future = Answer<InfoResponse>;

    fn call(&mut self, request: Request<InfoRequest>) -> Self::Future {
        let store = self.0.clone();
        Box::pin(async move { store.info(&request.get_ref().digest).map(Response::new) })
    }
}

impl UnaryService<Empty> for Method {
    type Response = Empty;
    type Future = Answer<Empty>;

    fn call(&mut self, _request: Request<Empty>) -> Self::Future {
        Box::pin(async { Ok(Response::new(Empty {})) })
    }
}

impl ServerStreamingService<ReadRequest> for Method {
    type Response = ReadResponse;
    type ResponseStream = Answers<ReadResponse>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: Request<ReadRequest>) -> Self::Future {
        let (store, request) = (self.0.clone(), request.into_inner());
        Box::pin(async move {
            let (out, pieces) = mpsc::channel(WAITING);
            spawn_blocking(move || {
                if let Err(status) = store.read(&request, &out) {
                    let _ = out.blocking_send(Err(status));
                }
            });
            let pieces: Self::ResponseStream = Box::pin(ReceiverStream::new(pieces));
            Ok(Response::new(pieces))
        })
    }
}

impl StreamingService<WriteRequest> for Method {
    type Response = WriteResponse;
    type ResponseStream = Answers<WriteResponse>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: Request<Streaming<WriteRequest>>) -> Self::Future {
        let store = self.0.clone();
        Box::pin(async move {
            let (out, answers) = mpsc::channel(WAITING);
            let (forward, incoming) = mpsc::channel(WAITING);
            let mut stream = request.into_inner();
            // Lives as long as the answers: when the daemon hangs up, the disk's side finds its channel closed.
            let reader = AbortOnDropHandle::new(tokio::spawn(async move {
                while let Some(Ok(request)) = stream.next().await {
                    if forward.send(request).await.is_err() {
                        return;
                    }
                }
            }));
            spawn_blocking(move || {
                if let Err(status) = store.write(incoming, &out) {
                    let _ = out.blocking_send(Err(status));
                }
            });
            let answers = ReceiverStream::new(answers).map(move |answer| {
                let _alive = &reader;
                answer
            });
            let answers: Self::ResponseStream = Box::pin(answers);
            Ok(Response::new(answers))
        })
    }
}

impl Store {
    fn info(&self, digest: &str) -> Result<InfoResponse, Status> {
        let (parsed, size) = self.find(digest)?;
        let info = Info {
            digest: parsed.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
        };
        Ok(InfoResponse { info: Some(info) })
    }

    /// Runs on a thread for blocking work.
    fn read(
        &self,
        request: &ReadRequest,
        out: &mpsc::Sender<Result<ReadResponse, Status>>,
    ) -> Result<(), Status> {
        let (digest, size) = self.find(&request.digest)?;
        let offset = u64::try_from(request.offset).unwrap_or(0);
        let rest = size
            .checked_sub(offset)
            .ok_or_else(|| Status::out_of_range("the offset is past the end of the blob"))?;
        // 0 and less: to the end.
        let wanted = match u64::try_from(request.size) {
            Ok(wanted @ 1..) => wanted.min(rest),
            _ => rest,
        };
        let failed = |error: std::io::Error| Status::internal(format!("{digest}: {error}"));
        let mut file = self.layout.open(&digest).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut file = file.take(wanted);
        let mut at = request.offset.max(0);
        loop {
            let mut data = vec![0; PIECE];
            let length = file.read(&mut data).map_err(failed)?;
            if length == 0 {
                return Ok(());
            }
            data.truncate(length);
            let piece = ReadResponse {
                offset: at,
                data: data.into(),
            };
            at += length as i64;
            if out.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    }

    /// Runs on a thread for blocking work.
    fn write(
        &self,
        mut incoming: mpsc::Receiver<WriteRequest>,
        out: &mpsc::Sender<Result<WriteResponse, Status>>,
    ) -> Result<(), Status> {
        if !self.writable {
            return Err(Status::permission_denied("this folder is read-only"));
        }
        let mut writing = Writing {
            blob: self.layout.begin().map_err(not_written)?,
            store: self,
            total: 0,
            expected: None,
        };
        while let Some(request) = incoming.blocking_recv() {
            let last = request.action == i32::from(Action::Commit);
            let answer = writing.take(request)?;
            if out.blocking_send(Ok(answer)).is_err() || last {
                break;
            }
        }
        Ok(())
    }

    /// The digest, and the size of the blob that has it.
    fn find(&self, digest: &str) -> Result<(Digest, u64), Status> {
        let digest = parse(digest)?;
        let size = self.layout.size(&digest);
        let size = size.ok_or_else(|| Status::not_found(format!("content {digest}: not found")))?;
        Ok((digest, size))
    }
}

fn parse(digest: &str) -> Result<Digest, Status> {
    digest
        .parse()
        .map_err(|_| Status::invalid_argument("invalid digest"))
}

fn not_written(error: std::io::Error) -> Status {
    Status::internal(format!("cannot write the blob: {error}"))
}

/// One blob on its way to the disk.
struct Writing<'a> {
    store: &'a Store,
    blob: NewBlob,
    /// Its size in bytes; 0 if unknown.
    total: i64,
    expected: Option<Digest>,
}

impl Writing<'_> {
    fn take(&mut self, request: WriteRequest) -> Result<WriteResponse, Status> {
        if !request.expected.is_empty() {
            let expected = parse(&request.expected)?;
            if self.store.layout.size(&expected).is_some() {
                return Err(Status::already_exists(format!("content {expected} exists")));
            }
            self.expected = Some(expected);
        }
        if request.total > 0 {
            self.total = request.total;
        }
        let action = Action::try_from(request.action)
            .map_err(|_| Status::invalid_argument("unknown action"))?;
        if action != Action::Stat {
            self.append(&request)?;
        }
        if action == Action::Commit {
            self.commit()?;
        }
        Ok(WriteResponse {
            action: request.action,
            offset: self.offset(),
            total: self.total,
            digest: self.blob.digest(),
        })
    }

    fn append(&mut self, request: &WriteRequest) -> Result<(), Status> {
        let at = self.offset();
        if request.offset > 0 && request.offset != at {
            let why = format!("the offset is {} instead of {at}", request.offset);
            return Err(Status::out_of_range(why));
        }
        // From the beginning again. (An end without data says nothing about where it is.)
        if request.offset == 0 && at > 0 && !request.data.is_empty() {
            self.blob = self.store.layout.begin().map_err(not_written)?;
        }
        self.blob.write(&request.data).map_err(not_written)
    }

    fn commit(&self) -> Result<(), Status> {
        let actual = parse(&self.blob.digest())?;
        if self.total > 0 && self.total != self.offset() {
            return Err(Status::failed_precondition(format!(
                "{} bytes instead of {}",
                self.offset(),
                self.total
            )));
        }
        if let Some(expected) = self.expected.as_ref().filter(|digest| **digest != actual) {
            return Err(Status::failed_precondition(format!(
                "unexpected commit digest {actual}, expected {expected}"
            )));
        }
        self.blob.keep(&actual).map_err(not_written)
    }

    fn offset(&self) -> i64 {
        i64::try_from(self.blob.size()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ONE: &str = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

    fn store(writable: bool) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        (folder, Store { layout, writable })
    }

    fn message(action: Action, offset: i64, data: &'static [u8]) -> WriteRequest {
        WriteRequest {
            action: action.into(),
            reference: "../../ref".to_owned(),
            offset,
            data: Bytes::from_static(data),
            ..WriteRequest::default()
        }
    }

    /// Sends all this at once; gives the answers, and how it ended.
    fn write(store: &Store, messages: Vec<WriteRequest>) -> (Vec<i64>, Result<(), tonic::Code>) {
        let (sender, incoming) = mpsc::channel(messages.len());
        for message in messages {
            sender.try_send(message).unwrap();
        }
        drop(sender);
        let (out, mut answers) = mpsc::channel(100);
        let ended = store.write(incoming, &out).map_err(|status| status.code());
        drop(out);
        let mut offsets = Vec::new();
        while let Some(Ok(answer)) = answers.blocking_recv() {
            offsets.push(answer.offset);
        }
        (offsets, ended)
    }

    fn read(store: &Store, offset: i64, size: i64) -> Result<Vec<u8>, tonic::Code> {
        let (out, mut pieces) = mpsc::channel(100);
        let request = ReadRequest {
            digest: ONE.to_owned(),
            offset,
            size,
        };
        store.read(&request, &out).map_err(|status| status.code())?;
        drop(out);
        let mut all = Vec::new();
        while let Some(Ok(piece)) = pieces.blocking_recv() {
            assert_eq!(piece.offset, offset + all.len() as i64);
            all.extend_from_slice(&piece.data);
        }
        Ok(all)
    }

    #[test]
    fn a_blob_comes_in_pieces_and_is_read_in_parts() {
        let (_folder, store) = store(true);
        let mut first = message(Action::Stat, 0, b"");
        (first.total, first.expected) = (3, ONE.to_owned());
        let again = first.clone();
        let mut end = message(Action::Commit, 3, b"");
        end.total = 3;
        let messages = vec![
            first,
            message(Action::Write, 0, b"wrong"),
            message(Action::Write, 0, b"on"),
            message(Action::Write, 2, b"e"),
            end,
        ];
        assert_eq!(write(&store, messages), (vec![0, 5, 2, 3, 3], Ok(())));
        assert_eq!(store.info(ONE).unwrap().info.unwrap().size, 3);
        assert_eq!(read(&store, 0, 0).unwrap(), b"one");
        assert_eq!(read(&store, 1, 1).unwrap(), b"n");
        assert_eq!(read(&store, 1, 100).unwrap(), b"ne");
        assert_eq!(read(&store, 4, 0), Err(tonic::Code::OutOfRange));
        assert_eq!(
            write(&store, vec![again]),
            (vec![], Err(tonic::Code::AlreadyExists))
        );
    }

    #[test]
    fn other_bytes_than_announced_and_odd_names_leave_nothing() {
        let commit = |data, total, expected: &str| {
            let mut message = message(Action::Commit, 0, data);
            (message.total, message.expected) = (total, expected.to_owned());
            vec![message]
        };
        for (messages, code) in [
            (commit(b"two", 3, ONE), tonic::Code::FailedPrecondition),
            (commit(b"one", 4, ONE), tonic::Code::FailedPrecondition),
            (commit(b"one", 3, "../../x"), tonic::Code::InvalidArgument),
            (
                commit(b"one", 3, "sha256:../../../x"),
                tonic::Code::InvalidArgument,
            ),
            (
                vec![message(Action::Write, 7, b"one")],
                tonic::Code::OutOfRange,
            ),
        ] {
            let (folder, store) = store(true);
            assert_eq!(write(&store, messages.clone()).1, Err(code), "{messages:?}");
            assert!(!folder.path().join("blobs").exists(), "{messages:?}");
            let ingest = std::fs::read_dir(folder.path().join("ingest")).unwrap();
            assert_eq!(ingest.count(), 0, "{messages:?}");
        }
        let (_folder, store) = store(false);
        assert_eq!(
            write(&store, commit(b"one", 3, ONE)).1,
            Err(tonic::Code::PermissionDenied)
        );
        assert_eq!(
            store.info("sha256:../x").unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
        assert_eq!(store.info(ONE).unwrap_err().code(), tonic::Code::NotFound);
    }
}
