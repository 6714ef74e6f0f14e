//! A private folder for each build, removed when the build ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

/// The lock file that serializes creating and sweeping, in the folder of workspaces.
const GATE: &str = ".gate";

/// The extension of a workspace's lock file.
const LOCK: &str = "lock";

/// The folder that holds the workspaces.
///
/// Each workspace `ID/` has a lock file `ID.lock` beside it, which its process keeps locked. The operating system releases
/// the lock even at `kill -9`, so a workspace whose lock is free is abandoned.
///
/// ```
/// use pipeops_runner::workspace::Workspaces;
///
/// let root = tempfile::tempdir()?;
/// let workspace = Workspaces::open(root.path())?.create()?;
/// std::fs::write(workspace.path().join("file"), "content")?;
/// let path = workspace.path().to_owned();
/// drop(workspace);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Workspaces {
    root: PathBuf,
}

impl Workspaces {
    /// Opens the folder, creating it (mode 0700) if needed, and removes what killed processes left in it.
    ///
    /// # Errors
    /// When the folder can't be created or swept, for example because another user owns it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, WorkspaceError> {
        let workspaces = Self { root: root.into() };
        private_folders()
            .recursive(true)
            .create(&workspaces.root)
            .and_then(|()| make_private(&workspaces.root))
            .map_err(|source| workspaces.error("created", source))?;
        workspaces.sweep()?;
        Ok(workspaces)
    }

    /// Creates an empty workspace (mode 0700) with a unique id.
    ///
    /// # Errors
    /// When the disk is full or the folder can't be written.
    pub fn create(&self) -> Result<Workspace, WorkspaceError> {
        let failed = |source| self.error("created", source);
        let _gate = self.gate().map_err(failed)?;
        let path = self.root.join(uuid::Uuid::now_v7().simple().to_string());
        let lock_path = lock_path(&path);
        let lock = File::create_new(&lock_path).map_err(failed)?;
        // From here on the destructor cleans up.
        let workspace = Workspace {
            path,
            lock_path,
            lock,
        };
        workspace.lock.lock().map_err(failed)?;
        private_folders().create(&workspace.path).map_err(failed)?;
        Ok(workspace)
    }

    /// Removes the workspaces of processes that have ended, and returns their number.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn sweep(&self) -> Result<usize, WorkspaceError> {
        let failed = |source| self.error("swept", source);
        let _gate = self.gate().map_err(failed)?;
        let mut removed = 0;
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|end| end == LOCK) && is_abandoned(&path) {
                remove(&path.with_extension(""), &path);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// While the gate is held, no other process creates or sweeps, so none sees a lock file that isn't locked yet.
    fn gate(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let gate = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.root.join(GATE))?;
        gate.lock()?;
        Ok(gate)
    }

    fn error(&self, what: &'static str, source: io::Error) -> WorkspaceError {
        WorkspaceError::Io {
            what,
            path: self.root.clone(),
            source,
        }
    }
}

/// One build's folder. Dropping it removes the folder and its content.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    lock_path: PathBuf,
    /// Held locked until the workspace is dropped.
    lock: File,
}

impl Workspace {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        remove(&self.path, &self.lock_path);
    }
}

/// The total size of the files below this folder, in bytes. Symlinks aren't followed: each counts with its own size. Files
/// that vanish meanwhile aren't counted.
pub fn size(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// A workspace can't be created or swept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// The file system refused the operation.
    #[error("workspaces in {path} cannot be {what}", path = path.display())]
    Io {
        /// The operation: `created` or `swept`.
        what: &'static str,
        /// The folder of workspaces.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Diagnose for WorkspaceError {
    fn diagnosis(&self) -> Diagnosis {
        let Self::Io { source, .. } = self;
        let class = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RetryClass::Transient,
            _ => RetryClass::Permanent,
        };
        Diagnosis::new(&codes::deployment::WORKSPACE)
            .error(self.to_string())
            .reason(source.to_string())
            .class(class)
    }
}

fn lock_path(workspace: &Path) -> PathBuf {
    workspace.with_extension(LOCK)
}

/// True when no process holds the lock. On file systems without locks, every workspace counts as in use.
fn is_abandoned(lock: &Path) -> bool {
    let Ok(file) = File::open(lock) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

/// Removes the folder first: if the process dies in between, the lock file leads the next sweep to the rest.
fn remove(folder: &Path, lock: &Path) {
    let removed = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_file(lock),
    };
    if let Err(error) = removed {
        tracing::warn!(folder = %folder.display(), %error, "cannot remove a workspace; the next start sweeps it");
    }
}

/// Makes folders of mode 0700.
fn private_folders() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Fails when another user owns the folder: in a shared temporary folder, anyone could have made it first.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != GATE)
            .collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn each_workspace_is_private_and_its_own() {
        use std::os::unix::fs::PermissionsExt;

        let root = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(root.path().join("work")).unwrap();
        let (a, b) = (workspaces.create().unwrap(), workspaces.create().unwrap());
        assert_ne!(a.path(), b.path());
        for path in [a.path(), &root.path().join("work")] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
    }

    #[test]
    fn nothing_is_left_after_drop_and_after_a_panic() {
        let root = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(root.path()).unwrap();
        let workspace = workspaces.create().unwrap();
        fs::create_dir_all(workspace.path().join("a/b")).unwrap();
        fs::write(workspace.path().join("a/b/c"), "x").unwrap();
        drop(workspace);
        assert!(names(root.path()).is_empty());

        let panicked = std::thread::spawn(move || {
            let _workspace = workspaces.create().unwrap();
            panic!("on purpose");
        });
        panicked.join().unwrap_err();
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn a_sweep_takes_what_killed_processes_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(root.path()).unwrap();
        let live = workspaces.create().unwrap();
        // A killed process leaves the folder and an unlocked file, or only one of them.
        fs::create_dir(root.path().join("dead")).unwrap();
        fs::write(root.path().join("dead/file"), "x").unwrap();
        fs::write(root.path().join("dead.lock"), "").unwrap();
        fs::write(root.path().join("half.lock"), "").unwrap();
        fs::write(root.path().join("notes.txt"), "mine").unwrap();

        assert_eq!(workspaces.sweep().unwrap(), 2);
        let left = names(root.path());
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(live.path().is_dir() && left.contains(&"notes.txt".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn symlinks_are_neither_measured_nor_removed_through() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), vec![0; 1 << 20]).unwrap();
        let root = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::open(root.path()).unwrap();
        let workspace = workspaces.create().unwrap();
        std::os::unix::fs::symlink(outside.path(), workspace.path().join("out")).unwrap();
        fs::write(workspace.path().join("file"), "12345").unwrap();
        assert!((6..4096).contains(&size(workspace.path())));
        drop(workspace);
        assert!(outside.path().join("precious").exists());
    }
}
