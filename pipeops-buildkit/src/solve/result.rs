//! What a build returns.

use std::collections::BTreeMap;

use pipeops_core::Digest;

use crate::cache::CacheOutcome;
use crate::leak::LeakReport;
use crate::output::OutputStats;

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Solved {
    /// The build's id at its daemon.
    pub id: String,
    /// The digest of the image's manifest; `None` when nothing was pushed.
    pub digest: Option<Digest>,
    /// What the daemon says about the result, such as `containerimage.config.digest`.
    pub response: BTreeMap<String, String>,
    /// Steps of the Dockerfile that ran or were cached.
    pub steps: usize,
    /// How many of these were cached.
    pub cached: usize,
    /// Caches that could not be read or written.
    pub caches: CacheOutcome,
    /// How much of the context was sent.
    pub context: ContextSent,
    /// What was written, in the order of [`Solve::output`](crate::Solve::output).
    pub outputs: Vec<OutputStats>,
    /// Secrets of the build that can be read in its image or at the daemon.
    pub leaks: LeakReport,
}

/// How much of its context a build sent to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ContextSent {
    /// Entries listed; the daemon compares them with what it has.
    pub entries: u64,
    /// Files that the daemon did not have and received.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}
