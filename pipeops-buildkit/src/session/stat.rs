//! Describes one entry of a context to the daemon.
//!
//! The daemon considers a file unchanged if its size and its time in nanoseconds are unchanged. Times from the disk would hide
//! changes that keep both, and make every fresh clone look changed. The commit's time would make every file of the next commit
//! look changed. So the time is derived from the content alone: a date between 2001 and 2010, which archives can represent and
//! which is never in the future. It changes with the content, which matters to programs that compare it later: web servers
//! derive ETags from seconds and size, and Python checks compiled files. File modes are those that git knows, because modes are
//! part of the cache key and differ between hosts with different umasks.

use bytes::Bytes;

use super::packet::Stat;

/// Bits of Go's `os.FileMode`, which differs from `st_mode`.
pub(crate) mod go_mode {
    /// A folder.
    pub(crate) const DIR: u32 = 1 << 31;
    /// A symlink.
    pub(crate) const SYMLINK: u32 = 1 << 27;
    /// A named pipe.
    pub(crate) const PIPE: u32 = 1 << 25;
    /// All type bits: those above, devices, sockets, and unknown types.
    pub(crate) const TYPE: u32 = DIR | SYMLINK | PIPE | 1 << 26 | 1 << 24 | 1 << 21 | 1 << 19;
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Whether its owner may run it.
        executable: bool,
        /// Its size in bytes.
        size: u64,
    },
    /// A symlink; never followed.
    Symlink {
        /// Where it points, as written.
        target: Bytes,
    },
    /// A named pipe.
    Pipe,
    /// The same file as one that was already sent.
    HardLink {
        /// Whether its owner may run it.
        executable: bool,
        /// The path of the other one.
        first: Bytes,
    },
}

/// The source of the seconds of a file's time. Its nanoseconds always come from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Seconds {
    /// From its content.
    #[default]
    Content,
    /// From the disk, for builds that ask whether a file is newer than their own state.
    Disk,
}

impl Seconds {
    /// The seconds for an entry whose own are `disk`; `None` for those of its content.
    pub(crate) fn of(self, disk: i64) -> Option<i64> {
        match self {
            Self::Content => None,
            Self::Disk => Some(disk),
        }
    }
}

/// Describes one entry. `seconds` are those of its time, else its content's. `mark` tells its content from every other: see
/// [`Mark`].
pub(crate) fn describe(path: Bytes, kind: &Kind, seconds: Option<i64>, mark: Mark) -> Stat {
    let (mode, size, linkname) = match kind {
        Kind::Dir => (go_mode::DIR | 0o755, 0, Bytes::new()),
        Kind::File { executable, size } => (permissions(*executable), *size, Bytes::new()),
        Kind::Symlink { target } => (
            go_mode::SYMLINK | 0o777,
            target.len() as u64,
            target.clone(),
        ),
        Kind::Pipe => (go_mode::PIPE | 0o644, 0, Bytes::new()),
        Kind::HardLink { executable, first } => (permissions(*executable), 0, first.clone()),
    };
    Stat {
        path,
        mode,
        // Owners differ between hosts and mean nothing in an image.
        uid: 0,
        gid: 0,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: nanoseconds(seconds, mark),
        linkname,
    }
}

/// The time derived from a content, as nanoseconds after [`EPOCH`]. Equal contents have equal marks, and different ones almost
/// never do (1 in 2·10¹⁷, or 1 in 10⁹ if the seconds are the disk's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    seconds: i64,
    nanoseconds: i64,
}

/// 2001-09-09T01:46:40Z: the earliest time of a content, and that of folders.
pub(crate) const EPOCH: i64 = 1_000_000_000;

/// The time of a content is less than this many seconds after [`EPOCH`]: before 2010.
const SPREAD: u64 = 1 << 28;

impl Mark {
    /// The mark of a content that is in memory.
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut marker = Marker::default();
        marker.update(content);
        marker.finish()
    }
}

/// Computes a [`Mark`] piece by piece. All that is sent is read for it twice, so that it must cost little beside reading: with
/// BLAKE3, sending 512 MB takes less than half of the processor time that it takes with SHA-256, on a processor that has
/// instructions for SHA-256.
#[derive(Default)]
pub(crate) struct Marker(blake3::Hasher);

impl Marker {
    /// Adds the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The mark of all pieces together.
    pub(crate) fn finish(self) -> Mark {
        let digest = self.0.finalize();
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (head, rest) = digest.as_bytes().split_at(8);
        let below = |number: u64, limit: u64| i64::try_from(number % limit).unwrap_or_default();
        Mark {
            seconds: below(number(&rest[..8]), SPREAD),
            nanoseconds: below(number(head), 1_000_000_000),
        }
    }
}

fn permissions(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// Limits for times: the daemons' file systems don't store times before 1970 or after 2200.
fn nanoseconds(seconds: Option<i64>, mark: Mark) -> i64 {
    let seconds = seconds.unwrap_or(EPOCH + mark.seconds);
    seconds.clamp(0, 7_258_118_400) * 1_000_000_000 + mark.nanoseconds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(executable: bool, size: u64) -> Kind {
        Kind::File { executable, size }
    }

    #[test]
    fn modes_are_go_modes_with_gits_permissions() {
        let mode = |kind| describe(Bytes::new(), &kind, None, Mark::default()).mode;
        assert_eq!(mode(Kind::Dir), 0x8000_01ed);
        assert_eq!(mode(file(false, 0)), 0o644);
        assert_eq!(mode(file(true, 0)), 0o755);
        assert_eq!(
            mode(Kind::Symlink {
                target: Bytes::new()
            }),
            0x0800_01ff
        );
        assert_eq!(mode(Kind::Pipe), 0x0200_01a4);
    }

    #[test]
    fn the_time_is_the_contents_or_the_disks_seconds_with_the_contents_nanoseconds() {
        const SECOND: i64 = 1_000_000_000;
        let time = |seconds, content: &[u8]| {
            describe(Bytes::new(), &file(false, 1), seconds, Mark::of(content)).mod_time
        };
        assert_eq!(time(None, b"a"), time(None, b"a"));
        // Seconds too: many look at nothing finer.
        assert_ne!(time(None, b"a") / SECOND, time(None, b"b") / SECOND);
        assert_ne!(time(None, b"a") % SECOND, time(None, b"b") % SECOND);
        let disk = Some(1_700_000_000);
        assert_eq!(time(disk, b"a") / SECOND, 1_700_000_000);
        assert_eq!(time(disk, b"a") % SECOND, time(None, b"a") % SECOND);
        assert_ne!(time(disk, b"a"), time(disk, b"b"));
    }

    #[test]
    fn a_mark_does_not_depend_on_the_pieces() {
        let mut marker = Marker::default();
        marker.update(b"hello ");
        marker.update(b"world");
        assert_eq!(marker.finish(), Mark::of(b"hello world"));
    }

    proptest! {
        #[test]
        fn every_time_is_one_that_a_disk_can_keep(seconds in any::<i64>(), content in any::<[u8; 4]>()) {
            let stat = describe(Bytes::new(), &file(false, 4), Some(seconds), Mark::of(&content));
            prop_assert!(stat.mod_time >= 0);
        }

        /// After 1980, where the dates of zip archives begin, and not in the future, which makes build tools build for ever.
        #[test]
        fn a_contents_time_is_between_2001_and_2010(content in any::<[u8; 8]>()) {
            let seconds = describe(Bytes::new(), &file(false, 8), None, Mark::of(&content)).mod_time / 1_000_000_000;
            prop_assert!((1_000_000_000..1_268_435_456).contains(&seconds));
        }
    }
}
