//! `pipeops manifests`: the Kubernetes objects of an app, without a cluster.

use std::path::{Path, PathBuf};

use pipeops::core::{Diagnose, Diagnosis};
use pipeops::detect::Language;
use pipeops::manifest::{
    App, HealthCheck, ManifestGenerator, SecretValues, StandardManifests, to_json_with,
    to_yaml_with,
};

use super::dockerfile::key_values;
use super::files::{key_and_file, read_secret, read_text};
use crate::output::{CommandError, Format};
use crate::pages::APP_FILE;

/// Print the Kubernetes objects of an app as a YAML stream, in the order to apply them
#[derive(Debug, clap::Args)]
pub struct Manifests {
    /// File that describes the app in YAML or JSON; `-` is standard input. The options below override its fields
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name of the app
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    /// Image with its digest, such as registry.example.com/shop:4f2c9ab@sha256:…
    #[arg(long, required_unless_present = "file")]
    image: Option<String>,
    /// Namespace [default: the name of the app]
    #[arg(long, short)]
    namespace: Option<String>,
    /// Commit of the image [default: the tag of the image]
    #[arg(long)]
    revision: Option<String>,
    /// Accept an image without a digest. Its tag may move to another image later
    #[arg(long)]
    allow_tag: bool,
    /// Language, which sets the default start-up time and memory
    #[arg(long)]
    language: Option<Language>,
    /// Port that the app listens on
    #[arg(long)]
    port: Option<u16>,
    /// Number of pods
    #[arg(long)]
    replicas: Option<u32>,
    /// Path of the health check
    #[arg(long)]
    health_path: Option<String>,
    /// Environment variable; repeatable. KEY alone takes the value from the environment
    #[arg(long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Secret environment variable, read from a file; repeatable
    #[arg(long = "secret-file", value_name = "KEY=FILE")]
    secret_files: Vec<String>,
    /// Directory that the app writes to, empty at the start of each pod; repeatable
    #[arg(long = "writable-path", value_name = "PATH")]
    writable_paths: Vec<String>,
    /// Print the values of Secrets, as `kubectl apply -f -` needs them. By default, they are redacted
    #[arg(long)]
    show_secrets: bool,
}

impl Manifests {
    pub fn run(&self, format: Format) -> Result<(), CommandError> {
        let app = self.with_options(self.base()?)?;
        let stack = StandardManifests::default()
            .generate(&app)
            .map_err(|error| CommandError::bad_input(error.diagnosis()))?;
        for warning in app.warnings() {
            errln!("warning: {warning}");
        }
        let secrets = if self.show_secrets {
            SecretValues::Shown
        } else {
            SecretValues::Redacted
        };
        match format {
            Format::Text => out!("{}", to_yaml_with(&stack, secrets)),
            Format::Json => outln!("{}", to_json_with(&stack, secrets)),
        }
        Ok(())
    }

    /// The app of the file, or a new one.
    fn base(&self) -> Result<App, CommandError> {
        if let Some(file) = &self.file {
            return read_app(file);
        }
        // clap asks for both where there is no file.
        let name = self.name.clone().unwrap_or_default();
        let image: pipeops::core::ImageRef = self.image.as_deref().unwrap_or_default().parse()?;
        let revision = self
            .revision
            .clone()
            .or_else(|| image.tag().map(str::to_owned))
            .unwrap_or_default();
        Ok(App::new(name.clone(), name, revision, image))
    }

    fn with_options(&self, mut app: App) -> Result<App, CommandError> {
        if let Some(name) = &self.name {
            app.name.clone_from(name);
        }
        if let Some(image) = &self.image {
            app.image = image.parse()?;
        }
        if let Some(namespace) = &self.namespace {
            app.namespace.clone_from(namespace);
        }
        if let Some(revision) = &self.revision {
            app.revision = revision.parse();
        }
        if let Some(path) = &self.health_path {
            app.health = HealthCheck::http(path);
        }
        app.allow_tag |= self.allow_tag;
        app.language = self.language.or(app.language);
        app.port = self.port.unwrap_or(app.port);
        app.replicas = self.replicas.unwrap_or(app.replicas);
        app.env.extend(key_values(&self.env)?);
        app.writable_paths
            .extend(self.writable_paths.iter().cloned());
        for pair in &self.secret_files {
            let (key, file) = key_and_file("--secret-file", pair)?;
            app.secrets.insert(key.to_owned(), read_secret(file)?);
        }
        Ok(app)
    }
}

fn read_app(file: &Path) -> Result<App, CommandError> {
    let text = read_text(file)?;
    // JSON is YAML. Variants are keys, as in JSON and in Kubernetes' files, and no tags: `health: {http: {path: /}}`.
    let document = serde_norway::Deserializer::from_str(&text);
    serde_norway::with::singleton_map_recursive::deserialize(document).map_err(|error| {
        CommandError::bad_input(
            Diagnosis::new(&APP_FILE).error(format!("{}: {error}", file.display())),
        )
    })
}
