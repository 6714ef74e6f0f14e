//! Measures a commit before its files are written.

use super::{CloneError, CloneRequest};

/// The size of a commit's files, measured before they are written, because a small pack can contain a huge tree.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    pub(super) bytes: u64,
    entries: u64,
}

impl Tally {
    /// Walks a tree, and stops at the first exceeded limit.
    pub(super) fn of(
        tree: gix::ObjectId,
        repository: &gix::Repository,
        request: &CloneRequest,
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

    fn check(&self, request: &CloneRequest) -> Result<(), CloneError> {
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

/// `2147483648` becomes `2048 MiB`. Sizes below 1 MiB are in bytes.
pub(super) fn bytes_text(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}
