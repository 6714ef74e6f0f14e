//! The retry loop.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::class::RetryClass;
use crate::diagnosis::{Diagnose, Diagnosis, Failure};

/// The attempts at one operation: decides after each failure whether there is another one.
///
/// [`retry`] is the loop around it. Write your own loop if you have more to do between attempts.
///
/// ```
/// use pipeops_core::retry::{Attempts, Backoff, Next, RetryClass};
///
/// let mut attempts = Attempts::new(Backoff::default().attempts(2));
/// assert_eq!(attempts.next(RetryClass::NeedsCredential, None), Some(Next::WithNewCredential));
/// assert_eq!(attempts.next(RetryClass::NeedsCredential, None), None, "a credential is renewed once");
/// assert_eq!(attempts.made(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Attempts {
    backoff: Backoff,
    begun: Instant,
    made: u32,
    renewed: bool,
}

/// What the next attempt needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Time.
    After(Duration),
    /// A new credential.
    WithNewCredential,
}

impl Attempts {
    /// Starts the first attempt now.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            begun: Instant::now(),
            made: 1,
            renewed: false,
        }
    }

    /// The number of attempts started so far.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// The time since the first attempt started.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What the next attempt needs after a failure of this class, or `None` to give up. `retry_after` is the wait that the
    /// server asked for.
    ///
    /// Transient failures are retried as the backoff allows, a refused credential once.
    pub fn next(&mut self, class: RetryClass, retry_after: Option<Duration>) -> Option<Next> {
        let next = match class {
            RetryClass::Transient => {
                let elapsed = self.elapsed();
                let wait = self
                    .backoff
                    .delay_after(self.made, elapsed, fraction(), retry_after)?;
                Next::After(wait)
            }
            RetryClass::NeedsCredential if !self.renewed => {
                self.renewed = true;
                Next::WithNewCredential
            }
            _ => return None,
        };
        self.made += 1;
        Some(next)
    }
}

/// An error that knows whether a retry can help.
pub trait Retryable: Sized {
    /// Whether a retry can help. [`retry`] retries only [`RetryClass::Transient`].
    fn retry_class(&self) -> RetryClass;

    /// The wait that the server asked for.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The same error, marked so that callers don't retry it.
    #[must_use]
    fn exhausted(self, attempts: u32) -> Self;
}

impl Retryable for Failure {
    fn retry_class(&self) -> RetryClass {
        Self::retry_class(self)
    }

    fn exhausted(self, attempts: u32) -> Self {
        Exhausted {
            attempts,
            failure: self,
        }
        .into()
    }
}

/// A transient failure after all attempts were used up.
#[derive(Debug)]
pub struct Exhausted {
    /// The number of attempts made.
    pub attempts: u32,
    /// The last failure.
    pub failure: Failure,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gave up after {} attempts", self.attempts)
    }
}

impl std::error::Error for Exhausted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.failure.as_error())
    }
}

impl Diagnose for Exhausted {
    fn diagnosis(&self) -> Diagnosis {
        let inner = self.failure.diagnosis();
        let reason = format!("{} (after {} attempts)", inner.reason, self.attempts);
        inner
            .reason(reason.trim_start().to_owned())
            .class(RetryClass::Exhausted)
    }
}

/// Calls `operation` until it succeeds, fails permanently, or uses up `backoff`. `sleep` waits between two calls, because
/// this crate has no async runtime.
///
/// ```
/// use pipeops_core::Failure;
/// use pipeops_core::retry::{Backoff, retry};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut calls = 0;
/// let result: Result<&str, Failure> = retry(Backoff::default(), tokio::time::sleep, || {
///     calls += 1;
///     async { Ok("pushed") }
/// })
/// .await;
/// assert_eq!((result.unwrap(), calls), ("pushed", 1));
/// # }
/// ```
///
/// # Errors
/// The last error. A transient error that was retried is marked by [`Retryable::exhausted`].
pub async fn retry<T, E, Sleep, Fut>(
    backoff: Backoff,
    sleep: impl FnMut(Duration) -> Sleep,
    operation: impl FnMut() -> Fut,
) -> Result<T, E>
where
    E: Retryable,
    Sleep: Future<Output = ()>,
    Fut: Future<Output = Result<T, E>>,
{
    retry_notified(backoff, sleep, operation, |_, _, _| {}).await
}

/// Like [`retry`], and calls `notify` before each wait with the error, the number of the failed attempt and the wait.
///
/// # Errors
/// As [`retry`].
pub async fn retry_notified<T, E, Sleep, Fut>(
    backoff: Backoff,
    mut sleep: impl FnMut(Duration) -> Sleep,
    mut operation: impl FnMut() -> Fut,
    mut notify: impl FnMut(&E, u32, Duration),
) -> Result<T, E>
where
    E: Retryable,
    Sleep: Future<Output = ()>,
    Fut: Future<Output = Result<T, E>>,
{
    let mut attempts = Attempts::new(backoff);
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let (class, failed) = (error.retry_class(), attempts.made());
        match attempts.next(class, error.retry_after()) {
            Some(Next::After(wait)) => {
                notify(&error, failed, wait);
                sleep(wait).await;
            }
            _ if class.is_transient() && failed > 1 => return Err(error.exhausted(failed)),
            _ => return Err(error),
        }
    }
}

/// A number from 0.0 to 1.0. The standard library's hashers have random keys, which is enough to spread waits.
fn fraction() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 32;
    random as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::codes;

    #[derive(Debug, PartialEq, Eq)]
    struct Broken {
        class: RetryClass,
        retry_after: Option<Duration>,
        attempts: u32,
    }

    impl Retryable for Broken {
        fn retry_class(&self) -> RetryClass {
            self.class
        }

        fn retry_after(&self) -> Option<Duration> {
            self.retry_after
        }

        fn exhausted(self, attempts: u32) -> Self {
            Self {
                class: RetryClass::Exhausted,
                attempts,
                ..self
            }
        }
    }

    fn broken(class: RetryClass, retry_after: Option<u64>) -> Broken {
        Broken {
            class,
            retry_after: retry_after.map(Duration::from_secs),
            attempts: 1,
        }
    }

    fn limited(retry_after: Option<u64>) -> Broken {
        broken(RetryClass::Transient, retry_after)
    }

    /// The result, and how often it was tried.
    async fn tries(mut errors: Vec<Broken>) -> (Result<(), Broken>, u32) {
        let mut calls = 0;
        errors.reverse();
        let result = retry(Backoff::default(), tokio::time::sleep, || {
            calls += 1;
            let error = errors.pop();
            async move { error.map_or(Ok(()), Err) }
        })
        .await;
        (result, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failures_are_tried_three_times() {
        let (result, calls) = tries(vec![limited(None), limited(None)]).await;
        assert_eq!((result, calls), (Ok(()), 3));
        let (result, calls) = tries((0..4).map(|_| limited(None)).collect()).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.class, error.attempts, calls),
            (RetryClass::Exhausted, 3, 3)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_never_tried_again() {
        for class in [
            RetryClass::Permanent,
            RetryClass::Exhausted,
            RetryClass::NeedsCredential,
        ] {
            let (result, calls) = tries(vec![broken(class, None)]).await;
            assert_eq!((result, calls), (Err(broken(class, None)), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_that_it_asks_for() {
        let start = tokio::time::Instant::now();
        let (result, _) = tries(vec![limited(Some(7))]).await;
        assert!(result.is_ok());
        assert!(start.elapsed() >= Duration::from_secs(7));
        // But not any time.
        let (result, calls) = tries(vec![limited(Some(3600))]).await;
        assert_eq!((result, calls), (Err(limited(Some(3600))), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_is_told() {
        let mut told = Vec::new();
        let mut failures = 2;
        let operation = || {
            failures -= 1;
            let fails = failures > 0;
            async move { if fails { Err(limited(Some(2))) } else { Ok(()) } }
        };
        let notify = |_: &Broken, attempt, wait| told.push((attempt, wait));
        let result =
            retry_notified(Backoff::default(), tokio::time::sleep, operation, notify).await;
        assert!(result.is_ok());
        assert_eq!(told, [(1, Duration::from_secs(2))]);
    }

    #[tokio::test(start_paused = true)]
    async fn exhausted_failures_keep_their_diagnosis() {
        let diagnosis = || {
            Diagnosis::new(&codes::UNKNOWN)
                .reason("cut")
                .class(RetryClass::Transient)
        };
        let failing = || async { Err::<(), _>(Failure::from_diagnosis(diagnosis())) };
        let failure = retry(Backoff::default(), tokio::time::sleep, failing)
            .await
            .unwrap_err();
        assert_eq!(failure.retry_class(), RetryClass::Exhausted);
        assert_eq!(failure.diagnosis().reason, "cut (after 3 attempts)");
        assert_eq!(failure.diagnosis().title, diagnosis().title);
    }

    #[test]
    fn fractions_are_spread() {
        let all: Vec<f64> = (0..100).map(|_| fraction()).collect();
        assert!(all.iter().all(|f| (0.0..=1.0).contains(f)));
        assert!(
            all.iter().any(|f| *f < 0.5) && all.iter().any(|f| *f > 0.5),
            "{all:?}"
        );
    }
}
