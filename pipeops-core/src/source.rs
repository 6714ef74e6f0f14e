//! Trees of untrusted files, read without ever leaving them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Entry {
    /// The name, without its path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// The type of a folder's entry. Symlinks are neither files nor folders: they are never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symlink, socket or device: never read.
    Other,
}

/// A tree of files that can be listed and read.
///
/// Paths are relative, separated by `/`; the root is `""`. Absolute paths and paths with `..` don't exist.
pub trait SourceTree: fmt::Debug + Send + Sync {
    /// The entries of a folder, sorted by name. A missing folder has none.
    ///
    /// # Errors
    /// If the folder exists but can't be read.
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>>;

    /// The first `limit` bytes of a file; `None` if there is no regular file at this path.
    ///
    /// # Errors
    /// If the file exists but can't be read.
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;

    /// Where the symlink at this path points to, as a path of the tree. The target may be missing, or a symlink itself. `None` if
    /// there is no symlink, or if it leads out of the tree. Default: none.
    fn link(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }
}

/// Convenience methods for every [`SourceTree`].
pub trait SourceTreeExt: SourceTree {
    /// The most that [`SourceTreeExt::text`] reads: 1 MiB, more than any file that matters to detection.
    const TEXT_LIMIT: usize = 1 << 20;

    /// A small file as text; `None` if it is missing or can't be read.
    ///
    /// A byte order mark is removed. UTF-16 with a byte order mark, as Windows PowerShell writes it, is decoded. Everything
    /// else is read as UTF-8, and invalid bytes are replaced.
    fn text(&self, path: &str) -> Option<String> {
        let bytes = self.read(path, Self::TEXT_LIMIT).ok()??;
        Some(decode(&bytes))
    }

    /// The path of the regular file to which the symlink at this path leads, over at most eight other ones inside the tree; `None`
    /// if there is no symlink, or no file at its end.
    fn linked_file(&self, path: &str) -> Option<String> {
        const MAX_LINKS: usize = 8;
        let mut target = self.link(path)?;
        for _ in 0..MAX_LINKS {
            if self.has(&target) {
                return Some(target);
            }
            target = self.link(&target)?;
        }
        None
    }

    /// Whether there is a regular file at this path.
    fn has(&self, path: &str) -> bool {
        matches!(self.read(path, 0), Ok(Some(_)))
    }
}

impl<T: SourceTree + ?Sized> SourceTreeExt for T {}

fn decode(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| unit([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A folder on disk.
#[derive(Debug, Clone)]
pub struct DirTree {
    root: PathBuf,
}

impl DirTree {
    /// The tree under `root`.
    ///
    /// # Errors
    /// If `root` isn't a folder or can't be opened. The error names the path.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        let path = root.as_ref();
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let root = fs::canonicalize(path).map_err(named)?;
        fs::read_dir(&root).map_err(named)?;
        Ok(Self { root })
    }

    /// The path on disk; `None` if a part of it is missing, a symlink, or outside the tree.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let mut at = self.root.clone();
        for part in parts(path)? {
            at.push(part);
            // Checked part by part: a symlink in the middle leads out of the tree as well as one at the end.
            if fs::symlink_metadata(&at).ok()?.is_symlink() {
                return None;
            }
        }
        Some(at)
    }
}

impl SourceTree for DirTree {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let Some(at) = self.locate(dir).filter(|at| at.is_dir()) else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(at)? {
            let entry = entry?;
            let kind = match entry.file_type()? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Dir,
                _ => EntryKind::Other,
            };
            // A name that is not UTF-8 cannot be one that decides anything.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, kind });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(at) = self.locate(path).filter(|at| at.is_file()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        fs::File::open(at)?
            .take(limit as u64)
            .read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn link(&self, path: &str) -> Option<String> {
        let mut dir = parts(path)?;
        let name = dir.pop()?;
        let at = self.locate(&dir.join("/"))?.join(name);
        let target = fs::read_link(at).ok()?;
        link_target(&dir, target.to_str()?)
    }
}

/// The target of a link in the folder `dir`, from the root; `None` if it leads out.
fn link_target(dir: &[&str], target: &str) -> Option<String> {
    if target.starts_with('/') || target.contains(['\\', '\0']) {
        return None;
    }
    let mut parts = dir.to_vec();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A tree in memory, for tests and for sources other than a disk.
///
/// ```
/// use pipeops_core::source::{MemTree, SourceTreeExt};
///
/// let tree = MemTree::from([("app/go.mod", "module x")]);
/// assert!(tree.has("app/go.mod") && !tree.has("app"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemTree {
    files: BTreeMap<String, Vec<u8>>,
}

impl<const N: usize> From<[(&str, &str); N]> for MemTree {
    fn from(files: [(&str, &str); N]) -> Self {
        files.into_iter().collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for MemTree {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(files: I) -> Self {
        let files = files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .collect();
        Self { files }
    }
}

impl SourceTree for MemTree {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let Some(parts) = parts(dir) else {
            return Ok(Vec::new());
        };
        let prefix: String = parts.iter().map(|part| format!("{part}/")).collect();
        let entries: BTreeSet<Entry> = self
            .files
            .range(prefix.clone()..)
            .map_while(|(path, _)| path.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => Entry {
                    name: name.to_owned(),
                    kind: EntryKind::Dir,
                },
                None => Entry {
                    name: rest.to_owned(),
                    kind: EntryKind::File,
                },
            })
            .collect();
        Ok(entries.into_iter().collect())
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(parts) = parts(path) else {
            return Ok(None);
        };
        let file = self.files.get(&parts.join("/"));
        Ok(file.map(|bytes| bytes[..bytes.len().min(limit)].to_vec()))
    }
}

/// The parts of a relative path; `None` if it would leave the tree.
fn parts(path: &str) -> Option<Vec<&str>> {
    if path.starts_with('/') || path.contains(['\\', '\0']) {
        return None;
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.contains(&"..")).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_in_memory_lists_folders_once() {
        let tree = MemTree::from([("a/x", "1"), ("a/y/z", "2"), ("b", "3")]);
        let names: Vec<String> = tree
            .list("")
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(tree.list("a").unwrap().len(), 2);
        assert_eq!(tree.read("./a//x", 10).unwrap().unwrap(), b"1");
    }

    #[test]
    fn paths_that_leave_the_tree_do_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        let tree = DirTree::new(dir.path().join("tree")).unwrap();
        for path in ["../secret", "/etc/passwd", "a/../../secret"] {
            assert_eq!(tree.read(path, 10).unwrap(), None, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn symlinks_are_listed_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("file")).unwrap();
        let tree = DirTree::new(dir.path()).unwrap();
        assert!(
            tree.list("")
                .unwrap()
                .iter()
                .all(|entry| entry.kind == EntryKind::Other)
        );
        assert!(tree.list("out").unwrap().is_empty());
        assert_eq!(tree.read("out/passwd", 10).unwrap(), None);
        assert_eq!(tree.read("file", 10).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_told_as_paths_of_the_tree() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        symlink("/etc", dir.path().join("out")).unwrap();
        let tree = DirTree::new(dir.path()).unwrap();
        for (target, expected) in [
            ("../c/./d", Some("a/c/d")),
            ("x", Some("a/b/x")),
            ("../../y", Some("y")),
            ("../../../y", None),
            ("/etc/passwd", None),
            ("..", Some("a")),
        ] {
            let at = dir.path().join("a/b/link");
            symlink(target, &at).unwrap();
            assert_eq!(tree.link("a/b/link").as_deref(), expected, "{target}");
            fs::remove_file(at).unwrap();
        }
        for path in ["a", "nothing", "out/passwd", "../x", ""] {
            assert_eq!(tree.link(path), None, "{path}");
        }
        fs::write(dir.path().join("a/file"), "x").unwrap();
        symlink("a/second", dir.path().join("first")).unwrap();
        symlink("file", dir.path().join("a/second")).unwrap();
        symlink("self", dir.path().join("self")).unwrap();
        assert_eq!(tree.linked_file("first").as_deref(), Some("a/file"));
        for path in ["a/file", "self", "out", "nothing"] {
            assert_eq!(tree.linked_file(path), None, "{path}");
        }
    }

    #[test]
    fn text_has_no_byte_order_mark() {
        for (bytes, expected) in [
            (b"\xEF\xBB\xBFflask" as &[u8], "flask"),
            (b"\xFF\xFEf\0l\0", "fl"),
            (b"\xFE\xFF\0f\0l", "fl"),
            (b"caf\xE9", "caf\u{FFFD}"),
        ] {
            assert_eq!(decode(bytes), expected);
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let tree = MemTree::from([("f", "abcdef")]);
        assert_eq!(tree.read("f", 3).unwrap().unwrap(), b"abc");
    }
}
