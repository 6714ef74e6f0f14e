//! Images that a test puts into the registry, such as base images.

use std::collections::BTreeMap;
use std::io;

use pipeops_core::Digest;

use super::{Refused, Registry};
use crate::oci::{
    Descriptor, EntryMeta, History, ImageConfig, ImageManifest, Layer, LayerBuilder, media_type,
};
use crate::serve::lock;

/// A small image: one layer with files, and a configuration.
///
/// ```
/// use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::start(RegistryOptions::default()).await?;
/// let python = BaseImage::new()
///     .executable("usr/local/bin/python3", "#!/bin/sh\n")
///     .env("PATH", "/usr/local/bin:/usr/bin:/bin")
///     .cmd(["python3"]);
/// registry.seed("library/python", "3.12-slim", &python)?;
/// assert_eq!(registry.tags("library/python"), ["3.12-slim"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct BaseImage {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    config: ImageConfig,
}

impl Default for BaseImage {
    fn default() -> Self {
        Self::new()
    }
}

impl BaseImage {
    /// An empty image for Linux and this machine's architecture.
    pub fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            config: ImageConfig::scratch(),
        }
    }

    /// Adds a file with mode 0644. The path is relative to the image's root.
    #[must_use]
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path.into(), 0o644, content.into())
    }

    /// Adds a file with mode 0755. The path is relative to the image's root.
    #[must_use]
    pub fn executable(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path.into(), 0o755, content.into())
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.config.config.set_env(key, value);
        self
    }

    /// Sets the default command.
    #[must_use]
    pub fn cmd(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.config.cmd = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the architecture, such as `arm64`.
    #[must_use]
    pub fn architecture(mut self, architecture: impl Into<String>) -> Self {
        self.config.architecture = architecture.into();
        self
    }

    fn layer(&self) -> io::Result<Layer> {
        let mut builder = LayerBuilder::default();
        for (path, (mode, content)) in &self.files {
            let meta = EntryMeta {
                mode: *mode,
                ..EntryMeta::default()
            };
            builder.file(path, meta, content)?;
        }
        builder.finish()
    }

    fn entry(mut self, path: String, mode: u32, content: Vec<u8>) -> Self {
        self.files.insert(path, (mode, content));
        self
    }
}

impl Registry {
    /// Stores an image in the registry. Logins and faults don't apply.
    ///
    /// # Errors
    /// When a file's path is absolute or contains `..`, or the tag is invalid.
    pub fn seed(&self, repository: &str, tag: &str, image: &BaseImage) -> Result<Digest, Refused> {
        let layer = image.layer().map_err(|error| Refused {
            code: "INVALID_PATH".to_owned(),
            message: error.to_string(),
        })?;
        let mut config = image.config.clone();
        config.rootfs.diff_ids.push(layer.diff_id);
        config.history.push(History {
            created_by: "seeded by pipeops-testkit".to_owned(),
            ..History::default()
        });
        let bytes = config.to_bytes();
        let config = Descriptor::of(media_type::CONFIG, &bytes);
        lock(&self.shared.store).put_blob(repository, bytes);
        let layers = vec![Descriptor::of(media_type::LAYER_GZIP, &layer.bytes)];
        lock(&self.shared.store).put_blob(repository, layer.bytes);
        let manifest = ImageManifest::new(config, layers).to_bytes();
        self.put_manifest(repository, tag, media_type::MANIFEST, manifest)
    }
}
