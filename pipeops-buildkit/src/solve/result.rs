//! The result of a build.

use std::collections::BTreeMap;

use pipeops_core::Digest;

use crate::cache::CacheOutcome;
use crate::leak::LeakReport;
use crate::output::OutputStats;

/// The result of a successful [`Client::solve`](crate::Client::solve).
///
/// ```no_run
/// # async fn run(client: pipeops_buildkit::Client, solve: pipeops_buildkit::Solve) -> Result<(), pipeops_buildkit::Error> {
/// use pipeops_buildkit::Discard;
///
/// let solved = client.solve(solve, &Discard).await?;
/// if let Some(digest) = &solved.digest {
///     println!("pushed {digest}");
/// }
/// println!("sent {} of {} files", solved.context.files, solved.context.entries);
/// for problem in &solved.caches.unread {
///     println!("the cache {} couldn't be read: {}", problem.cache, problem.why);
/// }
/// for leak in &solved.leaks.leaks {
///     println!("{leak}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Solved {
    /// The build's id on the daemon, for [`Client::history_record`](crate::Client::history_record).
    pub id: String,
    /// The digest of the image's manifest or index; `None` if nothing was pushed.
    pub digest: Option<Digest>,
    /// The daemon's metadata of the result, such as `containerimage.config.digest`.
    pub response: BTreeMap<String, String>,
    /// Number of Dockerfile steps that ran or were cached.
    pub steps: usize,
    /// Number of these that were cached.
    pub cached: usize,
    /// Caches that could not be read or written.
    pub caches: CacheOutcome,
    /// How much of the context was sent.
    pub context: ContextSent,
    /// What each output received, in the order of [`Solve::output`](crate::Solve::output).
    pub outputs: Vec<OutputStats>,
    /// Secrets that the leak check found in the image or on the daemon.
    pub leaks: LeakReport,
}

/// How much of its context a build sent to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ContextSent {
    /// Entries that were listed. The daemon compares them with the files that it has.
    pub entries: u64,
    /// Files that the daemon didn't have and received.
    pub files: u64,
    /// Total size of these files, in bytes.
    pub bytes: u64,
}
