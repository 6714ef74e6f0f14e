//! All parts together, to embed in a server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
use axum::Router;
use pipeops_core::diagnosis::codes;
use pipeops_core::{CredentialProvider, Diagnose, Diagnosis, ImageBuilder, LanguageDetector};
use pipeops_manifest::ManifestGenerator;

use crate::Commands;
use crate::clone::SourceFetcher;
use crate::controller::Controller;
#[cfg(feature = "http")]
use crate::http::{self, Access, HttpOptions};
use crate::hub::Hub;
use crate::pipeline::{Deployer, Pipeline, PipelineOptions, PipelineParts};
use crate::queue::Queue;
use crate::runner::{Runner, RunnerOptions};
use crate::store::{Store, StoreError};
use crate::workspace::{WorkspaceError, Workspaces};

/// A running PipeOps: webhooks in, deployments out, a dashboard beside it.
#[derive(Debug)]
pub struct Service {
    store: Arc<dyn Store>,
    hub: Hub,
    controller: Controller,
    #[cfg(feature = "http")]
    http: HttpOptions,
    runner: Option<Runner>,
}

impl Service {
    /// A service on this store and its queue.
    #[cfg(feature = "sqlite")]
    pub fn builder(store: crate::SqliteStore) -> ServiceBuilder {
        let queue = crate::SqliteQueue::new(&store);
        ServiceBuilder::new(Arc::new(store), Arc::new(queue))
    }

    /// Its routes: webhooks, API, dashboard. They can be nested under a path of the caller's own router.
    #[cfg(feature = "http")]
    pub fn router(&self) -> Router {
        http::router(
            self.controller.clone(),
            Arc::clone(&self.store),
            self.hub.clone(),
            self.http.clone(),
        )
    }

    /// Where projects and deployments are kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Its stream of events.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Accepts webhooks and manual deployments.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Stops claiming, waits this long for running deployments, then releases the rest to the queue. Another process
    /// resumes them from the last finished step.
    pub async fn shutdown(mut self, grace: Duration) {
        if let Some(runner) = self.runner.take() {
            runner.shutdown(grace).await;
        }
    }
}

/// Settings of a [`Service`] that is about to start.
#[derive(Debug)]
pub struct ServiceBuilder {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    fetcher: Option<Arc<dyn SourceFetcher>>,
    builder: Option<Arc<dyn ImageBuilder>>,
    manifests: Option<Arc<dyn ManifestGenerator>>,
    credentials: Option<Arc<dyn CredentialProvider>>,
    detector: Detector,
    clusters: BTreeMap<String, Arc<dyn Deployer>>,
    workspaces: PathBuf,
    pipeline: PipelineOptions,
    runner: RunnerOptions,
    commands: Commands,
    #[cfg(feature = "http")]
    http: HttpOptions,
}

/// A detector, which need not be `Debug`.
struct Detector(Option<Arc<dyn LanguageDetector>>);

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "custom"
        } else {
            "built-in"
        })
    }
}

impl ServiceBuilder {
    /// A service on any store and queue; `Service::builder` is for SQLite.
    pub fn new(store: Arc<dyn Store>, queue: Arc<dyn Queue>) -> Self {
        Self {
            store,
            queue,
            fetcher: None,
            builder: None,
            manifests: None,
            credentials: None,
            detector: Detector(None),
            clusters: BTreeMap::new(),
            workspaces: std::env::temp_dir().join("pipeops-workspaces"),
            pipeline: PipelineOptions::default(),
            runner: RunnerOptions::default(),
            commands: Commands::default(),
            #[cfg(feature = "http")]
            http: HttpOptions::default(),
        }
    }

    /// Sets what builds images. Without it the service accepts webhooks and shows the dashboard; other processes on the
    /// same store run the deployments.
    #[must_use]
    pub fn image_builder(mut self, builder: impl ImageBuilder) -> Self {
        self.builder = Some(Arc::new(builder));
        self
    }

    /// Sets what fetches sources. Default: `GitFetcher`, which needs the feature `git`.
    #[must_use]
    pub fn fetcher(mut self, fetcher: impl SourceFetcher) -> Self {
        self.fetcher = Some(Arc::new(fetcher));
        self
    }

    /// Adds a cluster under the name that environments refer to.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>, deployer: impl Deployer) -> Self {
        self.clusters.insert(name.into(), Arc::new(deployer));
        self
    }

    /// Sets what generates Kubernetes objects. Default: [`StandardManifests`](pipeops_manifest::StandardManifests).
    #[must_use]
    pub fn manifests(mut self, generator: impl ManifestGenerator) -> Self {
        self.manifests = Some(Arc::new(generator));
        self
    }

    /// Sets registry credentials for projects without a login of their own, and for base images.
    #[must_use]
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.credentials = Some(Arc::new(provider));
        self
    }

    /// Sets what detects languages. Default: the built-in rules.
    #[must_use]
    pub fn detector(mut self, detector: impl LanguageDetector + 'static) -> Self {
        self.detector = Detector(Some(Arc::new(detector)));
        self
    }

    /// Sets the folder for workspaces. Default: `pipeops-workspaces` in the system's folder for temporary files.
    #[must_use]
    pub fn workspaces(mut self, folder: impl Into<PathBuf>) -> Self {
        self.workspaces = folder.into();
        self
    }

    /// Sets bounds and habits of the pipeline.
    #[must_use]
    pub fn pipeline(mut self, options: PipelineOptions) -> Self {
        self.pipeline = options;
        self
    }

    /// Sets how the runner works.
    #[must_use]
    pub fn runner(mut self, options: RunnerOptions) -> Self {
        self.runner = options;
        self
    }

    /// Sets how many deployments run at once.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.runner = self.runner.workers(workers);
        self
    }

    /// Supplies [`Diagnosis::run`] in the API, events and dashboard; see [`Commands`].
    #[must_use]
    pub fn commands(
        mut self,
        choose: impl Fn(&Diagnosis) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.commands = Commands::new(choose);
        self
    }

    /// Sets bounds and access rules of the routes.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Sets who may read the API and see the dashboard's data.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.http = self.http.access(access);
        self
    }

    /// Starts it on the current tokio runtime: workspaces of killed processes are swept, the runner begins to claim.
    ///
    /// # Errors
    /// When the store does not answer or the folder for workspaces cannot be used.
    pub async fn start(self) -> Result<Service, StartError> {
        let hub = Hub::start(Arc::clone(&self.store)).await?;
        let controller = Controller::new(
            Arc::clone(&self.store),
            Arc::clone(&self.queue),
            hub.clone(),
            self.clusters.keys().cloned(),
        );
        Ok(Service {
            store: Arc::clone(&self.store),
            controller,
            #[cfg(feature = "http")]
            http: self
                .http
                .clone()
                .commands(self.commands.clone().or(self.http.commands.clone())),
            runner: self.start_runner(hub.clone())?,
            hub,
        })
    }

    fn start_runner(self, hub: Hub) -> Result<Option<Runner>, StartError> {
        let Some(builder) = self.builder else {
            return Ok(None);
        };
        let fetcher = self.fetcher.or_else(built_in_fetcher);
        let fetcher = fetcher.ok_or(StartError::NoFetcher)?;
        let workspaces = Workspaces::open(self.workspaces)?;
        let store = Arc::clone(&self.store);
        let mut parts = PipelineParts::new(store, workspaces, fetcher, builder);
        parts.clusters = self.clusters;
        parts.detector = self.detector.0;
        parts.manifests = self.manifests.unwrap_or(parts.manifests);
        parts.credentials = self.credentials.unwrap_or(parts.credentials);
        let pipeline = Pipeline::new(parts, self.pipeline);
        let commands = self.commands.or(self.runner.commands.clone());
        let options = self.runner.commands(commands);
        let runner = Runner::start(pipeline, self.store, self.queue, hub, options);
        Ok(Some(runner))
    }
}

fn built_in_fetcher() -> Option<Arc<dyn SourceFetcher>> {
    #[cfg(feature = "git")]
    let fetcher = Some(Arc::new(crate::clone::GitFetcher) as _);
    #[cfg(not(feature = "git"))]
    let fetcher = None;
    fetcher
}

/// A service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder for workspaces cannot be used.
    #[error(transparent)]
    Workspaces(#[from] WorkspaceError),
    /// An image builder is set and nothing fetches its sources.
    #[error("no source fetcher is set, and the feature `git` is left out")]
    NoFetcher,
}

impl Diagnose for StartError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Store(error) => error.diagnosis(),
            Self::Workspaces(error) => error.diagnosis(),
            Self::NoFetcher => Diagnosis::new(&codes::deployment::NO_FETCHER)
                .error(self.to_string())
                .reason("the runner cannot fetch the source of a commit"),
        }
    }
}
