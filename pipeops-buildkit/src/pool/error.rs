//! Why a pool did not build.

use std::time::Duration;

use pipeops_core::{Diagnose, Diagnosis, RetryClass};

/// Why a pool did not even begin to build an image. What goes wrong with a build itself is an [`Error`](crate::Error).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// As many builds wait as may.
    #[error("{limit} builds wait for a BuildKit daemon already")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The build did not get its place in time.
    #[error("no BuildKit daemon had room within {limit:?}")]
    WaitTimeout {
        /// How long it waited.
        limit: Duration,
    },
    /// No daemon that could take the build answers.
    #[error("none of the pool's {} BuildKit daemons that could take the build answered within {limit:?}", .members.len())]
    Unreachable {
        /// How long that was waited for.
        limit: Duration,
        /// Each daemon with its last error.
        members: Vec<String>,
        /// Why the list of members cannot be had, if it cannot.
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
    /// The platforms are on different daemons and nobody can join them.
    #[error("no single BuildKit daemon builds for {}", .wanted.join(" and "))]
    NoRegistry {
        /// What is asked for.
        wanted: Vec<String>,
    },
}

impl Diagnose for PoolError {
    fn diagnosis(&self) -> Diagnosis {
        let diagnosis =
            Diagnosis::new(format!("Build failed: {}", self.name())).error(self.to_string());
        match self {
            Self::QueueFull { .. } => diagnosis
                .reason("more builds come than the daemons can do")
                .fix("Build again when fewer builds wait")
                .fix("Add daemons to the pool, or raise its queue limit")
                .class(RetryClass::Transient),
            Self::WaitTimeout { .. } => diagnosis
                .reason("all daemons were busy with other builds")
                .fix("Add daemons to the pool, or raise its capacity")
                .fix("Look for builds that hang: they keep their place until their own time limit"),
            Self::Unreachable { discovery: Some(why), .. } => diagnosis
                .reason(format!("the list of the pool's members cannot be had: {why}"))
                .fix("Check the DNS name or Service that names the pool's members")
                .class(RetryClass::Transient),
            Self::Unreachable { members, .. } if members.is_empty() => diagnosis
                .reason("the pool has no members")
                .fix("Start a BuildKit daemon, and check the list, DNS name or Service that names the pool's members")
                .class(RetryClass::Transient),
            Self::Unreachable { members, .. } => diagnosis
                .reason("the daemons are down, or the network to them is")
                .log(members)
                .fix("Start buildkitd on them, and let it listen at these addresses")
                .run("pipeops doctor")
                .class(RetryClass::Transient),
            Self::Platform { known, .. } => diagnosis
                .reason(format!("its daemons build for {}", known.join(", ")))
                .fix("Add a daemon on such a machine to the pool")
                .fix("Or install emulation (qemu and binfmt_misc) beside a daemon of the pool"),
            Self::NoRegistry { .. } => diagnosis
                .reason("each platform can be built on its own daemon, but the pool was given no registry client to join them")
                .fix("Give the pool one: PoolOptions::registry(Arc::new(pipeops_registry::Registries::default()))"),
        }
    }
}

impl PoolError {
    fn name(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "QueueFull",
            Self::WaitTimeout { .. } => "NoRoom",
            Self::Unreachable { .. } => "DaemonsUnreachable",
            Self::Platform { .. } => "NoDaemonForPlatform",
            Self::NoRegistry { .. } => "NoRegistryClient",
        }
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
