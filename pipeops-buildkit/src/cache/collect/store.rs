//! The client for a cache's bucket.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, ObjectStore};
use pipeops_core::cache::S3Cache;
use pipeops_core::tls;

use super::CollectError;
use super::uploads::Uploads;

/// Time limits for a connection and for one response, such as a page of a list or a manifest.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

/// Opens the bucket of a cache as an object store, for a [`UsageLog`](super::UsageLog). Without keys in the settings, it uses the
/// `AWS_*` variables of the environment, or the role of the machine or pod.
///
/// # Errors
/// [`CollectError::Settings`] if the settings name no bucket or are invalid.
pub fn open(cache: &S3Cache) -> Result<Arc<dyn ObjectStore>, CollectError> {
    Ok(Arc::new(client(builder(cache)?)?))
}

/// A bucket in S3.
pub(super) struct Bucket {
    pub(super) s3: Arc<AmazonS3>,
    pub(super) uploads: Uploads,
}

pub(super) fn connect(cache: &S3Cache) -> Result<Bucket, CollectError> {
    let builder = builder(cache)?;
    let http = Connector.connect(&ClientOptions::default());
    let http = http.map_err(settings)?;
    let s3 = Arc::new(client(builder.clone())?);
    let uploads = Uploads::new(Arc::clone(&s3), http, &builder)?;
    Ok(Bucket { s3, uploads })
}

fn client(builder: AmazonS3Builder) -> Result<AmazonS3, CollectError> {
    builder.build().map_err(settings)
}

fn settings(why: impl ToString) -> CollectError {
    CollectError::Settings {
        why: why.to_string(),
    }
}

fn builder(cache: &S3Cache) -> Result<AmazonS3Builder, CollectError> {
    if cache.bucket.is_empty() {
        return Err(settings("no bucket is set"));
    }
    let mut builder = AmazonS3Builder::from_env()
        .with_http_connector(Connector)
        .with_bucket_name(&cache.bucket)
        .with_region(&cache.region)
        .with_virtual_hosted_style_request(false);
    if let Some(endpoint) = &cache.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(true);
    }
    if let Some((id, secret)) = &cache.keys {
        builder = builder
            .with_access_key_id(id)
            .with_secret_access_key(secret.expose());
    }
    if let Some(token) = &cache.session_token {
        builder = builder.with_token(token.expose());
    }
    Ok(builder)
}

/// Connects with this crate's TLS configuration instead of a process-wide default.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let fail =
            |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
                store: "S3",
                source,
            };
        let tls = tls::client_config(&[]).map_err(|error| fail(error.into()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .user_agent(concat!("pipeops-buildkit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| fail(error.into()))?;
        Ok(HttpClient::new(http))
    }
}
