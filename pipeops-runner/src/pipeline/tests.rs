//! The pipeline with a builder and a cluster that only count, killed at every point.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pipeops_core::build::DockerfileSource;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, Event, EventKind, EventSink, Failure, RetryClass, Stack};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{RegistryOptions, User};

use super::*;
use crate::clone::{CloneRequest, SourceFetcher, source_folder};
use crate::deployment::{Deployment, Fence, JournalEntry, NewDeployment, Status, Submitted};
use crate::project::Project;
use crate::store::{DeploymentFilter, NewEvent, SqliteStore, Store};
use crate::testing::{DOCKERFILE, world, world_with};
use crate::workspace::Workspace;

/// A store whose process dies at one write: the call never answers, before or after the write.
#[derive(Debug)]
struct Dying {
    store: SqliteStore,
    step: Step,
    after_write: bool,
    died: tokio::sync::Notify,
}

macro_rules! dying_store {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl Store for Dying {
            $(async fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
                self.store.$name($($arg),*).await
            })*

            async fn record_step(&self, fence: &Fence, entry: &JournalEntry) -> Result<(), StoreError> {
                let dies = entry.step == self.step;
                if !dies || self.after_write {
                    self.store.record_step(fence, entry).await?;
                }
                if dies {
                    self.died.notify_one();
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        }
    };
}

dying_store! {
    fn put_project(project: &Project) -> ();
    fn project(name: &str) -> Option<Project>;
    fn projects() -> Vec<Project>;
    fn submit(new: Vec<NewDeployment>) -> Vec<Submitted>;
    fn deployment(id: &str) -> Option<Deployment>;
    fn deployments(filter: &DeploymentFilter) -> Vec<Deployment>;
    fn journal(deployment: &str) -> Vec<JournalEntry>;
    fn finish(fence: &Fence, ending: &Ending) -> ();
    fn append_events(events: Vec<NewEvent>) -> Vec<Event>;
    fn events_after(after: u64, deployment: Option<&str>, limit: usize) -> Vec<Event>;
    fn last_event() -> u64;
}

fn diagnosis(ending: Ending) -> (Diagnosis, bool) {
    match ending {
        Ending::Failed {
            diagnosis,
            rolled_back,
        } => (diagnosis, rolled_back),
        Ending::Succeeded { image } => panic!("{image} was deployed"),
    }
}

#[tokio::test]
async fn a_commit_becomes_a_rollout_of_its_image_by_digest() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE), ("main.go", "package main")]);
    let mut project = world.project();
    project.build = project.build.arg("VERSION", "7").arg("UNDECLARED", "x");
    let project = project.secret_variable("production", "KEY", "value-of-key");
    let claim = world.queued(project, &sha).await;
    let ending = world.run(&claim).await;

    let image = format!(
        "{}/team/shop:{sha}@sha256:{}",
        world.registry.host(),
        "a".repeat(64)
    );
    assert_eq!(
        ending,
        Ending::Succeeded {
            image: image.clone()
        }
    );
    let [build] = world.builds().try_into().unwrap();
    assert_eq!(
        build.image,
        format!("{}/team/shop:{sha}", world.registry.host())
    );
    assert_eq!(
        build.dockerfile,
        DockerfileSource::Path("Dockerfile".into())
    );
    assert_eq!(build.args.get("VERSION").map(String::as_str), Some("7"));
    assert_eq!(build.files, ["Dockerfile", "main.go"]);

    let [(id, stack)] = world.rollouts().try_into().unwrap();
    assert_eq!(id, claim.deployment.id);
    let workload = stack.workload().unwrap().value().to_string();
    assert!(
        workload.contains(&image) && workload.contains("9000"),
        "{workload}"
    );
    assert_eq!(world.leftovers(), 0);

    let kinds = world.kinds().await;
    let finished = kinds
        .iter()
        .filter(|kind| matches!(kind, EventKind::StepFinished { .. }));
    assert_eq!(finished.count(), Step::ALL.len());
    assert!(kinds.iter().any(
        |kind| matches!(kind, EventKind::Warning { message } if message.contains("UNDECLARED is dropped"))
    ));
    let json = serde_json::to_string(&kinds).unwrap();
    assert!(!json.contains("hunter22") && json.contains("the token is [redacted]"));
}

/// Kills the process just before or just after each step's write, and lets another one resume.
#[tokio::test]
async fn wherever_a_process_dies_another_one_resumes() {
    for after_write in [true, false] {
        for step in Step::ALL {
            let world = world().await;
            let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
            let claim = world.queued(world.project(), &sha).await;
            let dying = Arc::new(Dying {
                store: world.store.clone(),
                step,
                after_write,
                died: tokio::sync::Notify::new(),
            });
            let (sink, pipeline) = (
                world.sink(&claim),
                world.pipeline(world.parts(dying.clone())),
            );
            tokio::select! {
                ending = pipeline.run(&claim, &sink) => panic!("{step}: {ending:?}"),
                () = dying.died.notified() => {}
            }
            assert_eq!(world.leftovers(), 0, "{step}: the workspace is left");

            let ending = world.run(&claim).await;
            assert!(
                matches!(ending, Ending::Succeeded { .. }),
                "{step}: {ending:?}"
            );
            // What was not written down is done again; everything else is done once.
            let twice = |which| usize::from(step == which && !after_write) + 1;
            assert_eq!(
                world.builds().len(),
                twice(Step::Build),
                "{step} {after_write}"
            );
            assert_eq!(
                world.rollouts().len(),
                twice(Step::Rollout),
                "{step} {after_write}"
            );
            let journal = world.store.journal(&claim.deployment.id).await.unwrap();
            assert_eq!(journal.len(), Step::ALL.len());
            let finished = world.kinds().await;
            let finished = finished
                .iter()
                .filter(|kind| matches!(kind, EventKind::StepFinished { .. }));
            assert_eq!(
                finished.count(),
                Step::ALL.len(),
                "each step ends once in the stream"
            );
        }
    }
}

#[tokio::test]
async fn transient_failures_are_retried_with_a_warning() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    world
        .git
        .faults()
        .add(Fault::status(503).on(Matcher::operation("refs")).times(1));
    *world.builder.failures.lock().unwrap() = vec![RetryClass::Transient];
    let claim = world.queued(world.project(), &sha).await;
    let ending = world.run(&claim).await;
    assert!(matches!(ending, Ending::Succeeded { .. }), "{ending:?}");
    assert_eq!(world.builds().len(), 2);
    let warnings = world.kinds().await;
    let warnings = warnings.iter().filter(
        |kind| matches!(kind, EventKind::Warning { message } if message.contains("trying again")),
    );
    assert_eq!(warnings.count(), 2);
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    *world.builder.failures.lock().unwrap() = vec![RetryClass::Permanent];
    let claim = world.queued(world.project(), &sha).await;
    let (diagnosis, rolled_back) = diagnosis(world.run(&claim).await);
    assert_eq!(diagnosis.title, "Build failed: test");
    assert_eq!(diagnosis.reason, "no [redacted]");
    assert!(!rolled_back, "nothing was deployed before");
    assert_eq!(world.builds().len(), 1);
    assert_eq!(world.leftovers(), 0);
    let failed = EventKind::StepFailed {
        step: Step::Build,
        millis: 0,
    };
    let kinds = world.kinds().await;
    assert!(
        kinds
            .iter()
            .any(|kind| std::mem::discriminant(kind) == std::mem::discriminant(&failed))
    );
}

#[tokio::test]
async fn sources_come_from_the_fetcher_that_is_set() {
    #[derive(Debug)]
    struct Archive;

    #[async_trait]
    impl SourceFetcher for Archive {
        async fn fetch(
            &self,
            workspace: &Arc<Workspace>,
            request: &CloneRequest,
        ) -> Result<Cloned, Failure> {
            let folder = source_folder(workspace);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("Dockerfile"), DOCKERFILE).unwrap();
            std::fs::write(folder.join("commit"), request.commit.as_str()).unwrap();
            Ok(Cloned::new(jiff::Timestamp::UNIX_EPOCH, 2, 0))
        }
    }

    let world = world().await;
    let claim = world.queued(world.project(), &"a".repeat(40)).await;
    let mut parts = world.parts(Arc::new(world.store.clone()));
    parts.fetcher = Arc::new(Archive);
    let ending = world.pipeline(parts).run(&claim, &world.sink(&claim)).await;
    assert!(matches!(ending.unwrap(), Ending::Succeeded { .. }));
    assert_eq!(world.builds()[0].files, ["Dockerfile", "commit"]);
}

#[tokio::test]
async fn a_failed_build_leaves_the_old_revision_serving() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    let claim = world.queued(world.project(), &sha).await;
    let ending = world.run(&claim).await;
    world.store.finish(&claim.fence, &ending).await.unwrap();
    let first = world
        .store
        .deployment(&claim.deployment.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.status, Status::Succeeded);

    *world.builder.failures.lock().unwrap() = vec![RetryClass::Permanent];
    let claim = world.queued(world.project(), &sha).await;
    let (_, rolled_back) = diagnosis(world.run(&claim).await);
    assert!(rolled_back);
}

#[tokio::test]
async fn a_failed_rollout_is_not_repeated_and_shows_the_embedding_programs_command() {
    const BLOCK: &str = "❌ Deployment failed: ImagePullBackOff

Error: Failed to pull image \"registry/app:abc123\"
Reason: authentication required

Fix:
1. Verify registry credentials in project settings
2. Ensure image tag exists in registry
3. Check registry is accessible from cluster
";
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    *world.cluster.refuses.lock().unwrap() = Some(true);
    let claim = world.queued(world.project(), &sha).await;
    let pipeline = world.pipeline(world.parts(Arc::new(world.store.clone())));
    let command = "\nRun: deployctl explain image-pull/auth shop\n";
    for (sink, run) in [(world.sink(&claim), command), (world.hub.sink(&claim), "")] {
        let rollouts = world.rollouts().len();
        let (diagnosis, rolled_back) = diagnosis(pipeline.run(&claim, &sink).await.unwrap());
        assert!(rolled_back);
        assert_eq!(world.rollouts().len(), rollouts + 1);
        assert_eq!(diagnosis.to_string(), format!("{BLOCK}{run}"));
        let rolling_back = EventKind::RollingBack {
            to: "r0".parse().unwrap(),
            diagnosis: Diagnosis::new(&codes::rollout::IMAGE_PULL_AUTH),
        };
        sink.emit(rolling_back);
        sink.flush().await;
        let json = serde_json::to_string(&world.kinds().await.last()).unwrap();
        assert_eq!(json.contains("deployctl"), !run.is_empty(), "{json}");
    }
}

#[tokio::test]
async fn missing_registry_credentials_are_found_before_the_build() {
    let user = User::new("ci", "registry-password");
    let options = RegistryOptions::default().basic_auth().user(user);
    let world = world_with(options).await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    let claim = world.queued(world.project(), &sha).await;
    let ending = world.run(&claim).await;
    let (diagnosis, _) = diagnosis(ending.clone());
    assert_eq!(world.builds().len(), 0);
    assert_eq!(diagnosis.code.as_str(), "registry/login-missing");
    world.store.finish(&claim.fence, &ending).await.unwrap();

    let project = world.project().registry_login("ci", "registry-password");
    let claim = world.queued(project, &sha).await;
    let ending = world.run(&claim).await;
    assert!(matches!(ending, Ending::Succeeded { .. }), "{ending:?}");
    let (_, stack) = world.rollouts().remove(0);
    let pull_secret = stack
        .objects
        .iter()
        .find(|object| object.value()["type"] == "kubernetes.io/dockerconfigjson");
    assert!(pull_secret.is_some(), "the cluster needs the login too");
}

#[tokio::test]
async fn a_dockerfile_that_does_not_parse_is_shown_with_its_line() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", "FROM scratch\nRNU true\n")]);
    let claim = world.queued(world.project(), &sha).await;
    let (diagnosis, _) = diagnosis(world.run(&claim).await);
    assert!(diagnosis.to_string().contains("line 2"), "{diagnosis}");
    assert!(world.builds().is_empty());
}

#[tokio::test]
async fn a_cluster_that_is_not_known_is_named() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    let mut project = world.project();
    project.environments[0].cluster = Some("mars".into());
    let claim = world.queued(project, &sha).await;
    let (diagnosis, _) = diagnosis(world.run(&claim).await);
    assert!(diagnosis.error.contains("mars"), "{diagnosis}");
    assert!(diagnosis.fixes[0].contains("default"), "{diagnosis}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_ended() {
    #[derive(Debug)]
    struct Hanging(AtomicU32);

    #[async_trait]
    impl Deployer for Hanging {
        async fn deploy(
            &self,
            _: &str,
            _: &Stack,
            _: &dyn EventSink,
        ) -> Result<RolledOut, StepFailure> {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        }
    }

    let deployer = Hanging(AtomicU32::new(0));
    let limit = Duration::from_secs(1800);
    let stack = Stack::new("a", "a", "1".parse().unwrap(), vec![]);
    let work = deployer.deploy("d", &stack, &pipeops_core::event::Discard);
    let failure = journal::within(Step::Rollout, limit, work)
        .await
        .unwrap_err();
    assert_eq!(failure.diagnosis().title, "Deployment failed: StepTimeout");
    assert_eq!(deployer.0.load(Ordering::Relaxed), 1);
}
