//! Errors of a collection.

use std::time::Duration;

use pipeops_core::diagnosis::codes::cache;
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

/// Why a collection, or a record of a build, did not finish. What was done until then is safe, and the next collection resumes
/// from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The store failed.
    #[error("cannot {what}")]
    Store {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: object_store::Error,
    },
    /// The clock here and the one of the server differ by more than the policy allows for.
    #[error(
        "the clock of the server and the one here differ by {by:?}, and no more than {most:?} is allowed for"
    )]
    Clock {
        /// How much.
        by: Duration,
        /// The policy's `clock_skew`.
        most: Duration,
    },
    /// The cache's settings name no bucket that can be reached from here.
    #[error("the cache's settings are not complete: {why}")]
    Settings {
        /// What is wrong.
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
                // A refused list has no error kind of its own.
                let text = source.to_string();
                let refused = text.contains("403 Forbidden") || text.contains("401 Unauthorized");
                let diagnosis = match source {
                    Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => denied(),
                    _ if refused => denied(),
                    Store::NotFound { .. } => {
                        Diagnosis::new(&cache::COLLECT_NO_BUCKET).reason("there is no such bucket")
                    }
                    _ => Diagnosis::new(&cache::COLLECT_STORE)
                        .reason("the server failed")
                        .class(RetryClass::Transient),
                };
                diagnosis.error(format!("{self}: {source}"))
            }
            Self::Clock { .. } => Diagnosis::new(&cache::COLLECT_CLOCK)
                .error(self.to_string())
                .reason("ages of objects would be wrong, and a running build could lose its cache"),
            Self::Settings { why } => Diagnosis::new(&cache::COLLECT_SETTINGS)
                .error(self.to_string())
                .reason(why),
        }
    }
}

fn denied() -> Diagnosis {
    Diagnosis::new(&cache::COLLECT_DENIED)
        .reason(
            "the keys are wrong or expired, or cannot list, read, write and delete in the bucket",
        )
        .class(RetryClass::NeedsCredential)
}
