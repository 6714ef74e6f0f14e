//! A tree that asks for each folder and each file once.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pipeops_core::source::{Entry, EntryKind, SourceTree};

/// How many entries of folders are kept, and how many bytes of files: the tree is untrusted. What is beyond is asked for
/// again.
const ENTRIES: usize = 500_000;
const BYTES: usize = 64 << 20;

/// A tree as it is when it's first looked at.
///
/// The rules of all languages ask for the same files, most of which don't exist. The listing of a folder answers that
/// without the file system. It also makes one detection see one state of a tree that changes.
#[derive(Debug)]
pub(crate) struct Snapshot<'t> {
    tree: &'t dyn SourceTree,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    folders: HashMap<String, Vec<Entry>>,
    /// The first bytes of files, and the limit that they were read with.
    files: HashMap<String, (Vec<u8>, usize)>,
    entries: usize,
    bytes: usize,
}

impl<'t> Snapshot<'t> {
    pub(crate) fn new(tree: &'t dyn SourceTree) -> Self {
        Self {
            tree,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the entries of a folder, whose path is normal. One that its parent doesn't list has none.
    fn look<T>(&self, dir: &str, at: impl FnOnce(&[Entry]) -> T) -> io::Result<T> {
        if let Some(entries) = self.seen().folders.get(dir) {
            return Ok(at(entries));
        }
        let mut parent = "";
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            if !self.listed(parent, |entries| is(entries, part, EntryKind::Dir))? {
                return Ok(at(&[]));
            }
            let end = part.len()
                + if parent.is_empty() {
                    0
                } else {
                    parent.len() + 1
                };
            parent = &dir[..end];
        }
        self.listed(dir, at)
    }

    /// The same, for a folder that is there.
    fn listed<T>(&self, dir: &str, at: impl FnOnce(&[Entry]) -> T) -> io::Result<T> {
        if let Some(entries) = self.seen().folders.get(dir) {
            return Ok(at(entries));
        }
        let mut entries = self.tree.list(dir)?;
        entries.sort();
        let result = at(&entries);
        let mut seen = self.seen();
        if seen.entries + entries.len() < ENTRIES {
            seen.entries += entries.len() + 1;
            seen.folders.insert(dir.to_owned(), entries);
        }
        Ok(result)
    }

    fn is_file(&self, path: &str) -> io::Result<bool> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.look(dir, |entries| is(entries, name, EntryKind::File))
    }
}

/// Whether sorted entries have this one.
fn is(entries: &[Entry], name: &str, kind: EntryKind) -> bool {
    let found = entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
    found.is_ok_and(|at| entries[at].kind == kind)
}

/// A path as it's compared: `a/b` for `./a//b/`. `None` for one that no tree has.
fn normal(path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains(['\\', '\0']) {
        return None;
    }
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let parts: Vec<&str> = parts.collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

impl SourceTree for Snapshot<'_> {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        match normal(dir) {
            Some(dir) => self.look(&dir, <[Entry]>::to_vec),
            None => Ok(Vec::new()),
        }
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = normal(path) else {
            return Ok(None);
        };
        if !self.is_file(&path)? {
            return Ok(None);
        }
        if limit == 0 {
            return Ok(Some(Vec::new()));
        }
        if let Some((bytes, read)) = self.seen().files.get(&path)
            && (limit <= *read || bytes.len() < *read)
        {
            return Ok(Some(bytes[..bytes.len().min(limit)].to_vec()));
        }
        let Some(bytes) = self.tree.read(&path, limit)? else {
            return Ok(None);
        };
        let mut seen = self.seen();
        if seen.bytes + bytes.len() <= BYTES {
            seen.bytes += bytes.len();
            seen.files.insert(path, (bytes.clone(), limit));
        }
        Ok(Some(bytes))
    }

    fn link(&self, path: &str) -> Option<String> {
        self.tree.link(path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use pipeops_core::source::{DirTree, MemTree, SourceTreeExt};

    /// Counts what reaches the file system.
    #[derive(Debug)]
    pub(crate) struct Counting<T> {
        tree: T,
        calls: AtomicUsize,
    }

    impl<T: SourceTree> SourceTree for Counting<T> {
        fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.tree.list(dir)
        }

        fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.tree.read(path, limit)
        }
    }

    impl<T> Counting<T> {
        fn new(tree: T) -> Self {
            Self {
                tree,
                calls: AtomicUsize::new(0),
            }
        }

        fn calls(&self) -> usize {
            self.calls.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_folder_and_a_file_are_asked_for_once() {
        let tree = Counting::new(MemTree::from([("a/x", "123"), ("a/y/z", "2"), ("b", "3")]));
        let snapshot = Snapshot::new(&tree);
        for _ in 0..3 {
            assert_eq!(snapshot.list("./a/").unwrap().len(), 2);
            assert_eq!(snapshot.text("a//x").as_deref(), Some("123"));
            assert_eq!(snapshot.read("a/x", 2).unwrap().unwrap(), b"12");
            assert!(snapshot.has("a/x") && !snapshot.has("a/y") && !snapshot.has("a/none"));
            assert!(!snapshot.has("none/at/all") && !snapshot.has("../b") && !snapshot.has("/b"));
        }
        // The root, the folder `a`, and the file.
        assert_eq!(tree.calls(), 3);
    }

    #[test]
    fn a_longer_read_asks_again() {
        let tree = MemTree::from([("f", "abcdef")]);
        let snapshot = Snapshot::new(&tree);
        for (limit, expected) in [(2, "ab"), (4, "abcd"), (100, "abcdef"), (3, "abc")] {
            let bytes = snapshot.read("f", limit).unwrap().unwrap();
            assert_eq!(bytes, expected.as_bytes());
        }
    }

    #[test]
    fn one_detection_asks_for_a_folder_and_a_file_once() {
        let files: Vec<(String, &str)> = (0..5_000)
            .map(|at| {
                let name = ["index.js", "package.json", "main.py", "x.rs", "y.txt"][at % 5];
                (format!("d{}/e{}/{name}", at / 500, at / 5), "{}")
            })
            .collect();
        let files = files.iter().map(|(path, text)| (path.as_str(), *text));
        let tree: MemTree = files.collect();
        let tree = Counting::new(tree);
        crate::Detector::new().detect(&tree);
        // The root, 10 folders and 1,000 in them, and the files that a rule reads; not once for each name that a rule
        // knows.
        assert!(tree.calls() <= 1_011 + 5_000, "{} calls", tree.calls());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_files_that_change_are_no_way_out() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("tree/app")).unwrap();
        std::fs::write(path("secret"), "secret").unwrap();
        std::fs::write(path("tree/app/go.mod"), "module x").unwrap();
        std::fs::write(path("tree/app/main.go"), "package main").unwrap();
        symlink(path("secret"), path("tree/linked")).unwrap();
        let tree = DirTree::new(path("tree")).unwrap();
        let snapshot = Snapshot::new(&tree);
        assert!(!snapshot.has("linked") && snapshot.text("linked").is_none());
        assert_eq!(snapshot.text("app/go.mod").as_deref(), Some("module x"));
        // A file that was listed becomes a link, and its folder too: neither is followed.
        std::fs::remove_file(path("tree/app/main.go")).unwrap();
        symlink(path("secret"), path("tree/app/main.go")).unwrap();
        assert_eq!(snapshot.text("app/main.go"), None);
        std::fs::remove_dir_all(path("tree/app")).unwrap();
        std::fs::create_dir(path("outside")).unwrap();
        std::fs::write(path("outside/main.go"), "secret").unwrap();
        symlink(path("outside"), path("tree/app")).unwrap();
        assert_eq!(snapshot.text("app/main.go"), None);
        // What was read stays as it was.
        assert_eq!(snapshot.text("app/go.mod").as_deref(), Some("module x"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_of_any_kind_are_found() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a\nb"), "1").unwrap();
        std::fs::write(dir.path().join("..x"), "2").unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"\xFFname");
        std::fs::write(dir.path().join(odd), "3").unwrap();
        let tree = DirTree::new(dir.path()).unwrap();
        let snapshot = Snapshot::new(&tree);
        assert_eq!(snapshot.list("").unwrap().len(), 2);
        assert!(snapshot.has("a\nb") && snapshot.has("..x") && !snapshot.has("\u{FFFD}name"));
    }
}
