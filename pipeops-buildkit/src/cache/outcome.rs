//! What the caches of a build did not do.

/// Caches that a build had to do without. It ended well all the same; what was lost is time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheOutcome {
    /// Caches that could not be read.
    pub unread: Vec<CacheProblem>,
    /// Caches that could not be written: the next build finds what an earlier one wrote.
    pub unwritten: Vec<CacheProblem>,
}

/// A cache that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheProblem {
    /// Which: its name, as far as the daemon says.
    pub cache: String,
    /// Why, for people.
    pub why: String,
    /// How long the daemon tried, where it says so.
    pub millis: Option<u64>,
}

impl CacheProblem {
    /// What people are told when it could not be read.
    pub(crate) fn unread(&self) -> String {
        self.says("The build continues without its cache")
    }

    /// What people are told when it could not be written.
    pub(crate) fn unwritten(&self) -> String {
        self.says("The cache is not written, and the next build starts with an older one")
    }

    fn says(&self, consequence: &str) -> String {
        let cost = self
            .millis
            .map(|millis| format!(" ({:.1} s)", millis as f64 / 1000.0));
        let cost = cost.unwrap_or_default();
        format!("{consequence}: {}{cost}: {}", self.cache, self.why)
    }
}
