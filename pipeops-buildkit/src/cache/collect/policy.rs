//! Which caches are kept, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use pipeops_core::cache::CacheNamespace;

use super::usage::{Usage, date};

const DAY: Duration = Duration::from_secs(86_400);

/// Decides which caches a collection keeps, and for how long.
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::cache::collect::Policy;
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
/// let policy = Policy::default()
///     .ages(DAY, 14 * DAY)
///     .budget(100 << 30) // 100 GiB
///     .default_branches(["trunk"])
///     .longest_build(Duration::from_secs(2 * 3600));
/// assert_eq!(policy.retention(0.0), DAY);
/// ```
///
/// # Retention
/// The score of a namespace counts its builds, halving their weight every [`half_life`](Self::half_life). It determines how
/// long the cache is kept after it was last written:
///
/// ```text
/// retention = min_age + (max_age - min_age) × (1 - 2^(-score / 4))
/// ```
///
/// A branch that was built once starts with a score of 1 and gets a sixth of the span between `min_age` and `max_age`; four
/// builds within days get half of it, and a project that is built daily (score about 10) five sixths. Without new builds the
/// score falls and shortens the retention: with the defaults, a project that was built daily and then stops is deleted after
/// 13 days, not 30. The bounds always hold. Without recorded builds, each manifest counts as one build at the time it was
/// written.
///
/// # Size budget
/// If the kept caches refer to more bytes than the budget, the least valuable namespaces are deleted until the rest fits:
///
/// ```text
/// value = score × hit rate / bytes
/// ```
///
/// The value estimates how many steps each byte saves. An unknown hit rate counts as 0.5, and no rate counts as less than 0.05,
/// because a new cache hasn't had time to be used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The minimum time that a cache is kept after it was last written. Default: 2 days.
    pub min_age: Duration,
    /// The maximum time that a cache is kept after it was last written. Default: 30 days.
    pub max_age: Duration,
    /// The time after which a build counts half. Default: 7 days.
    pub half_life: Duration,
    /// Limit for the total size of the kept blobs, in bytes. Default: no limit.
    pub budget: Option<u64>,
    /// Branches whose newest cache is always kept, per repository and Dockerfile. Default: `main` and `master`.
    pub default_branches: BTreeSet<String>,
    /// Names of caches that are always kept, such as `github.com__acme__shop_-_release_-_Dockerfile`. Default: none.
    pub protected: BTreeSet<String>,
    /// The longest `touch_refresh` of all builds that use this bucket. Default: BuildKit's default, 1 day. If a build sets a longer
    /// one ([`S3Cache::touch_refresh`](pipeops_core::cache::S3Cache::touch_refresh)), set it here too, or blobs in use are deleted.
    pub touch_refresh: Duration,
    /// The longest duration of a build. Default: 1 hour, which is also a build's default time limit. If builds may take longer, set
    /// it here too, or blobs in use are deleted.
    pub longest_build: Duration,
    /// The allowed difference between the clocks of the daemons, this process and the server. Default: 15 minutes.
    pub clock_skew: Duration,
    /// Limit for deleted objects per second. Default: 500.
    pub deletes_per_second: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_age: 2 * DAY,
            max_age: 30 * DAY,
            half_life: 7 * DAY,
            budget: None,
            default_branches: ["main", "master"].map(str::to_owned).into(),
            protected: BTreeSet::new(),
            touch_refresh: DAY,
            longest_build: Duration::from_secs(3600),
            clock_skew: Duration::from_secs(15 * 60),
            deletes_per_second: 500,
        }
    }
}

impl Policy {
    /// Sets the minimum and the maximum time that a cache is kept after it was last written.
    #[must_use]
    pub fn ages(mut self, min: Duration, max: Duration) -> Self {
        self.min_age = min;
        self.max_age = max.max(min);
        self
    }

    /// Sets the limit for the total size of the kept blobs, in bytes.
    #[must_use]
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// Sets the branches whose newest cache is always kept.
    #[must_use]
    pub fn default_branches(
        mut self,
        branches: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.default_branches = branches.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the longest duration of a build.
    #[must_use]
    pub fn longest_build(mut self, time: Duration) -> Self {
        self.longest_build = time;
        self
    }

    /// Returns the score of a namespace: its builds, with older ones counted less. `written` are the times of its manifests.
    pub fn score(&self, usage: Option<&Usage>, written: &[Timestamp], now: Timestamp) -> f64 {
        let half_life = self.half_life.as_secs_f64().max(1.0);
        let weight = |age: f64| (-age.max(0.0) / half_life).exp2();
        match usage.filter(|usage| !usage.days.is_empty()) {
            Some(usage) => {
                let days = usage.days.iter();
                let score = days.map(|(day, counts)| {
                    let age = f64::from(date(now).since(*day).map_or(0, |span| span.get_days()));
                    counts.builds as f64 * weight(age * DAY.as_secs_f64())
                });
                score.sum()
            }
            None => written
                .iter()
                .map(|time| weight(seconds_since(*time, now)))
                .sum(),
        }
    }

    /// Returns how long a namespace with this score is kept after it was last written.
    pub fn retention(&self, score: f64) -> Duration {
        let activity = 1.0 - (-score.max(0.0) / 4.0).exp2();
        let span = self.max_age.saturating_sub(self.min_age);
        (self.min_age + span.mul_f64(activity)).min(self.max_age.max(self.min_age))
    }

    /// Returns the value of a namespace per byte.
    pub fn value(&self, score: f64, hit_rate: Option<f64>, bytes: u64) -> f64 {
        let hits = hit_rate.unwrap_or(0.5).clamp(0.05, 1.0);
        // Below 1 MiB, differences in size don't matter.
        score * hits / (bytes.max(1 << 20) as f64)
    }

    /// Whether the newest cache with this name is always kept.
    pub fn keeps_always(&self, name: &str, namespace: Option<&CacheNamespace>) -> bool {
        self.protected.contains(name)
            || namespace.is_some_and(|namespace| self.default_branches.contains(&namespace.branch))
    }

    /// No build that is about to write a manifest uses an unreferenced blob of at least this age: it would have renewed the
    /// blob.
    pub(super) fn margin(&self) -> Duration {
        self.touch_refresh + self.longest_build + self.clock_skew
    }

    /// How long an unreferenced blob stays: a build that read a manifest before may still fetch it.
    pub(super) fn grace(&self) -> Duration {
        self.longest_build + self.clock_skew
    }
}

pub(super) fn seconds_since(time: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(time).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::usage::DayUsage;
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
    }

    /// `builds` each day from day 0 to `last`.
    fn daily(builds: u64, last: i64) -> Usage {
        let mut usage = Usage::default();
        for day in 0..=last {
            let counts = DayUsage {
                builds,
                ..DayUsage::default()
            };
            usage.days.insert(date(at(day)), counts);
        }
        usage
    }

    fn days(duration: Duration) -> f64 {
        duration.as_secs_f64() / 86_400.0
    }

    #[test]
    fn what_is_built_often_stays_longer() {
        let policy = Policy::default();
        let retention =
            |usage: &Usage| days(policy.retention(policy.score(Some(usage), &[], at(29))));
        let once = Usage {
            days: [(
                date(at(29)),
                DayUsage {
                    builds: 1,
                    ..DayUsage::default()
                },
            )]
            .into(),
        };
        let (once, daily, busy) = (
            retention(&once),
            retention(&daily(1, 29)),
            retention(&daily(10, 29)),
        );
        assert!((6.0..7.0).contains(&once), "{once}");
        assert!((24.0..27.0).contains(&daily), "{daily}");
        assert!((29.9..=30.0).contains(&busy), "{busy}");
    }

    /// The day after its last build on which a project is given up.
    fn given_up(usage: &Usage, last: i64) -> i64 {
        let policy = Policy::default();
        let gone = |day: &i64| {
            let score = policy.score(Some(usage), &[], at(last + day));
            days(policy.retention(score)) < *day as f64
        };
        (0..60).find(gone).unwrap()
    }

    #[test]
    fn what_is_abandoned_goes_fast() {
        assert_eq!(given_up(&daily(1, 29), 29), 13);
        let busy = given_up(&daily(10, 29), 29);
        assert!((20..=30).contains(&busy), "{busy}");
        let once = given_up(&daily(1, 0), 0);
        assert!((5..=6).contains(&once), "{once}");
    }

    #[test]
    fn without_counts_the_manifests_count() {
        let policy = Policy::default();
        assert_eq!(policy.score(None, &[at(0), at(7)], at(7)), 1.5);
        assert_eq!(policy.score(Some(&Usage::default()), &[at(7)], at(7)), 1.0);
        // A clock that is behind does not count double.
        assert_eq!(policy.score(None, &[at(8)], at(7)), 1.0);
    }

    #[test]
    fn a_small_useful_cache_is_worth_more() {
        let policy = Policy::default();
        let value = |hits, bytes| policy.value(1.0, hits, bytes);
        assert!(value(Some(0.9), 1 << 30) > value(Some(0.1), 1 << 30));
        assert!(value(None, 1 << 30) > value(None, 2 << 30));
        assert!(value(Some(0.0), 1 << 30) > 0.0);
    }

    proptest! {
        #[test]
        fn the_bounds_always_hold(score in proptest::num::f64::ANY, min in 0u64..100, more in 0u64..100) {
            let policy = Policy::default().ages(Duration::from_secs(min), Duration::from_secs(min + more));
            let retention = policy.retention(if score.is_nan() { 0.0 } else { score });
            prop_assert!((policy.min_age..=policy.max_age).contains(&retention));
        }
    }
}
