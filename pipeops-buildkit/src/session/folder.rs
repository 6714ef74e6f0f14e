//! A local folder that the daemon may fetch.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::filter::Links;
use super::stat::Seconds;

/// A folder on disk, with the rule for its files' times.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(super) root: PathBuf,
    pub(super) seconds: Seconds,
}

impl Folder {
    /// A folder; symlinks on the way to it are resolved now, once.
    pub(crate) fn new(root: &Path, seconds: Seconds) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        fs::read_dir(&root)?;
        Ok(Self { root, seconds })
    }

    /// A path of the tree on disk; `None` where it would leave the tree, or passes a symlink.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let mut at = self.root.clone();
        for part in path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
        {
            if part == ".." || fs::symlink_metadata(&at).ok()?.is_symlink() {
                return None;
            }
            at.push(part);
        }
        Some(at)
    }
}

impl Links for Folder {
    fn target(&self, path: &str) -> io::Result<Option<String>> {
        let Some(at) = self.locate(path) else {
            return Ok(None);
        };
        match fs::read_link(at) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            // Not a symlink, or not there.
            Err(_) => Ok(None),
        }
    }

    fn names(&self, dir: &str) -> io::Result<Vec<String>> {
        let is_folder =
            |at: &PathBuf| fs::symlink_metadata(at).is_ok_and(|metadata| metadata.is_dir());
        let Some(entries) = self
            .locate(dir)
            .filter(is_folder)
            .and_then(|at| fs::read_dir(at).ok())
        else {
            return Ok(Vec::new());
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_looked_up_without_leaving_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/x"), "1").unwrap();
        symlink("d", dir.path().join("l")).unwrap();
        let folder = Folder::new(dir.path(), Seconds::Disk).unwrap();
        assert_eq!(folder.target("l").unwrap().as_deref(), Some("d"));
        assert_eq!(folder.target("d/x").unwrap(), None);
        assert_eq!(folder.target("../x").unwrap(), None);
        assert!(folder.names("l").unwrap().is_empty());
        assert_eq!(folder.names("d").unwrap(), ["x"]);
    }
}
