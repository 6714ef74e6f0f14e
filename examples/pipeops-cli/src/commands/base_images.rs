//! Base images of generated Dockerfiles: replacements from a file, and digests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeops::core::credential::Anonymous;
use pipeops::core::{CredentialProvider, Diagnosis, ImageRef};
use pipeops::detect::{BaseImages, Generated};
use pipeops::registry::{ClientOptions, DockerConfig, RegistryClient};

use super::files::read_text;
use crate::output::CommandError;
use crate::pages::{BASE_IMAGE_MISSING, BASE_IMAGES_FILE};

/// The base images of generated Dockerfiles.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BaseImagesArg {
    /// JSON file that replaces base images of generated Dockerfiles: `images` by role, `mirrors` by registry, `digests` by
    /// image. `pipeops dockerfile images --output json` prints a template
    #[arg(long, env = "PIPEOPS_BASE_IMAGES", value_name = "FILE")]
    base_images: Option<PathBuf>,
}

impl BaseImagesArg {
    /// The table, with the replacements of the file.
    pub fn load(&self) -> Result<BaseImages, CommandError> {
        let Some(file) = &self.base_images else {
            return Ok(BaseImages::default());
        };
        let text = read_text(file)?;
        let images: BaseImages =
            serde_json::from_str(&text).map_err(|error| bad(file, &error.to_string()))?;
        let unknown: Vec<&str> = images.unknown_roles().collect();
        if unknown.is_empty() {
            Ok(images)
        } else {
            Err(bad(file, &format!("unknown roles: {}", unknown.join(", "))))
        }
    }
}

fn bad(file: &Path, why: &str) -> CommandError {
    CommandError::bad_input(
        Diagnosis::new(&BASE_IMAGES_FILE).error(format!("{}: {why}", file.display())),
    )
}

/// Adds the current digests of the images of a generated Dockerfile.
pub async fn pin(
    mut images: BaseImages,
    generated: &Generated,
) -> Result<BaseImages, CommandError> {
    let client = RegistryClient::new(credentials()?, ClientOptions::default())?;
    for name in &generated.images {
        let image: ImageRef = name.parse()?;
        if image.digest().is_some() {
            continue;
        }
        let digest = client.resolve(&image).await?.ok_or_else(|| missing(name))?;
        images = images.with_digest(name, digest.to_string());
    }
    Ok(images)
}

fn missing(image: &str) -> CommandError {
    CommandError::not_found(
        Diagnosis::new(&BASE_IMAGE_MISSING).error(format!("the registry has no image {image}")),
    )
}

/// The logins of `docker login`, if there are any.
pub fn credentials() -> Result<Arc<dyn CredentialProvider>, CommandError> {
    match DockerConfig::default_path().filter(|path| path.is_file()) {
        Some(path) => Ok(Arc::new(DockerConfig::load(&path)?)),
        None => Ok(Arc::new(Anonymous)),
    }
}
