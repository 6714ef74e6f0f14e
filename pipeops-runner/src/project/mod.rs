//! The configuration: projects and their environments.

mod missing;
mod secrets;

use std::collections::BTreeMap;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, ImageRef, SecretString};
use pipeops_detect::Language;
use pipeops_manifest::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use missing::Missing;
pub use secrets::{Login, ProjectSecrets};

use crate::git::RepositoryUrl;

/// The longest name of a project or environment. The names become names and labels of Kubernetes objects.
const MAX_NAME: usize = 53;

/// One application: its repository, how it's built and where it's deployed.
///
/// The JSON of a project contains no secrets. Stores keep [`Project::secrets`] apart, encrypted.
///
/// ```
/// use pipeops_runner::{Environment, Project};
///
/// let project = Project::new("shop")?
///     .repository("https://git.example.com/team/shop.git".parse()?)
///     .image("registry.example.com/team/shop".parse()?)
///     .webhook_secret("from the forge's settings")
///     .registry_login("ci", "token")
///     .environment(Environment::new("production")?.branch("main").cluster("default").replicas(3));
/// assert!(project.missing().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Project {
    /// The name of the project and of its app in the cluster: a DNS label of at most 53 characters.
    pub name: String,
    /// Whether pushes are deployed. Manual deployments always are. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The git repository.
    pub repository: Option<RepositoryUrl>,
    /// The repository of the image, such as `registry.example.com/team/shop`. Each build adds its full commit SHA as the tag.
    pub image: Option<ImageRef>,
    /// Whether to use plain HTTP for a registry that isn't on loopback. Default: false.
    #[serde(default)]
    pub insecure_registry: bool,
    /// How the image is built. Default: the root of the repository, with detected language or Dockerfile.
    #[serde(default)]
    pub build: BuildConfig,
    /// Where the app is deployed.
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// Secrets, which are never in the JSON.
    #[serde(skip)]
    pub secrets: ProjectSecrets,
}

impl Project {
    /// A project with only a name. [`Project::missing`] lists what it still needs.
    ///
    /// # Errors
    /// When the name isn't a DNS label of at most 53 characters.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        Ok(Self {
            name: checked("project", name.into())?,
            enabled: true,
            repository: None,
            image: None,
            insecure_registry: false,
            build: BuildConfig::default(),
            environments: Vec::new(),
            secrets: ProjectSecrets::default(),
        })
    }

    /// Sets the git repository.
    #[must_use]
    pub fn repository(mut self, url: RepositoryUrl) -> Self {
        self.repository = Some(url);
        self
    }

    /// Sets the repository of the image. A tag or digest is ignored.
    #[must_use]
    pub fn image(mut self, image: ImageRef) -> Self {
        self.image = Some(image);
        self
    }

    /// Sets how the image is built.
    #[must_use]
    pub fn build(mut self, build: BuildConfig) -> Self {
        self.build = build;
        self
    }

    /// Adds an environment, or replaces the one with the same name.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environments
            .retain(|other| other.name != environment.name);
        self.environments.push(environment);
        self
    }

    /// Sets the secret that the forge signs webhooks with.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.secrets.webhook = Some(secret.into());
        self
    }

    /// Sets the login for the git server: user name and access token.
    #[must_use]
    pub fn git_login(
        mut self,
        username: impl Into<String>,
        token: impl Into<SecretString>,
    ) -> Self {
        self.secrets.git = Some(Login::new(username, token));
        self
    }

    /// Sets the login for the image's registry: user name and password, or access token.
    #[must_use]
    pub fn registry_login(
        mut self,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.secrets.registry = Some(Login::new(username, password));
        self
    }

    /// Adds a secret for `RUN --mount=type=secret,id=…` in the Dockerfile.
    #[must_use]
    pub fn build_secret(mut self, id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.secrets.build.insert(id.into(), secret.into());
        self
    }

    /// Adds a secret environment variable of the app in one environment.
    #[must_use]
    pub fn secret_variable(
        mut self,
        environment: impl Into<String>,
        name: impl Into<String>,
        secret: impl Into<SecretString>,
    ) -> Self {
        let variables = self
            .secrets
            .variables
            .entry(environment.into())
            .or_default();
        variables.insert(name.into(), secret.into());
        self
    }

    /// The environment with this name.
    pub fn find_environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == name)
    }

    /// What the project still needs before it can be deployed, in the order in which a user sets it.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut check =
            |is_missing: bool, what: Missing| missing.extend(is_missing.then_some(what));
        let secret = self.secrets.webhook.as_ref();
        check(self.repository.is_none(), Missing::Repository);
        check(
            secret.is_none_or(|secret| secret.is_empty()),
            Missing::WebhookSecret,
        );
        check(self.image.is_none(), Missing::Registry);
        check(self.environments.is_empty(), Missing::Environment);
        for each in &self.environments {
            let environment = each.name.clone();
            check(each.branch.is_none(), Missing::Branch { environment });
            let environment = each.name.clone();
            check(each.cluster.is_none(), Missing::Cluster { environment });
        }
        missing
    }
}

/// How an image is built.
///
/// ```
/// use pipeops_runner::BuildConfig;
///
/// let mut build = BuildConfig::default().path("api").arg("VERSION", "1.2");
/// build.dockerfile = Some("docker/Dockerfile".to_owned());
/// build.platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BuildConfig {
    /// The folder of the app in the repository, which is the build context. Default: `.`
    pub path: String,
    /// The language. Default: detected.
    pub language: Option<Language>,
    /// The path of the Dockerfile from the app's folder. Default: `Dockerfile` if it exists; otherwise it's generated.
    pub dockerfile: Option<String>,
    /// The stage to build. Default: the last one.
    pub target: Option<String>,
    /// Build arguments. Those that the Dockerfile doesn't declare are dropped with a warning.
    pub args: BTreeMap<String, String>,
    /// Platforms as `os/arch[/variant]`. Default: the platform of the BuildKit daemon.
    pub platforms: Vec<String>,
}

impl Default for BuildConfig {
    fn default() -> Self {
        Self {
            path: ".".to_owned(),
            language: None,
            dockerfile: None,
            target: None,
            args: BTreeMap::new(),
            platforms: Vec::new(),
        }
    }
}

impl BuildConfig {
    /// Sets the folder of the app.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the language instead of detecting it.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// Adds a build argument.
    #[must_use]
    pub fn arg(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.args.insert(key.into(), value.into());
        self
    }
}

/// One place where an app runs: a cluster and a namespace, for the pushes to one branch.
///
/// ```
/// use pipeops_runner::Environment;
/// use serde_json::json;
///
/// let mut environment = Environment::new("production")?
///     .branch("main")
///     .cluster("default")
///     .replicas(3)
///     .variable("LOG_LEVEL", "info")
///     .app("ingress", json!({"hosts": ["shop.example.com"]}));
/// // Only pushes that change a file below api/ are deployed.
/// environment.watch = vec!["api/".to_owned()];
/// # Ok::<(), pipeops_runner::project::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Environment {
    /// The name, such as `production`.
    pub name: String,
    /// The branch whose pushes are deployed here.
    pub branch: Option<String>,
    /// The name of the cluster, as given to [`ServiceBuilder::cluster`](crate::ServiceBuilder::cluster).
    pub cluster: Option<String>,
    /// The namespace. Default: the name of the project.
    pub namespace: Option<String>,
    /// Folders of the repository. Only pushes that change a file below one of them are deployed. Default: none, so that
    /// every push is deployed.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Whether the app answers requests or works in the background. Default: web.
    #[serde(default)]
    pub kind: Kind,
    /// The port that the app listens on. Default: detected.
    pub port: Option<u16>,
    /// The number of pods. Default: that of [`App`](pipeops_manifest::App).
    pub replicas: Option<u32>,
    /// Environment variables that aren't secret.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The path of the health check. Default: `/health`.
    pub health_path: Option<String>,
    /// Other settings of the [`App`](pipeops_manifest::App), by their names in the JSON of the app. They override the fields
    /// above (JSON merge patch).
    #[serde(default)]
    pub app: Map<String, Value>,
}

impl Environment {
    /// An environment with only a name.
    ///
    /// # Errors
    /// When the name isn't a DNS label of at most 53 characters.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        Ok(Self {
            name: checked("environment", name.into())?,
            branch: None,
            cluster: None,
            namespace: None,
            watch: Vec::new(),
            kind: Kind::default(),
            port: None,
            replicas: None,
            variables: BTreeMap::new(),
            health_path: None,
            app: Map::new(),
        })
    }

    /// Sets the branch whose pushes are deployed here.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Sets the name of the cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// Sets the namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the port that the app listens on.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the number of pods.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Adds an environment variable that isn't secret.
    #[must_use]
    pub fn variable(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(key.into(), value.into());
        self
    }

    /// Sets the path of the health check.
    #[must_use]
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Sets any other setting of the [`App`](pipeops_manifest::App), by its name in the JSON of the app:
    /// `.app("ingress", json!({"hosts": ["shop.example.com"]}))`, or `.app("strategy", json!("recreate"))`.
    #[must_use]
    pub fn app(mut self, name: impl Into<String>, value: Value) -> Self {
        self.app.insert(name.into(), value);
        self
    }

    /// Whether a push that changed these paths is deployed here.
    pub(crate) fn watches(&self, changed: &[String]) -> bool {
        let under = |path: &String, folder: &String| {
            let folder = folder.trim_matches('/');
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.watch.is_empty()
            || changed
                .iter()
                .any(|path| self.watch.iter().any(|folder| under(path, folder)))
    }
}

/// A name that Kubernetes objects can't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a valid {what} name: use up to 53 lower-case letters, digits and dashes, starting with a letter"
)]
#[non_exhaustive]
pub struct InvalidName {
    /// `project` or `environment`.
    pub what: &'static str,
    /// The name, cut to 100 characters.
    pub name: String,
}

impl Diagnose for InvalidName {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&codes::project::INVALID_NAME)
            .error(self.to_string())
            .reason("the name becomes a name and a label of Kubernetes objects")
    }
}

fn checked(what: &'static str, name: String) -> Result<String, InvalidName> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(word)
        && name.chars().all(|c| word(c) || c == '-');
    if valid {
        Ok(name)
    } else {
        let name = name.chars().take(100).collect();
        Err(InvalidName { what, name })
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for bad in ["", "Shop", "1shop", "shop-", "a_b", "a.b", &"a".repeat(54)] {
            assert!(Project::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Project::new("shop-2").is_ok());
    }

    #[test]
    fn json_and_debug_hold_no_secrets() {
        let project = Project::new("shop")
            .unwrap()
            .webhook_secret("hunter22")
            .git_login("bob", "hunter22")
            .registry_login("bob", "hunter22");
        let json = serde_json::to_string(&project).unwrap();
        assert!(!format!("{project:?} {json}").contains("hunter22"));
        let back: Project = serde_json::from_str(&json).unwrap();
        assert_eq!(back.secrets, ProjectSecrets::default());
    }

    #[test]
    fn an_environment_of_the_same_name_is_replaced() {
        let environment = |branch: &str| Environment::new("production").unwrap().branch(branch);
        let project = Project::new("shop")
            .unwrap()
            .environment(environment("main"))
            .environment(environment("release"));
        assert_eq!(project.environments.len(), 1);
        assert_eq!(project.environments[0].branch.as_deref(), Some("release"));
    }

    #[test]
    fn folders_are_watched_whole() {
        let mut environment = Environment::new("production").unwrap();
        let changed = |path: &str| vec![path.to_owned()];
        assert!(environment.watches(&changed("README.md")));
        environment.watch = vec!["api/".into()];
        assert!(environment.watches(&changed("api/main.py")));
        assert!(!environment.watches(&changed("apiary/main.py")));
    }
}
