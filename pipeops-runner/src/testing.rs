//! A world for tests: a git server, a registry and a store; a builder and a cluster that only record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pipeops_core::build::DockerfileSource;
use pipeops_core::diagnosis::codes;
use pipeops_core::{
    Backoff, BuildRequest, BuiltImage, Diagnosis, EventKind, EventSink, Failure, ImageBuilder,
    RetryClass, Stack,
};
use pipeops_testkit::git::{GitOptions, GitServer};
use pipeops_testkit::registry::{Registry, RegistryOptions};
use tokio::sync::Semaphore;

use crate::Commands;
use crate::clone::GitFetcher;
use crate::deployment::{Ending, NewDeployment};
use crate::hub::{DeploymentEvents, Hub};
use crate::pipeline::{Deployer, Pipeline, PipelineOptions, PipelineParts, RolledOut, StepFailure};
use crate::project::Project;
use crate::queue::{Claim, Queue, SqliteQueue};
use crate::store::conformance::shop;
use crate::store::{SqliteStore, Store};
use crate::workspace::Workspaces;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Detected, planned and deployed without surprises.
pub(crate) const DOCKERFILE: &str = "FROM scratch\nARG VERSION\nCOPY . /\nUSER 1000\nEXPOSE 9000\n";

/// A request to the builder.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) image: String,
    pub(crate) dockerfile: DockerfileSource,
    pub(crate) args: BTreeMap<String, String>,
    pub(crate) files: Vec<String>,
}

/// Builds nothing, and records requests.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Taken from the end, one for each build.
    pub(crate) failures: Arc<Mutex<Vec<RetryClass>>>,
    /// Builds wait here for a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// A permit for each build that has begun.
    pub(crate) begun: Arc<Semaphore>,
}

impl Default for Builder {
    /// Builds don't wait.
    fn default() -> Self {
        Self {
            asked: Arc::default(),
            failures: Arc::default(),
            gate: Arc::new(Semaphore::new(1000)),
            begun: Arc::new(Semaphore::new(0)),
        }
    }
}

#[async_trait]
impl ImageBuilder for Builder {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        let entries = std::fs::read_dir(&request.context).unwrap();
        let mut files: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        self.asked.lock().unwrap().push(Asked {
            image: request.image.to_string(),
            dockerfile: request.dockerfile,
            args: request.build_args,
            files,
        });
        events.emit(EventKind::Log {
            vertex: "v1".into(),
            line: "the token is hunter22".into(),
        });
        self.begun.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        if let Some(class) = self.failures.lock().unwrap().pop() {
            let diagnosis = Diagnosis::new(&codes::UNKNOWN)
                .title("Build failed: test")
                .reason("no hunter22")
                .class(class);
            return Err(Failure::from_diagnosis(diagnosis));
        }
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        Ok(BuiltImage::new(&request.image, digest, 5, 3))
    }
}

/// A cluster that accepts everything, or refuses it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    stacks: Arc<Mutex<Vec<(String, Stack)>>>,
    /// `Some` fails rollouts, and says whether the previous revision serves.
    pub(crate) refuses: Arc<Mutex<Option<bool>>>,
}

#[async_trait]
impl Deployer for Cluster {
    async fn deploy(
        &self,
        deployment: &str,
        stack: &Stack,
        _events: &dyn EventSink,
    ) -> Result<RolledOut, StepFailure> {
        let mut stacks = self.stacks.lock().unwrap();
        stacks.push((deployment.to_owned(), stack.clone()));
        match *self.refuses.lock().unwrap() {
            None => Ok(RolledOut::new("Rollout complete")),
            Some(rolled_back) => {
                let diagnosis = Diagnosis::new(&codes::rollout::IMAGE_PULL_AUTH)
                    .error("Failed to pull image \"registry/app:abc123\"")
                    .reason("authentication required")
                    .class(RetryClass::Transient);
                let failure = Failure::from_diagnosis(diagnosis);
                Err(StepFailure::of_rollout(failure, rolled_back))
            }
        }
    }
}

/// The commands of an embedding program.
pub(crate) fn commands() -> Commands {
    Commands::new(|diagnosis| {
        let project = diagnosis.context.get("project")?;
        Some(format!("deployctl explain {} {project}", diagnosis.code))
    })
}

pub(crate) struct World {
    pub(crate) git: GitServer,
    pub(crate) registry: Registry,
    pub(crate) store: SqliteStore,
    pub(crate) queue: SqliteQueue,
    pub(crate) hub: Hub,
    pub(crate) builder: Builder,
    pub(crate) cluster: Cluster,
    pub(crate) workspaces: Workspaces,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn world() -> World {
    world_with(RegistryOptions::default()).await
}

pub(crate) async fn world_with(registry: RegistryOptions) -> World {
    let store = SqliteStore::in_memory().unwrap();
    let folder = tempfile::tempdir().unwrap();
    World {
        git: GitServer::start(GitOptions::default()).await.unwrap(),
        registry: Registry::start(registry).await.unwrap(),
        queue: SqliteQueue::new(&store),
        hub: Hub::start(Arc::new(store.clone())).await.unwrap(),
        store,
        builder: Builder::default(),
        cluster: Cluster::default(),
        workspaces: Workspaces::open(folder.path()).unwrap(),
        folder,
    }
}

impl World {
    pub(crate) fn project(&self) -> Project {
        let image = format!("{}/team/shop", self.registry.host());
        let mut project = shop("shop")
            .repository(self.git.url("team/shop").parse().unwrap())
            .image(image.parse().unwrap());
        project.secrets.registry = None;
        project
    }

    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        self.git
            .create("team/shop")
            .commit(files, "A commit")
            .unwrap()
    }

    pub(crate) async fn queued(&self, project: Project, commit: &str) -> Claim {
        let reference = "refs/heads/main".parse().unwrap();
        let commit = commit.parse().unwrap();
        let new = NewDeployment::new(project, "production", reference, commit);
        self.store.submit(vec![new]).await.unwrap();
        self.queue.claim("r", LEASE).await.unwrap().unwrap()
    }

    pub(crate) fn parts(&self, store: Arc<dyn Store>) -> PipelineParts {
        let builder = Arc::new(self.builder.clone());
        let workspaces = self.workspaces.clone();
        PipelineParts::new(store, workspaces, Arc::new(GitFetcher), builder)
            .cluster("default", Arc::new(self.cluster.clone()))
    }

    pub(crate) fn pipeline(&self, parts: PipelineParts) -> Pipeline {
        let retry = Backoff::default().base(Duration::ZERO);
        Pipeline::new(parts, PipelineOptions::default().retry(retry))
    }

    pub(crate) fn sink(&self, claim: &Claim) -> DeploymentEvents {
        self.hub.sink(claim).commands(commands())
    }

    pub(crate) async fn run(&self, claim: &Claim) -> Ending {
        let sink = self.sink(claim);
        let pipeline = self.pipeline(self.parts(Arc::new(self.store.clone())));
        let ending = pipeline.run(claim, &sink).await.unwrap();
        sink.flush().await;
        ending
    }

    pub(crate) async fn kinds(&self) -> Vec<EventKind> {
        let events = self.store.events_after(0, None, 1000).await.unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }

    pub(crate) fn builds(&self) -> Vec<Asked> {
        self.builder.asked.lock().unwrap().clone()
    }

    pub(crate) fn rollouts(&self) -> Vec<(String, Stack)> {
        self.cluster.stacks.lock().unwrap().clone()
    }

    /// Names in the folder of workspaces, its lock aside.
    pub(crate) fn leftovers(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count() - 1
    }
}
