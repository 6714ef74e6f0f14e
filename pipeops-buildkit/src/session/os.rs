//! File operations beyond `std` that a context needs.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use bytes::Bytes;

/// What makes a file the same file under two names: device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) use imp::{executable, identity, is_device, is_pipe, is_shared, name_bytes, open};

/// The bytes of a symlink's target, separated by `/`.
pub(crate) fn target_bytes(path: &Path) -> Bytes {
    Bytes::from(name_bytes(path.as_os_str()).into_owned())
}

#[cfg(unix)]
mod imp {
    use std::borrow::Cow;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

    use super::{File, Identity, Metadata, OsStr, Path, io};

    pub(crate) fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
        Cow::Borrowed(name.as_bytes())
    }

    pub(crate) fn identity(metadata: &Metadata) -> Identity {
        (metadata.dev(), metadata.ino())
    }

    /// Whether the file has more than one name.
    pub(crate) fn is_shared(metadata: &Metadata) -> bool {
        metadata.nlink() > 1
    }

    pub(crate) fn executable(metadata: &Metadata) -> bool {
        metadata.mode() & 0o100 != 0
    }

    pub(crate) fn is_pipe(metadata: &Metadata) -> bool {
        metadata.file_type().is_fifo()
    }

    pub(crate) fn is_device(metadata: &Metadata) -> bool {
        let kind = metadata.file_type();
        kind.is_block_device() || kind.is_char_device()
    }

    /// Opens the regular file that was seen at `path`. A symlink, or another file that took its place, is an error; so a
    /// folder on the way that was replaced by a symlink cannot lead out of the tree. A pipe does not block.
    pub(crate) fn open(path: &Path, seen: Identity) -> io::Result<File> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && identity(&metadata) == seen {
            Ok(file)
        } else {
            Err(io::Error::other("it was replaced while the build read it"))
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::borrow::Cow;

    use super::{File, Identity, Metadata, OsStr, Path, io};

    pub(crate) fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
        Cow::Owned(name.to_string_lossy().replace('\\', "/").into_bytes())
    }

    pub(crate) fn identity(_metadata: &Metadata) -> Identity {
        (0, 0)
    }

    pub(crate) fn is_shared(_metadata: &Metadata) -> bool {
        false
    }

    /// Without permission bits everything may run, as Docker sends it from Windows.
    pub(crate) fn executable(_metadata: &Metadata) -> bool {
        true
    }

    pub(crate) fn is_pipe(_metadata: &Metadata) -> bool {
        false
    }

    pub(crate) fn is_device(_metadata: &Metadata) -> bool {
        false
    }

    pub(crate) fn open(path: &Path, _seen: Identity) -> io::Result<File> {
        if std::fs::symlink_metadata(path)?.is_file() {
            File::open(path)
        } else {
            Err(io::Error::other("it was replaced while the build read it"))
        }
    }
}
