//! Death at every write: before it, and right after it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pipeops_core::event::Discard;
use pipeops_core::{Object, Stack};
use pipeops_rollout::{
    ApiError, AppWatch, ApplyMode, ClusterApi, KubeCluster, ListQuery, LogQuery, ObjectId, Outcome,
    Rollout,
};
use pipeops_testkit::kubernetes::{Cluster, PodBehaviour, PullFailure};
use tokio::sync::Notify;

use common::stand_in::{client, cluster, live, live_revision, options, rollout, run, stack};

/// A cluster that is told of each write and dies at one of them: before it, or right after it.
#[derive(Debug)]
struct Dying {
    inner: KubeCluster,
    /// Two for each write: one before it and one after it.
    moments: AtomicUsize,
    last: usize,
    died: Arc<Notify>,
}

impl Dying {
    async fn moment(&self) {
        if self.moments.fetch_add(1, Ordering::SeqCst) == self.last {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        self.moment().await;
        let result = write.await;
        self.moment().await;
        result
    }
}

#[async_trait]
impl ClusterApi for Dying {
    async fn get(&self, id: &ObjectId) -> Result<Option<Object>, ApiError> {
        self.inner.get(id).await
    }

    async fn list(&self, query: &ListQuery<'_>) -> Result<Vec<Object>, ApiError> {
        self.inner.list(query).await
    }

    async fn apply(
        &self,
        id: &ObjectId,
        object: &Object,
        mode: ApplyMode,
    ) -> Result<Object, ApiError> {
        if mode == ApplyMode::DryRun {
            return self.inner.apply(id, object, mode).await;
        }
        self.write(self.inner.apply(id, object, mode)).await
    }

    async fn create(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        self.write(self.inner.create(id, object)).await
    }

    async fn replace(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        self.write(self.inner.replace(id, object)).await
    }

    async fn delete(&self, id: &ObjectId, uid: &str) -> Result<(), ApiError> {
        self.write(self.inner.delete(id, uid)).await
    }

    async fn logs(&self, namespace: &str, query: &LogQuery) -> Result<String, ApiError> {
        self.inner.logs(namespace, query).await
    }

    fn watch(&self, namespace: &str, app: &str) -> AppWatch {
        self.inner.watch(namespace, app)
    }
}

/// Rolls out `stack`, dies at a moment, and lets another process do it again: its outcome, or none when the first one
/// came through.
async fn die_at(cluster: &Cluster, stack: &Stack, moment: usize) -> Option<Outcome> {
    let died = Arc::new(Notify::new());
    let dying = Dying {
        inner: KubeCluster::new(client(cluster)),
        moments: AtomicUsize::new(0),
        last: moment,
        died: died.clone(),
    };
    let first = Rollout::on(Arc::new(dying), options());
    tokio::select! {
        outcome = first.run_once("d1", stack, &Discard) => {
            outcome.unwrap();
            return None;
        }
        () = died.notified() => {}
    }
    drop(first);
    Some(
        rollout(cluster, options())
            .run_once("d1", stack, &Discard)
            .await
            .unwrap(),
    )
}

#[tokio::test]
async fn a_process_that_dies_at_any_write_is_continued_and_nothing_is_done_twice() {
    for moment in 0.. {
        let cluster = cluster().await;
        assert!(run(&cluster, &stack("one")).await.is_complete());
        let Some(outcome) = die_at(&cluster, &stack("two"), moment).await else {
            assert!(moment > 14, "only {moment} moments were seen");
            break;
        };
        assert!(outcome.is_complete(), "moment {moment}: {outcome:?}");
        assert_eq!(live_revision(&cluster), "two", "moment {moment}");
        assert_eq!(
            live(&cluster)["metadata"]["generation"],
            2,
            "moment {moment}"
        );
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_write_of_a_failing_rollout_ends_it_rolled_back() {
    for moment in 0.. {
        let cluster = cluster().await;
        cluster.behaviour("*:two", PodBehaviour::pull_fails(PullFailure::NotFound));
        assert!(run(&cluster, &stack("one")).await.is_complete());
        let Some(outcome) = die_at(&cluster, &stack("two"), moment).await else {
            assert!(moment > 18, "only {moment} moments were seen");
            break;
        };
        let rolled_back =
            matches!(&outcome, Outcome::RolledBack { to, .. } if to.as_str() == "one");
        assert!(rolled_back, "moment {moment}: {outcome:?}");
        assert_eq!(live_revision(&cluster), "one", "moment {moment}");
        assert_eq!(
            live(&cluster)["metadata"]["generation"],
            3,
            "moment {moment}: there and back once"
        );
    }
}
