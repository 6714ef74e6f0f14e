//! Why a pool did not build.

use std::time::Duration;

use pipeops_core::diagnosis::codes::pool;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};

/// Why a pool did not start a build, or could not join its platforms. Other failures of a build are [`Error`](crate::Error)s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full.
    #[error("{limit} builds already wait for a BuildKit daemon")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The build got no slot in time.
    #[error("no BuildKit daemon had room within {limit:?}")]
    WaitTimeout {
        /// How long it waited.
        limit: Duration,
    },
    /// No suitable daemon answers.
    #[error("none of the pool's {} BuildKit daemons that could take the build answered within {limit:?}", .members.len())]
    Unreachable {
        /// How long that was waited for.
        limit: Duration,
        /// Each daemon with its last error.
        members: Vec<String>,
        /// Why the list of members is not available, if it is not.
        discovery: Option<String>,
    },
    /// No daemon builds for these platforms.
    #[error("no BuildKit daemon of the pool builds for {}", .wanted.join(" and "))]
    Platform {
        /// What is asked for.
        wanted: Vec<String>,
        /// What the daemons build for.
        known: Vec<String>,
    },
    /// The registry client could not join the images of the platforms.
    #[error("cannot join the images of the platforms: {0}")]
    Join(Failure),
    /// The platforms are on different daemons, and the pool has no registry client to join them.
    #[error("no single BuildKit daemon builds for {}", .wanted.join(" and "))]
    NoRegistry {
        /// What is asked for.
        wanted: Vec<String>,
    },
}

impl Diagnose for PoolError {
    fn diagnosis(&self) -> Diagnosis {
        let page = match self {
            Self::Join(failure) => return failure.diagnosis(),
            Self::QueueFull { .. } => &pool::QUEUE_FULL,
            Self::WaitTimeout { .. } => &pool::NO_ROOM,
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
            Self::Unreachable { .. } => "the daemons are down, or the network to them is",
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
