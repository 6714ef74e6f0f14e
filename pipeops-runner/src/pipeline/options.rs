//! The parts and options of a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pipeops_core::build::S3Cache;
use pipeops_core::{Backoff, CredentialProvider, ImageBuilder, LanguageDetector, Step};
use pipeops_detect::BaseImages;
use pipeops_manifest::{ManifestGenerator, StandardManifests};
use pipeops_registry::ClientOptions;

use super::Deployer;
use crate::clone::{CloneLimits, SourceFetcher};
use crate::store::Store;
use crate::workspace::Workspaces;

/// The parts of a pipeline.
#[derive(Clone)]
#[non_exhaustive]
pub struct PipelineParts {
    /// Stores journals.
    pub store: Arc<dyn Store>,
    /// The folder for sources.
    pub workspaces: Workspaces,
    /// Fetches sources.
    pub fetcher: Arc<dyn SourceFetcher>,
    /// Builds images.
    pub builder: Arc<dyn ImageBuilder>,
    /// Generates Kubernetes objects. Default: [`StandardManifests`].
    pub manifests: Arc<dyn ManifestGenerator>,
    /// Rolls out, by the name of the cluster.
    pub clusters: BTreeMap<String, Arc<dyn Deployer>>,
    /// Registry credentials for base images, and for projects without a registry login. Default: none.
    pub credentials: Arc<dyn CredentialProvider>,
    /// Detects languages. Default: the built-in detector with the settings of the project.
    pub detector: Option<Arc<dyn LanguageDetector>>,
}

impl PipelineParts {
    /// A pipeline of these parts, without clusters.
    pub fn new(
        store: Arc<dyn Store>,
        workspaces: Workspaces,
        fetcher: Arc<dyn SourceFetcher>,
        builder: Arc<dyn ImageBuilder>,
    ) -> Self {
        Self {
            store,
            workspaces,
            fetcher,
            builder,
            manifests: Arc::new(StandardManifests::new()),
            clusters: BTreeMap::new(),
            credentials: Arc::new(pipeops_core::credential::Anonymous),
            detector: None,
        }
    }

    /// Adds a cluster, or replaces the one with the same name.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>, deployer: Arc<dyn Deployer>) -> Self {
        self.clusters.insert(name.into(), deployer);
        self
    }
}

impl std::fmt::Debug for PipelineParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipelineParts")
            .field("store", &self.store)
            .field("builder", &self.builder)
            .field("clusters", &self.clusters.keys())
            .finish_non_exhaustive()
    }
}

/// Options of a pipeline.
///
/// ```
/// use std::time::Duration;
/// use pipeops_runner::PipelineOptions;
///
/// let mut options = PipelineOptions::default();
/// options.limits.build = Duration::from_secs(20 * 60);
/// options.clone.bytes = 500 << 20;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// Limits of clones.
    pub clone: CloneLimits,
    /// How long each step may take.
    pub limits: StepLimits,
    /// How steps with transient failures are retried. Default: 3 attempts in at most an hour.
    pub retry: Backoff,
    /// The base images of generated Dockerfiles.
    pub base_images: BaseImages,
    /// Options of the registry client that checks whether a push is allowed.
    pub registry: ClientOptions,
    /// The S3 bucket for build caches. Each project and branch has its own cache. Default: none.
    pub cache: Option<S3Cache>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            clone: CloneLimits::default(),
            limits: StepLimits::default(),
            retry: Backoff::default().total(Duration::from_secs(3600)),
            base_images: BaseImages::default(),
            registry: ClientOptions::default(),
            cache: None,
        }
    }
}

impl PipelineOptions {
    /// Sets how steps with transient failures are retried.
    #[must_use]
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the base images of generated Dockerfiles.
    #[must_use]
    pub fn base_images(mut self, images: BaseImages) -> Self {
        self.base_images = images;
        self
    }

    /// Sets the S3 bucket for build caches.
    #[must_use]
    pub fn cache(mut self, cache: S3Cache) -> Self {
        self.cache = Some(cache);
        self
    }
}

/// Time limits of steps, for each attempt. The deadline of a rollout, in its own options, is normally shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepLimits {
    /// Default: 10 minutes.
    pub clone: Duration,
    /// For detect, plan and manifests each. Default: 1 minute.
    pub compute: Duration,
    /// Default: 70 minutes, so that a builder's own limit of an hour applies first.
    pub build: Duration,
    /// Default: 30 minutes.
    pub rollout: Duration,
}

impl Default for StepLimits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            clone: minutes(10),
            compute: minutes(1),
            build: minutes(70),
            rollout: minutes(30),
        }
    }
}

impl StepLimits {
    /// The limit of a step.
    pub fn of(&self, step: Step) -> Duration {
        match step {
            Step::Clone => self.clone,
            Step::Build => self.build,
            Step::Rollout => self.rollout,
            _ => self.compute,
        }
    }
}
