//! `pipeops project …`: the configuration of projects.

use std::path::PathBuf;

use pipeops::core::{Diagnosis, SecretString};
use pipeops::runner::{Environment, Project, Store};
use serde_json::json;

use super::dockerfile::key_values;
use super::files::read_secret;
use crate::data::DataArgs;
use crate::output::{CommandError, Format, print_json};
use crate::pages::NO_SUCH_PROJECT;

/// Create, list and change projects
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a project, or change the given settings of an existing one
    #[command(visible_alias = "update")]
    Create {
        /// Name of the project, and of its app in the cluster
        name: String,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// List all projects
    List,
    /// Show a project and its missing settings
    Show(Name),
    /// Deploy pushes again
    Enable(Name),
    /// Ignore pushes until the project is enabled again
    Disable(Name),
    /// Change the registry login and the image of a project
    #[command(subcommand)]
    Registry(Registry),
}

/// A project.
#[derive(Debug, clap::Args)]
pub struct Name {
    /// Name of the project
    name: String,
}

#[derive(Debug, clap::Subcommand)]
pub enum Registry {
    /// Set the login for the image's registry
    Update {
        /// Name of the project
        name: String,
        #[command(flatten)]
        login: RegistryLogin,
        /// New repository of the image, such as registry.example.com/team/app
        #[arg(long)]
        image: Option<String>,
    },
}

/// A registry's login. The password comes from a file or from standard input, because every user can read arguments.
#[derive(Debug, clap::Args)]
pub struct RegistryLogin {
    /// User name for the registry
    #[arg(long, requires = "registry_password_file")]
    registry_username: Option<String>,
    /// File with the password or access token for the registry; `-` is standard input
    #[arg(long, requires = "registry_username")]
    registry_password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Settings {
    /// URL of the git repository, such as https://git.example.com/team/shop.git
    #[arg(long)]
    repository: Option<String>,
    /// Repository of the image, such as registry.example.com/team/shop
    #[arg(long)]
    image: Option<String>,
    /// File with the secret of the webhook; `-` is standard input [default: a generated secret]
    #[arg(long)]
    webhook_secret_file: Option<PathBuf>,
    /// User name for the git repository
    #[arg(
        long,
        requires = "git_token_file",
        default_value_if("git_token_file", clap::builder::ArgPredicate::IsPresent, "git")
    )]
    git_username: Option<String>,
    /// File with the access token for the git repository; `-` is standard input
    #[arg(long)]
    git_token_file: Option<PathBuf>,
    #[command(flatten)]
    login: RegistryLogin,
    /// Folder of the app in the repository
    #[arg(long)]
    path: Option<String>,
    /// Language to use instead of the detected one
    #[arg(long)]
    language: Option<pipeops::detect::Language>,
    /// Build argument; repeatable. KEY alone takes the value from the environment
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// Environment to which the settings below apply
    #[arg(long, default_value = "production")]
    environment: String,
    /// Branch whose pushes are deployed [default: main]
    #[arg(long)]
    branch: Option<String>,
    /// Name of the cluster; `default` is the cluster of KUBECONFIG [default: default]
    #[arg(long)]
    cluster: Option<String>,
    /// Namespace [default: the name of the project]
    #[arg(long)]
    namespace: Option<String>,
    /// Port that the app listens on [default: the detected port]
    #[arg(long)]
    port: Option<u16>,
    /// Number of pods
    #[arg(long)]
    replicas: Option<u32>,
    /// Path of the health check
    #[arg(long)]
    health_path: Option<String>,
    /// Environment variable of the app; repeatable. KEY alone takes the value from the environment
    #[arg(long = "variable", value_name = "KEY=VALUE")]
    variables: Vec<String>,
}

impl Command {
    pub async fn run(&self, data: &DataArgs, format: Format) -> Result<(), CommandError> {
        let store = data.open()?;
        match self {
            Self::Create { name, settings } => create(&store, name, settings, format).await,
            Self::List => list(&store, format).await,
            Self::Show(Name { name }) => {
                show(&find(&store, name).await?, format);
                Ok(())
            }
            Self::Enable(Name { name }) => set_enabled(&store, name, true, format).await,
            Self::Disable(Name { name }) => set_enabled(&store, name, false, format).await,
            Self::Registry(Registry::Update { name, login, image }) => {
                let mut project = find(&store, name).await?;
                if let Some(image) = image {
                    project.image = Some(image.parse().map_err(bad_input)?);
                }
                project = with_registry_login(project, login)?;
                store.put_project(&project).await?;
                show(&project, format);
                Ok(())
            }
        }
    }
}

async fn create(
    store: &dyn Store,
    name: &str,
    settings: &Settings,
    format: Format,
) -> Result<(), CommandError> {
    let known = store.project(name).await?;
    let mut project = match known {
        Some(project) => project,
        None => Project::new(name).map_err(bad_input)?,
    };
    project = with_source(project, settings)?;
    project = with_registry_login(project, &settings.login)?;
    project = with_environment(project, settings)?;
    if project.secrets.webhook.is_none() && settings.webhook_secret_file.is_none() {
        project = project.webhook_secret(new_secret());
    }
    store.put_project(&project).await?;
    show(&project, format);
    if let (Format::Text, Some(secret)) = (format, &project.secrets.webhook) {
        outln!(
            "\nAdd a webhook for pushes to the repository:\n  address  http(s)://THIS-SERVICE/webhooks/{name}"
        );
        outln!(
            "  type     application/json\n  secret   {}",
            secret.expose()
        );
    }
    Ok(())
}

fn with_source(mut project: Project, settings: &Settings) -> Result<Project, CommandError> {
    if let Some(repository) = &settings.repository {
        project = project.repository(repository.parse().map_err(bad_input)?);
    }
    if let Some(image) = &settings.image {
        project = project.image(image.parse().map_err(bad_input)?);
    }
    if let Some(file) = &settings.webhook_secret_file {
        project = project.webhook_secret(read_secret(file)?);
    }
    if let Some(file) = &settings.git_token_file {
        project = project.git_login(
            settings.git_username.as_deref().unwrap_or("git"),
            read_secret(file)?,
        );
    }
    if let Some(path) = &settings.path {
        project.build.path.clone_from(path);
    }
    project.build.language = settings.language.or(project.build.language);
    project.build.args.extend(key_values(&settings.build_args)?);
    Ok(project)
}

fn with_registry_login(project: Project, login: &RegistryLogin) -> Result<Project, CommandError> {
    match (&login.registry_username, &login.registry_password_file) {
        (Some(username), Some(file)) => Ok(project.registry_login(username, read_secret(file)?)),
        _ => Ok(project),
    }
}

fn with_environment(project: Project, settings: &Settings) -> Result<Project, CommandError> {
    let mut environment = match project.find_environment(&settings.environment) {
        Some(environment) => environment.clone(),
        None => Environment::new(&settings.environment)
            .map_err(bad_input)?
            .branch("main")
            .cluster("default"),
    };
    let replace = |new: &Option<String>, old: Option<String>| new.clone().or(old);
    environment.branch = replace(&settings.branch, environment.branch);
    environment.cluster = replace(&settings.cluster, environment.cluster);
    environment.namespace = replace(&settings.namespace, environment.namespace);
    environment.health_path = replace(&settings.health_path, environment.health_path);
    environment.port = settings.port.or(environment.port);
    environment.replicas = settings.replicas.or(environment.replicas);
    environment
        .variables
        .extend(key_values(&settings.variables)?);
    Ok(project.environment(environment))
}

async fn list(store: &dyn Store, format: Format) -> Result<(), CommandError> {
    let projects = store.projects().await?;
    match format {
        Format::Json => print_json(&projects),
        Format::Text if projects.is_empty() => {
            outln!("no projects yet; to create one, see pipeops project create --help")
        }
        Format::Text => projects
            .iter()
            .for_each(|project| outln!("{}", summary(project))),
    }
    Ok(())
}

async fn set_enabled(
    store: &dyn Store,
    name: &str,
    enabled: bool,
    format: Format,
) -> Result<(), CommandError> {
    let mut project = find(store, name).await?;
    project.enabled = enabled;
    store.put_project(&project).await?;
    show(&project, format);
    Ok(())
}

/// The project of this name; exit code 3 when there is none.
pub async fn find(store: &dyn Store, name: &str) -> Result<Project, CommandError> {
    store.project(name).await?.ok_or_else(|| {
        CommandError::not_found(
            Diagnosis::new(&NO_SUCH_PROJECT).error(format!("the database has no project {name:?}")),
        )
    })
}

fn show(project: &Project, format: Format) {
    let missing: Vec<String> = project.missing().iter().map(ToString::to_string).collect();
    if format == Format::Json {
        return print_json(&json!({ "project": project, "missing": missing }));
    }
    outln!("{}", summary(project));
    for environment in &project.environments {
        outln!(
            "  {}: branch {}, cluster {}, namespace {}, {} pod(s)",
            environment.name,
            or_dash(environment.branch.as_deref()),
            or_dash(environment.cluster.as_deref()),
            environment.namespace.as_deref().unwrap_or(&project.name),
            environment
                .replicas
                .map_or_else(|| "–".to_owned(), |count| count.to_string()),
        );
    }
    for missing in missing {
        outln!("  missing: {missing}");
    }
}

fn summary(project: &Project) -> String {
    let show = |text: Option<String>| or_dash(text.as_deref()).to_owned();
    format!(
        "{:<20} {}  {} → {}",
        project.name,
        if project.enabled {
            "enabled "
        } else {
            "disabled"
        },
        show(project.repository.as_ref().map(ToString::to_string)),
        show(project.image.as_ref().map(|image| image.name())),
    )
}

fn or_dash(text: Option<&str>) -> &str {
    text.unwrap_or("–")
}

/// 256 random bits.
pub fn new_secret() -> SecretString {
    SecretString::from(hex::encode(rand::random::<[u8; 32]>()))
}

fn bad_input<E: pipeops::core::Diagnose>(error: E) -> CommandError {
    CommandError::bad_input(error.diagnosis())
}
