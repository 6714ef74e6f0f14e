//! The builder, cluster and credentials of a service, made from addresses.

use std::sync::Arc;

use pipeops::buildkit::cache::collect::{RecordingBuilder, UsageLog, open};
use pipeops::buildkit::{
    Address, Builder, BuilderOptions, Member, Pool, PoolOptions, StaticMembers,
};
use pipeops::core::build::S3Cache;
use pipeops::core::{Credential, ImageBuilder};
use pipeops::detect::BaseImages;
use pipeops::registry::{Chain, DockerConfig, Registries, StaticCredentials};
use pipeops::rollout::{Rollout, RolloutOptions};
use pipeops::runner::{PipelineOptions, Service, ServiceBuilder, SqliteStore};

use crate::environment::{Environment, Registry, S3};
use crate::output::CommandError;
use crate::remedy;

/// The name of the one cluster that this binary deploys to.
pub const CLUSTER: &str = "default";

/// Where to build, push and deploy.
pub struct Backends {
    /// The BuildKit daemon's address, or several with commas between.
    pub buildkit: String,
    /// The cluster.
    pub cluster: kube::Client,
    /// The registry's login, where one is configured for all projects.
    pub registry: Option<Registry>,
    /// The bucket for build cache.
    pub s3: Option<S3>,
    /// The base images of generated Dockerfiles.
    pub base_images: BaseImages,
}

impl Backends {
    /// The servers that the environment names: BuildKit at its default socket if unset, the cluster as kubectl finds it.
    pub async fn from_environment(environment: Environment) -> Result<Self, CommandError> {
        Ok(Self {
            buildkit: environment
                .buildkit
                .unwrap_or_else(|| "unix:///run/buildkit/buildkitd.sock".to_owned()),
            cluster: crate::cluster::client().await?,
            registry: environment.registry,
            s3: environment.s3,
            base_images: BaseImages::default(),
        })
    }

    /// Sets the base images of generated Dockerfiles.
    pub fn base_images(mut self, images: BaseImages) -> Self {
        self.base_images = images;
        self
    }

    /// A service on this store that builds and deploys with them.
    pub fn service(&self, store: SqliteStore) -> Result<ServiceBuilder, CommandError> {
        let builder = self.builder()?;
        let rollout = Rollout::new(
            self.cluster.clone(),
            RolloutOptions::default().create_namespace(true),
        );
        let mut pipeline = PipelineOptions::default().base_images(self.base_images.clone());
        if let Some(s3) = &self.s3 {
            pipeline = pipeline.cache(cache(s3));
        }
        let service = match self.usage_log()? {
            Some(log) => Service::builder(store).image_builder(RecordingBuilder::new(builder, log)),
            None => Service::builder(store).image_builder(builder),
        };
        Ok(service
            .commands(remedy::command)
            .cluster(CLUSTER, rollout)
            .credentials(self.credentials()?)
            .pipeline(pipeline))
    }

    /// The daemon, or a pool where several are named.
    fn builder(&self) -> Result<Arc<dyn ImageBuilder>, CommandError> {
        let members = self.buildkit.split(',').map(str::trim);
        let members = members.map(Address::parse).collect::<Result<Vec<_>, _>>()?;
        if let [address] = members.as_slice() {
            let builder = Builder::new(address.clone(), BuilderOptions::default());
            return Ok(Arc::new(builder));
        }
        let members = StaticMembers::new(members.into_iter().map(Member::new));
        // The pool asks the registry whether a build that lost its daemon had pushed, and joins platforms there.
        let options = PoolOptions::default().registry(Arc::new(Registries::default()));
        Ok(Arc::new(Pool::start(members, options)))
    }

    /// Records builds for `pipeops cache`. Without keys, possibly only the daemon can access the bucket.
    fn usage_log(&self) -> Result<Option<UsageLog>, CommandError> {
        let Some(s3) = self.s3.as_ref().filter(|s3| s3.keys.is_some()) else {
            return Ok(None);
        };
        Ok(Some(UsageLog::new(open(&cache(s3))?, CACHE_PREFIX)))
    }

    /// The registry of the environment first, then the user's docker login.
    fn credentials(&self) -> Result<Chain, CommandError> {
        let mut chain = Chain::new();
        if let Some(Registry {
            prefix,
            login: Some((username, password)),
        }) = &self.registry
        {
            let host = prefix.split('/').next().unwrap_or(prefix);
            chain = chain.with(
                StaticCredentials::new().with(host, Credential::basic(username, password.clone())),
            );
        }
        if let Some(path) = DockerConfig::default_path().filter(|path| path.is_file()) {
            chain = chain.with(DockerConfig::load(&path)?);
        }
        Ok(chain)
    }
}

/// Where all build caches are in the bucket.
pub const CACHE_PREFIX: &str = "pipeops/";

/// How many concurrent builds of one branch keep their cache.
const CACHE_SLOTS: u8 = 3;

/// The settings of the bucket. The name is set per build.
pub fn cache(s3: &S3) -> S3Cache {
    let mut cache = S3Cache::new(&s3.bucket, &s3.region, "");
    cache.endpoint.clone_from(&s3.endpoint);
    cache.prefix = CACHE_PREFIX.to_owned();
    cache.slots = CACHE_SLOTS;
    cache.keys.clone_from(&s3.keys);
    cache
}
