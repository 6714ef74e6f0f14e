//! Build contexts on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The number of files in the large context, and the size of each in bytes.
pub const FILES: usize = 10_000;
pub const SIZE: usize = 2_048;

/// A context, which is removed on drop.
pub struct Tree {
    folder: tempfile::TempDir,
    changes: u64,
}

impl Tree {
    /// A context with only a Dockerfile.
    pub fn empty() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("bench")
            .rand_bytes(12)
            .tempdir()?;
        fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY . /\n")?;
        Ok(Self { folder, changes: 0 })
    }

    /// A context of many small, unique files.
    pub fn many() -> io::Result<Self> {
        let tree = Self::empty()?;
        for number in 0..FILES {
            let path = tree.file(number);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            let mut content = format!("{} {number} ", tree.path().display()).into_bytes();
            content.resize(SIZE, b'.');
            fs::write(path, content)?;
        }
        Ok(tree)
    }

    /// A context with one unique, incompressible file of this size in bytes.
    pub fn one(size: usize) -> io::Result<Self> {
        let tree = Self::empty()?;
        let mut state = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(1, |now| now.as_nanos() as u64 | 1);
        let mut file = io::BufWriter::new(File::create(tree.path().join("large"))?);
        for _ in 0..size / 8 {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_le_bytes())?;
        }
        file.into_inner()?.sync_all()?;
        Ok(tree)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, number: usize) -> PathBuf {
        self.path().join(format!("d{}/f{number}", number % 100))
    }

    /// Changes one file.
    pub fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        let mut content = format!("changed {} ", self.changes).into_bytes();
        content.resize(SIZE, b'.');
        fs::write(self.file(77), content)
    }

    /// Rewrites all files with the same contents, like a fresh clone into the same folder.
    pub fn clone_afresh(&self) -> io::Result<()> {
        let now = SystemTime::now() + Duration::from_nanos(self.changes);
        (0..FILES).try_for_each(|number| {
            File::options()
                .write(true)
                .open(self.file(number))?
                .set_modified(now)
        })
    }
}
