//! The caches of a build that failed.

/// The caches that a build couldn't read or write. They cost time but don't fail the build. Each is a warning, too.
///
/// ```
/// use pipeops_buildkit::CacheOutcome;
///
/// fn report(caches: &CacheOutcome) {
///     for problem in caches.unread.iter().chain(&caches.unwritten) {
///         println!("cache {}: {}", problem.cache, problem.why);
///     }
/// }
/// # report(&CacheOutcome::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheOutcome {
    /// Caches that couldn't be read.
    pub unread: Vec<CacheProblem>,
    /// Caches that couldn't be written. The next build reads what an earlier build wrote.
    pub unwritten: Vec<CacheProblem>,
}

/// A cache that couldn't be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheProblem {
    /// The cache's name, as far as the daemon reports it.
    pub cache: String,
    /// The reason, as readable text.
    pub why: String,
    /// How long the daemon tried, in milliseconds; `None` if unknown.
    pub millis: Option<u64>,
}

impl CacheProblem {
    /// The warning for a cache that couldn't be read.
    pub(crate) fn unread(&self) -> String {
        self.says("The build continues without its cache")
    }

    /// The warning for a cache that couldn't be written.
    pub(crate) fn unwritten(&self) -> String {
        self.says("The cache couldn't be written, so the next build starts with an older one")
    }

    fn says(&self, consequence: &str) -> String {
        let cost = self
            .millis
            .map(|millis| format!(" ({:.1} s)", millis as f64 / 1000.0));
        let cost = cost.unwrap_or_default();
        format!("{consequence}: {}{cost}: {}", self.cache, self.why)
    }
}
