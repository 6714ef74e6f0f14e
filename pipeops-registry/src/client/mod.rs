//! A client for registries that implement the [distribution specification].
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod auth;
mod copy;
mod endpoint;
mod index;
mod manifest;
mod options;
mod rejection;
mod tags;
mod token;
mod transport;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pipeops_core::registry::{Challenge, RefusalClass};
use pipeops_core::retry::retry;
use pipeops_core::{CredentialProvider, Digest, ImageRef, Redactor};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response};
use serde_json::Value;

pub use manifest::Manifest;
pub use options::ClientOptions;

use crate::error::{Action, Error};
use auth::{Login, Presented};
use endpoint::Endpoint;
use manifest::digest_of;
use rejection::Rejection;
use token::Scopes;
use transport::{Request, Transport, bad_answer, location};

/// The largest manifest, as in registries themselves.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// The largest configuration of an image.
const MAX_CONFIG_BYTES: usize = 8 * 1024 * 1024;
/// The first attempt, one after a cached token expired, one with a renewed credential.
const MAX_LOGINS: u32 = 3;

/// A client for any number of registries.
///
/// It gets credentials from its [`CredentialProvider`] before each login, retries transient errors, and limits every wait.
/// Clones share logins and connections.
///
/// ```
/// use std::sync::Arc;
/// use pipeops_registry::{ClientOptions, Credential, RegistryClient, StaticCredentials};
/// # use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let registry = Registry::start(RegistryOptions::default()).await?;
/// # registry.seed("acme/shop", "1", &BaseImage::new().env("A", "1"))?;
/// # let host = registry.host();
/// let credentials = StaticCredentials::new().with(&host, Credential::basic("bot", "token"));
/// let client = RegistryClient::new(Arc::new(credentials), ClientOptions::default())?;
///
/// let image = format!("{host}/acme/shop:1").parse()?;
/// let digest = client.resolve(&image).await?;
/// let stable = client.retag(&image, "stable").await?;
/// assert_eq!(client.tags(&image).await?, ["1", "stable"]);
/// assert_eq!(stable.digest(), digest.as_ref());
/// let config = client.config(&stable, "linux/amd64").await?;
/// assert_eq!(config["config"]["Env"][0], "A=1");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RegistryClient {
    login: Arc<Login>,
    transport: Transport,
    options: Arc<ClientOptions>,
}

impl RegistryClient {
    /// A client with these credentials. It sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] if an extra certificate authority is invalid.
    pub fn new(
        credentials: Arc<dyn CredentialProvider>,
        options: ClientOptions,
    ) -> Result<Self, Error> {
        let transport = Transport::new(&options)?;
        let options = Arc::new(options);
        Ok(Self {
            login: Arc::new(Login::new(credentials, transport.clone(), options.clone())),
            transport,
            options,
        })
    }

    /// The digest that this name currently refers to; `None` if the registry has no such image.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Denied`], or any error of the connection.
    pub async fn resolve(&self, image: &ImageRef) -> Result<Option<Digest>, Error> {
        let target = Target::new(self, image, Action::Pull);
        let request = target.manifest_request(Method::HEAD)?;
        let answer = match self.call(&target, &request).await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let told = answer.headers().get("docker-content-digest");
        let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
        match image.digest().cloned().or(told) {
            Some(digest) => Ok(Some(digest)),
            // Not every registry sends it. Then it's computed.
            None => match self.manifest(image).await {
                Ok(manifest) => Ok(Some(manifest.digest)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether the registry has this image, so that its build can be skipped.
    ///
    /// # Errors
    /// As [`RegistryClient::resolve`].
    pub async fn exists(&self, image: &ImageRef) -> Result<bool, Error> {
        Ok(self.resolve(image).await?.is_some())
    }

    /// Checks that a push to this repository would succeed: it starts an upload and cancels it, so nothing is stored.
    ///
    /// Call it before a build to find missing and wrong credentials early.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use pipeops_registry::{ClientOptions, Diagnose, RegistryClient, StaticCredentials};
    /// # use pipeops_testkit::registry::{Registry, RegistryOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let registry = Registry::start(RegistryOptions::default().basic_auth()).await?;
    /// # let client = RegistryClient::new(Arc::new(StaticCredentials::new()), ClientOptions::default())?;
    /// # let image = format!("{}/acme/shop:1", registry.host()).parse()?;
    /// let error = client.check_push(&image).await.unwrap_err();
    /// assert_eq!(error.diagnosis().code.as_str(), "registry/login-missing");
    /// println!("{}", error.diagnosis()); // with the fixes
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Denied`], [`Error::NameUnknown`], or any error of the connection.
    pub async fn check_push(&self, image: &ImageRef) -> Result<(), Error> {
        let target = Target::new(self, image, Action::Push);
        let request = target.upload_request("")?;
        let answer = self.call(&target, &request).await;
        let answer = answer.map_err(|error| match error {
            // Not every registry says which of the two is missing. No image was requested here.
            Error::NotFound { .. } => Error::NameUnknown {
                host: target.registry.name.clone(),
                repository: target.repository.clone(),
                message: "not found".to_owned(),
            },
            other => other,
        })?;
        self.cancel_upload(&target, &answer).await;
        Ok(())
    }

    /// The manifest of this image, with verified digest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::BadAnswer`] if it has another digest than the requested one, or as
    /// [`RegistryClient::resolve`].
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, Error> {
        let target = Target::new(self, image, Action::Pull);
        let request = target.manifest_request(Method::GET)?;
        let fetched = self.fetch(&target, &request, MAX_MANIFEST_BYTES).await;
        let (headers, bytes) = fetched.map_err(|error| match is_missing(&error) {
            true => not_found(image.to_string()),
            false => error,
        })?;
        let digest = digest_of(&bytes);
        match image.digest() {
            Some(wanted) if *wanted != digest => Err(bad_answer(
                image.host(),
                format!("requested {wanted}, received {digest}"),
            )),
            _ => Ok(Manifest {
                digest,
                media_type: media_type(&headers),
                bytes,
            }),
        }
    }

    /// The configuration (environment, user, labels) of this image. For an index, that of `platform`, such as `linux/amd64`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image or none for the platform, or as [`RegistryClient::manifest`].
    pub async fn config(&self, image: &ImageRef, platform: &str) -> Result<Value, Error> {
        let mut manifest = self.manifest(image).await?;
        if manifest.is_index() {
            let content = manifest.content(image.host())?;
            let child = content.for_platform(platform);
            let child = child.ok_or_else(|| not_found(format!("{image} for {platform}")))?;
            let child = image.with_digest(child.digest.clone());
            manifest = self.manifest(&child).await?;
        }
        self.config_of(image, &manifest).await
    }

    /// The configuration of the image with this manifest, with verified digest.
    async fn config_of(&self, image: &ImageRef, manifest: &Manifest) -> Result<Value, Error> {
        let config = manifest.content(image.host())?.config;
        let config =
            config.ok_or_else(|| bad_answer(image.host(), "a manifest without a configuration"))?;
        let target = Target::new(self, image, Action::Pull);
        let request = target.blob_request(Method::GET, &config.digest)?;
        let (_, bytes) = self.fetch(&target, &request, MAX_CONFIG_BYTES).await?;
        if digest_of(&bytes) != config.digest {
            let what = format!("content that doesn't match its digest {}", config.digest);
            return Err(bad_answer(image.host(), what));
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| bad_answer(image.host(), "a configuration that isn't JSON"))
    }

    /// Sends a request and reads its response of up to `limit` bytes; both are retried together.
    async fn fetch(
        &self,
        target: &Target,
        request: &Request,
        limit: usize,
    ) -> Result<(HeaderMap, Bytes), Error> {
        retry(self.options.backoff, tokio::time::sleep, || async {
            let answer = self.attempt(target, request).await?;
            let (headers, host) = (answer.headers().clone(), &target.registry.name);
            Ok((headers, self.transport.read(host, answer, limit).await?))
        })
        .await
    }

    /// Sends a request, with retries. The response is a success.
    async fn call(&self, target: &Target, request: &Request) -> Result<Response, Error> {
        let attempt = || self.attempt(target, request);
        retry(self.options.backoff, tokio::time::sleep, attempt).await
    }

    /// Sends a request once, or more often if it takes a login.
    async fn attempt(&self, target: &Target, request: &Request) -> Result<Response, Error> {
        let registry = &target.registry;
        let mut logins = 0;
        loop {
            let presented = self.login.present(registry, &target.scopes).await?;
            let answer = self.send(registry, request, presented.as_ref()).await?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            let redactor = presented
                .as_ref()
                .map_or_else(Redactor::default, |presented| presented.redactor.clone());
            let rejection =
                Rejection::read(&self.transport, &registry.name, answer, &redactor).await;
            logins += 1;
            if logins == MAX_LOGINS
                || !self
                    .may_log_in_again(target, presented.as_ref(), &rejection)
                    .await?
            {
                let authenticated = presented.as_ref().is_some_and(Presented::is_authenticated);
                let denied = authenticated && lacks_scope(&rejection.headers);
                let rejection = rejection.meaning(denied.then_some(RefusalClass::Denied));
                return Err(rejection.into_error(&registry.name, request, authenticated));
            }
        }
    }

    async fn may_log_in_again(
        &self,
        target: &Target,
        presented: Option<&Presented>,
        rejection: &Rejection,
    ) -> Result<bool, Error> {
        let (registry, scopes) = (&target.registry, &target.scopes);
        if !rejection.class.needs_credential() {
            return Ok(false);
        }
        let better = self
            .login
            .learn(registry, scopes, presented, &rejection.headers)?;
        Ok(better || self.login.has_another(registry, scopes, presented).await?)
    }

    async fn send(
        &self,
        registry: &Endpoint,
        request: &Request,
        presented: Option<&Presented>,
    ) -> Result<Response, Error> {
        let mut headers = request.headers.clone();
        if let Some(presented) = presented {
            presented.add_to(&mut headers);
        }
        let body = request.body.clone().map(Into::into);
        let answer = self
            .transport
            .send(request.method.clone(), request.url.clone(), headers, body)
            .await?;
        match request.method {
            Method::GET | Method::HEAD => {
                self.transport
                    .follow(registry, &request.method, answer, &self.options)
                    .await
            }
            _ => Ok(answer),
        }
    }

    /// Best effort: registries delete unfinished uploads, and some don't support cancelling. Only the registry's own host gets
    /// the request.
    async fn cancel_upload(&self, target: &Target, started: &Response) {
        let Some(url) = location(started).filter(|url| target.registry.is_origin_of(url)) else {
            return;
        };
        let request = Request {
            method: Method::DELETE,
            url,
            headers: HeaderMap::new(),
            body: None,
            action: Action::Push,
            repository: target.repository.clone(),
        };
        let _ = self.attempt(target, &request).await;
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// One image in one registry, and the action.
struct Target {
    registry: Endpoint,
    repository: String,
    /// The digest, the tag, or `latest`.
    reference: String,
    action: Action,
    scopes: Scopes,
}

impl Target {
    fn new(client: &RegistryClient, image: &ImageRef, action: Action) -> Self {
        let reference = match (image.digest(), image.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        };
        Self {
            registry: Endpoint::new(image.host(), &client.options),
            repository: image.repository().to_owned(),
            reference: reference.to_owned(),
            action,
            scopes: vec![(image.repository().to_owned(), action)],
        }
    }

    fn manifest_request(&self, method: Method) -> Result<Request, Error> {
        let mut request = self.request(method, &format!("manifests/{}", self.reference))?;
        request.headers.insert(ACCEPT, manifest::ACCEPT);
        Ok(request)
    }

    fn put_manifest_request(&self, manifest: &Manifest) -> Result<Request, Error> {
        let mut request = self.request(Method::PUT, &format!("manifests/{}", self.reference))?;
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| bad_answer(&self.registry.name, "an invalid media type"))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = Some(manifest.bytes.clone());
        Ok(request)
    }

    fn blob_request(&self, method: Method, digest: &Digest) -> Result<Request, Error> {
        self.request(method, &format!("blobs/{digest}"))
    }

    /// Starts an upload; `query` may request a mount.
    fn upload_request(&self, query: &str) -> Result<Request, Error> {
        let mut request = self.request(Method::POST, &format!("blobs/uploads/{query}"))?;
        // An empty body, so that its length is sent: proxies reject a POST without one.
        request.body = Some(Bytes::new());
        Ok(request)
    }

    fn request(&self, method: Method, path: &str) -> Result<Request, Error> {
        Ok(Request {
            method,
            url: self
                .registry
                .url(&format!("/v2/{}/{path}", self.repository))?,
            headers: HeaderMap::new(),
            body: None,
            action: self.action,
            repository: self.repository.clone(),
        })
    }
}

/// Whether the token is valid but its scope doesn't suffice. Another login wouldn't help.
fn lacks_scope(headers: &HeaderMap) -> bool {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Challenge::parse)
        .any(|challenge| challenge.lacks_scope())
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::NameUnknown { .. })
}

fn not_found(what: String) -> Error {
    Error::NotFound { what }
}
