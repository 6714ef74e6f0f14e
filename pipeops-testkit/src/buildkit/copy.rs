//! `COPY`: copies entries from one tree into another.

use super::error::{BuildError, BuildResult};
use super::tree::{Entry, Node, Tree, clean, join};
use crate::oci::EntryMeta;

/// What is to be copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Copy {
    /// Paths in the source.
    pub(super) sources: Vec<String>,
    /// The absolute destination; ends in a slash when it must be a folder.
    pub(super) dest: String,
    /// Skips a source that does not exist: commands that were not run may have created it.
    pub(super) lenient: bool,
}

/// What a copy does to a tree.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New and changed entries.
    pub(super) tree: Tree,
    /// Sources that do not exist and were skipped.
    pub(super) missing: Vec<String>,
}

impl Copy {
    /// The entries that this copy makes.
    pub(super) fn changes(&self, from: &Tree, into: &Tree) -> BuildResult<Changes> {
        let mut writer = Writer {
            copy: self,
            into,
            changes: Changes::default(),
        };
        for source in &self.sources {
            let path = clean(source);
            match from.resolve(&path) {
                Some(real) => writer.take(from, &path, &real),
                None if self.lenient => writer.changes.missing.push(source.clone()),
                None => return Err(BuildError::new(format!("\"/{path}\": not found"))),
            }
        }
        Ok(writer.changes)
    }
}

struct Writer<'a> {
    copy: &'a Copy,
    into: &'a Tree,
    changes: Changes,
}

impl Writer<'_> {
    /// Copies `path`, which is `real` with its symlinks followed. Symlinks inside of folders are copied as they are.
    fn take(&mut self, from: &Tree, path: &str, real: &str) {
        match from.get(real).filter(|entry| entry.node != Node::Dir) {
            Some(entry) => self.file(path.rsplit('/').next().unwrap_or(path), entry.clone()),
            None => self.dir(from, real),
        }
    }

    /// Copies the content of a folder into the destination, without the folder itself.
    fn dir(&mut self, from: &Tree, real: &str) {
        let dest = clean(&self.copy.dest);
        let meta = from.get(real).map(|entry| entry.meta).unwrap_or_default();
        if !self.into.is_dir(&dest) {
            self.write(&dest, Entry::dir(meta));
        }
        for (below, entry) in from.below(real) {
            self.write(&join(&dest, below), entry.clone());
        }
    }

    fn file(&mut self, name: &str, entry: Entry) {
        let dest = clean(&self.copy.dest);
        let into_dir = self.copy.dest.ends_with('/')
            || self.into.is_dir(&dest)
            || matches!(self.changes.tree.get(&dest), Some(entry) if entry.node == Node::Dir);
        let dest = match into_dir {
            true => join(&dest, name),
            false => dest,
        };
        self.write(&dest, entry);
    }

    fn write(&mut self, path: &str, entry: Entry) {
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
        let changes = copy.changes(from, into).unwrap();
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
            (&["a.txt", "src/z"], "/app/", &["app/a.txt", "app/z"]),
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
        let error = missing.changes(&from, &from).unwrap_err();
        assert_eq!(error.vertex_message(), "\"/dist\": not found");
        missing.lenient = true;
        let changes = missing.changes(&from, &from).unwrap();
        assert_eq!(changes.missing, ["dist"]);
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
