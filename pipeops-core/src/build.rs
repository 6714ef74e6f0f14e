//! What an image builder is asked for and what it answers.

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

/// One image to build from a folder and to push.
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
    /// The name under which the image is pushed; must have a tag.
    pub image: ImageRef,
    /// Build arguments. `pipeops_dockerfile::filter` keeps those that the Dockerfile declares.
    pub build_args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The stage to build; the last one by default.
    pub target: Option<String>,
    /// `os/arch[/variant]`; the daemon's own platform by default.
    pub platforms: Vec<String>,
    /// Secrets for `RUN --mount=type=secret,id=…`, by id. Never in the image, its history or the cache key.
    pub secrets: BTreeMap<String, SecretString>,
    /// Where to read build cache from, in this order.
    pub cache_from: Vec<BuildCache>,
    /// Where to write the build cache to.
    pub cache_to: Vec<BuildCache>,
    /// The commit's time: becomes `SOURCE_DATE_EPOCH`.
    pub commit_time: Option<Timestamp>,
    /// Credentials for base images and for the push.
    pub credentials: Arc<dyn CredentialProvider>,
    /// The registry in `image` speaks plain HTTP. Default: false; daemons treat loopback so by themselves.
    pub insecure_registry: bool,
    /// Ignore all cache. Default: false.
    pub no_cache: bool,
}

impl BuildRequest {
    /// Builds `context` with its own Dockerfile, anonymously, and pushes the result as `image`.
    pub fn new(context: impl Into<PathBuf>, image: ImageRef) -> Self {
        Self {
            context: context.into(),
            dockerfile: DockerfileSource::default(),
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

    /// Adds a build argument. A later value of the same name wins, here and in the other maps.
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

    /// Sets whether the registry in `image` speaks plain HTTP.
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
    /// A file of the context, by its path from the context's root.
    Path(String),
    /// This text; the context is left as it is.
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
    /// Name and tag, pinned to the digest that the registry took.
    pub image: ImageRef,
    /// The manifest's digest: this is what is deployed.
    pub digest: Digest,
    /// Steps that ran or were taken from cache.
    pub steps: usize,
    /// Steps of these that were taken from cache.
    pub cached: usize,
}

impl BuiltImage {
    /// The result of a push of `image` that the registry keeps as `digest`.
    pub fn new(image: &ImageRef, digest: Digest, steps: usize, cached: usize) -> Self {
        Self {
            image: image.with_digest(digest.clone()),
            digest,
            steps,
            cached,
        }
    }
}

/// Something that builds images.
#[async_trait]
pub trait ImageBuilder: fmt::Debug + Send + Sync + 'static {
    /// Builds and pushes one image, reporting progress to `events`. Dropping the future cancels the build.
    ///
    /// # Errors
    /// Whatever kept the image from being pushed, with its diagnosis.
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

/// The registry that images are pushed to, as far as a builder has to ask it itself, beside what its daemon does there.
///
/// It logs in with the request's own credentials, as the daemon does.
#[async_trait]
pub trait ImageRegistry: fmt::Debug + Send + Sync + 'static {
    /// The digest that the request's image stands for now; `None` when there is no such image. With a digest in its name:
    /// whether that image is there.
    ///
    /// # Errors
    /// When the registry cannot be asked, or does not let us see it.
    async fn digest(&self, request: &BuildRequest) -> Result<Option<Digest>, Failure>;

    /// Makes one image for several platforms out of `parts`, which are in the request's repository already, and gives it
    /// the request's tag. A part may itself be an index, such as an image with its attestations.
    ///
    /// # Errors
    /// When a part is missing or is not what its digest says, two parts are for one platform, or the push fails.
    async fn join(&self, request: &BuildRequest, parts: &[Digest]) -> Result<Digest, Failure>;
}
