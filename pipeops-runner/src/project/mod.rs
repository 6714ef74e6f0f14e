//! What is configured: projects and their environments.

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

/// The longest name of a project, an environment and a namespace: they become names and labels of Kubernetes objects.
const MAX_NAME: usize = 53;

/// One application: where its source is, how it is built, and where it is deployed to.
///
/// Its JSON holds no secrets; stores keep [`Project::secrets`] apart, encrypted.
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
    /// Its name: a DNS label of at most 53 characters. Also the app's name in the cluster.
    pub name: String,
    /// Whether pushes are deployed. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where the source is fetched from.
    pub repository: Option<RepositoryUrl>,
    /// The image's repository in the registry; each build adds the commit as its tag.
    pub image: Option<ImageRef>,
    /// The registry speaks plain HTTP although it is not on loopback. Default: false.
    #[serde(default)]
    pub insecure_registry: bool,
    /// How the image is built.
    #[serde(default)]
    pub build: BuildConfig,
    /// Where it is deployed to.
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// Secrets: never in the JSON.
    #[serde(skip)]
    pub secrets: ProjectSecrets,
}

impl Project {
    /// A project with this name and nothing else; [`Project::missing`] says what it still needs.
    ///
    /// # Errors
    /// When the name is not a DNS label of at most 53 characters.
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

    /// Sets where the source is fetched from.
    #[must_use]
    pub fn repository(mut self, url: RepositoryUrl) -> Self {
        self.repository = Some(url);
        self
    }

    /// Sets the image's repository in the registry. A tag or digest in it is not used.
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

    /// Adds an environment, or replaces the one of the same name.
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

    /// Sets the login for fetching the source: user name and access token.
    #[must_use]
    pub fn git_login(
        mut self,
        username: impl Into<String>,
        token: impl Into<SecretString>,
    ) -> Self {
        self.secrets.git = Some(Login::new(username, token));
        self
    }

    /// Sets the login for the image's registry: user name and password (or access token).
    #[must_use]
    pub fn registry_login(
        mut self,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.secrets.registry = Some(Login::new(username, password));
        self
    }

    /// Sets a secret for `RUN --mount=type=secret,id=…` of the build.
    #[must_use]
    pub fn build_secret(mut self, id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.secrets.build.insert(id.into(), secret.into());
        self
    }

    /// Sets a secret environment variable of the app in one environment.
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

    /// The environment of this name.
    pub fn find_environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == name)
    }

    /// What it still needs before it can be deployed, in the order in which a person would set it.
    pub fn missing(&self) -> Vec<Missing> {
        let secret = self.secrets.webhook.as_ref();
        let parts = [
            (self.repository.is_none(), Missing::Repository),
            (
                secret.is_none_or(|secret| secret.is_empty()),
                Missing::WebhookSecret,
            ),
            (self.image.is_none(), Missing::Registry),
            (self.environments.is_empty(), Missing::Environment),
        ];
        let mut missing: Vec<Missing> = parts
            .into_iter()
            .filter(|(is_missing, _)| *is_missing)
            .map(|(_, what)| what)
            .collect();
        for environment in &self.environments {
            let name = || environment.name.clone();
            if environment.branch.is_none() {
                missing.push(Missing::Branch {
                    environment: name(),
                });
            }
            if environment.cluster.is_none() {
                missing.push(Missing::Cluster {
                    environment: name(),
                });
            }
        }
        missing
    }
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BuildConfig {
    /// The app's folder in the repository; it is the build context. Default: `.`
    pub path: String,
    /// The language, where detection is not wanted.
    pub language: Option<Language>,
    /// The Dockerfile, from the app's folder. Default: `Dockerfile` if it is there, else one is generated.
    pub dockerfile: Option<String>,
    /// The stage to build; the last one by default.
    pub target: Option<String>,
    /// Build arguments; those that the Dockerfile does not declare are dropped, with the reason.
    pub args: BTreeMap<String, String>,
    /// `os/arch[/variant]`; the BuildKit daemon's own platform by default.
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
    /// Sets the app's folder.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the language, where detection is not wanted.
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

/// One place where an application runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Environment {
    /// Its name: `production`.
    pub name: String,
    /// Pushes to this branch are deployed here.
    pub branch: Option<String>,
    /// The cluster, by the name under which the service knows it.
    pub cluster: Option<String>,
    /// The namespace; the project's name by default.
    pub namespace: Option<String>,
    /// Only pushes that change a file under one of these folders are deployed; empty: every push.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Whether it answers requests or works in the background. Default: web.
    #[serde(default)]
    pub kind: Kind,
    /// The port that it listens on; detected by default.
    pub port: Option<u16>,
    /// How many pods; [`App`](pipeops_manifest::App)'s own default when `None`.
    pub replicas: Option<u32>,
    /// Environment variables that are no secrets.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The path that answers health checks. Default: `/health`.
    pub health_path: Option<String>,
    /// Everything else of the [`App`](pipeops_manifest::App), by its names in the app's JSON; merged over the rest.
    #[serde(default)]
    pub app: Map<String, Value>,
}

impl Environment {
    /// An environment with this name and nothing else.
    ///
    /// # Errors
    /// When the name is not a DNS label of at most 53 characters.
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

    /// Sets the cluster, by the name under which the service knows it.
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

    /// Sets the port that it listens on.
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

    /// Adds an environment variable that is no secret.
    #[must_use]
    pub fn variable(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(key.into(), value.into());
        self
    }

    /// Sets the path that answers health checks.
    #[must_use]
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Sets anything of the [`App`](pipeops_manifest::App), by its name in the app's JSON:
    /// `.app("ingress", json!({"hosts": ["shop.example.com"]}))`.
    #[must_use]
    pub fn app(mut self, name: impl Into<String>, value: Value) -> Self {
        self.app.insert(name.into(), value);
        self
    }

    /// Whether a push that changed these paths is to be deployed here.
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

/// A name that Kubernetes objects cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot be the name of a {what}: use up to 53 lower-case letters, digits and dashes, beginning with a letter"
)]
#[non_exhaustive]
pub struct InvalidName {
    /// What it was to name.
    pub what: &'static str,
    /// The name, cut to 100 characters.
    pub name: String,
}

impl Diagnose for InvalidName {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&codes::project::INVALID_NAME)
            .error(self.to_string())
            .reason("it becomes the name and the label of Kubernetes objects")
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
