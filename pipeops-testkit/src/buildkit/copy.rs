//! `COPY` and `ADD`: from one tree into another.

use std::collections::BTreeSet;

use super::error::{BuildError, BuildResult};
use super::tree::{Entry, Node, Tree, clean, join, read_tar};
use crate::oci::EntryMeta;

/// What is to be copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Copy {
    /// Paths and patterns in the source.
    pub(super) sources: Vec<String>,
    /// Files whose content stands in the Dockerfile.
    pub(super) inline: Vec<(String, String)>,
    /// Where it goes: absolute; ends in a slash when it must be a folder.
    pub(super) dest: String,
    /// Permissions instead of those of the source.
    pub(super) chmod: Option<u32>,
    /// Local archives are unpacked: `ADD`.
    pub(super) unpack: bool,
    /// Paths keep their folders: `--parents`.
    pub(super) parents: bool,
    /// A source that is not there is skipped: commands that were not run may have made it.
    pub(super) lenient: bool,
}

/// What a copy does to a tree.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New and changed entries.
    pub(super) tree: Tree,
    /// Sources that were not there and were skipped.
    pub(super) missing: Vec<String>,
}

/// The most bytes that one archive may unpack to.
const UNPACK_LIMIT: u64 = 1 << 30;

impl Copy {
    /// The entries that this copy makes. `owner` is (uid, gid) when the instruction names one.
    pub(super) fn changes(
        &self,
        from: &Tree,
        into: &Tree,
        owner: Option<(u64, u64)>,
    ) -> BuildResult<Changes> {
        let mut writer = Writer {
            copy: self,
            into,
            owner,
            changes: Changes::default(),
        };
        for source in &self.sources {
            let found = expand_pattern(from, source);
            if found.is_empty() && !is_pattern(source) {
                if !self.lenient {
                    let path = format!("/{}", clean(source));
                    return Err(BuildError::new(format!("{path:?}: not found")));
                }
                writer.changes.missing.push(source.clone());
            }
            for path in found {
                writer.take(from, &path)?;
            }
        }
        for (name, content) in &self.inline {
            let meta = EntryMeta {
                mode: 0o644,
                ..EntryMeta::default()
            };
            let node = Node::File(content.clone().into());
            writer.file(name, Entry { node, meta })?;
        }
        Ok(writer.changes)
    }
}

struct Writer<'a> {
    copy: &'a Copy,
    into: &'a Tree,
    owner: Option<(u64, u64)>,
    changes: Changes,
}

impl Writer<'_> {
    fn take(&mut self, from: &Tree, path: &str) -> BuildResult<()> {
        // A symlink that is named itself is followed; those inside of folders are copied as they are.
        let real = from.resolve(path);
        let real = real.ok_or_else(|| BuildError::new(format!("\"/{path}\": not found")))?;
        let Some(entry) = from.get(&real).filter(|entry| entry.node != Node::Dir) else {
            return self.dir(from, path, &real);
        };
        let parents = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let name = path.rsplit('/').next().unwrap_or(path);
        if self.copy.unpack && is_archive(entry) {
            return self.archive(entry);
        }
        if self.copy.parents {
            let dest = join(&clean(&self.copy.dest), &join(parents, name));
            self.write(&dest, entry.clone());
            return Ok(());
        }
        self.file(name, entry.clone())
    }

    /// The content of a folder goes into the destination; the folder itself only with `--parents`.
    fn dir(&mut self, from: &Tree, path: &str, real: &str) -> BuildResult<()> {
        let mut dest = clean(&self.copy.dest);
        if self.copy.parents {
            dest = join(&dest, path);
        }
        let meta = from.get(real).map(|entry| entry.meta).unwrap_or_default();
        if !self.into.is_dir(&dest) {
            self.write(&dest, Entry::dir(meta));
        }
        for (below, entry) in from.below(real) {
            self.write(&join(&dest, below), entry.clone());
        }
        Ok(())
    }

    fn file(&mut self, name: &str, entry: Entry) -> BuildResult<()> {
        let dest = clean(&self.copy.dest);
        let into_dir = self.copy.dest.ends_with('/')
            || self.into.is_dir(&dest)
            || matches!(self.changes.tree.get(&dest), Some(entry) if entry.node == Node::Dir);
        let dest = match into_dir {
            true => join(&dest, name),
            false => dest,
        };
        self.write(&dest, entry);
        Ok(())
    }

    fn archive(&mut self, entry: &Entry) -> BuildResult<()> {
        let Node::File(bytes) = &entry.node else {
            return Ok(());
        };
        let gzip = flate2::read::GzDecoder::new(&bytes[..]);
        let entries = match bytes.starts_with(&GZIP) {
            true => read_tar(gzip, UNPACK_LIMIT),
            false => read_tar(&bytes[..], UNPACK_LIMIT),
        };
        let entries = entries
            .map_err(|error| BuildError::new(format!("failed to unpack an archive: {error}")))?;
        let dest = clean(&self.copy.dest);
        for (path, entry) in entries {
            self.write(&join(&dest, &path), entry);
        }
        Ok(())
    }

    fn write(&mut self, path: &str, mut entry: Entry) {
        if let Some((uid, gid)) = self.owner {
            (entry.meta.uid, entry.meta.gid) = (uid, gid);
        }
        if let Some(mode) = self.copy.chmod
            && !matches!(entry.node, Node::Symlink(_))
        {
            entry.meta.mode = mode;
        }
        if !path.is_empty() {
            let path = through_links(self.into, path);
            add_parents(self.into, &mut self.changes.tree, &path, entry.meta);
            self.changes.tree.insert(&path, entry);
        }
    }
}

/// The same path with the symlinks of the destination's folders followed: `/bin/x` is `/usr/bin/x` where `/bin` is a link.
fn through_links(into: &Tree, path: &str) -> String {
    let Some((dir, name)) = path.rsplit_once('/') else {
        return path.to_owned();
    };
    let dir = into
        .resolve(dir)
        .unwrap_or_else(|| through_links(into, dir));
    join(&dir, name)
}

/// New folders on the way belong to the owner of what is copied; those that are there stay as they are.
fn add_parents(into: &Tree, changes: &mut Tree, path: &str, meta: EntryMeta) {
    for (at, _) in path.match_indices('/') {
        let parent = &path[..at];
        let known = changes.get(parent).is_some();
        if known {
            continue;
        }
        let entry = match into.get(parent) {
            Some(entry) => entry.clone(),
            None => Entry::dir(meta),
        };
        changes.insert(parent, entry);
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A tar archive, plain or in gzip: its magic stands at byte 257.
fn is_archive(entry: &Entry) -> bool {
    use std::io::Read;
    let Node::File(bytes) = &entry.node else {
        return false;
    };
    let mut head = Vec::new();
    match bytes.starts_with(&GZIP) {
        true => {
            let mut gzip = flate2::read::GzDecoder::new(&bytes[..]).take(512);
            if gzip.read_to_end(&mut head).is_err() {
                return false;
            }
        }
        false => head.extend_from_slice(&bytes[..bytes.len().min(512)]),
    }
    head.get(257..262) == Some(b"ustar")
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths in a tree that a source names, sorted. The root is `""`.
fn expand_pattern(tree: &Tree, source: &str) -> BTreeSet<String> {
    let source = clean(source);
    if !is_pattern(&source) {
        let known = source.is_empty() || tree.resolve(&source).is_some();
        return known.then_some(source).into_iter().collect();
    }
    let pattern: Vec<&str> = source.split('/').collect();
    let matches = |path: &String| {
        let parts: Vec<&str> = path.split('/').collect();
        parts.len() == pattern.len() && parts.iter().zip(&pattern).all(|(part, p)| matches(p, part))
    };
    let paths = tree.iter().map(|(path, _)| path);
    paths.filter(|path| matches(path)).cloned().collect()
}

/// Go's `filepath.Match` for one part of a path: `*`, `?`, `[a-z]`, `[^a]`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return name.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| matches(rest, &name[at..]))
        }
        '[' => {
            let Some((set, rest)) = rest.split_once(']') else {
                return false;
            };
            let Some(c) = name.chars().next() else {
                return false;
            };
            in_set(set, c) && matches(rest, &name[c.len_utf8()..])
        }
        _ => {
            let Some(c) = name.chars().next() else {
                return false;
            };
            (first == '?' || first == c) && matches(rest, &name[c.len_utf8()..])
        }
    }
}

fn in_set(set: &str, c: char) -> bool {
    let (negated, set) = match set.strip_prefix('^') {
        Some(set) => (true, set),
        None => (false, set),
    };
    let chars: Vec<char> = set.chars().collect();
    let mut found = false;
    let mut at = 0;
    while at < chars.len() {
        if at + 2 < chars.len() && chars[at + 1] == '-' {
            found |= (chars[at]..=chars[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= chars[at] == c;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let node = Node::File(path.to_string().into());
            let meta = EntryMeta {
                mode: 0o644,
                ..EntryMeta::default()
            };
            tree.insert(path, Entry { node, meta });
        }
        tree
    }

    fn files(copy: &Copy, from: &Tree, into: &Tree) -> Vec<String> {
        let changes = copy.changes(from, into, None).unwrap();
        let files = changes
            .tree
            .iter()
            .filter(|(_, entry)| entry.node != Node::Dir);
        files.map(|(path, _)| path.clone()).collect()
    }

    fn copy(sources: &[&str], dest: &str) -> Copy {
        Copy {
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            dest: dest.to_owned(),
            ..Copy::default()
        }
    }

    #[test]
    fn files_and_folders_go_where_docker_puts_them() {
        let from = tree(&["a.txt", "b.txt", "src/x/y", "src/z"]);
        let into = tree(&["srv/old"]);
        for (sources, dest, expected) in [
            (&["a.txt"][..], "/c.txt", &["c.txt"][..]),
            (&["a.txt"], "/app/", &["app/a.txt"]),
            (&["a.txt"], "/srv", &["srv/a.txt"]),
            (&["src"], "/app", &["app/x/y", "app/z"]),
            (&["."], "/", &["a.txt", "b.txt", "src/x/y", "src/z"]),
            (
                &["*.txt", "src/z"],
                "/app/",
                &["app/a.txt", "app/b.txt", "app/z"],
            ),
            (&["s*/[w-y]"], "/app/", &["app/y"]),
            (&["nothing*"], "/app/", &[]),
        ] {
            assert_eq!(
                files(&copy(sources, dest), &from, &into),
                expected,
                "{sources:?} {dest}"
            );
        }
    }

    #[test]
    fn a_missing_source_is_an_error_unless_commands_were_skipped() {
        let from = tree(&[]);
        let mut missing = copy(&["dist"], "/app");
        let error = missing.changes(&from, &from, None).unwrap_err();
        assert_eq!(error.vertex_message(), "\"/dist\": not found");
        missing.lenient = true;
        let changes = missing.changes(&from, &from, None).unwrap();
        assert_eq!(changes.missing, ["dist"]);
    }

    #[test]
    fn owner_and_permissions_apply_to_everything() {
        let mut copy = copy(&["src"], "/app/deep");
        copy.chmod = Some(0o500);
        let from = tree(&["src/z"]);
        let changes = copy.changes(&from, &Tree::default(), Some((7, 8))).unwrap();
        let entry = changes.tree.get("app/deep/z").unwrap();
        assert_eq!(
            (entry.meta.mode, entry.meta.uid, entry.meta.gid),
            (0o500, 7, 8)
        );
        assert_eq!(changes.tree.get("app").unwrap().meta.mode, 0o755);
    }

    #[test]
    fn add_unpacks_archives_and_copy_does_not() {
        let archive = tree(&["in/side"]).to_layer().unwrap();
        let mut from = Tree::default();
        let node = Node::File(archive.bytes);
        let meta = EntryMeta::default();
        from.insert("a.tar.gz", Entry { node, meta });
        let mut copy = copy(&["a.tar.gz"], "/x/");
        assert_eq!(files(&copy, &from, &Tree::default()), ["x/a.tar.gz"]);
        copy.unpack = true;
        assert_eq!(files(&copy, &from, &Tree::default()), ["x/in/side"]);
    }

    #[test]
    fn links_of_the_destination_are_followed() {
        let mut into = tree(&["usr/bin/sh"]);
        let node = Node::Symlink("usr/bin".to_owned());
        let meta = EntryMeta::default();
        into.insert("bin", Entry { node, meta });
        assert_eq!(
            files(&copy(&["a"], "/bin/"), &tree(&["a"]), &into),
            ["usr/bin/a"]
        );
    }
}
