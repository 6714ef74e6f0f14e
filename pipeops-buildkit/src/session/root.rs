//! Writes untrusted entries into a folder, and nothing outside of it.
//!
//! Each path is resolved component by component from the folder, and symlinks are rejected, whether they were received or existed
//! before. Files are written under a temporary name first, so an existing link is replaced and not followed.

pub(super) use imp::{Partial, Root};

#[cfg(unix)]
mod imp {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
    use rustix::io::Errno;

    use crate::random;
    use crate::session::packet::Stat;

    const FOLDER: OFlags = OFlags::DIRECTORY
        .union(OFlags::NOFOLLOW)
        .union(OFlags::CLOEXEC);

    /// The folder.
    #[derive(Debug)]
    pub(in crate::session) struct Root(OwnedFd);

    impl Root {
        /// Opens a folder, making it and those around it if need be. Links on the way to it are its owner's own.
        pub(in crate::session) fn open(path: &Path) -> io::Result<Self> {
            std::fs::create_dir_all(path)?;
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
        }

        /// Makes a folder; one that is there stays, anything else is replaced.
        pub(in crate::session) fn folder(&self, path: &[u8]) -> io::Result<()> {
            let (parent, name) = self.parent(path)?;
            // Open to its owner until all is in it.
            let make = || rustix::fs::mkdirat(&parent, name, Mode::RWXU);
            match make() {
                Err(Errno::EXIST)
                    if rustix::fs::openat(&parent, name, FOLDER, Mode::empty()).is_err() =>
                {
                    rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
                    Ok(make()?)
                }
                Err(Errno::EXIST) => Ok(()),
                result => Ok(result?),
            }
        }

        /// Gives a folder its mode and time.
        pub(in crate::session) fn finish_folder(&self, stat: &Stat) -> io::Result<()> {
            let (parent, name) = self.parent(&stat.path)?;
            let folder = rustix::fs::openat(&parent, name, FOLDER, Mode::empty())?;
            rustix::fs::futimens(&folder, &times(stat))?;
            Ok(rustix::fs::fchmod(&folder, mode(stat))?)
        }

        /// Makes a symlink, wherever it points: it is never followed here.
        pub(in crate::session) fn symlink(&self, stat: &Stat) -> io::Result<()> {
            let (parent, name) = self.parent(&stat.path)?;
            let partial = partial_name()?;
            rustix::fs::symlinkat(OsStr::from_bytes(&stat.linkname), &parent, &partial)?;
            let result =
                rustix::fs::utimensat(&parent, &partial, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
                    .and_then(|()| rustix::fs::renameat(&parent, &partial, &parent, name));
            if result.is_err() {
                let _ = rustix::fs::unlinkat(&parent, &partial, AtFlags::empty());
            }
            Ok(result?)
        }

        /// Gives a file that is there another name.
        pub(in crate::session) fn hard_link(&self, stat: &Stat) -> io::Result<()> {
            let (from, first) = self.parent(&stat.linkname)?;
            let (parent, name) = self.parent(&stat.path)?;
            let partial = partial_name()?;
            rustix::fs::linkat(&from, first, &parent, &partial, AtFlags::empty())?;
            let result = rustix::fs::renameat(&parent, &partial, &parent, name);
            // Renaming onto another name of the same file does nothing: the first name is still there.
            let _ = rustix::fs::unlinkat(&parent, &partial, AtFlags::empty());
            Ok(result?)
        }

        /// Begins a file.
        pub(in crate::session) fn create(&self, path: &[u8]) -> io::Result<Partial> {
            let (parent, name) = self.parent(path)?;
            let partial = partial_name()?;
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent, &partial, flags, Mode::RUSR | Mode::WUSR)?;
            Ok(Partial {
                file: file.into(),
                parent,
                partial,
                name: name.to_vec(),
                kept: false,
            })
        }

        /// Walks to the folder around an entry; gives it and the entry's name.
        fn parent<'a>(&self, path: &'a [u8]) -> io::Result<(OwnedFd, &'a [u8])> {
            let bad =
                |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.contains(&0);
            if path.split(|byte| *byte == b'/').any(bad) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the path would leave the folder",
                ));
            }
            let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
            let name = parts.pop().unwrap_or_default();
            let mut at = self.0.try_clone()?;
            for part in parts {
                at = rustix::fs::openat(at.as_fd(), part, FOLDER, Mode::empty())?;
            }
            Ok((at, name))
        }
    }

    /// A file that is being written. It gets its name when it's complete; an incomplete one is removed.
    #[derive(Debug)]
    pub(in crate::session) struct Partial {
        file: File,
        parent: OwnedFd,
        partial: String,
        name: Vec<u8>,
        kept: bool,
    }

    impl Partial {
        pub(in crate::session) fn write(&mut self, data: &[u8]) -> io::Result<()> {
            self.file.write_all(data)
        }

        pub(in crate::session) fn keep(mut self, stat: &Stat) -> io::Result<()> {
            rustix::fs::fchmod(&self.file, mode(stat))?;
            rustix::fs::futimens(&self.file, &times(stat))?;
            rustix::fs::renameat(
                &self.parent,
                &self.partial,
                &self.parent,
                self.name.as_slice(),
            )?;
            self.kept = true;
            Ok(())
        }
    }

    impl Drop for Partial {
        fn drop(&mut self) {
            if !self.kept {
                let _ = rustix::fs::unlinkat(&self.parent, &self.partial, AtFlags::empty());
            }
        }
    }

    fn partial_name() -> io::Result<String> {
        Ok(format!(
            ".partial-{}",
            random::id().map_err(io::Error::other)?
        ))
    }

    /// Drops setuid and setgid, so that a program from the image can't run with this user's permissions.
    fn mode(stat: &Stat) -> Mode {
        Mode::from_raw_mode((stat.mode & 0o777) as rustix::fs::RawMode)
    }

    fn times(stat: &Stat) -> Timestamps {
        const SECOND: i64 = 1_000_000_000;
        let unchanged = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let modified = Timespec {
            tv_sec: stat.mod_time.div_euclid(SECOND),
            tv_nsec: stat.mod_time.rem_euclid(SECOND) as _,
        };
        Timestamps {
            last_access: unchanged,
            last_modification: modified,
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::path::Path;

    use crate::session::packet::Stat;

    /// Not here: without `openat` nothing keeps a hostile link from leading out.
    #[derive(Debug)]
    pub(in crate::session) enum Root {}

    /// See [`Root`].
    #[derive(Debug)]
    pub(in crate::session) enum Partial {}

    impl Root {
        pub(in crate::session) fn open(_path: &Path) -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "output folders are supported on Unix only",
            ))
        }

        pub(in crate::session) fn folder(&self, _path: &[u8]) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::session) fn finish_folder(&self, _stat: &Stat) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::session) fn symlink(&self, _stat: &Stat) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::session) fn hard_link(&self, _stat: &Stat) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::session) fn create(&self, _path: &[u8]) -> io::Result<Partial> {
            match *self {}
        }
    }

    impl Partial {
        pub(in crate::session) fn write(&mut self, _data: &[u8]) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::session) fn keep(self, _stat: &Stat) -> io::Result<()> {
            match self {}
        }
    }
}
