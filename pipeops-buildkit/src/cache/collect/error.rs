//! Errors of collections.

use std::time::Duration;

use pipeops_core::diagnosis::codes::cache;
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

/// Why a collection failed, or the record of a build. A failed collection leaves the bucket in a safe state, and the next one
/// continues the work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The object store failed.
    #[error("cannot {what}")]
    Store {
        /// The operation, such as `list the blobs`.
        what: &'static str,
        /// The store's error.
        source: object_store::Error,
    },
    /// The clocks of this machine and the server differ by more than [`Policy::clock_skew`](super::Policy::clock_skew).
    #[error(
        "the clocks of the server and this machine differ by {by:?}; at most {most:?} is allowed"
    )]
    Clock {
        /// The difference.
        by: Duration,
        /// The allowed difference.
        most: Duration,
    },
    /// The cache's settings are incomplete or invalid.
    #[error("invalid cache settings: {why}")]
    Settings {
        /// The problem.
        why: String,
    },
}

impl CollectError {
    pub(super) fn store(what: &'static str) -> impl Fn(object_store::Error) -> Self {
        move |source| Self::Store { what, source }
    }
}

impl Diagnose for CollectError {
    fn diagnosis(&self) -> Diagnosis {
        use object_store::Error as Store;
        match self {
            Self::Store { source, .. } => {
                // A refused list has no separate error kind.
                let text = source.to_string();
                let refused = text.contains("403 Forbidden") || text.contains("401 Unauthorized");
                let diagnosis = match source {
                    Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => denied(),
                    _ if refused => denied(),
                    Store::NotFound { .. } => {
                        Diagnosis::new(&cache::COLLECT_NO_BUCKET).reason("there is no such bucket")
                    }
                    _ => Diagnosis::new(&cache::COLLECT_STORE)
                        .reason("the server returned an error")
                        .class(RetryClass::Transient),
                };
                diagnosis.error(format!("{self}: {source}"))
            }
            Self::Clock { .. } => Diagnosis::new(&cache::COLLECT_CLOCK)
                .error(self.to_string())
                .reason("object ages would be wrong, so a running build could lose its cache"),
            Self::Settings { why } => Diagnosis::new(&cache::COLLECT_SETTINGS)
                .error(self.to_string())
                .reason(why),
        }
    }
}

fn denied() -> Diagnosis {
    Diagnosis::new(&cache::COLLECT_DENIED)
        .reason(
            "the keys are wrong or expired, or don't allow listing, reading, writing and deleting in the bucket",
        )
        .class(RetryClass::NeedsCredential)
}
