//! Bounds of a clone: sources are not trusted to be small.

use std::time::Duration;

use super::CloneError;

/// Bounds of one clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloneLimits {
    /// For the whole clone. Default: 5 minutes.
    pub time: Duration,
    /// Without a byte from the server. Default: 30 seconds.
    pub idle: Duration,
    /// For what is fetched, and again for the files that come out of it. Default: 2 GiB.
    pub bytes: u64,
    /// Files and folders. Default: 500,000.
    pub entries: u64,
}

impl Default for CloneLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(300),
            idle: Duration::from_secs(30),
            bytes: 2 << 30,
            entries: 500_000,
        }
    }
}

impl CloneLimits {
    /// Sets the time for the whole clone.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the time without a byte from the server.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the size in bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the number of files and folders.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }
}

/// What a commit's tree would take on disk, counted before anything is written: a small pack can hold a huge tree.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    pub(super) bytes: u64,
    entries: u64,
}

impl Tally {
    /// Walks a tree without recursion, and stops at the first limit.
    pub(super) fn of(
        tree: gix::ObjectId,
        repository: &gix::Repository,
        request: &super::CloneRequest,
    ) -> Result<Self, CloneError> {
        let unreadable = |error| CloneError::git(request, error);
        let mut tally = Self::default();
        let mut trees = vec![tree];
        while let Some(id) = trees.pop() {
            let tree = repository.find_tree(id).map_err(unreadable)?;
            for entry in tree.iter() {
                let entry = entry.map_err(unreadable)?;
                let mode = entry.mode();
                if mode.is_tree() {
                    trees.push(entry.object_id());
                } else if !mode.is_commit() {
                    let header = repository.find_header(entry.object_id());
                    tally.files += 1;
                    tally.bytes += header.map_err(unreadable)?.size();
                }
                tally.entries += 1;
                tally.check(request)?;
            }
        }
        Ok(tally)
    }

    fn check(&self, request: &super::CloneRequest) -> Result<(), CloneError> {
        let limits = &request.limits;
        let what = if self.entries > limits.entries {
            format!("{} files and folders", limits.entries)
        } else if self.bytes > limits.bytes {
            bytes_text(limits.bytes)
        } else {
            return Ok(());
        };
        Err(CloneError::TooLarge {
            url: request.url.clone(),
            what,
        })
    }
}

/// `2147483648` as `2048 MiB`; below a MiB in bytes.
pub(super) fn bytes_text(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}
