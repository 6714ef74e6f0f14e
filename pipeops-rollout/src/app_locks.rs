//! One rollout per application at a time within this process. The Lease does the same between processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::target::Target;

/// The applications that are being acted on.
///
/// A Lease cannot tell two rollouts of one holder apart: the second would take the first for its own earlier claim.
#[derive(Debug, Default)]
pub(crate) struct AppLocks(Mutex<LockMap>);

/// By namespace and application.
type LockMap = HashMap<(String, String), Arc<AsyncMutex<()>>>;

impl AppLocks {
    /// Waits until no rollout in this process acts on the application. `None` when that takes longer than `wait`.
    pub(crate) async fn lock(
        &self,
        target: &Target,
        wait: Duration,
    ) -> Option<OwnedMutexGuard<()>> {
        let lock = self.lock_of(target);
        if let Ok(guard) = lock.clone().try_lock_owned() {
            return Some(guard);
        }
        tokio::time::timeout(wait, lock.lock_owned()).await.ok()
    }

    fn lock_of(&self, target: &Target) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Every holder and every waiter has a reference to its lock.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        let key = (target.namespace.clone(), target.app.clone());
        locks.entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_application_at_a_time_and_nothing_is_kept() {
        let locks = AppLocks::default();
        let target = |app| Target::new("shop", app).unwrap();
        let wait = Duration::from_secs(1);
        let first = locks.lock(&target("web"), wait).await.unwrap();
        assert!(locks.lock(&target("web"), wait).await.is_none());
        assert!(locks.lock(&target("other"), wait).await.is_some());
        drop(first);
        assert!(locks.lock(&target("web"), Duration::ZERO).await.is_some());
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}
