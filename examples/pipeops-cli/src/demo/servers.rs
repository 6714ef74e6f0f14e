//! The servers of the demo: the real ones that the environment names, and in-process stand-ins for all others.

use kube::{Client, Config};
use pipeops::detect::BaseImages;
use pipeops::testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops::testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour};
use pipeops::testkit::registry::{BaseImage, Registry, RegistryOptions};
use serde::Serialize;

use super::failed::failed;
use super::sample::Commit;
use crate::backends::Backends;
use crate::environment::Environment;
use crate::output::CommandError;

/// The base images of the sample's Dockerfile, for the stand-in registry.
const BASE_IMAGES: [(&str, &str); 2] =
    [("library/python", "3.12"), ("library/python", "3.12-slim")];

/// All servers, and what keeps the stand-ins alive.
pub struct Servers {
    /// Where to build, push and deploy.
    pub backends: Backends,
    /// Host and path prefix of the demo's images.
    pub images: String,
    /// The servers, for the first lines of the output.
    pub rows: Vec<Row>,
    cluster: Option<Cluster>,
    _registry: Option<Registry>,
    _buildkit: Option<BuildkitDaemon>,
}

/// One server.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is.
    pub server: &'static str,
    /// Whether it is a real one.
    pub real: bool,
    /// Its address.
    pub address: String,
}

impl Row {
    /// A server.
    pub fn new(server: &'static str, real: bool, address: &str) -> Self {
        let address = address.to_owned();
        Self {
            server,
            real,
            address,
        }
    }
}

impl Servers {
    /// Uses the real servers and starts stand-ins for the others.
    ///
    /// Images of a stand-in cannot run, so pods are real only if BuildKit and registry are.
    pub async fn start(environment: &Environment) -> Result<Self, CommandError> {
        let real_buildkit = environment.buildkit.clone();
        let real_registry = environment
            .registry
            .clone()
            .filter(|_| real_buildkit.is_some());
        let real_cluster = environment.kubernetes && real_registry.is_some();

        let registry = match real_registry {
            Some(_) => None,
            None => Some(start_registry().await?),
        };
        let buildkit = match (&real_buildkit, &registry) {
            (None, Some(registry)) => Some(start_buildkit(registry).await?),
            _ => None,
        };
        let cluster = if real_cluster {
            None
        } else {
            Some(start_cluster(registry.as_ref()).await?)
        };

        let registry_address = real_registry
            .as_ref()
            .map(|registry| registry.prefix.clone());
        let registry_address = registry_address
            .or(registry.as_ref().map(Registry::host))
            .unwrap_or_default();
        let buildkit_address = real_buildkit
            .or(buildkit.as_ref().map(BuildkitDaemon::address))
            .unwrap_or_default();
        let (client, cluster_address) = cluster_client(cluster.as_ref()).await?;
        let rows = vec![
            Row::new("BuildKit", buildkit.is_none(), &buildkit_address),
            Row::new("registry", registry.is_none(), &registry_address),
            Row::new("Kubernetes", cluster.is_none(), &cluster_address),
        ];
        let s3 = environment.s3.clone().filter(|_| buildkit.is_none());
        Ok(Self {
            backends: Backends {
                buildkit: buildkit_address,
                cluster: client,
                registry: real_registry,
                s3,
                base_images: BaseImages::default(),
            },
            images: format!("{registry_address}/demo"),
            rows,
            cluster,
            _registry: registry,
            _buildkit: buildkit,
        })
    }

    /// Whether containers really run.
    pub fn has_real_pods(&self) -> bool {
        self.cluster.is_none()
    }

    /// Tells a stand-in cluster how the pods of this commit behave.
    pub fn expect(&self, commit: Commit, sha: &str) {
        let Some(cluster) = &self.cluster else { return };
        let behaviour = match commit {
            Commit::Good(_) => return,
            Commit::Crash => PodBehaviour::crash(1).log([
                "Traceback (most recent call last):",
                "  File \"/app/app.py\", line 34, in main",
                "KeyError: 'SHOP_DATABASE'",
            ]),
            Commit::NeverReady => {
                PodBehaviour::never_ready("HTTP probe failed with statuscode: 503")
            }
        };
        cluster.behaviour(&format!("*:{sha}*"), behaviour);
    }
}

async fn start_registry() -> Result<Registry, CommandError> {
    let registry = Registry::start(RegistryOptions::default())
        .await
        .map_err(|error| no_start("registry", &error))?;
    for (repository, tag) in BASE_IMAGES {
        registry
            .seed(repository, tag, &BaseImage::new())
            .map_err(|error| no_start("registry", &error))?;
    }
    Ok(registry)
}

async fn start_buildkit(registry: &Registry) -> Result<BuildkitDaemon, CommandError> {
    let options = BuildkitOptions::default().mirror("docker.io", registry.host());
    BuildkitDaemon::start(options)
        .await
        .map_err(|error| no_start("BuildKit daemon", &error))
}

async fn start_cluster(registry: Option<&Registry>) -> Result<Cluster, CommandError> {
    let options = ClusterOptions::default();
    let options = match registry {
        Some(registry) => options.registry(registry),
        None => options,
    };
    Cluster::start(options)
        .await
        .map_err(|error| no_start("cluster", &error))
}

/// A client of the cluster, and its address as text.
async fn cluster_client(stand_in: Option<&Cluster>) -> Result<(Client, String), CommandError> {
    let Some(cluster) = stand_in else {
        let config = Config::infer()
            .await
            .map_err(|error| no_start("client of the cluster", &error))?;
        let address = config.cluster_url.to_string();
        return Ok((crate::cluster::client().await?, address));
    };
    let url = cluster
        .url()
        .parse()
        .map_err(|error: http::uri::InvalidUri| no_start("cluster", &error))?;
    let client = Client::try_from(Config::new(url))
        .map_err(|error| no_start("client of the cluster", &error))?;
    Ok((client, cluster.url()))
}

fn no_start(what: &str, error: &dyn std::error::Error) -> CommandError {
    failed(&format!("the {what} does not start"), error)
}
