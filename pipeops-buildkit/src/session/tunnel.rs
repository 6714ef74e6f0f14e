//! Bytes through the bidirectional `Session` call: what looks like a socket to the HTTP/2 server inside.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bytes::{Buf, Bytes};
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::PollSender;
use tonic::Streaming;

/// The most that goes into one message.
const PIECE: usize = 64 << 10;

/// Messages that wait for the network.
pub(super) const WAITING: usize = 16;

/// Both directions of a session.
pub(super) struct Tunnel {
    incoming: Streaming<BytesMessage>,
    /// The rest of the last message.
    buffered: Bytes,
    outgoing: PollSender<BytesMessage>,
    heard: Heard,
}

impl Tunnel {
    pub(super) fn new(
        incoming: Streaming<BytesMessage>,
        outgoing: mpsc::Sender<BytesMessage>,
        heard: Heard,
    ) -> Self {
        Self {
            incoming,
            buffered: Bytes::new(),
            outgoing: PollSender::new(outgoing),
            heard,
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.buffered.is_empty() {
            match ready!(Pin::new(&mut self.incoming).poll_next(cx)) {
                Some(Ok(message)) => {
                    self.heard.now();
                    self.buffered = message.data.into();
                }
                Some(Err(status)) => {
                    return Poll::Ready(Err(io::Error::other(status.message().to_owned())));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.buffered.len().min(buffer.remaining());
        buffer.put_slice(&self.buffered[..length]);
        self.buffered.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.outgoing.poll_reserve(cx)).map_err(closed)?;
        let length = bytes.len().min(PIECE);
        let message = BytesMessage {
            data: bytes[..length].to_vec(),
        };
        self.outgoing.send_item(message).map_err(closed)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close();
        Poll::Ready(Ok(()))
    }
}

/// When the daemon was last heard. It asks for the session's health every 5 s, so a long silence means that it is gone.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    begin: Instant,
    /// Milliseconds after `begin`.
    last: Arc<AtomicU64>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            last: Arc::default(),
        }
    }

    fn now(&self) {
        let since = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    /// How long it has been silent.
    pub(super) fn silence(&self) -> Duration {
        self.begin
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}
