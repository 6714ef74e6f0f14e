//! The one place where calls to registries, and builds that push to them, are tried again.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use pipeops_core::{Backoff, Diagnose, Diagnosis, Failure, RetryClass};

use crate::error::Error;

/// An error that knows whether another try can help.
pub trait Retryable: Sized {
    /// Whether another try can help. Only [`RetryClass::Transient`] is tried again.
    fn retry_class(&self) -> RetryClass;

    /// How long the other side asked us to wait.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The same error, marked so that nobody above tries it again.
    #[must_use]
    fn exhausted(self, attempts: u32) -> Self;
}

impl Retryable for Error {
    fn retry_class(&self) -> RetryClass {
        Self::retry_class(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }

    fn exhausted(self, attempts: u32) -> Self {
        Self::Exhausted {
            attempts,
            source: Box::new(self),
        }
    }
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

/// A failure that was tried again and did not pass.
pub struct Exhausted {
    /// Attempts made.
    pub attempts: u32,
    /// The last failure.
    pub failure: Failure,
}

impl fmt::Debug for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exhausted")
            .field("attempts", &self.attempts)
            .field("failure", &self.failure)
            .finish()
    }
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

/// Calls `operation` until it succeeds, fails for good, or `backoff` is used up.
///
/// ```
/// use pipeops_core::Backoff;
/// use pipeops_registry::{Error, retry};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut calls = 0;
/// let result: Result<&str, Error> = retry(Backoff::default(), || {
///     calls += 1;
///     async { Ok("pushed") }
/// })
/// .await;
/// assert_eq!((result.unwrap(), calls), ("pushed", 1));
/// # }
/// ```
///
/// # Errors
/// The last error. One that may have passed, but did not in several attempts, comes back as [`Retryable::exhausted`].
pub async fn retry<T, E, F, Fut>(backoff: Backoff, operation: F) -> Result<T, E>
where
    E: Retryable,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    retry_notified(backoff, operation, |_, _, _| {}).await
}

/// Like [`retry`], and tells `notify` the error, the number of the failed attempt and the wait before each further one.
///
/// # Errors
/// As [`retry`].
pub async fn retry_notified<T, E, F, Fut>(
    backoff: Backoff,
    mut operation: F,
    mut notify: impl FnMut(&E, u32, Duration),
) -> Result<T, E>
where
    E: Retryable,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    let mut attempt = 1;
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !error.retry_class().is_transient() {
            return Err(error);
        }
        match backoff.delay_after(
            attempt,
            start.elapsed(),
            rand::random(),
            error.retry_after(),
        ) {
            Some(wait) => {
                notify(&error, attempt, wait);
                tokio::time::sleep(wait).await;
                attempt += 1;
            }
            None if attempt == 1 => return Err(error),
            None => return Err(error.exhausted(attempt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(retry_after: Option<u64>) -> Error {
        Error::RateLimited {
            host: "r.io".to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
            message: String::new(),
        }
    }

    fn denied() -> Error {
        Error::Denied {
            host: "r.io".to_owned(),
            repository: "a".to_owned(),
            action: crate::Action::Push,
            message: String::new(),
        }
    }

    /// The result, and how often it was tried.
    async fn tries(mut errors: Vec<Error>) -> (Result<(), Error>, u32) {
        let mut calls = 0;
        errors.reverse();
        let result = retry(Backoff::default(), || {
            calls += 1;
            let error = errors.pop();
            async move { error.map_or(Ok(()), Err) }
        })
        .await;
        (result, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times() {
        let (result, calls) = tries(vec![limited(None), limited(None)]).await;
        assert!(result.is_ok());
        assert_eq!(calls, 3);
        let (result, calls) = tries(vec![
            limited(None),
            limited(None),
            limited(None),
            limited(None),
        ])
        .await;
        assert!(
            matches!(result, Err(Error::Exhausted { attempts: 3, .. })),
            "{result:?}"
        );
        assert_eq!(calls, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn denied_is_never_tried_again() {
        let (result, calls) = tries(vec![denied()]).await;
        assert!(matches!(result, Err(Error::Denied { .. })));
        assert_eq!(calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_exhausted_below_is_not_tried_again() {
        let (_, calls) = tries(vec![limited(None).exhausted(3)]).await;
        assert_eq!(calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_that_it_asks_for() {
        let start = tokio::time::Instant::now();
        let (result, _) = tries(vec![limited(Some(7))]).await;
        assert!(result.is_ok());
        assert!(start.elapsed() >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_too_much_is_not_waited_for() {
        let (result, calls) = tries(vec![limited(Some(3600))]).await;
        assert!(
            matches!(result, Err(Error::RateLimited { .. })),
            "{result:?}"
        );
        assert_eq!(calls, 1);
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
        let result = retry_notified(Backoff::default(), operation, |_, attempt, wait| {
            told.push((attempt, wait))
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(told, [(1, Duration::from_secs(2))]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_other_crates_are_marked_as_exhausted() {
        let failing = || async {
            Err::<(), _>(Failure::from_diagnosis(
                Diagnosis::new("push cut").class(RetryClass::Transient),
            ))
        };
        let failure = retry(Backoff::default(), failing).await.unwrap_err();
        assert_eq!(failure.retry_class(), RetryClass::Exhausted);
        assert_eq!(failure.diagnosis().title, "push cut");
    }
}
