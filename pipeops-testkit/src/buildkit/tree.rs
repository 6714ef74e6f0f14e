//! The files of an image, in memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::oci::{EntryMeta, Layer, LayerBuilder};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(Bytes),
    Symlink(String),
}

/// A file, folder or symlink with its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) node: Node,
    pub(super) meta: EntryMeta,
}

impl Entry {
    /// A folder of mode 0755.
    pub(super) fn dir(meta: EntryMeta) -> Self {
        Self {
            node: Node::Dir,
            meta: EntryMeta {
                mode: 0o755,
                ..meta
            },
        }
    }
}

/// Entries by path. Paths are relative to the root, with `/` between their parts; the root itself is `""` and always
/// there.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree(BTreeMap<String, Entry>);

/// How many symlinks one path may lead through.
const MAX_LINKS: usize = 40;

impl Tree {
    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// Sets an entry, and makes the folders above it. A file takes the place of a folder with all that is in it.
    pub(super) fn insert(&mut self, path: &str, entry: Entry) {
        let meta = entry.meta;
        for parent in parents(path) {
            if !matches!(self.get(parent), Some(entry) if entry.node == Node::Dir) {
                self.0.insert(parent.to_owned(), Entry::dir(meta));
            }
        }
        if entry.node != Node::Dir {
            self.remove(path);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// Removes an entry, and everything below it.
    pub(super) fn remove(&mut self, path: &str) {
        self.0.remove(path);
        let inside = format!("{path}/");
        self.0.retain(|other, _| !other.starts_with(&inside));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.0.iter()
    }

    /// Everything below a folder, by path from that folder.
    pub(super) fn below<'a>(&'a self, dir: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let prefix = match dir {
            "" => String::new(),
            dir => format!("{dir}/"),
        };
        let entries = self.0.range(prefix.clone()..);
        entries.map_while(move |(path, entry)| Some((path.strip_prefix(&prefix)?, entry)))
    }

    /// The path without symlinks on the way to it and at its end; `None` when it leads nowhere.
    pub(super) fn resolve(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = split(path).rev().map(str::to_owned).collect();
        let mut at = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&at, &part);
            match &self.get(&next)?.node {
                Node::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo.extend(split(target).rev().map(str::to_owned));
                }
                Node::Dir | Node::File(_) => at = next,
            }
        }
        Some(at)
    }

    /// Whether there is a folder at this path, symlinks followed.
    pub(super) fn is_dir(&self, path: &str) -> bool {
        let resolved = self.resolve(path);
        resolved.is_some_and(|path| path.is_empty() || self.0[&path].node == Node::Dir)
    }

    /// The text of a small file; none when there is no such file.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        match &self.get(&self.resolve(path)?)?.node {
            Node::File(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// Lays a layer of an image over the tree, whiteouts included. At most `limit` bytes of files are taken.
    pub(super) fn apply_layer(&mut self, layer: &[u8], limit: u64) -> io::Result<()> {
        let gzip = layer.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read + '_> = match gzip {
            true => Box::new(GzDecoder::new(layer)),
            false => Box::new(layer),
        };
        for (path, change) in read_tar(reader, limit)? {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => self.0.retain(|other, _| !is_below(other, dir)),
                Some(hidden) => self.remove(&join(dir, hidden)),
                None => self.insert(&path, change),
            }
        }
        Ok(())
    }

    /// The tree as a layer; every entry of it is written.
    pub(super) fn to_layer(&self) -> io::Result<Layer> {
        self.write()?.finish()
    }

    /// The tree as a tar archive.
    pub(super) fn to_tar(&self) -> io::Result<Vec<u8>> {
        self.write()?.into_tar()
    }

    fn write(&self) -> io::Result<LayerBuilder> {
        let mut builder = LayerBuilder::default();
        for (path, entry) in self.iter() {
            match &entry.node {
                Node::Dir => builder.dir(path, entry.meta)?,
                Node::File(bytes) => builder.file(path, entry.meta, bytes)?,
                Node::Symlink(target) => builder.symlink(path, target, entry.meta)?,
            }
        }
        Ok(builder)
    }
}

/// The entries of a tar archive in their order. Devices and pipes are left out; a hard link becomes a copy.
pub(super) fn read_tar(reader: impl Read, limit: u64) -> io::Result<Vec<(String, Entry)>> {
    let mut archive = tar::Archive::new(reader);
    let mut entries: Vec<(String, Entry)> = Vec::new();
    let mut left = limit;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let header = entry.header();
        let meta = EntryMeta {
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            mtime: header.mtime()?,
        };
        let path = clean(&entry.path()?.to_string_lossy());
        if path.is_empty() {
            continue;
        }
        let kind = header.entry_type();
        let link = entry.link_name()?;
        let link = link.map(|link| link.to_string_lossy().into_owned());
        let node = if kind.is_dir() {
            Node::Dir
        } else if kind.is_symlink() {
            Node::Symlink(link.unwrap_or_default())
        } else if kind.is_hard_link() {
            let target = clean(&link.unwrap_or_default());
            let found = entries.iter().rev().find(|(path, _)| *path == target);
            let Some((_, found)) = found else { continue };
            found.node.clone()
        } else if kind.is_file() || kind.is_contiguous() {
            left = left
                .checked_sub(entry.size())
                .ok_or_else(|| too_large(limit))?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            Node::File(bytes.into())
        } else {
            continue;
        };
        entries.push((path, Entry { node, meta }));
    }
    Ok(entries)
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the archive has more than {limit} bytes"),
    )
}

/// A path in the form of a tree's keys: no leading slash, no `.` or `..`.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in split(path) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// `dir/name`, where the root has no name.
pub(super) fn join(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", name) => name.to_owned(),
        (dir, "") => dir.to_owned(),
        (dir, name) => format!("{dir}/{name}"),
    }
}

fn split(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The folders above a path, the highest first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Entry {
        Entry {
            node: Node::File(Bytes::copy_from_slice(text.as_bytes())),
            meta: EntryMeta::default(),
        }
    }

    fn link(target: &str) -> Entry {
        Entry {
            node: Node::Symlink(target.to_owned()),
            meta: EntryMeta::default(),
        }
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn layers_round_trip_and_whiteouts_hide() {
        let mut lower = Tree::default();
        lower.insert("etc/passwd", file("root"));
        lower.insert("app/old/x", file("1"));
        lower.insert("app/keep", file("2"));
        let mut upper = Tree::default();
        upper.insert("etc/.wh.passwd", file(""));
        upper.insert("app/old/.wh..wh..opq", file(""));
        upper.insert("app/old/y", link("x"));
        let mut tree = Tree::default();
        for layer in [lower, upper] {
            let layer = layer.to_layer().unwrap();
            tree.apply_layer(&layer.bytes, 1 << 20).unwrap();
        }
        assert_eq!(
            paths(&tree),
            ["app", "app/keep", "app/old", "app/old/y", "etc"]
        );
    }

    #[test]
    fn symlinks_are_followed_inside_the_image_only() {
        let mut tree = Tree::default();
        tree.insert("usr/bin/sh", file("#"));
        tree.insert("bin", link("usr/bin"));
        tree.insert("sh", link("/bin/sh"));
        tree.insert("up", link("../../../bin"));
        tree.insert("loop", link("loop"));
        assert_eq!(tree.resolve("sh").unwrap(), "usr/bin/sh");
        assert!(tree.is_dir("bin") && tree.is_dir("up") && tree.is_dir("/"));
        assert_eq!(tree.resolve("loop"), None);
        assert_eq!(tree.text("bin/sh").as_deref(), Some("#"));
    }

    #[test]
    fn archives_larger_than_the_limit_are_refused() {
        let mut tree = Tree::default();
        tree.insert("big", file("0123456789"));
        let layer = tree.to_layer().unwrap();
        assert!(Tree::default().apply_layer(&layer.bytes, 9).is_err());
    }

    #[test]
    fn a_file_takes_the_place_of_a_folder() {
        let mut tree = Tree::default();
        tree.insert("a/b/c", file("1"));
        tree.insert("a", file("2"));
        assert_eq!(paths(&tree), ["a"]);
        tree.insert("a/b", file("3"));
        assert_eq!(paths(&tree), ["a", "a/b"]);
    }
}
