//! Git objects in memory: blobs, trees, commits and annotated tags under the SHA-1 of their content.
//!
//! The encodings are those of [git's object format](https://git-scm.com/book/en/v2/Git-Internals-Git-Objects).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

/// The name of an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Oid([u8; 20]);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Oid {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// What an object is; the numbers are those of packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
    Tag = 4,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// An object's kind and content.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) data: Bytes,
}

/// How a file stands in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    File,
    Executable,
    Symlink,
    Tree,
}

impl Mode {
    fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Tree => "40000",
        }
    }
}

/// The files of a commit by path.
pub(super) type Files = BTreeMap<String, (Mode, Oid)>;

/// What is known of a commit without reading it.
#[derive(Debug, Clone)]
pub(super) struct CommitInfo {
    pub(super) parents: Vec<Oid>,
    pub(super) files: Files,
    tree: Oid,
}

/// Everything that one repository holds.
#[derive(Debug, Default)]
pub(super) struct Objects {
    objects: HashMap<Oid, Object>,
    commits: HashMap<Oid, CommitInfo>,
    /// The commit of each annotated tag.
    tags: HashMap<Oid, Oid>,
    /// The trees and blobs below each tree, the tree itself included.
    closures: HashMap<Oid, Vec<Oid>>,
}

impl Objects {
    pub(super) fn get(&self, oid: Oid) -> Option<&Object> {
        self.objects.get(&oid)
    }

    pub(super) fn commit(&self, oid: Oid) -> Option<&CommitInfo> {
        self.commits.get(&oid)
    }

    pub(super) fn add_blob(&mut self, data: Bytes) -> Oid {
        self.add(Kind::Blob, data)
    }

    /// Adds a commit of these files. `header` is what stands behind the parents: author, committer and message.
    pub(super) fn add_commit(&mut self, files: Files, parents: Vec<Oid>, header: &str) -> Oid {
        let tree = self.add_tree(&files, "");
        let mut text = format!("tree {tree}\n");
        for parent in &parents {
            text.push_str(&format!("parent {parent}\n"));
        }
        text.push_str(header);
        let oid = self.add(Kind::Commit, text.into());
        let info = CommitInfo {
            parents,
            files,
            tree,
        };
        self.commits.insert(oid, info);
        oid
    }

    /// Adds an annotated tag. `header` is what stands behind its name: tagger and message.
    pub(super) fn add_tag(&mut self, name: &str, commit: Oid, header: &str) -> Oid {
        let text = format!("object {commit}\ntype commit\ntag {name}\n{header}");
        let oid = self.add(Kind::Tag, text.into());
        self.tags.insert(oid, commit);
        oid
    }

    /// The commit that an annotated tag points to.
    pub(super) fn tagged(&self, oid: Oid) -> Option<Oid> {
        self.tags.get(&oid).copied()
    }

    /// The commits that these reach, with the distance of each; no further than `depth`.
    pub(super) fn history(&self, from: &[Oid], depth: Option<usize>) -> HashMap<Oid, usize> {
        let mut found = HashMap::new();
        let mut level: Vec<Oid> = from.to_vec();
        let mut distance = 1;
        // Level by level, so that each commit is first met at its shortest distance.
        while !level.is_empty() && depth.is_none_or(|depth| distance <= depth) {
            let mut next = Vec::new();
            for oid in level {
                let Some(commit) = self.commit(oid).filter(|_| !found.contains_key(&oid)) else {
                    continue;
                };
                found.insert(oid, distance);
                next.extend(&commit.parents);
            }
            level = next;
            distance += 1;
        }
        found
    }

    /// These commits, and all trees and blobs in them.
    pub(super) fn closure<'a>(&self, commits: impl Iterator<Item = &'a Oid>) -> HashSet<Oid> {
        let mut all = HashSet::new();
        for oid in commits {
            all.insert(*oid);
            let tree = self.commit(*oid).map(|commit| commit.tree);
            all.extend(
                tree.and_then(|tree| self.closures.get(&tree))
                    .into_iter()
                    .flatten(),
            );
        }
        all
    }

    /// Adds the tree of all files below `prefix`, its subtrees first.
    fn add_tree(&mut self, files: &Files, prefix: &str) -> Oid {
        let mut entries: BTreeMap<&str, Option<(Mode, Oid)>> = BTreeMap::new();
        for (path, file) in files.range(prefix.to_owned()..) {
            let Some(rest) = path.strip_prefix(prefix) else {
                break;
            };
            match rest.split_once('/') {
                Some((dir, _)) => entries.insert(dir, None),
                None => entries.insert(rest, Some(*file)),
            };
        }
        let mut closure = Vec::new();
        let mut lines = Vec::new();
        for (name, file) in entries {
            let (mode, oid) = file.unwrap_or_else(|| {
                let subtree = self.add_tree(files, &format!("{prefix}{name}/"));
                closure.extend_from_slice(&self.closures[&subtree]);
                (Mode::Tree, subtree)
            });
            closure.push(oid);
            lines.push((sort_key(name, mode), name, mode, oid));
        }
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        let mut data = Vec::new();
        for (_, name, mode, oid) in lines {
            data.extend_from_slice(format!("{} {name}\0", mode.octal()).as_bytes());
            data.extend_from_slice(&oid.0);
        }
        let oid = self.add(Kind::Tree, data.into());
        closure.push(oid);
        self.closures.insert(oid, closure);
        oid
    }

    fn add(&mut self, kind: Kind, data: Bytes) -> Oid {
        let mut sum = Sha1::new();
        sum.update(format!("{} {}\0", kind.name(), data.len()));
        sum.update(&data);
        let oid = Oid(sum.finalize().into());
        self.objects.insert(oid, Object { kind, data });
        oid
    }
}

/// Git sorts a folder as if its name ended in a slash.
fn sort_key(name: &str, mode: Mode) -> String {
    match mode {
        Mode::Tree => format!("{name}/"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_git_gives() {
        let mut objects = Objects::default();
        // `git hash-object` of an empty file and of "hello\n"; `git mktree` of nothing.
        let empty = objects.add_blob(Bytes::new());
        assert_eq!(
            empty.to_string(),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        let hello = objects.add_blob("hello\n".into());
        assert_eq!(
            hello.to_string(),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        let tree = objects.add_tree(&Files::new(), "");
        assert_eq!(tree.to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn a_folder_sorts_behind_a_file_that_its_name_begins() {
        let mut objects = Objects::default();
        let blob = objects.add_blob(Bytes::new());
        let files: Files = ["a/x", "a.b", "a0"]
            .map(|path| (path.to_owned(), (Mode::File, blob)))
            .into();
        let tree = objects.add_tree(&files, "");
        let data = objects.get(tree).unwrap().data.clone();
        let place = |name: &[u8]| data.windows(name.len()).position(|w| w == name).unwrap();
        assert!(place(b" a.b\0") < place(b" a\0") && place(b" a\0") < place(b" a0\0"));
    }
}
