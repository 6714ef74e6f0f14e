//! The receiving side of `FileSync.DiffCopy`, which transfers a folder of the client.
//!
//! The protocol is that of [fsutil](https://github.com/tonistiigi/fsutil): the client lists everything (STAT), the
//! daemon asks for the files that it does not have (REQ), the client sends them (DATA), and both say that they are done
//! (FIN). A file with the size and the time of the one from before is not asked for again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_client::FileSyncClient;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::{Request, Streaming};

use super::error::{BuildError, BuildResult};
use super::session::{MAX_MESSAGE, Session};
use super::tree::{Entry, Node, Tree, clean};
use crate::oci::EntryMeta;
use crate::serve::lock;

/// The longest that one transfer may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The most bytes of files that one transfer may bring.
const MAX_BYTES: u64 = 1 << 30;

/// The most entries of one folder.
const MAX_ENTRIES: usize = 500_000;

/// Bits of Go's `os.FileMode`, which is what `Stat.mode` holds.
mod go_mode {
    pub(super) const DIR: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const STICKY: u32 = 1 << 20;
    /// Everything that makes an entry something else than a regular file.
    pub(super) const TYPE: u32 = DIR | SYMLINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;
}

/// Which part of which folder is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The name under which the client offers the folder: `context`, `dockerfile`.
    pub(super) dir: String,
    pub(super) purpose: Purpose,
    /// Only these paths, and what their symlinks lead to; everything when empty.
    pub(super) follow: Vec<String>,
    /// Not these: the patterns of `.dockerignore`.
    pub(super) exclude: Vec<String>,
}

/// What a transfer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Purpose {
    /// The Dockerfile and what stands beside it: sent in each build.
    Dockerfile,
    /// `.dockerignore`: sent in each build.
    Ignore,
    /// The build context: unchanged files are not sent again.
    #[default]
    Context,
}

/// What one transfer brought.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) tree: Tree,
    /// Bytes that travelled.
    pub(super) transferred: u64,
}

/// Folders of earlier builds, for the clients that come back with the same shared key.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashMap<String, BTreeMap<String, KeptFile>>>);

type KeptFile = (Stat, Bytes);

impl Kept {
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// Fetches a folder, or the wanted part of it, from a client.
pub(super) async fn fetch(
    session: &Session,
    wanted: &Wanted,
    kept: &Kept,
) -> BuildResult<Received> {
    if !session.serves("/moby.filesync.v1.FileSync/DiffCopy") {
        return Err(BuildError::new("no local sources enabled"));
    }
    // Clients without a key share what all of them sent, as with real daemons.
    let key = format!("{}\n{}", session.shared_key, wanted.dir);
    let keeps = wanted.purpose == Purpose::Context;
    let before = lock(&kept.0).get(&key).filter(|_| keeps).cloned();
    let before = before.unwrap_or_default();
    let received = tokio::time::timeout(TIMEOUT, transfer(session, wanted, before))
        .await
        .map_err(|_| BuildError::new("timed out waiting for the client's files"))??;
    let (result, files) = received.finish()?;
    if keeps {
        lock(&kept.0).insert(key, files);
    }
    Ok(result)
}

async fn transfer(
    session: &Session,
    wanted: &Wanted,
    before: BTreeMap<String, KeptFile>,
) -> BuildResult<Receiver> {
    let mut client = FileSyncClient::new(session.channel.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let (requests, stream) = mpsc::unbounded_channel();
    let mut request = Request::new(UnboundedReceiverStream::new(stream));
    *request.metadata_mut() = headers(wanted);
    let packets = client.diff_copy(request).await?.into_inner();
    let mut receiver = Receiver::new(before, requests);
    receiver.run(packets).await?;
    Ok(receiver)
}

fn headers(wanted: &Wanted) -> MetadataMap {
    let mut map = MetadataMap::new();
    let dir = std::slice::from_ref(&wanted.dir);
    let lists = [
        ("dir-name", dir),
        ("followpaths", &wanted.follow),
        ("exclude-patterns", &wanted.exclude),
    ];
    for (key, values) in lists {
        let Ok(name) = key.parse::<MetadataKey<Ascii>>() else {
            continue;
        };
        // As the daemon does it: values with other characters than ASCII are escaped, all or none.
        let encode = !values.iter().all(|value| value.is_ascii());
        for value in values {
            let value = match encode {
                true => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
                false => value.clone(),
            };
            if let Ok(value) = MetadataValue::try_from(value) {
                map.append(name.clone(), value);
            }
        }
        if encode && let Ok(name) = format!("{key}-encoded").parse::<MetadataKey<Ascii>>() {
            map.insert(name, MetadataValue::from_static("1"));
        }
    }
    map
}

/// One transfer under way.
struct Receiver {
    before: BTreeMap<String, KeptFile>,
    requests: mpsc::UnboundedSender<Packet>,
    /// Everything that was listed, in the client's order; a file's id is its place.
    listed: Vec<Stat>,
    contents: HashMap<u32, Vec<u8>>,
    finished: HashMap<u32, Bytes>,
    order: Order,
    list_ended: bool,
    fin_sent: bool,
    transferred: u64,
}

impl Receiver {
    fn new(before: BTreeMap<String, KeptFile>, requests: mpsc::UnboundedSender<Packet>) -> Self {
        Self {
            before,
            requests,
            listed: Vec::new(),
            contents: HashMap::new(),
            finished: HashMap::new(),
            order: Order::default(),
            list_ended: false,
            fin_sent: false,
            transferred: 0,
        }
    }

    async fn run(&mut self, mut packets: Streaming<Packet>) -> BuildResult<()> {
        while let Some(packet) = packets.message().await? {
            match packet.r#type() {
                PacketType::PacketStat => match packet.stat {
                    Some(stat) if !self.list_ended => self.list(stat)?,
                    Some(_) => return Err(protocol("a STAT past the end of the list")),
                    None => self.list_ended = true,
                },
                PacketType::PacketData => self.data(packet.id, &packet.data)?,
                PacketType::PacketFin if self.fin_sent => return Ok(()),
                PacketType::PacketFin => return Err(protocol("a FIN before everything was sent")),
                PacketType::PacketErr => {
                    let message = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(BuildError::new(format!("error from sender: {message}")));
                }
                PacketType::PacketReq => return Err(protocol("a REQ from the sender")),
            }
            if self.list_ended && self.contents.is_empty() && !self.fin_sent {
                self.fin_sent = true;
                self.send(PacketType::PacketFin, 0);
            }
        }
        Err(protocol("the stream ended before FIN"))
    }

    fn list(&mut self, stat: Stat) -> BuildResult<()> {
        self.order.check(&stat)?;
        if self.listed.len() == MAX_ENTRIES {
            return Err(BuildError::new(format!("more than {MAX_ENTRIES} files")));
        }
        let id = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
        if is_file(&stat) && stat.linkname.is_empty() {
            match self.before.get(&stat.path) {
                Some((old, bytes)) if is_same(old, &stat) => {
                    self.finished.insert(id, bytes.clone());
                }
                _ => {
                    self.contents.insert(id, Vec::new());
                    self.send(PacketType::PacketReq, id);
                }
            }
        }
        self.listed.push(stat);
        Ok(())
    }

    fn data(&mut self, id: u32, data: &[u8]) -> BuildResult<()> {
        let content = self.contents.get_mut(&id);
        let content = content.ok_or_else(|| protocol("DATA that was not asked for"))?;
        self.transferred += data.len() as u64;
        if self.transferred > MAX_BYTES {
            let message = format!("the context has more than {MAX_BYTES} bytes");
            return Err(BuildError::new(message));
        }
        content.extend_from_slice(data);
        // An empty piece ends the file.
        if data.is_empty()
            && let Some(content) = self.contents.remove(&id)
        {
            self.finished.insert(id, content.into());
        }
        Ok(())
    }

    fn send(&self, kind: PacketType, id: u32) {
        // A sender that has gone is noticed when its stream ends.
        let _ = self.requests.send(Packet {
            r#type: kind.into(),
            id,
            ..Packet::default()
        });
    }

    /// The tree, and what is kept for the next transfer.
    fn finish(self) -> BuildResult<(Received, BTreeMap<String, KeptFile>)> {
        let mut tree = Tree::default();
        let mut files = BTreeMap::new();
        for (id, stat) in self.listed.into_iter().enumerate() {
            let content = u32::try_from(id).ok().and_then(|id| self.finished.get(&id));
            let node = match (&content, stat.mode) {
                (Some(content), _) => Node::File((*content).clone()),
                (None, mode) if mode & go_mode::DIR != 0 => Node::Dir,
                (None, mode) if mode & go_mode::SYMLINK != 0 => {
                    Node::Symlink(stat.linkname.clone())
                }
                (None, _) if is_file(&stat) => linked(&tree, &stat)?,
                // Sockets, pipes and devices: no build that can be imitated here needs them.
                (None, _) => continue,
            };
            let meta = meta(&stat);
            tree.insert(&stat.path, Entry { node, meta });
            if let Some(content) = content {
                files.insert(stat.path.clone(), (stat, content.clone()));
            }
        }
        let received = Received {
            tree,
            transferred: self.transferred,
        };
        Ok((received, files))
    }
}

/// A hard link is listed behind the file that it is.
fn linked(tree: &Tree, stat: &Stat) -> BuildResult<Node> {
    let target = tree.get(&clean(&stat.linkname));
    target.map(|entry| entry.node.clone()).ok_or_else(|| {
        let (path, link) = (&stat.path, &stat.linkname);
        protocol(&format!(
            "{path:?} is a hard link to {link:?}, which was not listed before"
        ))
    })
}

fn meta(stat: &Stat) -> EntryMeta {
    let bit = |go: u32, unix: u32| if stat.mode & go != 0 { unix } else { 0 };
    let special =
        bit(go_mode::SETUID, 0o4000) | bit(go_mode::SETGID, 0o2000) | bit(go_mode::STICKY, 0o1000);
    EntryMeta {
        mode: stat.mode & 0o777 | special,
        // Real daemons give the context to root, whoever owns it at the client.
        uid: 0,
        gid: 0,
        mtime: u64::try_from(stat.mod_time / 1_000_000_000).unwrap_or_default(),
    }
}

fn is_file(stat: &Stat) -> bool {
    stat.mode & go_mode::TYPE == 0
}

/// fsutil's rule: metadata, size and time decide; the content is not looked at.
fn is_same(old: &Stat, new: &Stat) -> bool {
    old.mode == new.mode
        && old.size == new.size
        && old.mod_time == new.mod_time
        && old.linkname == new.linkname
}

fn protocol(what: &str) -> BuildError {
    BuildError::new(format!("file transfer protocol error: {what}"))
}

/// fsutil's rules for the list: clean relative paths, each folder before what is in it, siblings in bytewise order.
#[derive(Debug, Default)]
struct Order {
    /// The folders from the root to the last entry, each with the last name seen in it.
    open: Vec<(String, String)>,
}

impl Order {
    fn check(&mut self, stat: &Stat) -> BuildResult<()> {
        let path = stat.path.as_str();
        if path.is_empty() || clean(path) != path {
            return Err(protocol(&format!("unclean path {path:?}")));
        }
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self.open.is_empty() {
            self.open.push((String::new(), String::new()));
        }
        while self.open.len() > 1 && self.open.last().is_some_and(|(open, _)| open != dir) {
            self.open.pop();
        }
        match self.open.last_mut() {
            Some((open, last)) if open == dir && last.as_str() < name => name.clone_into(last),
            _ => return Err(protocol(&format!("changes out of order: {path:?}"))),
        }
        if stat.mode & go_mode::DIR != 0 {
            self.open.push((path.to_owned(), String::new()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(paths: &[(&str, bool)]) -> BuildResult<()> {
        let mut order = Order::default();
        paths.iter().try_for_each(|(path, dir)| {
            order.check(&Stat {
                path: (*path).to_owned(),
                mode: if *dir { go_mode::DIR | 0o755 } else { 0o644 },
                ..Stat::default()
            })
        })
    }

    #[test]
    fn lists_come_in_pre_order() {
        order(&[
            ("a", true),
            ("a/b", true),
            ("a/b/c", false),
            ("a/d", false),
            ("a.x", false),
        ])
        .unwrap();
        for wrong in [
            &[("b", false), ("a", false)][..],
            &[("a", false), ("a", false)],
            &[("a/b", false)],
            &[("a", true), ("b", false), ("a/c", false)],
            &[("../a", false)],
            &[("/a", false)],
            &[("a//b", false)],
            &[("", false)],
        ] {
            assert!(order(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn modes_are_those_of_go() {
        let stat = |mode| Stat {
            mode,
            ..Stat::default()
        };
        assert_eq!(meta(&stat(0o755 | go_mode::SETUID)).mode, 0o4755);
        assert!(is_file(&stat(0o644)) && !is_file(&stat(go_mode::SYMLINK | 0o777)));
    }
}
