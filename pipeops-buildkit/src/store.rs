//! Blobs that the daemon keeps: manifests, configurations, layers, and the parts of its build records.
//!
//! The daemon serves containerd's content API, read-only, beside its own. Its two messages are written down here because
//! the generated crate lacks them.

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use tonic::codec::Streaming;
use tonic::{Request, Status};

use crate::client::{Client, MESSAGE_LIMIT};

const READ: &str = "/containerd.services.content.v1.Content/Read";

/// Limit for the size of a manifest or configuration, which usually has a few KiB.
const DOCUMENT_LIMIT: usize = 8 << 20;

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ReadRequest {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(int64, tag = "2")]
    offset: i64,
    /// 0: to the end.
    #[prost(int64, tag = "3")]
    size: i64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ReadResponse {
    #[prost(int64, tag = "1")]
    offset: i64,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

/// A blob that is being received, in pieces.
pub(crate) struct Blob(Streaming<ReadResponse>);

impl Blob {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        Ok(self.0.message().await?.map(|piece| piece.data))
    }
}

impl Client {
    /// Reads a blob of any size in pieces.
    pub(crate) async fn blob(&self, digest: &str) -> Result<Blob, Status> {
        let mut grpc =
            tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let request = ReadRequest {
            digest: digest.to_owned(),
            offset: 0,
            size: 0,
        };
        let codec = tonic_prost::ProstCodec::<ReadRequest, ReadResponse>::default();
        let path = PathAndQuery::from_static(READ);
        let answer = grpc
            .server_streaming(Request::new(request), path, codec)
            .await?;
        Ok(Blob(answer.into_inner()))
    }

    /// Reads a small blob whole.
    pub(crate) async fn document(&self, digest: &str) -> Result<Bytes, Status> {
        let mut blob = self.blob(digest).await?;
        let mut all = BytesMut::new();
        while let Some(piece) = blob.next().await? {
            if all.len() + piece.len() > DOCUMENT_LIMIT {
                return Err(Status::out_of_range(format!(
                    "{digest} is larger than {DOCUMENT_LIMIT} bytes"
                )));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}
