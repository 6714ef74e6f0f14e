//! All parts as one service, to embed in a server.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
use axum::Router;
use pipeops_core::diagnosis::codes;
use pipeops_core::{
    CredentialProvider, Diagnose, Diagnosis, Event, ImageBuilder, LanguageDetector,
};
use pipeops_manifest::ManifestGenerator;

use crate::Commands;
use crate::clone::SourceFetcher;
use crate::controller::Controller;
#[cfg(feature = "http")]
use crate::http::{self, Access, HttpOptions};
use crate::hub::{Hub, OnEvent};
use crate::pipeline::{Deployer, Pipeline, PipelineOptions, PipelineParts};
use crate::queue::Queue;
use crate::runner::{Runner, RunnerOptions, SharedRunner};
use crate::store::{Store, StoreError};
use crate::workspace::{WorkspaceError, Workspaces};

/// A running PipeOps: it receives webhooks, deploys, and serves a dashboard.
///
/// Deployments run as long as the service or one of its routers exists, so a host that only needs the routes can drop the
/// service. [`Service::shutdown`] stops it earlier.
///
/// ```
/// use std::time::Duration;
/// use pipeops_runner::{Service, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Without an image builder it accepts webhooks and leaves deployments to other processes on the same store.
/// let service = Service::builder(SqliteStore::in_memory()?).start().await?;
/// let app: axum::Router = axum::Router::new().nest_service("/deploy", service.router());
/// service.shutdown(Duration::from_secs(30)).await;
/// # drop(app); Ok(()) }
/// ```
#[derive(Debug)]
pub struct Service {
    store: Arc<dyn Store>,
    hub: Hub,
    controller: Controller,
    #[cfg(feature = "http")]
    http: HttpOptions,
    #[cfg(feature = "http")]
    commands: Commands,
    runner: Arc<SharedRunner>,
}

impl Service {
    /// A service on this store and its queue.
    #[cfg(feature = "sqlite")]
    pub fn builder(store: crate::SqliteStore) -> ServiceBuilder {
        let queue = crate::SqliteQueue::new(&store);
        ServiceBuilder::new(Arc::new(store), Arc::new(queue))
    }

    /// Its routes: webhooks, API and dashboard, for a host with any state. They keep the service alive.
    ///
    /// Mount them with `nest_service("/deploy", service.router())`, which answers `/deploy` and `/deploy/`. axum's `nest`
    /// works too, but answers only `/deploy`.
    #[cfg(feature = "http")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        http::router(http::State {
            controller: self.controller.clone(),
            store: Arc::clone(&self.store),
            hub: self.hub.clone(),
            options: self.http.clone(),
            commands: self.commands.clone(),
            runner: Arc::clone(&self.runner),
        })
    }

    /// Where projects and deployments are stored.
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

    /// Stops claiming deployments, waits up to `grace` for the running ones, then releases the rest to the queue. Another
    /// process, or the next start, resumes them after the last finished step.
    ///
    /// From now on the routes answer webhooks and `/healthz` with 503, so that a forge sends the webhook again. API and
    /// dashboard still answer.
    pub async fn shutdown(self, grace: Duration) {
        self.runner.shutdown(grace).await;
    }
}

/// Settings of a [`Service`] that is about to start.
///
/// ```
/// use pipeops_runner::http::Access;
/// use pipeops_runner::{Service, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Service::builder(SqliteStore::in_memory()?)
///     .workspaces(std::env::temp_dir().join("my-server"))
///     .workers(20)
///     .access(Access::Token("a long random token".into()))
///     .commands(|diagnosis| Some(format!("deployctl explain {}", diagnosis.code)))
///     .start()
///     .await?;
/// # drop(service); Ok(()) }
/// ```
pub struct ServiceBuilder {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    fetcher: Option<Arc<dyn SourceFetcher>>,
    builder: Option<Arc<dyn ImageBuilder>>,
    manifests: Option<Arc<dyn ManifestGenerator>>,
    credentials: Option<Arc<dyn CredentialProvider>>,
    detector: Option<Arc<dyn LanguageDetector>>,
    clusters: BTreeMap<String, Arc<dyn Deployer>>,
    workspaces: PathBuf,
    pipeline: PipelineOptions,
    runner: RunnerOptions,
    listeners: Vec<OnEvent>,
    #[cfg(feature = "http")]
    http: HttpOptions,
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder")
            .field("store", &self.store)
            .field("clusters", &self.clusters.keys())
            .finish_non_exhaustive()
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
            detector: None,
            clusters: BTreeMap::new(),
            workspaces: std::env::temp_dir().join("pipeops-workspaces"),
            pipeline: PipelineOptions::default(),
            runner: RunnerOptions::default(),
            listeners: Vec::new(),
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

    /// Sets registry credentials for base images, and for projects that have no registry login.
    #[must_use]
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.credentials = Some(Arc::new(provider));
        self
    }

    /// Sets what detects languages. Default: the built-in rules.
    #[must_use]
    pub fn detector(mut self, detector: impl LanguageDetector + 'static) -> Self {
        self.detector = Some(Arc::new(detector));
        self
    }

    /// Sets the folder for workspaces. Default: `pipeops-workspaces` in the system's temporary folder.
    #[must_use]
    pub fn workspaces(mut self, folder: impl Into<PathBuf>) -> Self {
        self.workspaces = folder.into();
        self
    }

    /// Sets the limits and options of the pipeline.
    #[must_use]
    pub fn pipeline(mut self, options: PipelineOptions) -> Self {
        self.pipeline = options;
        self
    }

    /// Sets the options of the runner, including [`ServiceBuilder::workers`] and [`ServiceBuilder::commands`].
    #[must_use]
    pub fn runner(mut self, options: RunnerOptions) -> Self {
        self.runner = options;
        self
    }

    /// Sets how many deployments run at once. Default: 8.
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
        self.runner = self.runner.commands(Commands::new(choose));
        self
    }

    /// Calls a function for each new event on the store, such as one that logs it. Without one, nothing is printed. Several
    /// functions can be added.
    ///
    /// A function is called for one event at a time, in order, on a thread for blocking work. A slow function delays only its
    /// own calls, and a panic loses only its own event. The calls end with the service and its routers.
    ///
    /// ```
    /// use pipeops_runner::{EventKind, Service, SqliteStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = Service::builder(SqliteStore::in_memory()?)
    ///     .on_event(|event| match &event.kind {
    ///         EventKind::Log { .. } | EventKind::Vertex { .. } | EventKind::Transfer { .. } => {} // details of builds
    ///         _ => eprintln!("{event}"),
    ///     })
    ///     .start()
    ///     .await?;
    /// # drop(service); Ok(()) }
    /// ```
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(on_event));
        self
    }

    /// Sets the limits of the routes and who may read the API, including [`ServiceBuilder::access`].
    #[cfg(feature = "http")]
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Sets who may read the API and the dashboard. Default: [`Access::Local`].
    #[cfg(feature = "http")]
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.http.access = access;
        self
    }

    /// Starts the service on the current tokio runtime. It first removes the workspaces that killed processes left.
    ///
    /// # Errors
    /// When the store doesn't answer or the folder for workspaces can't be used.
    pub async fn start(self) -> Result<Service, StartError> {
        let listeners = self.listeners.clone();
        let hub = Hub::start_with(Arc::clone(&self.store), listeners).await?;
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
            http: self.http.clone(),
            #[cfg(feature = "http")]
            commands: self.runner.commands.clone(),
            runner: SharedRunner::new(self.start_runner(hub.clone())?),
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
        parts.detector = self.detector;
        parts.manifests = self.manifests.unwrap_or(parts.manifests);
        parts.credentials = self.credentials.unwrap_or(parts.credentials);
        let pipeline = Pipeline::new(parts, self.pipeline);
        let runner = Runner::start(pipeline, self.store, self.queue, hub, self.runner);
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

/// Why a service can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder for workspaces can't be used.
    #[error(transparent)]
    Workspaces(#[from] WorkspaceError),
    /// An image builder is set, but no source fetcher.
    #[error("no source fetcher is set, and the feature `git` is off")]
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
