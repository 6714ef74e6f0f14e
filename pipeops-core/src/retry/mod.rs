//! Whether an error is worth another try, how long to wait before it, and the loop that does both.

mod attempts;
mod backoff;
pub(crate) mod class;

pub use attempts::{Attempts, Exhausted, Next, Retryable, retry, retry_notified};
pub use backoff::Backoff;
pub use class::RetryClass;
