//! Folders that a daemon may fetch, walked in the order that it expects.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::content::Content;
use super::filter::{Above, Filter};
use super::folder::Folder;
use super::os::{self, Identity};
use super::stat::Kind;

/// Limit for the entries of a context. A larger one is probably the wrong folder.
const MOST_ENTRIES: usize = 1_000_000;

/// Limit for the nesting depth of folders.
const DEEPEST: usize = 1_000;

/// One entry that is sent.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its path from the root, separated by `/`.
    pub(crate) path: Bytes,
    /// What it is.
    pub(crate) kind: Kind,
    /// The seconds of its time; `None` for those of its content.
    pub(crate) seconds: Option<i64>,
    /// Its content, if it is a regular file.
    pub(crate) content: Option<Content>,
}

/// An unreadable entry.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of the build context")]
pub(crate) struct TreeError {
    pub(crate) path: String,
    #[source]
    pub(crate) source: io::Error,
}

impl Folder {
    /// Visits what the filter keeps, each folder before its entries and these sorted by their bytes, as the daemon's
    /// validator wants it. `emit` answers `false` to stop.
    pub(crate) fn walk(
        &self,
        filter: &Filter,
        emit: &mut dyn FnMut(Found) -> bool,
    ) -> Result<(), TreeError> {
        let mut walker = Walker {
            folder: self,
            filter,
            emit,
            names: HashMap::new(),
            parents: Vec::new(),
            count: 0,
            stopped: false,
        };
        walker.enter(&self.root, &Spot::default(), true, &Above::default())
    }
}

/// Where the walk is: the path for the wire and, for patterns, as text.
#[derive(Default)]
struct Spot {
    wire: Vec<u8>,
    text: String,
}

impl Spot {
    fn child(&self, name: &OsStr) -> Self {
        let mut child = Self {
            wire: self.wire.clone(),
            text: self.text.clone(),
        };
        if !child.wire.is_empty() {
            child.wire.push(b'/');
            child.text.push('/');
        }
        child.wire.extend_from_slice(&os::name_bytes(name));
        child.text.push_str(&name.to_string_lossy());
        child
    }

    fn error(&self, source: io::Error) -> TreeError {
        let path = if self.text.is_empty() {
            "the root"
        } else {
            &self.text
        };
        TreeError {
            path: path.to_owned(),
            source,
        }
    }
}

struct Walker<'a> {
    folder: &'a Folder,
    filter: &'a Filter,
    emit: &'a mut dyn FnMut(Found) -> bool,
    /// Files with several names, by identity: the name under which each was sent first.
    names: HashMap<Identity, Bytes>,
    /// Folders around the current one; those not yet sent are `Some`.
    parents: Vec<Option<Found>>,
    count: usize,
    stopped: bool,
}

impl Walker<'_> {
    fn enter(
        &mut self,
        dir: &Path,
        spot: &Spot,
        kept: bool,
        above: &Above,
    ) -> Result<(), TreeError> {
        let listed = fs::read_dir(dir)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names: Vec<OsString> = match listed {
            Ok(names) => names,
            // A folder that is not sent itself need not be readable.
            Err(error) if !kept && error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(spot.error(error)),
        };
        names.sort_by(|a, b| os::name_bytes(a).cmp(&os::name_bytes(b)));
        for name in names {
            if self.stopped {
                return Ok(());
            }
            self.visit(&dir.join(&name), &spot.child(&name), above)?;
        }
        Ok(())
    }

    fn visit(&mut self, path: &Path, spot: &Spot, above: &Above) -> Result<(), TreeError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(spot.error(error)),
        };
        let selection = self.filter.select(&spot.text, metadata.is_dir(), above);
        if !selection.keep && !selection.enter {
            return Ok(());
        }
        let Some(found) = self.found(path, spot, &metadata)? else {
            return Ok(());
        };
        let parent = if selection.keep {
            self.send(found, spot)?
        } else {
            Some(found)
        };
        if selection.enter && !self.stopped {
            if self.parents.len() >= DEEPEST {
                return Err(spot.error(io::Error::other("folders are nested too deeply")));
            }
            self.parents.push(parent);
            self.enter(path, spot, selection.keep, &selection.above)?;
            self.parents.pop();
        }
        Ok(())
    }

    /// Sends an entry, after the folders around it. Returns `None`, because nothing is left to send.
    fn send(&mut self, found: Found, spot: &Spot) -> Result<Option<Found>, TreeError> {
        for parent in self
            .parents
            .iter_mut()
            .filter_map(Option::take)
            .chain([found])
        {
            self.count += 1;
            self.stopped = self.stopped || !(self.emit)(parent);
        }
        if self.count > MOST_ENTRIES {
            return Err(spot.error(io::Error::other(
                "the context has more than a million entries",
            )));
        }
        Ok(None)
    }

    /// Describes what is at `path`; `None` for what is left out (devices).
    fn found(
        &mut self,
        path: &Path,
        spot: &Spot,
        metadata: &Metadata,
    ) -> Result<Option<Found>, TreeError> {
        let wire = Bytes::copy_from_slice(&spot.wire);
        let mut content = None;
        let kind = if metadata.is_dir() {
            Kind::Dir
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(|error| spot.error(error))?;
            Kind::Symlink {
                target: os::target_bytes(&target),
            }
        } else if os::is_pipe(metadata) {
            Kind::Pipe
        } else if os::is_device(metadata) {
            return Ok(None);
        } else if metadata.is_file() {
            self.file(path, &wire, metadata, &mut content)
        } else {
            // A socket goes as an empty file, as BuildKit's own client sends it.
            content = Some(Content::Disk {
                path: path.to_owned(),
                seen: None,
            });
            Kind::File {
                executable: false,
                size: 0,
            }
        };
        let seconds = self.folder.seconds.of(disk_seconds(metadata));
        Ok(Some(Found {
            path: wire,
            kind,
            seconds,
            content,
        }))
    }

    fn file(
        &mut self,
        path: &Path,
        wire: &Bytes,
        metadata: &Metadata,
        content: &mut Option<Content>,
    ) -> Kind {
        let executable = os::executable(metadata);
        let identity = os::identity(metadata);
        // Only names that are sent are remembered: a link to a file that was filtered out is a file of its own.
        if os::is_shared(metadata) {
            if let Some(first) = self.names.get(&identity) {
                let first = first.clone();
                *content = Some(Content::Disk {
                    path: path.to_owned(),
                    seen: Some(identity),
                });
                return Kind::HardLink { executable, first };
            }
            self.names.insert(identity, wire.clone());
        }
        *content = Some(Content::Disk {
            path: path.to_owned(),
            seen: Some(identity),
        });
        Kind::File {
            executable,
            size: metadata.len(),
        }
    }
}

fn disk_seconds(metadata: &Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::filter::follow_paths;
    use super::super::stat::{Mark, Seconds};
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn list(dir: &Path, include: &[&str], exclude: &[&str]) -> Vec<Found> {
        let owned = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
        let mut all = Vec::new();
        let folder = Folder::new(dir, Seconds::Content).unwrap();
        folder
            .walk(&filter, &mut |found| {
                all.push(found);
                true
            })
            .unwrap();
        all
    }

    fn paths(found: &[Found]) -> Vec<String> {
        found
            .iter()
            .map(|found| String::from_utf8(found.path.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn folders_come_before_their_entries_in_the_order_of_bytes() {
        let dir = tree(&["b/x", "b.txt", "B", "a/z", "ä", "a-b"]);
        assert_eq!(
            paths(&list(dir.path(), &[], &[])),
            ["B", "a", "a/z", "a-b", "b", "b/x", "b.txt", "ä"]
        );
    }

    /// A tree, and what fsutil (a72de9dcf763) sent of it for each set of patterns.
    const WALKS: &str = include_str!("../../tests/data/walks.json");

    #[derive(serde::Deserialize)]
    struct Walks {
        files: Vec<String>,
        links: HashMap<String, String>,
        walks: Vec<Walk>,
    }

    #[derive(serde::Deserialize)]
    struct Walk {
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
        follow: Option<Vec<String>>,
        paths: Vec<String>,
    }

    #[test]
    fn what_is_sent_is_what_fsutil_sends() {
        let walks: Walks = serde_json::from_str(WALKS).unwrap();
        let files: Vec<&str> = walks.files.iter().map(String::as_str).collect();
        let dir = tree(&files);
        for (path, target) in &walks.links {
            symlink(target, dir.path().join(path)).unwrap();
        }
        let folder = Folder::new(dir.path(), Seconds::Disk).unwrap();
        assert!(walks.walks.len() > 400);
        for walk in walks.walks {
            let mut include = walk.include.clone().unwrap_or_default();
            if let Some(follow) = &walk.follow {
                include.extend(follow_paths(&folder, follow).unwrap().unwrap_or_default());
            }
            let filter =
                Filter::new(&include, walk.exclude.as_deref().unwrap_or_default()).unwrap();
            let mut sent = Vec::new();
            folder
                .walk(&filter, &mut |found| {
                    sent.push(found);
                    true
                })
                .unwrap();
            let asked = (walk.include, walk.exclude, walk.follow);
            assert_eq!(paths(&sent), walk.paths, "{asked:?}");
        }
    }

    #[test]
    fn folders_around_a_kept_entry_are_sent_and_others_are_not() {
        let dir = tree(&["a/b/keep", "a/b/drop", "c/d", "e"]);
        assert_eq!(
            paths(&list(dir.path(), &["**/keep"], &[])),
            ["a", "a/b", "a/b/keep"]
        );
        assert_eq!(
            paths(&list(dir.path(), &[], &["*", "!a/b/keep"])),
            ["a", "a/b", "a/b/keep"]
        );
    }

    #[test]
    fn symlinks_are_sent_as_links_and_never_entered() {
        let dir = tree(&["real/x"]);
        symlink("/etc", dir.path().join("out")).unwrap();
        let found = list(dir.path(), &[], &[]);
        assert_eq!(paths(&found), ["out", "real", "real/x"]);
        assert_eq!(
            found[0].kind,
            Kind::Symlink {
                target: Bytes::from_static(b"/etc")
            }
        );
        assert!(found[0].content.is_none());
    }

    #[test]
    fn a_second_name_is_a_link_to_the_first_one_that_is_sent() {
        let dir = tree(&["a"]);
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let both = list(dir.path(), &[], &[]);
        assert_eq!(
            both[1].kind,
            Kind::HardLink {
                executable: false,
                first: Bytes::from_static(b"a")
            }
        );
        let second = list(dir.path(), &[], &["a"]);
        assert_eq!(
            second[0].kind,
            Kind::File {
                executable: false,
                size: 1
            }
        );
    }

    #[test]
    fn a_file_that_became_a_symlink_is_not_read() {
        let dir = tree(&["a", "secret"]);
        let found = list(dir.path(), &["a"], &[]);
        fs::remove_file(dir.path().join("a")).unwrap();
        symlink(dir.path().join("secret"), dir.path().join("a")).unwrap();
        let content = found[0].content.as_ref().unwrap();
        assert!(content.read(10, &mut |_| true).is_err());
    }

    #[test]
    fn a_socket_is_an_empty_file_and_a_runnable_file_stays_runnable() {
        let dir = tree(&["run"]);
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o4711)).unwrap();
        let found = list(dir.path(), &[], &[]);
        assert_eq!(
            found[0].kind,
            Kind::File {
                executable: true,
                size: 3
            }
        );
        assert_eq!(
            found[1].kind,
            Kind::File {
                executable: false,
                size: 0
            }
        );
        let (size, _) = found[1]
            .content
            .as_ref()
            .unwrap()
            .read(10, &mut |_| true)
            .unwrap();
        assert_eq!(size, 0);
    }

    #[test]
    fn contents_are_read_in_pieces() {
        let dir = tree(&["abcdefgh"]);
        let found = list(dir.path(), &[], &[]);
        let mut pieces = Vec::new();
        let (size, mark) = found[0]
            .content
            .as_ref()
            .unwrap()
            .read(3, &mut |piece| {
                pieces.push(piece.len());
                true
            })
            .unwrap();
        assert_eq!((size, pieces), (8, vec![3, 3, 2]));
        assert_eq!(mark, Mark::of(b"abcdefgh"));
    }
}
