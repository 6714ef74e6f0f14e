//! Retries: which errors to retry, how long to wait, and the loop that does it.

mod attempts;
mod backoff;
pub(crate) mod class;

pub use attempts::{Attempts, Exhausted, Next, Retryable, retry, retry_notified};
pub use backoff::Backoff;
pub use class::RetryClass;
