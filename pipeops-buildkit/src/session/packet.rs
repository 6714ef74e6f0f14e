//! The messages of fsutil, with which a daemon fetches files, and the gRPC method that carries them.
//!
//! They're written by hand because file names may not be UTF-8, and the generated messages use `String`s.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, StdError};
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// One message in either direction.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Packet {
    #[prost(enumeration = "PacketKind", tag = "1")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) stat: Option<Stat>,
    #[prost(uint32, tag = "3")]
    pub(crate) id: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) data: Bytes,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum PacketKind {
    /// One entry, or the end of the list when there is none.
    Stat = 0,
    /// The content of this entry is wanted.
    Request = 1,
    /// A piece of a content, or its end when there is none.
    Data = 2,
    /// All is there.
    Finish = 3,
    /// It failed; the data say why.
    Error = 4,
}

/// One entry of a tree. The numbers 8 to 10 (devices, extended attributes) are never sent.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Stat {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) path: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) mode: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) uid: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) gid: u32,
    #[prost(int64, tag = "5")]
    pub(crate) size: i64,
    #[prost(int64, tag = "6")]
    pub(crate) mod_time: i64,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) linkname: Bytes,
}

impl Packet {
    /// One entry.
    pub(crate) fn stat(stat: Stat) -> Self {
        Self {
            kind: PacketKind::Stat.into(),
            stat: Some(stat),
            ..Self::default()
        }
    }

    /// The end of the list of entries.
    pub(crate) fn end_of_list() -> Self {
        Self {
            kind: PacketKind::Stat.into(),
            ..Self::default()
        }
    }

    /// A piece of a content; empty for its end.
    pub(crate) fn data(id: u32, data: Bytes) -> Self {
        Self {
            kind: PacketKind::Data.into(),
            id,
            data,
            ..Self::default()
        }
    }

    /// The answer to the daemon's last message.
    pub(crate) fn finish() -> Self {
        Self {
            kind: PacketKind::Finish.into(),
            ..Self::default()
        }
    }

    /// Why it failed.
    pub(crate) fn error(why: &str) -> Self {
        Self {
            kind: PacketKind::Error.into(),
            data: Bytes::copy_from_slice(why.as_bytes()),
            ..Self::default()
        }
    }
}

/// The packets that go to the daemon.
pub(crate) type PacketStream = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

/// Something that answers `moby.filesync.v1.FileSync/DiffCopy`.
#[async_trait::async_trait]
pub(crate) trait DiffCopy: Send + Sync + 'static {
    /// Answers one request for a tree.
    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<PacketStream>, Status>;
}

/// Decodes one HTTP/2 request for `service` and encodes its answer.
pub(crate) async fn serve<B>(
    service: Arc<dyn DiffCopy>,
    request: http::Request<B>,
) -> Result<http::Response<Body>, Infallible>
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    let mut grpc = Grpc::new(ProstCodec::<Packet, Packet>::default());
    Ok(grpc.streaming(Method(service), request).await)
}

struct Method(Arc<dyn DiffCopy>);

impl StreamingService<Packet> for Method {
    type Response = Packet;
    type ResponseStream = PacketStream;
    type Future = Pin<Box<dyn Future<Output = Result<Response<PacketStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Packet>>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move { service.diff_copy(request).await })
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::fsutil::types as generated;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        /// The hand-written messages are the generated ones on the wire.
        #[test]
        fn the_wire_format_is_that_of_the_generated_messages(
            kind in 0..5_i32, id: u32, data: Vec<u8>, path in "[a-zé/]{0,9}", mode: u32, size: i64, mod_time: i64,
        ) {
            let ours = Packet {
                kind,
                id,
                data: data.clone().into(),
                stat: Some(Stat { path: path.clone().into(), mode, size, mod_time, linkname: path.clone().into(), ..Stat::default() }),
            };
            let theirs = generated::Packet {
                r#type: kind,
                id,
                data,
                stat: Some(generated::Stat { path: path.clone(), mode, size, mod_time, linkname: path, ..Default::default() }),
            };
            prop_assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec());
            prop_assert_eq!(Packet::decode(theirs.encode_to_vec().as_slice()).unwrap(), ours);
        }

        #[test]
        fn bytes_that_are_no_packet_are_an_error_or_a_packet(bytes: Vec<u8>) {
            let _ = Packet::decode(bytes.as_slice());
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_survives() {
        let stat = Stat {
            path: Bytes::from_static(b"caf\xE9"),
            ..Stat::default()
        };
        let wire = Packet::stat(stat.clone()).encode_to_vec();
        assert_eq!(Packet::decode(wire.as_slice()).unwrap().stat, Some(stat));
    }
}
