//! `pipeops manifests`: an app's Kubernetes objects, without a cluster.

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

/// Prints an app's Kubernetes objects as a YAML stream in apply order.
#[derive(Debug, clap::Args)]
pub struct Manifests {
    /// The app as YAML or JSON; `-` is standard input. The options below change what is in it
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The app's name
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    /// The image with its digest: registry.example.com/shop:4f2c9ab@sha256:…
    #[arg(long, required_unless_present = "file")]
    image: Option<String>,
    /// The namespace; the app's name by default
    #[arg(long, short)]
    namespace: Option<String>,
    /// The commit that the image was built from; the image's tag by default
    #[arg(long)]
    revision: Option<String>,
    /// Takes an image without digest: a tag can move
    #[arg(long)]
    allow_tag: bool,
    /// The language: it sets the start-up budget and the memory
    #[arg(long)]
    language: Option<Language>,
    /// The port that the app listens on
    #[arg(long)]
    port: Option<u16>,
    /// How many pods
    #[arg(long)]
    replicas: Option<u32>,
    /// The path that answers health checks
    #[arg(long)]
    health_path: Option<String>,
    /// An environment variable; several are allowed
    #[arg(long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// A secret environment variable from a file; several are allowed
    #[arg(long = "secret-file", value_name = "KEY=FILE")]
    secret_files: Vec<String>,
    /// Writes the values of Secrets, so that `kubectl apply -f -` takes the stream
    #[arg(long)]
    show_secrets: bool,
}

impl Manifests {
    pub fn run(&self, format: Format) -> Result<(), CommandError> {
        let app = self.with_options(self.base()?)?;
        let stack = StandardManifests::default()
            .generate(&app)
            .map_err(|error| CommandError::bad_input(error.diagnosis()))?;
        let secrets = if self.show_secrets {
            SecretValues::Shown
        } else {
            SecretValues::Redacted
        };
        match format {
            Format::Text => print!("{}", to_yaml_with(&stack, secrets)),
            Format::Json => println!("{}", to_json_with(&stack, secrets)),
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
            app.revision.clone_from(revision);
        }
        if let Some(path) = &self.health_path {
            app.health = HealthCheck::http(path);
        }
        app.allow_tag |= self.allow_tag;
        app.language = self.language.or(app.language);
        app.port = self.port.unwrap_or(app.port);
        app.replicas = self.replicas.unwrap_or(app.replicas);
        app.env.extend(key_values(&self.env)?);
        for pair in &self.secret_files {
            let (key, file) = key_and_file("--secret-file", pair)?;
            app.secrets.insert(key.to_owned(), read_secret(file)?);
        }
        Ok(app)
    }
}

fn read_app(file: &Path) -> Result<App, CommandError> {
    let text = read_text(file)?;
    // JSON is YAML.
    serde_norway::from_str(&text).map_err(|error| {
        CommandError::bad_input(
            Diagnosis::new("The app's file is wrong")
                .error(format!("{}: {error}", file.display()))
                .fix("Give at least name, namespace, revision and image"),
        )
    })
}
