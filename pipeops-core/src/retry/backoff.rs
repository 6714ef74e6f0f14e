//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter, limited by attempts and by total time.
///
/// Each wait is a random part of `base * 2^n` ("full jitter"), so clients that fail together don't retry together. Default: 3 attempts, 500 ms base, 30 s cap, 2 min in total.
///
/// ```
/// use std::time::Duration;
/// use pipeops_core::Backoff;
///
/// let backoff = Backoff::default();
/// // The caller brings the randomness, from 0.0 to 1.0, so that tests are deterministic.
/// assert_eq!(backoff.delay(1, Duration::ZERO, 1.0), Some(Duration::from_millis(500)));
/// assert_eq!(backoff.delay(2, Duration::ZERO, 1.0), Some(Duration::from_secs(1)));
/// assert_eq!(backoff.delay(3, Duration::ZERO, 1.0), None, "three attempts were made");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The number of attempts, including the first.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub base: Duration,
    /// The longest single wait.
    pub cap: Duration,
    /// No attempt starts once this much time has passed since the first one.
    pub total: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            total: Duration::from_secs(120),
        }
    }
}

impl Backoff {
    /// Sets the number of attempts, including the first.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the longest wait before the second attempt.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the time after which no further attempt starts.
    #[must_use]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// How long to wait after failed attempt number `attempt` (from 1), or `None` to give up.
    ///
    /// `elapsed` is the time since the first attempt began; `random` is from 0.0 to 1.0.
    pub fn delay(&self, attempt: u32, elapsed: Duration, random: f64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.cap);
        let wait = longest.mul_f64(random.clamp(0.0, 1.0));
        (elapsed.saturating_add(wait) < self.total).then_some(wait)
    }

    /// Like [`Backoff::delay`], but at least as long as the server asked for (`Retry-After`).
    ///
    /// Gives up when the server asks for more than the time that is left.
    pub fn delay_after(
        &self,
        attempt: u32,
        elapsed: Duration,
        random: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let wait = self.delay(attempt, elapsed, random)?;
        let wait = wait.max(retry_after.unwrap_or_default());
        (elapsed.saturating_add(wait) < self.total).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff {
            attempts: 40,
            total: Duration::MAX,
            ..Backoff::default()
        };
        assert_eq!(
            backoff.delay(4, Duration::ZERO, 1.0),
            Some(Duration::from_secs(4))
        );
        assert_eq!(backoff.delay(39, Duration::ZERO, 1.0), Some(backoff.cap));
        assert_eq!(backoff.delay(4, Duration::ZERO, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn total_time_ends_the_tries() {
        let backoff = Backoff::default().total(Duration::from_secs(10));
        assert_eq!(backoff.delay(1, Duration::from_secs(10), 0.0), None);
    }

    #[test]
    fn the_server_may_ask_for_more_but_not_for_too_much() {
        let backoff = Backoff::default();
        let after = |seconds| {
            backoff.delay_after(1, Duration::ZERO, 0.0, Some(Duration::from_secs(seconds)))
        };
        assert_eq!(after(7), Some(Duration::from_secs(7)));
        assert_eq!(after(600), None);
        assert_eq!(after(u64::MAX), None);
    }
}
