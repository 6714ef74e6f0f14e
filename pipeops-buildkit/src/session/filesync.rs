//! Sends folders to the daemon: the sending side of fsutil.
//!
//! The daemon names a folder and patterns. It gets the list of entries, requests the contents that it doesn't have, and says when
//! it's done. Listing and sending overlap.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use super::content::{Buffer, Content};
use super::filter::{Filter, follow_paths};
use super::folder::Folder;
use super::notes::Notes;
use super::packet::{DiffCopy, Packet, PacketKind, PacketStream, Stat};
use super::stat::{Kind, Mark, describe};
use super::tree::{Found, TreeError};
use super::wanted::Wanted;
use crate::error::Error;

/// Contents go in pieces of this size, as BuildKit's own client sends them.
const PIECE: usize = 32 << 10;

/// Contents that are read at the same time for one request.
const SENDERS: usize = 4;

/// Entries whose contents are marked together, and how many such groups at the same time.
const GROUP: usize = 64;
const GROUPS: usize = 4;

/// Packets that wait for the network: together with [`PIECE`], the memory that one request takes.
const WAITING: usize = 64;

/// What a daemon may fetch under one name.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A folder on disk.
    Folder(Folder),
    /// Files that exist only here: name and content, sorted.
    Files(Vec<(String, Bytes)>),
}

/// Counts what was sent in a session.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Entries that were listed.
    pub(crate) entries: AtomicU64,
    /// Files whose content was sent.
    pub(crate) files: AtomicU64,
    /// Bytes of these.
    pub(crate) bytes: AtomicU64,
}

/// The service.
#[derive(Debug)]
pub(crate) struct FileSync {
    sources: HashMap<String, Source>,
    sent: Arc<Sent>,
    notes: Notes,
}

impl FileSync {
    /// Serves these sources, by the name under which the daemon asks for them, and nothing else.
    pub(crate) fn new(sources: HashMap<String, Source>, sent: Arc<Sent>, notes: Notes) -> Self {
        Self {
            sources,
            sent,
            notes,
        }
    }
}

#[async_trait::async_trait]
impl DiffCopy for FileSync {
    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<PacketStream>, Status> {
        let wanted = Wanted::read(request.metadata())?;
        let source = self.sources.get(&wanted.dir).cloned().ok_or_else(|| {
            Status::not_found(format!("this session has no folder named {:?}", wanted.dir))
        })?;
        let (out, packets) = mpsc::channel(WAITING);
        let transfer = Transfer {
            out,
            contents: Arc::default(),
            sent: Arc::clone(&self.sent),
        };
        let notes = self.notes.clone();
        let task = tokio::spawn(transfer.run(source, wanted, request.into_inner(), notes));
        // The task ends with the response, when the daemon closes the connection.
        let task = AbortOnDropHandle::new(task);
        let stream = ReceiverStream::new(packets).map(move |packet| {
            let _alive = &task;
            packet
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{0}")]
    Pattern(String),
    #[error("{path} changed while the build read it")]
    Changed { path: String },
    #[error("the daemon requested entry {0}, which isn't a file or was requested before")]
    UnknownEntry(u32),
    #[error("the daemon couldn't receive the files: {0}")]
    Receiver(String),
    /// The daemon is gone.
    #[error("the daemon closed the connection")]
    HungUp,
}

/// The filter for what is wanted of a source.
fn filter(wanted: &Wanted, source: &Source) -> Result<Filter, TransferError> {
    let mut include = wanted.include.clone();
    if let Some(follow) = &wanted.follow {
        let targets = match source {
            Source::Folder(folder) => follow_paths(folder, follow).map_err(|source| TreeError {
                path: follow.join(", "),
                source,
            })?,
            Source::Files(_) => Some(follow.clone()),
        };
        include.extend(targets.unwrap_or_default());
    }
    Filter::new(&include, &wanted.exclude)
        .map_err(|error| TransferError::Pattern(error.to_string()))
}

/// One request while it is answered.
#[derive(Clone)]
struct Transfer {
    out: mpsc::Sender<Result<Packet, Status>>,
    /// What may still be asked for, by the entry's number in the list.
    contents: Arc<Mutex<HashMap<u32, Offer>>>,
    sent: Arc<Sent>,
}

/// A content that the daemon may ask for, and the mark that was announced for it.
struct Offer {
    content: Content,
    mark: Mark,
    path: Bytes,
}

impl Transfer {
    async fn run(
        self,
        source: Source,
        wanted: Wanted,
        incoming: impl Stream<Item = Result<Packet, Status>> + Unpin,
        notes: Notes,
    ) {
        let result = match filter(&wanted, &source) {
            Ok(filter) => {
                tokio::try_join!(self.list(source, filter), self.answer(incoming)).map(drop)
            }
            Err(error) => Err(error),
        };
        let Err(error) = result else { return };
        let message = error.to_string();
        match error {
            TransferError::HungUp => return,
            TransferError::Tree(TreeError { path, source }) => {
                notes.error(Error::Context { path, source })
            }
            TransferError::Changed { path } => notes.error(Error::ContextChanged { path }),
            TransferError::Receiver(_) | TransferError::UnknownEntry(_) => {}
            TransferError::Pattern(why) => notes.error(Error::Invalid {
                field: ".dockerignore",
                why,
            }),
        }
        tracing::debug!(%message, dir = wanted.dir, "a file transfer failed");
        let _ = self.out.send(Ok(Packet::error(&message))).await;
        let _ = self.out.send(Err(Status::aborted(message))).await;
    }

    /// Sends the list of entries.
    async fn list(&self, source: Source, filter: Filter) -> Result<(), TransferError> {
        let (groups, walked) = mpsc::channel(GROUPS);
        let walk = spawn_blocking(move || walk(&source, &filter, &groups));
        let mut marked = ReceiverStream::new(walked)
            .map(|group| spawn_blocking(move || mark_all(group)))
            .buffered(GROUPS);
        let mut number = 0;
        while let Some(group) = marked.next().await {
            for (stat, offer) in group.map_err(|_| TransferError::HungUp)?? {
                if let Some(offer) = offer {
                    self.lock().insert(number, offer);
                }
                self.send(Packet::stat(stat)).await?;
                self.sent.entries.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
        }
        walk.await.map_err(|_| TransferError::HungUp)??;
        self.send(Packet::end_of_list()).await
    }

    /// Answers what the daemon asks until it has everything.
    ///
    /// Requests are read as they come, even if they must wait: unread ones pile up in the HTTP/2 library, which ends the
    /// connection when they are too many. Each entry is asked for once, so that the queue is no longer than the list.
    async fn answer(
        &self,
        mut incoming: impl Stream<Item = Result<Packet, Status>> + Unpin,
    ) -> Result<(), TransferError> {
        let mut waiting = VecDeque::new();
        let mut senders = JoinSet::new();
        loop {
            while senders.len() < SENDERS
                && let Some((id, offer)) = waiting.pop_front()
            {
                let transfer = self.clone();
                senders.spawn_blocking(move || transfer.send_content(id, &offer));
            }
            let packet = tokio::select! {
                packet = incoming.next() => packet,
                Some(sender) = senders.join_next() => {
                    sender.map_err(|_| TransferError::HungUp)??;
                    continue;
                }
            };
            let Some(Ok(packet)) = packet else {
                return Err(TransferError::HungUp);
            };
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Request) => {
                    let offer = self.lock().remove(&packet.id);
                    waiting.push_back((
                        packet.id,
                        offer.ok_or(TransferError::UnknownEntry(packet.id))?,
                    ));
                }
                Ok(PacketKind::Finish) => return self.send(Packet::finish()).await,
                Ok(PacketKind::Error) => {
                    let why = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(TransferError::Receiver(why));
                }
                _ => {}
            }
        }
    }

    /// Sends one content. Runs on a thread for blocking work.
    fn send_content(&self, id: u32, offer: &Offer) -> Result<(), TransferError> {
        let path = || String::from_utf8_lossy(&offer.path).into_owned();
        let mut connected = true;
        let read = offer.content.read(PIECE, &mut |piece| {
            connected = self.out.blocking_send(Ok(Packet::data(id, piece))).is_ok();
            connected
        });
        if !connected {
            return Err(TransferError::HungUp);
        }
        let (size, mark) = read.map_err(|source| TreeError {
            path: path(),
            source,
        })?;
        if mark != offer.mark {
            // The daemon would keep a content under the time of another one.
            return Err(TransferError::Changed { path: path() });
        }
        self.sent.files.fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(size, Ordering::Relaxed);
        self.out
            .blocking_send(Ok(Packet::data(id, Bytes::new())))
            .map_err(|_| TransferError::HungUp)
    }

    async fn send(&self, packet: Packet) -> Result<(), TransferError> {
        self.out
            .send(Ok(packet))
            .await
            .map_err(|_| TransferError::HungUp)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Offer>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that is sent to a daemon that says this, whatever it gets.
#[cfg(fuzzing)]
pub(crate) async fn for_packets(folder: &std::path::Path, packets: Vec<Packet>) -> Vec<Packet> {
    let folder = Folder::new(folder, Default::default()).expect("the folder is there");
    let (out, sent) = mpsc::channel(WAITING);
    let transfer = Transfer {
        out,
        contents: Arc::default(),
        sent: Arc::default(),
    };
    let (notes, _noted) = Notes::new();
    // Once it has the whole list: what is asked before is not known yet.
    let (told, listed) = tokio::sync::oneshot::channel::<()>();
    let incoming = futures::stream::once(listed)
        .flat_map(move |_| futures::stream::iter(packets.clone().into_iter().map(Ok)));
    let run = transfer.run(
        Source::Folder(folder),
        Wanted::default(),
        Box::pin(incoming),
        notes,
    );
    let collect = async {
        let (mut sent, mut told, mut all) = (sent, Some(told), Vec::new());
        while let Some(Ok(packet)) = sent.recv().await {
            if packet == Packet::end_of_list() {
                told.take().map(|told| told.send(()));
            }
            all.push(packet);
        }
        all
    };
    tokio::join!(run, collect).1
}

/// Finds the entries, in groups. Runs on a thread for blocking work.
fn walk(
    source: &Source,
    filter: &Filter,
    groups: &mpsc::Sender<Vec<Found>>,
) -> Result<(), TreeError> {
    let mut group = Vec::with_capacity(GROUP);
    let mut emit = |found| {
        group.push(found);
        group.len() < GROUP || groups.blocking_send(std::mem::take(&mut group)).is_ok()
    };
    match source {
        Source::Folder(folder) => folder.walk(filter, &mut emit)?,
        Source::Files(files) => {
            let kept = files
                .iter()
                .filter(|(name, _)| filter.select(name, false, &Default::default()).keep);
            for (name, content) in kept {
                emit(Found {
                    path: Bytes::copy_from_slice(name.as_bytes()),
                    kind: Kind::File {
                        executable: false,
                        size: content.len() as u64,
                    },
                    seconds: None,
                    content: Some(Content::Memory(content.clone())),
                });
            }
        }
    }
    let _ = groups.blocking_send(group);
    Ok(())
}

/// Describes a group of entries, reading their contents for their marks. Runs on a thread for blocking work.
fn mark_all(group: Vec<Found>) -> Result<Vec<(Stat, Option<Offer>)>, TreeError> {
    let mut buffer = Buffer::default();
    let marked = group.into_iter().map(|found| mark(found, &mut buffer));
    marked.collect()
}

fn mark(found: Found, buffer: &mut Buffer) -> Result<(Stat, Option<Offer>), TreeError> {
    let Found {
        path,
        mut kind,
        seconds,
        content,
    } = found;
    let Some(content) = content else {
        let mark = match &kind {
            Kind::Symlink { target } => Mark::of(target),
            _ => Mark::default(),
        };
        return Ok((describe(path, &kind, seconds, mark), None));
    };
    let (read, mark) = content.mark(buffer).map_err(|source| TreeError {
        path: String::from_utf8_lossy(&path).into_owned(),
        source,
    })?;
    if let Kind::File { size, .. } = &mut kind {
        // What was read is what the mark is of; a file that grew since has both anew.
        *size = read;
    }
    let stat = describe(path.clone(), &kind, seconds, mark);
    Ok((
        stat,
        Some(Offer {
            content,
            mark,
            path,
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_memory_are_filtered_by_name() {
        let source = Source::Files(vec![
            ("Dockerfile".into(), "FROM x".into()),
            ("other".into(), "y".into()),
        ]);
        let wanted = Wanted {
            follow: Some(vec!["Dockerfile".into(), "Dockerfile.dockerignore".into()]),
            ..Wanted::default()
        };
        let (groups, mut found) = mpsc::channel(4);
        walk(&source, &filter(&wanted, &source).unwrap(), &groups).unwrap();
        let group = found.blocking_recv().unwrap();
        assert_eq!(group.len(), 1);
        let (stat, offer) =
            mark(group.into_iter().next().unwrap(), &mut Buffer::default()).unwrap();
        assert_eq!((stat.path.as_ref(), stat.size), (&b"Dockerfile"[..], 6));
        assert!(offer.is_some());
    }

    #[test]
    fn a_content_that_is_not_the_announced_one_is_not_finished() {
        let (out, mut packets) = mpsc::channel(8);
        let transfer = Transfer {
            out,
            contents: Arc::default(),
            sent: Arc::default(),
        };
        let offer = |mark| Offer {
            content: Content::Memory(Bytes::from_static(b"now")),
            mark,
            path: Bytes::from_static(b"a"),
        };
        let changed = transfer.send_content(1, &offer(Mark::of(b"then")));
        assert!(matches!(changed, Err(TransferError::Changed { path }) if path == "a"));
        transfer.send_content(2, &offer(Mark::of(b"now"))).unwrap();
        drop(transfer);
        let mut ended = Vec::new();
        while let Some(Ok(packet)) = packets.blocking_recv() {
            if packet.data.is_empty() {
                ended.push(packet.id);
            }
        }
        assert_eq!(ended, [2]);
    }
}
