//! Why a bucket could not be looked after.

use std::time::Duration;

use pipeops_core::{Diagnose, Diagnosis, RetryClass};

/// Why a collection, or a record of a build, did not come to its end. What was done until then is safe, and the next one
/// goes on from there.
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
                let diagnosis = Diagnosis::new("Cache collection failed: StoreError")
                    .error(format!("{self}: {source}"));
                // Lists are refused without a kind of their own.
                let text = source.to_string();
                let refused = text.contains("403 Forbidden") || text.contains("401 Unauthorized");
                match source {
                    Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => denied(diagnosis),
                    _ if refused => denied(diagnosis),
                    Store::NotFound { .. } => diagnosis
                        .reason("there is no such bucket")
                        .fix("Check the bucket's name and the server's address"),
                    _ => diagnosis
                        .reason("the server did not answer as it should")
                        .fix("Run the collection again; it goes on where it stopped")
                        .class(RetryClass::Transient),
                }
            }
            Self::Clock { .. } => Diagnosis::new("Cache collection failed: ClockSkew")
                .error(self.to_string())
                .reason("ages of objects would be read wrongly, and a running build could lose its cache")
                .fix("Set the clock of this machine (NTP)")
                .fix("Raise the policy's clock_skew if the server's clock is the wrong one"),
            Self::Settings { why } => Diagnosis::new("Cache collection failed: InvalidSettings")
                .error(self.to_string())
                .reason(why)
                .fix("Set bucket, region, and the keys of the cache"),
        }
    }
}

fn denied(diagnosis: Diagnosis) -> Diagnosis {
    diagnosis
        .reason("the keys are wrong, expired, or without the right to list, read, write and delete in the bucket")
        .fix("Give the keys s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject below the cache's prefix")
        .class(RetryClass::NeedsCredential)
}
