//! Errors of a pool.

use std::time::Duration;

use pipeops_core::diagnosis::codes::pool;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};

/// Why a pool couldn't start a build or join its platforms. Other failures are variants of [`Error`](crate::Error).
///
/// ```
/// use pipeops_buildkit::{Error, PoolError};
///
/// /// The HTTP status for a service that builds on request.
/// fn status(error: &Error) -> u16 {
///     match error {
///         Error::Pool(PoolError::QueueFull { .. } | PoolError::Unreachable { .. }) => 503, // try again later
///         Error::Pool(PoolError::WaitTimeout { .. }) => 504,
///         _ => 422,
///     }
/// }
/// # assert_eq!(status(&Error::NoDigest), 422);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full: see [`PoolOptions::queue_limit`](crate::PoolOptions::queue_limit). A later build may succeed.
    #[error("{limit} builds are already waiting for a BuildKit daemon")]
    QueueFull {
        /// The limit of the queue.
        limit: usize,
    },
    /// No slot became free in time: see [`PoolOptions::wait_timeout`](crate::PoolOptions::wait_timeout).
    #[error("no BuildKit daemon had capacity within {limit:?}")]
    WaitTimeout {
        /// The time limit.
        limit: Duration,
    },
    /// No suitable daemon responds: see [`PoolOptions::unreachable_timeout`](crate::PoolOptions::unreachable_timeout). A later
    /// build may succeed.
    #[error("none of the pool's {} suitable BuildKit daemons responded within {limit:?}", .members.len())]
    Unreachable {
        /// The time limit.
        limit: Duration,
        /// Each daemon with its last error.
        members: Vec<String>,
        /// Why the list of members isn't available, if so.
        discovery: Option<String>,
    },
    /// No daemon builds for these platforms. Set [`Member::platforms`](crate::Member::platforms) if a daemon reports too few.
    #[error("no BuildKit daemon of the pool builds for {}", .wanted.join(" and "))]
    Platform {
        /// The requested platforms.
        wanted: Vec<String>,
        /// The platforms that the daemons build for.
        known: Vec<String>,
    },
    /// The registry client couldn't join the images of the platforms.
    #[error("cannot join the images of the platforms: {0}")]
    Join(Failure),
    /// The platforms are on different daemons, and the pool has no registry client to join them.
    #[error("no single BuildKit daemon builds for {}", .wanted.join(" and "))]
    NoRegistry {
        /// The requested platforms.
        wanted: Vec<String>,
    },
}

impl Diagnose for PoolError {
    fn diagnosis(&self) -> Diagnosis {
        let page = match self {
            Self::Join(failure) => return failure.diagnosis(),
            Self::QueueFull { .. } => &pool::QUEUE_FULL,
            Self::WaitTimeout { .. } => &pool::NO_CAPACITY,
            Self::Unreachable {
                discovery, members, ..
            } if discovery.is_some() || members.is_empty() => &pool::NO_MEMBERS,
            Self::Unreachable { .. } => &pool::UNREACHABLE,
            Self::Platform { .. } => &pool::PLATFORM,
            Self::NoRegistry { .. } => &pool::NO_REGISTRY_CLIENT,
        };
        let class = match self {
            Self::QueueFull { .. } | Self::Unreachable { .. } => RetryClass::Transient,
            _ => RetryClass::Permanent,
        };
        let members = match self {
            Self::Unreachable { members, .. } => members.as_slice(),
            _ => &[],
        };
        Diagnosis::new(page)
            .error(self.to_string())
            .reason(self.reason())
            .log(members)
            .class(class)
    }
}

impl PoolError {
    fn reason(&self) -> String {
        let reason = match self {
            Self::Unreachable {
                discovery: Some(why),
                ..
            } => return format!("the list of the pool's members is not available: {why}"),
            Self::Platform { known, .. } => {
                return format!("its daemons build for {}", known.join(", "));
            }
            Self::Unreachable { members, .. } if members.is_empty() => "the pool has no members",
            Self::Unreachable { .. } => "the daemons or the network to them are down",
            Self::QueueFull { .. } => "more builds arrive than the daemons can run",
            Self::WaitTimeout { .. } => "all daemons were busy with other builds",
            Self::NoRegistry { .. } => {
                "the pool has no registry client to join the platforms' images"
            }
            Self::Join(_) => "",
        };
        reason.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_reason_and_a_fix() {
        let wanted = vec!["linux/arm64".to_owned()];
        let limit = Duration::from_secs(1);
        for error in [
            PoolError::QueueFull { limit: 3 },
            PoolError::WaitTimeout { limit },
            PoolError::Unreachable {
                limit,
                members: Vec::new(),
                discovery: None,
            },
            PoolError::Unreachable {
                limit,
                members: wanted.clone(),
                discovery: None,
            },
            PoolError::Unreachable {
                limit,
                members: wanted.clone(),
                discovery: Some("no such name".to_owned()),
            },
            PoolError::Platform {
                wanted: wanted.clone(),
                known: wanted.clone(),
            },
            PoolError::NoRegistry { wanted },
        ] {
            let diagnosis = error.diagnosis();
            assert!(diagnosis.title.starts_with("Build failed: "), "{diagnosis}");
            assert!(
                !diagnosis.reason.is_empty() && !diagnosis.fixes.is_empty(),
                "{diagnosis}"
            );
        }
    }
}
