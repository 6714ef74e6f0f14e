//! Requests to an image builder, and their results.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::credential::CredentialProvider;
use crate::diagnosis::Failure;
use crate::event::EventSink;
use crate::image::{Digest, ImageRef};
use crate::secret::SecretString;

pub use crate::cache::{BuildCache, S3Cache};

/// A request to build an image from a folder and push it.
///
/// ```
/// use pipeops_core::build::BuildRequest;
///
/// let image = "registry.example.com/shop/web:v1".parse()?;
/// let request = BuildRequest::new("/srv/checkout", image)
///     .build_arg("NODE_VERSION", "24")
///     .secret("npm-token", "s3cr3t")
///     .platform("linux/amd64");
/// assert_eq!(request.build_args["NODE_VERSION"], "24");
/// # Ok::<(), pipeops_core::image::ImageNameError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildRequest {
    /// The build context: a folder on this machine.
    pub context: PathBuf,
    /// Where the Dockerfile comes from. Default: `Dockerfile` in the context.
    pub dockerfile: DockerfileSource,
    /// The text of a `.dockerignore` for an inline Dockerfile, used instead of the context's own. Default: none. Ignored for a
    /// Dockerfile of the context, which has its own beside it.
    pub dockerignore: Option<String>,
    /// The name to push the image as; must have a tag.
    pub image: ImageRef,
    /// Build arguments. All of them are passed to the daemon: to keep only those that the Dockerfile declares, call
    /// `pipeops_dockerfile::filter` first.
    pub build_args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The stage to build. Default: the last one.
    pub target: Option<String>,
    /// Each `os/arch[/variant]`. Default: the daemon's own platform.
    pub platforms: Vec<String>,
    /// Secrets for `RUN --mount=type=secret,id=…`, by id. They are never in the image, its history or the cache key.
    pub secrets: BTreeMap<String, SecretString>,
    /// Where to read build cache from, in order of preference.
    pub cache_from: Vec<BuildCache>,
    /// Where to write the build cache to.
    pub cache_to: Vec<BuildCache>,
    /// The commit's time. It becomes `SOURCE_DATE_EPOCH`.
    pub commit_time: Option<Timestamp>,
    /// Credentials for base images and for the push.
    pub credentials: Arc<dyn CredentialProvider>,
    /// Whether the registry in `image` uses plain HTTP. Default: false. Daemons use plain HTTP for loopback anyway.
    pub insecure_registry: bool,
    /// Whether to ignore all cache. Default: false.
    pub no_cache: bool,
}

impl BuildRequest {
    /// Builds `context` with its own Dockerfile, anonymously, and pushes the result as `image`.
    pub fn new(context: impl Into<PathBuf>, image: ImageRef) -> Self {
        Self {
            context: context.into(),
            dockerfile: DockerfileSource::default(),
            dockerignore: None,
            image,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            target: None,
            platforms: Vec::new(),
            secrets: BTreeMap::new(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            commit_time: None,
            credentials: Arc::new(crate::credential::Anonymous),
            insecure_registry: false,
            no_cache: false,
        }
    }

    /// Sets where the Dockerfile comes from.
    #[must_use]
    pub fn dockerfile(mut self, dockerfile: DockerfileSource) -> Self {
        self.dockerfile = dockerfile;
        self
    }

    /// Sets the `.dockerignore` for an inline Dockerfile.
    #[must_use]
    pub fn dockerignore(mut self, text: impl Into<String>) -> Self {
        self.dockerignore = Some(text.into());
        self
    }

    /// Adds a build argument, or replaces the one of this name.
    #[must_use]
    pub fn build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.build_args.insert(name.into(), value.into());
        self
    }

    /// Adds a label to the image.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets the stage to build.
    #[must_use]
    pub fn target(mut self, stage: impl Into<String>) -> Self {
        self.target = Some(stage.into());
        self
    }

    /// Adds a platform to build for: `os/arch[/variant]`.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platforms.push(platform.into());
        self
    }

    /// Adds a secret, which `RUN --mount=type=secret,id=…` reads.
    #[must_use]
    pub fn secret(mut self, id: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.secrets.insert(id.into(), value.into());
        self
    }

    /// Adds a place to read build cache from.
    #[must_use]
    pub fn cache_from(mut self, cache: BuildCache) -> Self {
        self.cache_from.push(cache);
        self
    }

    /// Adds a place to write the build cache to.
    #[must_use]
    pub fn cache_to(mut self, cache: BuildCache) -> Self {
        self.cache_to.push(cache);
        self
    }

    /// Sets the commit's time.
    #[must_use]
    pub fn commit_time(mut self, time: Timestamp) -> Self {
        self.commit_time = Some(time);
        self
    }

    /// Sets the credentials for base images and for the push.
    #[must_use]
    pub fn credentials(mut self, credentials: Arc<dyn CredentialProvider>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets whether the registry in `image` uses plain HTTP.
    #[must_use]
    pub fn insecure_registry(mut self, insecure: bool) -> Self {
        self.insecure_registry = insecure;
        self
    }

    /// Sets whether to ignore all cache.
    #[must_use]
    pub fn no_cache(mut self, ignore: bool) -> Self {
        self.no_cache = ignore;
        self
    }
}

/// Where the Dockerfile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DockerfileSource {
    /// A file in the context: its path from the context's root.
    Path(String),
    /// This text. The context isn't changed.
    Inline(String),
}

impl Default for DockerfileSource {
    fn default() -> Self {
        Self::Path("Dockerfile".to_owned())
    }
}

/// An image that was built and pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BuiltImage {
    /// The name and tag, pinned to the pushed digest.
    pub image: ImageRef,
    /// The digest of the manifest, which is what gets deployed.
    pub digest: Digest,
    /// The number of build steps, including those from cache.
    pub steps: usize,
    /// The number of steps that came from cache.
    pub cached: usize,
}

impl BuiltImage {
    /// The result of pushing `image` with this `digest`.
    pub fn new(image: &ImageRef, digest: Digest, steps: usize, cached: usize) -> Self {
        Self {
            image: image.with_digest(digest.clone()),
            digest,
            steps,
            cached,
        }
    }
}

/// Builds images.
#[async_trait]
pub trait ImageBuilder: fmt::Debug + Send + Sync + 'static {
    /// Builds and pushes one image, and reports progress to `events`. Dropping the future cancels the build.
    ///
    /// # Errors
    /// Why the image wasn't pushed, with its diagnosis.
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure>;
}

#[async_trait]
impl<B: ImageBuilder + ?Sized> ImageBuilder for Arc<B> {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        self.as_ref().build(request, events).await
    }
}

/// Registry operations that a builder does itself instead of leaving them to its daemon.
///
/// It logs in with the request's credentials, as the daemon does.
#[async_trait]
pub trait ImageRegistry: fmt::Debug + Send + Sync + 'static {
    /// The digest that the request's image currently has; `None` if there is no such image. For a reference with a digest,
    /// that digest if the image exists.
    ///
    /// # Errors
    /// If the registry can't be reached or denies access.
    async fn digest(&self, request: &BuildRequest) -> Result<Option<Digest>, Failure>;

    /// Combines `parts`, which are already in the request's repository, into one multi-platform image with the request's tag.
    /// A part may itself be an index, such as an image with its attestations.
    ///
    /// # Errors
    /// If a part is missing or doesn't match its digest, two parts have the same platform, or the push fails.
    async fn join(&self, request: &BuildRequest, parts: &[Digest]) -> Result<Digest, Failure>;
}
