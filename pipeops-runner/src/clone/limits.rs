//! Bounds of a clone: sources are not trusted to be small.

use std::time::Duration;

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
