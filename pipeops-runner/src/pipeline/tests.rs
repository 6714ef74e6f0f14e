//! The pipeline with a builder and a cluster that only count, killed at every point.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeops_core::build::DockerfileSource;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, Event, EventKind, EventSink, Failure, RetryClass};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{RegistryOptions, User};

use super::*;
use crate::clone::{CloneRequest, SourceFetcher, source_folder};
use crate::deployment::{Deployment, Fence, JournalEntry, NewDeployment, Submitted};
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

impl Ending {
    fn has_succeeded(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }
}

fn finished_steps(kinds: &[EventKind]) -> usize {
    let finished = kinds
        .iter()
        .filter(|kind| matches!(kind, EventKind::StepFinished { .. }));
    finished.count()
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

    let tagged = format!("{}/team/shop:{sha}", world.registry.host());
    let image = format!("{tagged}@sha256:{}", "a".repeat(64));
    let succeeded = Ending::Succeeded {
        image: image.clone(),
    };
    assert_eq!(ending, succeeded);
    let [build] = world.builds().try_into().unwrap();
    assert_eq!(build.image, tagged);
    let dockerfile = DockerfileSource::Path("Dockerfile".into());
    assert_eq!(build.dockerfile, dockerfile);
    assert_eq!(build.args.get("VERSION").map(String::as_str), Some("7"));
    assert_eq!(build.files, ["Dockerfile", "main.go"]);

    let [(id, stack)] = world.rollouts().try_into().unwrap();
    assert_eq!(id, claim.deployment.id);
    let workload = stack.workload().unwrap().value().to_string();
    assert!(workload.contains(&image), "{workload}");
    assert!(workload.contains("9000"), "{workload}");
    assert_eq!(world.leftovers(), 0);

    let kinds = world.kinds().await;
    assert_eq!(finished_steps(&kinds), Step::ALL.len());
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
            let sink = world.sink(&claim);
            let pipeline = world.pipeline(world.parts(dying.clone()));
            tokio::select! {
                ending = pipeline.run(&claim, &sink) => panic!("{step}: {ending:?}"),
                () = dying.died.notified() => {}
            }
            assert_eq!(world.leftovers(), 0, "{step}: the workspace is left");

            let ending = world.run(&claim).await;
            assert!(ending.has_succeeded(), "{step}: {ending:?}");
            // What was not written down is done again; everything else is done once.
            let twice = |which| usize::from(step == which && !after_write) + 1;
            let done = (world.builds().len(), world.rollouts().len());
            let expected = (twice(Step::Build), twice(Step::Rollout));
            assert_eq!(done, expected, "{step} {after_write}");
            let journal = world.store.journal(&claim.deployment.id).await.unwrap();
            assert_eq!(journal.len(), Step::ALL.len());
            let finished = finished_steps(&world.kinds().await);
            assert_eq!(
                finished,
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
    assert!(ending.has_succeeded(), "{ending:?}");
    assert_eq!(world.builds().len(), 2);
    let warnings = world.kinds().await;
    let warnings = warnings.iter().filter(
        |kind| matches!(kind, EventKind::Warning { message } if message.contains("retrying")),
    );
    assert_eq!(warnings.count(), 2);
}

#[tokio::test]
async fn permanent_failures_are_not_retried_and_leave_the_old_revision_serving() {
    let world = world().await;
    let sha = world.commit(&[("Dockerfile", DOCKERFILE)]);
    for deployed_before in [false, true] {
        *world.builder.failures.lock().unwrap() = vec![RetryClass::Permanent];
        let claim = world.queued(world.project(), &sha).await;
        let ending = world.run(&claim).await;
        world.store.finish(&claim.fence, &ending).await.unwrap();
        let (diagnosis, rolled_back) = diagnosis(ending);
        assert_eq!(diagnosis.title, "Build failed: test");
        assert_eq!(diagnosis.reason, "no [redacted]");
        assert_eq!(rolled_back, deployed_before);
        assert_eq!(world.leftovers(), 0);
        let kinds = world.kinds().await;
        let failed = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::StepFailed {
                    step: Step::Build,
                    ..
                }
            )
        };
        assert!(kinds.iter().any(failed));

        let claim = world.queued(world.project(), &sha).await;
        let ending = world.run(&claim).await;
        world.store.finish(&claim.fence, &ending).await.unwrap();
    }
    assert_eq!(world.builds().len(), 4);
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
    assert!(ending.unwrap().has_succeeded());
    assert_eq!(world.builds()[0].files, ["Dockerfile", "commit"]);
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
    assert!(ending.has_succeeded(), "{ending:?}");
    let (_, stack) = world.rollouts().remove(0);
    let pull_secret = stack
        .objects
        .iter()
        .find(|object| object.value()["type"] == "kubernetes.io/dockerconfigjson");
    assert!(pull_secret.is_some(), "the cluster needs the login too");
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
    let limit = Duration::from_secs(1800);
    let hanging = std::future::pending::<Result<RolledOut, StepFailure>>();
    let failure = journal::within(Step::Rollout, limit, hanging).await;
    let title = failure.unwrap_err().diagnosis().title;
    assert_eq!(title, "Deployment failed: StepTimeout");
}
