//! Many deployments at once, killed runners, panics, shutdowns.

use std::collections::BTreeSet;

use pipeops_core::Stack;

use super::*;
use crate::deployment::{Deployment, NewDeployment, Status};
use crate::pipeline::{Deployer, PipelineOptions, RolledOut, StepFailure};
use crate::queue::Queue;
use crate::store::DeploymentFilter;
use crate::testing::{DOCKERFILE, LEASE, World, world};

const GRACE: Duration = Duration::from_secs(60);

fn options() -> RunnerOptions {
    RunnerOptions::default().name("r1").lease(LEASE)
}

/// A world in which no build ends before its gate has a permit.
async fn gated() -> World {
    let mut world = world().await;
    world.builder.gate = Arc::new(Semaphore::new(0));
    world
}

impl World {
    fn start(&self, options: RunnerOptions) -> Runner {
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let pipeline = self.pipeline(self.parts(Arc::clone(&store)));
        let queue = Arc::new(self.queue.clone());
        Runner::start(pipeline, store, queue, self.hub.clone(), options)
    }

    /// Queues the commit for this many projects.
    async fn queue_projects(&self, count: usize) {
        let sha = self.commit(&[("Dockerfile", DOCKERFILE)]);
        for n in 0..count {
            let mut project = self.project();
            project.name = format!("shop-{n}");
            let reference = "refs/heads/main".parse().unwrap();
            let new = NewDeployment::new(project, "production", reference, sha.parse().unwrap());
            self.store.submit(vec![new]).await.unwrap();
        }
        self.queue.announce().await.unwrap();
    }

    async fn deployments(&self) -> Vec<Deployment> {
        let filter = DeploymentFilter::default().limit(500);
        self.store.deployments(&filter).await.unwrap()
    }

    async fn statuses(&self) -> Vec<Status> {
        let all = self.deployments().await.into_iter();
        all.map(|deployment| deployment.status).collect()
    }

    /// Waits until this many more builds have begun.
    async fn begun(&self, count: u32) {
        self.builder
            .begun
            .acquire_many(count)
            .await
            .unwrap()
            .forget();
    }

    /// Waits until this many deployments have ended.
    async fn ended(&self, count: usize) {
        let mut stream = self.hub.subscribe(0, None);
        let mut ended = 0;
        while ended < count {
            let events = stream.next().await.unwrap();
            ended += events.iter().filter(|event| event.kind.is_final()).count();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_workers_run_fifty_builds_at_once_and_leave_nothing() {
    let world = gated().await;
    world.queue_projects(51).await;
    let runner = world.start(options().workers(50));
    // All fifty are inside their build at the same time.
    world.begun(50).await;
    let mut running = world.statuses().await;
    running.retain(|status| *status == Status::Running);
    assert_eq!(running.len(), 50);
    world.builder.gate.add_permits(51);
    world.ended(51).await;
    assert_eq!(world.statuses().await, [Status::Succeeded; 51]);
    let rollouts = world.rollouts();
    assert_eq!(rollouts.len(), 51, "each once");
    let projects: BTreeSet<String> = rollouts.into_iter().map(|(_, stack)| stack.app).collect();
    assert_eq!(projects.len(), 51);
    runner.shutdown(GRACE).await;
    assert_eq!(world.leftovers(), 0);
}

#[tokio::test]
async fn what_is_queued_later_is_found_without_waiting_for_the_poll() {
    let world = world().await;
    let mut options = options();
    options.poll = Duration::from_secs(3600);
    let runner = world.start(options);
    world.queue_projects(1).await;
    world.ended(1).await;
    runner.shutdown(GRACE).await;
}

#[tokio::test]
async fn a_shutdown_releases_and_another_runner_resumes_from_the_journal() {
    let world = gated().await;
    world.queue_projects(1).await;
    let first = world.start(options());
    world.begun(1).await;
    first.shutdown(Duration::ZERO).await;
    assert_eq!(world.leftovers(), 0);

    world.builder.gate.add_permits(1);
    let second = world.start(options().name("r2"));
    world.ended(1).await;
    second.shutdown(GRACE).await;
    assert_eq!(world.statuses().await, [Status::Succeeded]);
    assert_eq!(world.rollouts().len(), 1);
    let mut claims = world.kinds().await;
    claims.retain(|kind| matches!(kind, EventKind::Claimed { .. }));
    let claim = |runner: &str| EventKind::Claimed {
        runner: runner.to_owned(),
        attempt: 1,
    };
    let expected = [claim("r1"), claim("r2")];
    assert_eq!(claims, expected, "a release is no failed attempt");
}

#[tokio::test]
async fn a_shutdown_lets_running_deployments_finish() {
    let world = gated().await;
    world.queue_projects(1).await;
    let runner = world.start(options());
    world.begun(1).await;
    world.builder.gate.add_permits(1);
    runner.shutdown(GRACE).await;
    assert_eq!(world.statuses().await, [Status::Succeeded]);
}

#[tokio::test]
async fn a_killed_runner_is_followed_by_another_one() {
    let world = gated().await;
    world.queue_projects(1).await;
    let first = world.start(options());
    world.begun(1).await;
    drop(first);
    // Its lease expires now rather than later.
    let fence = Fence::new(world.deployments().await.remove(0).id, 1);
    let expired = world.queue.heartbeat(&fence, Duration::ZERO).await;
    expired.unwrap();

    world.builder.gate.add_permits(1);
    let mut options = options().name("r2");
    options.poll = Duration::from_millis(20);
    let second = world.start(options);
    world.ended(1).await;
    second.shutdown(GRACE).await;
    assert_eq!(world.statuses().await, [Status::Succeeded]);
    let last_claim = EventKind::Claimed {
        runner: "r2".into(),
        attempt: 2,
    };
    assert!(world.kinds().await.contains(&last_claim));
}

#[tokio::test]
async fn a_deployment_that_kills_every_runner_is_given_up() {
    let world = world().await;
    world.queue_projects(1).await;
    for _ in 0..5 {
        let claim = world.queue.claim("dead", Duration::ZERO).await;
        assert!(claim.unwrap().is_some());
    }
    let runner = world.start(options());
    world.ended(1).await;
    runner.shutdown(GRACE).await;
    assert_eq!(world.statuses().await, [Status::Failed]);
    let diagnosis = world.deployments().await.remove(0).diagnosis.unwrap();
    assert_eq!(diagnosis.title, "Deployment failed: RunnerLost");
}

#[tokio::test]
async fn a_panic_ends_one_deployment_and_not_the_runner() {
    #[derive(Debug)]
    struct Panics;

    #[async_trait::async_trait]
    impl Deployer for Panics {
        async fn deploy(
            &self,
            _: &str,
            stack: &Stack,
            _: &dyn EventSink,
        ) -> Result<RolledOut, StepFailure> {
            assert!(stack.app != "shop-0", "hunter22 is the secret");
            Ok(RolledOut::new("Rollout complete"))
        }
    }

    let world = world().await;
    world.queue_projects(2).await;
    let store: Arc<dyn Store> = Arc::new(world.store.clone());
    let parts = world
        .parts(Arc::clone(&store))
        .cluster("default", Arc::new(Panics));
    let pipeline = Pipeline::new(parts, PipelineOptions::default());
    let queue = Arc::new(world.queue.clone());
    let runner = Runner::start(pipeline, store, queue, world.hub.clone(), options());
    world.ended(2).await;
    runner.shutdown(GRACE).await;
    let statuses = world.statuses().await;
    assert_eq!(statuses, [Status::Succeeded, Status::Failed]);
    let diagnosis = world.deployments().await.remove(1).diagnosis.unwrap();
    assert!(
        diagnosis.error.contains("[redacted] is the secret"),
        "{diagnosis}"
    );
    assert_eq!(world.leftovers(), 0);
}
