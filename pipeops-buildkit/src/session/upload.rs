//! Streams as named contexts. The daemon reads them as if it downloaded them.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bollard_buildkit_proto::moby::upload::v1 as proto;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tonic::{Request, Response, Status, Streaming};

/// Which stream is wanted: the path of its address.
const PATH: &str = "urlpath";

/// The most that goes into one message.
const PIECE: usize = 256 << 10;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A stream that is read once.
#[derive(Clone)]
pub(crate) struct Once(Arc<Mutex<Option<Reader>>>);

impl Once {
    pub(crate) fn new(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(reader)))))
    }

    fn take(&self) -> Option<Reader> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.take()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

/// The service: streams by the id in their address.
#[derive(Debug)]
pub(crate) struct Upload(BTreeMap<String, Once>);

impl Upload {
    pub(crate) fn new(streams: BTreeMap<String, Once>) -> Self {
        Self(streams)
    }

    /// The address under which the daemon asks for the stream with this id.
    pub(crate) fn address(id: &str) -> String {
        format!("http://buildkit-session/{id}")
    }
}

type Answer = Pin<Box<dyn Stream<Item = Result<proto::BytesMessage, Status>> + Send>>;

#[async_trait]
impl proto::upload_server::Upload for Upload {
    type PullStream = Answer;

    async fn pull(
        &self,
        request: Request<Streaming<proto::BytesMessage>>,
    ) -> Result<Response<Answer>, Status> {
        let path = request
            .metadata()
            .get(PATH)
            .and_then(|path| path.to_str().ok());
        let id = path.unwrap_or_default().trim_start_matches('/');
        let reader = self
            .0
            .get(id)
            .ok_or_else(|| Status::not_found("this session has no such stream"))?;
        let used = || Status::failed_precondition("this stream was read by an earlier attempt");
        let reader = reader.take().ok_or_else(used)?;
        let pieces = futures::stream::try_unfold(reader, |mut reader| async move {
            let mut data = vec![0; PIECE];
            let length = reader
                .read(&mut data)
                .await
                .map_err(|error| Status::aborted(error.to_string()))?;
            data.truncate(length);
            Ok((length > 0).then_some((proto::BytesMessage { data }, reader)))
        });
        Ok(Response::new(Box::pin(pieces)))
    }
}
