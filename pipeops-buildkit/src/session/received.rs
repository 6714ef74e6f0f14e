//! Counters of one output.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::output::OutputStats;

/// The counters of one output.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) files: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

impl Received {
    /// What was counted so far.
    pub(crate) fn written(&self) -> OutputStats {
        OutputStats {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }
}
