//! The configuration of an application.

use std::collections::{BTreeMap, BTreeSet};

use pipeops_core::detection::Language;
use pipeops_core::revision::InvalidRevision;
use pipeops_core::{ImageRef, Revision, SecretString};
use serde::{Deserialize, Serialize};

use crate::health::HealthCheck;
use crate::network::NetworkRules;
use crate::resources::Resources;
use crate::timing::Timing;
use crate::traffic::{IngressRoute, ServiceType};

/// The configuration of one revision of an application.
///
/// [`App::new`] sets secure defaults. Change them with the builder methods or the public fields.
/// [`ManifestGenerator::generate`](crate::ManifestGenerator::generate) validates everything at once. An `App` can be
/// deserialized from JSON or YAML (camelCase keys; unknown keys are errors) and serialized, except for
/// [`secrets`](App::secrets) and [`pull_secret`](App::pull_secret), which are never serialized.
///
/// ```
/// use pipeops_manifest::App;
///
/// let digest = format!("sha256:{}", "0".repeat(64));
/// let app = App::new("shop", "prod", "4f2c9ab", format!("registry.example.com/shop:4f2c9ab@{digest}").parse()?)
///     .port(3000)
///     .replicas(3)
///     .env("LOG_LEVEL", "info")
///     .secret("DATABASE_URL", "postgres://…");
/// assert!(app.check().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct App {
    /// Name of the Deployment, Service and ServiceAccount: a DNS label that begins with a letter, at most 63 bytes.
    pub name: String,
    /// The namespace of all objects.
    pub namespace: String,
    /// The version: a commit SHA or another name. [`App::check`] reports an invalid one.
    #[serde(with = "revision_text")]
    pub revision: Result<Revision, InvalidRevision>,
    /// The image, pinned to its digest.
    pub image: ImageRef,
    /// Accepts an image without a digest. Default: false, because a tag can move, and a rollback would get the new image.
    #[serde(default)]
    pub allow_tag: bool,
    /// Whether it serves requests. Default: [`Kind::Web`].
    #[serde(default)]
    pub kind: Kind,
    /// Selects the default start-up budget and memory. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The port on which the container listens. It gets the port as `PORT`. Default: 8080. Ignored for workers.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Number of pods. Default: 2, so that one can stop.
    #[serde(default = "default_replicas")]
    pub replicas: u32,
    /// Overrides the image's entry point. Default: empty, to keep it. The process gets the words as you write them, `$` included;
    /// see [`expand_variables`](App::expand_variables).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Overrides the image's arguments. Default: empty, to keep them. The process gets the words as you write them, `$` included;
    /// see [`expand_variables`](App::expand_variables).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Uses Kubernetes' syntax in [`command`](App::command), [`args`](App::args) and [`HealthCheck::Exec`]: `$(NAME)` becomes the
    /// value of an environment variable, and `$$` becomes `$`. Default: false, so that a shell's `$$` and `$(…)` reach the shell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expand_variables: bool,
    /// Environment variables, stored in a ConfigMap. The process gets the values as you write them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secret environment variables, stored in a Secret.
    #[serde(skip)]
    pub secrets: BTreeMap<String, SecretString>,
    /// The `.dockerconfigjson` with which the cluster pulls the image; `None` for a public image.
    #[serde(skip)]
    pub pull_secret: Option<SecretString>,
    /// When nodes pull the image. Default: [`PullPolicy::IfNotPresent`].
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// The numeric user of the process. Default: 65532. Must not be 0.
    #[serde(default = "default_uid")]
    pub uid: u32,
    /// The numeric group of the process. Default: the same number as [`uid`](App::uid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Writable directories, empty at the start of each pod. All others are read-only. Default: `/tmp`.
    #[serde(default = "default_writable_paths")]
    pub writable_paths: BTreeSet<String>,
    /// The start-up and readiness check. Default: HTTP `/health`; none for workers.
    #[serde(default)]
    pub health: HealthCheck,
    /// The liveness check. Default: shallow, see [`App::effective_liveness`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<HealthCheck>,
    /// Deadlines and periods.
    #[serde(default)]
    pub timing: Timing,
    /// CPU, memory and disk. Default: by language, see [`Resources::for_language`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// How Kubernetes replaces the pods. Default: rolling, with one pod less and one more.
    #[serde(default)]
    pub strategy: Strategy,
    /// The type of the Service. Default: [`ServiceType::ClusterIp`]. Workers have no Service.
    #[serde(default)]
    pub service: ServiceType,
    /// The port of the Service. Default: 80.
    #[serde(default = "default_service_port")]
    pub service_port: u16,
    /// Host names under which an ingress controller serves the application. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressRoute>,
    /// Who may connect to the pods, and where they may connect to.
    #[serde(default)]
    pub network: NetworkRules,
    /// Additional labels of all objects and of the pods. Keys of PipeOps and `app.kubernetes.io` are invalid.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Additional annotations of the Deployment and its pods.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// Whether an application serves requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// It listens on a port and has a Service.
    #[default]
    Web,
    /// It has no port, no Service and no Ingress.
    Worker,
}

/// When a node pulls an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PullPolicy {
    /// If the node doesn't have it. An image pinned to a digest can't be stale, and pods restart even while the registry is
    /// down. kube-score recommends `Always`, so the Deployment has an annotation that waives its rule.
    #[default]
    IfNotPresent,
    /// Before each start of a container. The registry must be available and checks the pull credentials each time.
    Always,
}

/// How Kubernetes replaces the pods of one revision by those of the next: the Deployment's `spec.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Strategy {
    /// A few at a time. At least one pod stays available: with one replica, the new pod starts before the old one stops.
    Rolling {
        /// How many pods may be unavailable. Default: 1.
        max_unavailable: u32,
        /// How many pods may run beyond `replicas`. Default: 1.
        max_surge: u32,
    },
    /// All old pods stop before a new one starts. This causes an outage; it's for applications that must not run twice.
    Recreate,
}

impl Default for Strategy {
    fn default() -> Self {
        Self::Rolling {
            max_unavailable: 1,
            max_surge: 1,
        }
    }
}

impl App {
    /// A web application on port 8080 with two replicas and HTTP health checks at `/health`.
    pub fn new(
        name: impl Into<String>,
        namespace: impl Into<String>,
        revision: impl TryInto<Revision, Error: Into<InvalidRevision>>,
        image: ImageRef,
    ) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            revision: revision.try_into().map_err(Into::into),
            image,
            allow_tag: false,
            kind: Kind::Web,
            language: None,
            port: default_port(),
            replicas: default_replicas(),
            command: Vec::new(),
            args: Vec::new(),
            expand_variables: false,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            pull_secret: None,
            pull_policy: PullPolicy::default(),
            uid: default_uid(),
            gid: None,
            writable_paths: default_writable_paths(),
            health: HealthCheck::default(),
            liveness: None,
            timing: Timing::default(),
            resources: None,
            strategy: Strategy::default(),
            service: ServiceType::default(),
            service_port: default_service_port(),
            ingress: None,
            network: NetworkRules::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Makes it a worker, without port, Service or health check. A health check may be set afterwards.
    #[must_use]
    pub fn worker(mut self) -> Self {
        self.kind = Kind::Worker;
        self.health = HealthCheck::None;
        self
    }

    /// Sets the language, which selects the default start-up budget and memory.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// Sets the container's port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the number of pods.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds a label to all objects and to the pods. Keys of PipeOps and `app.kubernetes.io` are invalid.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds labels as [`App::label`] does.
    #[must_use]
    pub fn labels(
        mut self,
        labels: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let labels = labels.into_iter();
        self.labels
            .extend(labels.map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Sets a secret environment variable.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// Sets the `.dockerconfigjson` with which the cluster pulls the image.
    #[must_use]
    pub fn pull_secret(mut self, dockerconfigjson: impl Into<SecretString>) -> Self {
        self.pull_secret = Some(dockerconfigjson.into());
        self
    }

    /// Sets the numeric user of the process.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// Sets the start-up and readiness check.
    #[must_use]
    pub fn health(mut self, health: HealthCheck) -> Self {
        self.health = health;
        self
    }

    /// Sets the liveness check.
    #[must_use]
    pub fn liveness(mut self, liveness: HealthCheck) -> Self {
        self.liveness = Some(liveness);
        self
    }

    /// Sets deadlines and periods.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Sets CPU, memory and disk.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Sets how Kubernetes replaces the pods.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the type of the Service.
    #[must_use]
    pub fn service(mut self, service: ServiceType) -> Self {
        self.service = service;
        self
    }

    /// Serves it through an ingress controller.
    #[must_use]
    pub fn ingress(mut self, ingress: IngressRoute) -> Self {
        self.ingress = Some(ingress);
        self
    }

    /// Sets who may connect to the pods, and where they may connect to.
    #[must_use]
    pub fn network(mut self, network: NetworkRules) -> Self {
        self.network = network;
        self
    }

    /// Uses Kubernetes' syntax in commands: see [`expand_variables`](App::expand_variables).
    #[must_use]
    pub fn expand_variables(mut self) -> Self {
        self.expand_variables = true;
        self
    }

    /// The numeric group of the process.
    pub fn effective_gid(&self) -> u32 {
        self.gid.unwrap_or(self.uid)
    }

    /// CPU, memory and disk, or the defaults of the language.
    pub fn effective_resources(&self) -> Resources {
        self.resources
            .clone()
            .unwrap_or_else(|| Resources::for_language(self.language))
    }

    /// The liveness check. By default it's shallow, so that a slow database doesn't restart healthy pods: a TCP check for HTTP
    /// and gRPC health checks, otherwise the same check with more patience.
    ///
    /// If the application has an endpoint that checks the process alone, set it: `.liveness(HealthCheck::http("/livez"))`.
    pub fn effective_liveness(&self) -> HealthCheck {
        match (&self.liveness, &self.health) {
            (Some(set), _) => set.clone(),
            (None, HealthCheck::Http { .. } | HealthCheck::Grpc { .. }) => HealthCheck::Tcp,
            (None, same) => same.clone(),
        }
    }
}

fn default_port() -> u16 {
    8080
}

fn default_replicas() -> u32 {
    2
}

/// The user of generated Dockerfiles and of distroless images. kube-score recommends numbers from 10000 on; the users of nodes
/// are below.
fn default_uid() -> u32 {
    65532
}

fn default_writable_paths() -> BTreeSet<String> {
    BTreeSet::from(["/tmp".to_owned()])
}

fn default_service_port() -> u16 {
    80
}

/// (De)serializes a revision as text. An invalid one is accepted here and reported with all other problems.
mod revision_text {
    use serde::ser::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{InvalidRevision, Revision};

    type Checked = Result<Revision, InvalidRevision>;

    pub(super) fn serialize<S: Serializer>(revision: &Checked, to: S) -> Result<S::Ok, S::Error> {
        revision.as_ref().map_err(S::Error::custom)?.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Checked, D::Error> {
        String::deserialize(from).map(Revision::try_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn four_keys_are_enough_and_mean_the_same_as_new() {
        let image = fixtures::app().image.to_string();
        let json =
            serde_json::json!({"name": "a", "namespace": "n", "revision": "r", "image": image});
        let read: App = serde_json::from_value(json).unwrap();
        assert_eq!(read, App::new("a", "n", "r", image.parse().unwrap()));
    }

    #[test]
    fn everything_but_secrets_round_trips() {
        let app = fixtures::full_app();
        let json = serde_json::to_string(&app).unwrap();
        assert!(!json.contains("hunter2"), "{json}");
        let mut read: App = serde_json::from_str(&json).unwrap();
        assert!(read.secrets.is_empty() && read.pull_secret.is_none());
        (read.secrets, read.pull_secret) = (app.secrets.clone(), app.pull_secret.clone());
        assert_eq!(read, app);
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let mut json = serde_json::to_value(fixtures::app()).unwrap();
        json["replica"] = 3.into();
        let error = serde_json::from_value::<App>(json).unwrap_err().to_string();
        assert!(error.contains("replica"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", fixtures::full_app());
        assert!(
            text.contains("DATABASE_URL") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
