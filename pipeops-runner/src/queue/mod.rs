//! Which runner may run which deployment.

#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "sqlite")]
pub use sqlite::SqliteQueue;

use crate::deployment::{Deployment, Fence};
use crate::project::Project;
use crate::store::StoreError;

/// Hands queued deployments to runners, each to one runner at a time.
///
/// The database is authoritative: a stored deployment is queued by being stored, and a claim is a lease on its row. A
/// message broker only notifies runners sooner ([`Queue::announce`], [`Queue::wait`]). So nothing is lost, and nothing runs
/// twice, when the broker, a runner or the database is killed.
///
/// One deployment of a project and environment runs at a time; among those that may run, greater priority goes first,
/// then the project that has fewest running, then the oldest.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// Takes the next deployment that may run: a queued one, or one whose lease expired.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn claim(&self, runner: &str, lease: Duration) -> Result<Option<Claim>, StoreError>;

    /// Extends the lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another runner has claimed the deployment or it has ended.
    async fn heartbeat(&self, fence: &Fence, lease: Duration) -> Result<(), StoreError>;

    /// Releases the deployment, so that another runner resumes it, because this one stops.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the database does not answer.
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Notifies waiting runners that there may be something to claim.
    ///
    /// # Errors
    /// When the broker does not answer. The deployment is queued nevertheless and is found later.
    async fn announce(&self) -> Result<(), StoreError>;

    /// Waits until there may be something to claim, at most this long.
    async fn wait(&self, longest: Duration);
}

/// A deployment that this runner may run until its lease runs out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// What is to be deployed.
    pub deployment: Deployment,
    /// The project as it was when the deployment was stored, with its secrets.
    pub project: Project,
    /// The right to write for it.
    pub fence: Fence,
    /// How many runners claimed it before and did not finish.
    pub attempt: u32,
}

impl Claim {
    /// A claim on this deployment, which `attempt` runners took before.
    pub fn new(deployment: Deployment, project: Project, token: u64, attempt: u32) -> Self {
        Self {
            fence: Fence::new(&deployment.id, token),
            deployment,
            project,
            attempt,
        }
    }
}
