//! Limits of a clone.

use std::time::Duration;

/// Limits of one clone. A repository may be too large by mistake or on purpose.
///
/// ```
/// use std::time::Duration;
/// use pipeops_runner::clone::CloneLimits;
///
/// let mut limits = CloneLimits::default();
/// limits.bytes = 200 << 20;
/// limits.time = Duration::from_secs(60);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloneLimits {
    /// The time for the whole clone. Default: 5 minutes.
    pub time: Duration,
    /// The time without a byte from the server. Default: 30 seconds.
    pub idle: Duration,
    /// The size of the fetched pack, and of the files in it, each in bytes. Default: 2 GiB.
    pub bytes: u64,
    /// The number of files and folders. Default: 500,000.
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
