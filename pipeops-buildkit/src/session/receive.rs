//! Receives a folder from the daemon: the receiving side of fsutil.
//!
//! The daemon lists entries. Contents are requested a few at a time. Hard links, and the times and modes of folders, are set last.
//! The daemon isn't trusted: see [`Root`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use super::notes::Notes;
use super::packet::{DiffCopy, Packet, PacketKind, PacketStream, Stat};
use super::received::Received;
use super::root::{Partial, Root};
use super::stat::go_mode;
use crate::error::Error;

/// Limit for incomplete contents, each of which is an open file.
const ASKED: usize = 16;

/// Limit for the packets that wait for the disk.
const WAITING: usize = 64;

/// Limit for the number of entries, which are kept in memory.
const MOST_ENTRIES: u32 = 5_000_000;

/// The folder that receives a transfer.
#[derive(Debug)]
pub(crate) struct FolderTarget {
    folder: PathBuf,
    received: Arc<Received>,
    notes: Notes,
}

impl FolderTarget {
    pub(crate) fn new(folder: PathBuf, received: Arc<Received>, notes: Notes) -> Self {
        Self {
            folder,
            received,
            notes,
        }
    }
}

#[async_trait::async_trait]
impl DiffCopy for FolderTarget {
    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<PacketStream>, Status> {
        let (out, packets) = mpsc::channel(WAITING);
        let (forward, incoming) = mpsc::channel(WAITING);
        let mut stream = request.into_inner();
        // Lives as long as the answer: when the daemon hangs up, the disk's side finds its channel closed.
        let reader = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(Ok(packet)) = stream.next().await {
                if forward.send(packet).await.is_err() {
                    return;
                }
            }
        }));
        let (folder, received, notes) = (
            self.folder.clone(),
            Arc::clone(&self.received),
            self.notes.clone(),
        );
        spawn_blocking(move || serve(folder, incoming, &out, &received, &notes));
        let stream = ReceiverStream::new(packets).map(move |packet| {
            let _alive = &reader;
            packet
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Why a folder wasn't received.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("the daemon sent {0}")]
    Protocol(String),
    #[error("the daemon couldn't send the files: {0}")]
    Sender(String),
    /// The daemon closed the connection, so it can't be informed.
    #[error("the daemon closed the connection")]
    HungUp,
}

/// Runs on a thread for blocking work.
fn serve(
    folder: PathBuf,
    incoming: mpsc::Receiver<Packet>,
    out: &mpsc::Sender<Result<Packet, Status>>,
    received: &Received,
    notes: &Notes,
) {
    let path = folder.display().to_string();
    let root = Root::open(&folder).map_err(|source| ReceiveError::Write { path, source });
    let result = root.and_then(|root| Transfer::new(root, incoming, out, received).run());
    let Err(error) = result else { return };
    let message = error.to_string();
    tracing::debug!(%message, "receiving a folder failed");
    match error {
        ReceiveError::HungUp => return,
        ReceiveError::Write { path, source } => {
            let path = folder.join(path).display().to_string();
            notes.error(Error::Output { path, source });
        }
        _ => {}
    }
    let _ = out.blocking_send(Ok(Packet::error(&message)));
    let _ = out.blocking_send(Err(Status::aborted(message)));
}

/// Receives these packets, which are sent at once regardless of requests. Returns the error.
#[cfg(fuzzing)]
pub(crate) fn from_packets(folder: &std::path::Path, packets: Vec<Packet>) -> Option<String> {
    let capacity = packets.len() + 1;
    let (sender, incoming) = mpsc::channel(capacity);
    let (out, _answers) = mpsc::channel(capacity);
    for packet in packets {
        sender.try_send(packet).expect("the channel has capacity");
    }
    drop(sender);
    let received = Received::default();
    let root = Root::open(folder).expect("the folder is there");
    let result = Transfer::new(root, incoming, &out, &received).run();
    result.err().map(|error| error.to_string())
}

/// One transfer.
struct Transfer<'a> {
    root: Root,
    incoming: mpsc::Receiver<Packet>,
    out: &'a mpsc::Sender<Result<Packet, Status>>,
    received: &'a Received,
    /// The next entry's number.
    number: u32,
    listed: bool,
    /// Files whose content was not yet asked for.
    waiting: VecDeque<(u32, Stat)>,
    /// Files whose content is on its way.
    open: BTreeMap<u32, (Stat, Partial, u64)>,
    links: Vec<Stat>,
    folders: Vec<Stat>,
}

impl<'a> Transfer<'a> {
    fn new(
        root: Root,
        incoming: mpsc::Receiver<Packet>,
        out: &'a mpsc::Sender<Result<Packet, Status>>,
        received: &'a Received,
    ) -> Self {
        Self {
            root,
            incoming,
            out,
            received,
            number: 0,
            listed: false,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            links: Vec::new(),
            folders: Vec::new(),
        }
    }

    fn run(mut self) -> Result<(), ReceiveError> {
        while !(self.listed && self.waiting.is_empty() && self.open.is_empty()) {
            let packet = self.incoming.blocking_recv().ok_or(ReceiveError::HungUp)?;
            self.take(packet)?;
            self.ask()?;
        }
        self.complete()?;
        self.send(Packet::finish())?;
        // The daemon says the same and hangs up, in either order.
        while let Some(packet) = self.incoming.blocking_recv() {
            if packet.kind == i32::from(PacketKind::Finish) {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: Packet) -> Result<(), ReceiveError> {
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Stat) => match packet.stat {
                Some(stat) => self.entry(stat),
                None => {
                    self.listed = true;
                    Ok(())
                }
            },
            Ok(PacketKind::Data) => self.data(packet.id, &packet.data),
            Ok(PacketKind::Error) => Err(ReceiveError::Sender(
                String::from_utf8_lossy(&packet.data).into_owned(),
            )),
            _ => Err(ReceiveError::Protocol(format!(
                "an unexpected packet of kind {}",
                packet.kind
            ))),
        }
    }

    fn entry(&mut self, stat: Stat) -> Result<(), ReceiveError> {
        let number = self.number;
        self.number += 1;
        if self.listed || number >= MOST_ENTRIES {
            return Err(ReceiveError::Protocol("too many entries".to_owned()));
        }
        match kind(&stat) {
            EntryKind::Folder => {
                self.root.folder(&stat.path).map_err(failed(&stat))?;
                self.folders.push(stat);
            }
            EntryKind::Symlink => self.root.symlink(&stat).map_err(failed(&stat))?,
            EntryKind::File if stat.linkname.is_empty() => self.waiting.push_back((number, stat)),
            EntryKind::File => self.links.push(stat),
            EntryKind::Other => drop(self.received.skipped.fetch_add(1, Ordering::Relaxed)),
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), ReceiveError> {
        while self.open.len() < ASKED
            && let Some((number, stat)) = self.waiting.pop_front()
        {
            let partial = self.root.create(&stat.path).map_err(failed(&stat))?;
            self.open.insert(number, (stat, partial, 0));
            let request = Packet {
                kind: PacketKind::Request.into(),
                id: number,
                ..Packet::default()
            };
            self.send(request)?;
        }
        Ok(())
    }

    fn data(&mut self, number: u32, data: &Bytes) -> Result<(), ReceiveError> {
        let unknown = || {
            ReceiveError::Protocol(format!(
                "the content of entry {number}, which was not requested"
            ))
        };
        if data.is_empty() {
            let (stat, partial, size) = self.open.remove(&number).ok_or_else(unknown)?;
            if i64::try_from(size) != Ok(stat.size) {
                return Err(ReceiveError::Protocol(format!(
                    "{size} bytes of {} instead of {}",
                    name(&stat),
                    stat.size
                )));
            }
            partial.keep(&stat).map_err(failed(&stat))?;
            self.received.files.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let (stat, partial, size) = self.open.get_mut(&number).ok_or_else(unknown)?;
        *size += data.len() as u64;
        if i64::try_from(*size).is_ok_and(|size| size > stat.size) {
            return Err(ReceiveError::Protocol(format!(
                "more bytes of {} than announced",
                name(stat)
            )));
        }
        partial.write(data).map_err(failed(stat))?;
        self.received
            .bytes
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Creates hard links, and sets times and modes of folders, innermost first.
    fn complete(&mut self) -> Result<(), ReceiveError> {
        for stat in std::mem::take(&mut self.links) {
            self.root.hard_link(&stat).map_err(failed(&stat))?;
            self.received.files.fetch_add(1, Ordering::Relaxed);
        }
        for stat in std::mem::take(&mut self.folders).iter().rev() {
            self.root.finish_folder(stat).map_err(failed(stat))?;
        }
        Ok(())
    }

    fn send(&self, packet: Packet) -> Result<(), ReceiveError> {
        self.out
            .blocking_send(Ok(packet))
            .map_err(|_| ReceiveError::HungUp)
    }
}

enum EntryKind {
    Folder,
    File,
    Symlink,
    Other,
}

fn kind(stat: &Stat) -> EntryKind {
    match stat.mode & go_mode::TYPE {
        0 => EntryKind::File,
        go_mode::DIR => EntryKind::Folder,
        go_mode::SYMLINK => EntryKind::Symlink,
        _ => EntryKind::Other,
    }
}

fn name(stat: &Stat) -> String {
    String::from_utf8_lossy(&stat.path).into_owned()
}

fn failed(stat: &Stat) -> impl FnOnce(io::Error) -> ReceiveError {
    let path = name(stat);
    |source| ReceiveError::Write { path, source }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn stat(path: &str, mode: u32, size: i64, linkname: &str) -> Packet {
        Packet::stat(Stat {
            path: Bytes::copy_from_slice(path.as_bytes()),
            mode,
            size,
            linkname: Bytes::copy_from_slice(linkname.as_bytes()),
            mod_time: 1_234_567_890_123_456_789,
            ..Stat::default()
        })
    }

    const DIR: u32 = go_mode::DIR | 0o755;
    const LINK: u32 = go_mode::SYMLINK | 0o777;

    /// A daemon that says all this at once, whatever is asked.
    fn hostile(folder: &Path, packets: Vec<Packet>) -> (Result<(), ReceiveError>, Received) {
        let (sender, incoming) = mpsc::channel(packets.len().max(1));
        for packet in packets {
            sender.try_send(packet).unwrap();
        }
        drop(sender);
        let (out, _answers) = mpsc::channel(100);
        let received = Received::default();
        let root = Root::open(folder).unwrap();
        let result = Transfer::new(root, incoming, &out, &received).run();
        (result, received)
    }

    fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (out, secret) = (dir.path().join("out"), dir.path().join("secret"));
        fs::create_dir(&out).unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(&secret, "untouched").unwrap();
        (dir, out, secret)
    }

    #[test]
    fn a_tree_arrives_with_modes_links_and_times() {
        let (_dir, out, _) = world();
        let (result, received) = hostile(
            &out,
            vec![
                stat("d", go_mode::DIR | 0o555, 0, ""),
                stat("d/a", 0o4755 | (1 << 23), 3, ""),
                stat("d/hard", 0o755, 0, "d/a"),
                stat("dev", (1 << 26) | 0o666, 0, ""),
                stat("l", LINK, 0, "/etc/passwd"),
                Packet::end_of_list(),
                Packet::data(1, Bytes::from_static(b"abc")),
                Packet::data(1, Bytes::new()),
            ],
        );
        result.unwrap();
        assert_eq!(received.written().files, 2);
        assert_eq!(
            (received.written().bytes, received.written().skipped),
            (3, 1)
        );
        let metadata = fs::metadata(out.join("d/a")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o755, "no setuid");
        assert_eq!(
            (metadata.mtime(), metadata.mtime_nsec()),
            (1_234_567_890, 123_456_789)
        );
        assert_eq!(
            metadata.ino(),
            fs::metadata(out.join("d/hard")).unwrap().ino()
        );
        let folder = fs::metadata(out.join("d")).unwrap();
        assert_eq!(
            (folder.permissions().mode() & 0o777, folder.mtime()),
            (0o555, 1_234_567_890)
        );
        assert_eq!(
            fs::read_link(out.join("l")).unwrap(),
            Path::new("/etc/passwd")
        );
    }

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let content = |number| {
            [
                Packet::end_of_list(),
                Packet::data(number, Bytes::from_static(b"bad")),
                Packet::data(number, Bytes::new()),
            ]
        };
        let file = |path: &str| stat(path, 0o644, 3, "");
        let cases: Vec<(&str, Vec<Packet>)> = vec![
            ("up", vec![file("../secret")]),
            (
                "up inside",
                vec![stat("d", DIR, 0, ""), file("d/../../secret")],
            ),
            ("absolute", vec![file("/tmp/pipeops-absolute")]),
            ("empty", vec![file("")]),
            ("dot", vec![file(".")]),
            ("double slash", vec![file("a//b")]),
            ("nul", vec![file("a\0b")]),
            (
                "through a link",
                vec![stat("l", LINK, 0, ".."), file("l/secret")],
            ),
            (
                "folder through a link",
                vec![stat("l", LINK, 0, ".."), stat("l/new", DIR, 0, "")],
            ),
            (
                "link through a link",
                vec![stat("l", LINK, 0, "../etc"), stat("l/x", LINK, 0, "y")],
            ),
            (
                "hard link out",
                vec![stat("h", 0o644, 0, "../secret"), Packet::end_of_list()],
            ),
            (
                "hard link through a link",
                vec![
                    stat("l", LINK, 0, ".."),
                    stat("m", 0o644, 0, "l/secret"),
                    Packet::end_of_list(),
                ],
            ),
            ("folder up", vec![stat("../new", DIR, 0, "")]),
        ];
        for (what, mut packets) in cases {
            let (dir, out, secret) = world();
            let number = u32::try_from(packets.len()).unwrap() - 1;
            packets.extend(content(number));
            let (result, _) = hostile(&out, packets);
            assert!(
                matches!(result, Err(ReceiveError::Write { .. })),
                "{what}: {result:?}"
            );
            assert_eq!(fs::read(&secret).unwrap(), b"untouched", "{what}");
            assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1, "{what}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "{what}");
            assert_eq!(
                fs::read_dir(dir.path().join("etc")).unwrap().count(),
                0,
                "{what}"
            );
        }
    }

    #[test]
    fn a_link_that_was_there_is_replaced_and_not_followed() {
        let (_dir, out, secret) = world();
        symlink(&secret, out.join("a")).unwrap();
        symlink("..", out.join("d")).unwrap();
        let (result, _) = hostile(
            &out,
            vec![
                stat("a", 0o644, 3, ""),
                stat("d", DIR, 0, ""),
                stat("d/secret", 0o644, 3, ""),
                Packet::end_of_list(),
                Packet::data(0, Bytes::from_static(b"new")),
                Packet::data(0, Bytes::new()),
                Packet::data(2, Bytes::from_static(b"new")),
                Packet::data(2, Bytes::new()),
            ],
        );
        result.unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"untouched");
        assert_eq!(fs::read(out.join("a")).unwrap(), b"new");
        assert!(fs::symlink_metadata(out.join("d")).unwrap().is_dir());
    }

    #[test]
    fn contents_that_nobody_asked_for_and_other_sizes_are_refused() {
        let data =
            |number, text: &'static str| Packet::data(number, Bytes::from_static(text.as_bytes()));
        for packets in [
            vec![data(7, "x")],
            vec![stat("a", 0o644, 1, ""), data(0, "more")],
            vec![stat("a", 0o644, 9, ""), data(0, "less"), data(0, "")],
            vec![Packet::end_of_list(), stat("late", 0o644, 1, "")],
            vec![
                stat("a", 0o644, 1, ""),
                Packet::end_of_list(),
                stat("late", 0o644, 1, ""),
            ],
            vec![Packet::finish()],
        ] {
            let (_dir, out, _) = world();
            let (result, _) = hostile(&out, packets.clone());
            let ended_early = packets[0] == Packet::end_of_list();
            assert!(
                matches!(result, Err(ReceiveError::Protocol(_))) || ended_early,
                "{packets:?}: {result:?}"
            );
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{packets:?}");
        }
        let (_dir, out, _) = world();
        assert!(matches!(hostile(&out, vec![]).0, Err(ReceiveError::HungUp)));
        assert!(
            matches!(hostile(&out, vec![Packet::error("no")]).0, Err(ReceiveError::Sender(why)) if why == "no")
        );
    }
}
