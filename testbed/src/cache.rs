//! The cache: what is built once and kept outside the repository.
//!
//! ```text
//! bin/NAME-KEY/       programs built from Go modules
//! images/NAME-KEY/    base images, as OCI layouts
//! instances/ID/       data and logs of the servers that one checkout runs
//! locks/              so that two checkouts do not build the same thing twice
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// The cache directory: `PIPEOPS_TESTBED_CACHE`, else `pipeops-testbed` in `XDG_CACHE_HOME`, else in `~/.cache`.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the directory from the environment; it is created when something is written.
    pub fn locate() -> Result<Self> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(root) = variable("PIPEOPS_TESTBED_CACHE") {
            return Ok(Self::at(root));
        }
        let parent = variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| Error::Machine {
                what: "no cache directory: HOME is not set".to_owned(),
                fix: "set PIPEOPS_TESTBED_CACHE to a directory".to_owned(),
            })?;
        Ok(Self::at(parent.join("pipeops-testbed")))
    }

    /// A cache in this directory.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the programs of one Go module are, once built.
    pub fn programs(&self, name: &str, key: &str) -> PathBuf {
        self.root.join("bin").join(format!("{name}-{key}"))
    }

    /// Where the OCI layout of one base image is, once built.
    pub fn image(&self, name: &str, key: &str) -> PathBuf {
        self.root.join("images").join(format!("{name}-{key}"))
    }

    /// Where the servers of one checkout keep data and logs.
    pub fn instance(&self, id: &str) -> PathBuf {
        self.root.join("instances").join(id)
    }

    /// Makes `target` a directory filled by `fill`, exactly once.
    ///
    /// `fill` writes into a temporary directory beside it, which is renamed at the end: an interrupted build leaves
    /// nothing that looks finished. Another process that wants the same directory waits.
    pub fn publish(&self, target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let name = target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let _lock = self.lock(&name)?;
        if target.exists() {
            return Ok(());
        }
        let temporary = target.with_file_name(format!(".{name}.partial"));
        remove_tree(&temporary)?;
        create_directory(&temporary)?;
        fill(&temporary)?;
        fs::rename(&temporary, target).map_err(Error::io("rename to", target))?;
        remove_older(target)
    }

    fn lock(&self, name: &str) -> Result<File> {
        let directory = self.root.join("locks");
        create_directory(&directory)?;
        lock_file(
            &directory.join(name),
            "waiting for another checkout to build it",
        )
    }
}

/// Removes earlier builds of the same thing. The last one before this stays: another checkout may be using it.
fn remove_older(target: &Path) -> Result<()> {
    let base = |path: &Path| Some(path.file_name()?.to_str()?.rsplit_once('-')?.0.to_owned());
    let Some(directory) = target.parent() else {
        return Ok(());
    };
    let entries = fs::read_dir(directory)
        .map_err(Error::io("read", directory))?
        .flatten();
    let mut builds: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path != target && base(path) == base(target))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    builds.sort();
    builds.pop();
    builds.iter().try_for_each(|(_, path)| remove_tree(path))
}

/// Takes the lock on a file; if another process holds it, says `waiting` and waits. It is freed when the value drops,
/// also when the process is killed.
pub fn lock_file(path: &Path, waiting: &str) -> Result<File> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            println!(
                "  {}: {waiting}",
                path.file_name().unwrap_or_default().to_string_lossy()
            );
            file.lock().map_err(Error::io("lock", path))?;
            Ok(file)
        }
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

/// Creates a directory and its parents.
pub fn create_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io("create", path))
}

/// Writes a whole file.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).map_err(Error::io("write", path))
}

/// Writes a file beside its place and renames it: a reader, or a crash, never meets half a file.
pub fn replace_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = format!(".{name}.{}-{number}.partial", std::process::id());
    let temporary = path.with_file_name(unique);
    write_file(&temporary, content)?;
    fs::rename(&temporary, path).map_err(Error::io("rename to", path))
}

/// Removes a directory with all that is in it; one that is not there is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_filled_once() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path().to_owned());
        let target = cache.programs("etcd", "1234");
        cache
            .publish(&target, |directory| {
                write_file(&directory.join("etcd"), "first")
            })
            .unwrap();
        cache
            .publish(&target, |_| panic!("it is there already"))
            .unwrap();
        assert_eq!(fs::read_to_string(target.join("etcd")).unwrap(), "first");
    }

    #[test]
    fn a_file_that_many_write_is_always_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("link");
        let (path, short, long) = (&path, &"a".repeat(10), &"b".repeat(100_000));
        std::thread::scope(|scope| {
            for text in [short, long, short, long] {
                scope.spawn(move || (0..50).for_each(|_| replace_file(path, text).unwrap()));
            }
        });
        let left = fs::read_to_string(path).unwrap();
        assert!(left == *short || left == *long, "{} bytes", left.len());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_builds_of_a_thing_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path().to_owned());
        let programs = ["node-1", "node-2", "node-3", "node-20-1"].map(|build| {
            let (name, key) = build.rsplit_once('-').unwrap();
            let target = cache.programs(name, key);
            cache.publish(&target, |_| Ok(())).unwrap();
            target
        });
        let kept = programs.each_ref().map(|path| path.exists());
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 3);
        assert!(kept[2] && kept[3], "the newest of each stays");
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_looks_finished() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path().to_owned());
        let target = cache.programs("etcd", "1234");
        let failed = cache.publish(&target, |directory| {
            write_file(&directory.join("etcd"), "half")?;
            Err(Error::Usage("interrupted".to_owned()))
        });
        assert!(failed.is_err() && !target.exists());
        cache
            .publish(&target, |directory| {
                write_file(&directory.join("etcd"), "whole")
            })
            .unwrap();
        assert_eq!(fs::read_to_string(target.join("etcd")).unwrap(), "whole");
    }
}
