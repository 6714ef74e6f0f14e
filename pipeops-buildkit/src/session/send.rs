//! Receives outputs from the daemon: archives as streams, folders as trees.
//!
//! Both use the same gRPC method with different messages. A header names the exporter, which determines the kind.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use futures::{Stream, StreamExt};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::notes::Notes;
use super::packet::{self, DiffCopy};
use super::receive::FolderTarget;
use super::received::Received;
use crate::client::MESSAGE_LIMIT;
use crate::error::Error;
use crate::output::{Output, OutputStats, OutputTarget, TargetKind, To, Writer};
use crate::random;

/// Which exporter a transfer belongs to.
const EXPORTER: &str = "buildkit-attachable-exporter-id";

/// Small messages are gathered to this size before they are written to disk.
const GATHERED: usize = 1 << 20;

/// The service: outputs by the number of their exporter.
#[derive(Debug)]
pub(crate) struct FileSend {
    outputs: Vec<(To, Arc<Received>)>,
    notes: Notes,
}

impl FileSend {
    /// Takes these outputs; they are the first exporters.
    pub(crate) fn new(outputs: &[Output], notes: Notes) -> Self {
        let outputs = outputs
            .iter()
            .map(|output| (output.to.clone(), Arc::default()));
        Self {
            outputs: outputs.collect(),
            notes,
        }
    }

    /// What was written, output by output.
    pub(crate) fn written(&self) -> Vec<OutputStats> {
        self.outputs
            .iter()
            .map(|(_, received)| received.written())
            .collect()
    }

    /// Answers one transfer.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<tonic::body::Body>, Infallible> {
        let number = request
            .headers()
            .get(EXPORTER)
            .and_then(|id| id.to_str().ok()?.parse::<usize>().ok());
        // Daemons before v0.13 send no number: they have one exporter.
        let Some((to, received)) = self.outputs.get(number.unwrap_or_default()) else {
            return Ok(
                Status::not_found(format!("there is no output with the number {number:?}"))
                    .into_http(),
            );
        };
        let received = Arc::clone(received);
        match to {
            To::Folder(folder) => {
                let target: Arc<dyn DiffCopy> = Arc::new(FolderTarget::new(
                    folder.clone(),
                    received,
                    self.notes.clone(),
                ));
                packet::serve(target, request).await
            }
            To::Stream(target) => {
                let method = StreamMethod {
                    target: target.clone(),
                    received,
                    notes: self.notes.clone(),
                };
                let codec = ProstCodec::<BytesMessage, BytesMessage>::default();
                let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE_LIMIT);
                Ok(grpc.streaming(method, request).await)
            }
        }
    }
}

/// Takes one stream of bytes.
struct StreamMethod {
    target: OutputTarget,
    received: Arc<Received>,
    notes: Notes,
}

/// An answer without messages: it ends when all is written.
type Answer = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

impl StreamingService<BytesMessage> for StreamMethod {
    type Response = BytesMessage;
    type ResponseStream = Answer;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<BytesMessage>>) -> Self::Future {
        let (target, received, notes) = (
            self.target.clone(),
            Arc::clone(&self.received),
            self.notes.clone(),
        );
        let write = async move {
            let result = write_all(&target, request.into_inner(), &received).await;
            result.err().map(|error| {
                let status = Status::aborted(error.to_string());
                if let StreamError::Write { path, source } = error {
                    notes.error(Error::Output { path, source });
                }
                Err(status)
            })
        };
        let answer: Answer = Box::pin(futures::stream::once(write).filter_map(std::future::ready));
        Box::pin(async { Ok(Response::new(answer)) })
    }
}

/// Why a stream couldn't be written.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("cannot write {path}")]
    Write { path: String, source: io::Error },
    /// The daemon closed the stream; it knows why.
    #[error("the daemon closed the stream early")]
    BrokenOff,
}

async fn write_all(
    target: &OutputTarget,
    mut incoming: Streaming<BytesMessage>,
    received: &Received,
) -> Result<(), StreamError> {
    let path = match &target.0 {
        TargetKind::File(path) => path.display().to_string(),
        TargetKind::Writer(_) => "the writer".to_owned(),
    };
    let fail = |source| StreamError::Write {
        path: path.clone(),
        source,
    };
    let mut sink = Sink::open(target).await.map_err(fail)?;
    while let Some(message) = incoming.next().await {
        let message = message.map_err(|_| StreamError::BrokenOff)?;
        received
            .bytes
            .fetch_add(message.data.len() as u64, Ordering::Relaxed);
        sink.write(message.data).await.map_err(fail)?;
    }
    sink.finish().await.map_err(fail)?;
    received.files.store(1, Ordering::Relaxed);
    Ok(())
}

/// The destination of the bytes.
enum Sink {
    File {
        partial: Option<Partial>,
        gathered: Vec<u8>,
    },
    Writer(Writer),
}

impl Sink {
    async fn open(target: &OutputTarget) -> io::Result<Self> {
        match &target.0 {
            TargetKind::File(path) => {
                let path = path.clone();
                let partial = blocking(move || Partial::create(&path)).await?;
                Ok(Self::File {
                    partial: Some(partial),
                    gathered: Vec::new(),
                })
            }
            TargetKind::Writer(writer) => {
                let used = || io::Error::other("this writer was used by an earlier attempt");
                OutputTarget::take(writer)
                    .map(Self::Writer)
                    .ok_or_else(used)
            }
        }
    }

    async fn write(&mut self, data: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Writer(writer) => writer.write_all(&data).await,
            Self::File { gathered, .. } => {
                gathered.extend_from_slice(&data);
                match gathered.len() < GATHERED {
                    true => Ok(()),
                    false => self.flush().await,
                }
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Self::File { partial, gathered } = self else {
            return Ok(());
        };
        let Some(mut open) = partial.take() else {
            return Err(io::Error::other("an earlier write failed"));
        };
        let data = std::mem::take(gathered);
        *partial = Some(blocking(move || open.file.write_all(&data).map(|()| open)).await?);
        Ok(())
    }

    async fn finish(mut self) -> io::Result<()> {
        self.flush().await?;
        match self {
            Self::Writer(mut writer) => {
                writer.flush().await?;
                writer.shutdown().await
            }
            Self::File { partial, .. } => match partial {
                Some(partial) => blocking(move || partial.keep()).await,
                None => Ok(()),
            },
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A file that is being written. It gets its name when it's complete; an incomplete one is removed.
struct Partial {
    file: File,
    at: PathBuf,
    path: PathBuf,
    kept: bool,
}

impl Partial {
    fn create(path: &Path) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("the path has no file name"))?;
        let mut partial = name.to_owned();
        let id = random::id().map_err(io::Error::other)?;
        partial.push(format!(".partial-{id}"));
        let at = path.with_file_name(partial);
        Ok(Self {
            file: File::options().write(true).create_new(true).open(&at)?,
            at,
            path: path.to_owned(),
            kept: false,
        })
    }

    fn keep(mut self) -> io::Result<()> {
        self.file.flush()?;
        std::fs::rename(&self.at, &self.path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_file_appears_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        std::fs::write(&path, "older").unwrap();
        let target = OutputTarget::file(&path);

        let mut sink = Sink::open(&target).await.unwrap();
        sink.write(vec![1; GATHERED + 1]).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"older");
        drop(sink);
        assert_eq!(
            names(dir.path()),
            ["a.tar"],
            "nothing is left of what was broken off"
        );

        let mut sink = Sink::open(&target).await.unwrap();
        sink.write(b"new".to_vec()).await.unwrap();
        sink.finish().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a.tar"]);
    }

    #[tokio::test]
    async fn a_writer_serves_one_build() {
        let target = OutputTarget::writer(tokio::io::sink());
        Sink::open(&target).await.unwrap().finish().await.unwrap();
        let error = Sink::open(&target.clone()).await.err().unwrap();
        assert!(error.to_string().contains("earlier attempt"), "{error}");
    }
}
