//! The registry client of builders.

use std::sync::Arc;

use async_trait::async_trait;
use pipeops_core::{BuildRequest, Digest, Failure, ImageRegistry};

use crate::client::{ClientOptions, RegistryClient};
use crate::error::Error;

/// Implements [`ImageRegistry`] with a [`RegistryClient`], using the credentials of each build.
///
/// ```
/// use std::sync::Arc;
/// use pipeops_core::ImageRegistry;
/// use pipeops_registry::Registries;
///
/// // For `pipeops_buildkit::PoolOptions::registry`.
/// let registries: Arc<dyn ImageRegistry> = Arc::new(Registries::default());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registries {
    options: ClientOptions,
}

impl Registries {
    /// Uses these options for each client. If a build's request allows it, its registry is used without TLS.
    pub fn new(options: ClientOptions) -> Self {
        Self { options }
    }

    fn client(&self, request: &BuildRequest) -> Result<RegistryClient, Error> {
        let mut options = self.options.clone();
        if request.insecure_registry {
            options = options.plain_http(request.image.host());
        }
        RegistryClient::new(Arc::clone(&request.credentials), options)
    }
}

#[async_trait]
impl ImageRegistry for Registries {
    async fn digest(&self, request: &BuildRequest) -> Result<Option<Digest>, Failure> {
        Ok(self.client(request)?.resolve(&request.image).await?)
    }

    async fn join(&self, request: &BuildRequest, parts: &[Digest]) -> Result<Digest, Failure> {
        let client = self.client(request)?;
        Ok(client.push_index(&request.image, parts).await?)
    }
}
