//! Assigns deployments to runners.

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
/// The database is authoritative: storing a deployment queues it, and a claim is a lease on its row. A message broker only
/// notifies runners sooner ([`Queue::announce`], [`Queue::wait`]). So nothing is lost or run twice when the broker, a runner
/// or the database is killed.
///
/// A [`Runner`](crate::Runner) uses it like this:
///
/// ```
/// use std::time::Duration;
/// use pipeops_runner::deployment::{Ending, NewDeployment};
/// use pipeops_runner::{Project, Queue, SqliteQueue, SqliteStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::in_memory()?;
/// let (reference, commit) = ("refs/heads/main".parse()?, "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse()?);
/// let new = NewDeployment::new(Project::new("shop")?, "production", reference, commit);
/// store.submit(vec![new]).await?;
///
/// let (queue, lease) = (SqliteQueue::new(&store), Duration::from_secs(15));
/// let claim = queue.claim("runner-1", lease).await?.expect("one deployment is queued");
/// queue.heartbeat(&claim.fence, lease).await?;
/// let ending = Ending::Succeeded { image: "registry.example.com/shop@sha256:…".to_owned() };
/// store.finish(&claim.fence, &ending).await?;
/// assert!(queue.claim("runner-2", lease).await?.is_none());
/// # Ok(()) }
/// ```
///
/// Each environment of a project runs one deployment at a time. The order is: greater priority first, then the project
/// with the fewest running deployments, then the oldest deployment.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// Claims the next deployment: a queued one, or one with an expired lease. Returns `None` when there is none.
    ///
    /// # Errors
    /// When the database doesn't answer.
    async fn claim(&self, runner: &str, lease: Duration) -> Result<Option<Claim>, StoreError>;

    /// Extends the lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another runner has claimed the deployment or it has ended.
    async fn heartbeat(&self, fence: &Fence, lease: Duration) -> Result<(), StoreError>;

    /// Releases the deployment, because the runner stops. Another one resumes it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the database doesn't answer.
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Notifies waiting runners of a new deployment.
    ///
    /// # Errors
    /// When the broker doesn't answer. The deployment is queued anyway, and runners find it later.
    async fn announce(&self) -> Result<(), StoreError>;

    /// Waits for a notification, up to `longest`.
    async fn wait(&self, longest: Duration);
}

/// A deployment that a runner may run until its lease expires.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The deployment.
    pub deployment: Deployment,
    /// The project with its secrets, as it was when the deployment was stored.
    pub project: Project,
    /// The right to write for the deployment.
    pub fence: Fence,
    /// The number of earlier claims that didn't finish.
    pub attempt: u32,
}

impl Claim {
    /// A claim on this deployment, after `attempt` earlier claims.
    pub fn new(deployment: Deployment, project: Project, token: u64, attempt: u32) -> Self {
        Self {
            fence: Fence::new(&deployment.id, token),
            deployment,
            project,
            attempt,
        }
    }
}
