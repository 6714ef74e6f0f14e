//! A small client for registries that speak the [distribution specification].
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

pub use manifest::Manifest;
pub use options::ClientOptions;

use crate::error::{Action, Error};
use auth::{Login, Presented};
use endpoint::Endpoint;
use manifest::digest_of;
use rejection::Rejection;
use token::Scopes;
use transport::{Request, Transport, bad_answer, location};

/// Larger manifests are refused, as registries themselves do.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// Larger configurations of images are refused.
const MAX_CONFIG_BYTES: usize = 8 * 1024 * 1024;
/// First try, cached token that ran out, renewed credential.
const MAX_LOGINS: u32 = 3;

/// A client for any number of registries.
///
/// It asks its [`CredentialProvider`] before each login, retries transient failures, and limits every wait. Clones share logins and connections.
#[derive(Clone)]
pub struct RegistryClient {
    login: Arc<Login>,
    transport: Transport,
    options: Arc<ClientOptions>,
}

impl RegistryClient {
    /// A client with these credentials. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] when an extra certificate authority cannot be read.
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

    /// The digest that this name stands for now; `None` when the registry has no such image.
    ///
    /// # Errors
    /// When the registry cannot be asked, or does not let us see it.
    pub async fn resolve(&self, image: &ImageRef) -> Result<Option<Digest>, Error> {
        let target = Target::new(self, image, Action::Pull);
        let answer = match self
            .call(
                &target.registry,
                &target.scopes,
                &target.manifest_request(Method::HEAD)?,
            )
            .await
        {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let told = answer.headers().get("docker-content-digest");
        let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
        match image.digest().cloned().or(told) {
            Some(digest) => Ok(Some(digest)),
            // Not every registry tells it: then it is computed.
            None => match self.manifest(image).await {
                Ok(manifest) => Ok(Some(manifest.digest)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether the registry has this image: a build of it can be skipped.
    ///
    /// # Errors
    /// As [`RegistryClient::resolve`].
    pub async fn exists(&self, image: &ImageRef) -> Result<bool, Error> {
        Ok(self.resolve(image).await?.is_some())
    }

    /// Whether a push to this repository would be let in: an upload is begun and cancelled, nothing is stored.
    ///
    /// Asked before a build, it finds missing and wrong credentials while nothing is lost yet.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Denied`] or [`Error::NameUnknown`] with the fix, or why the registry cannot be asked.
    pub async fn check_push(&self, image: &ImageRef) -> Result<(), Error> {
        let target = Target::new(self, image, Action::Push);
        let answer = self
            .call(
                &target.registry,
                &target.scopes,
                &target.upload_request("")?,
            )
            .await
            .map_err(|error| match error {
                // Not every registry says which of the two is missing; no image was asked for here.
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

    /// The manifest of this image, its digest verified.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::BadAnswer`] when its digest is not the one that was asked for, or why
    /// the registry cannot be asked.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, Error> {
        let target = Target::new(self, image, Action::Pull);
        let request = target.manifest_request(Method::GET)?;
        let (headers, bytes) = self
            .fetch(&target, &request, MAX_MANIFEST_BYTES)
            .await
            .map_err(|error| {
                if is_missing(&error) {
                    not_found(image)
                } else {
                    error
                }
            })?;
        let digest = digest_of(&bytes);
        match image.digest() {
            Some(wanted) if *wanted != digest => Err(bad_answer(
                image.host(),
                format!("asked for {wanted}, it gave {digest}"),
            )),
            _ => Ok(Manifest {
                digest,
                media_type: media_type(&headers),
                bytes,
            }),
        }
    }

    /// The configuration (environment, user, labels) of this image. Of an index, that of `platform`, such as `linux/amd64`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such image or none for the platform, or as [`RegistryClient::manifest`].
    pub async fn config(
        &self,
        image: &ImageRef,
        platform: &str,
    ) -> Result<serde_json::Value, Error> {
        let mut manifest = self.manifest(image).await?;
        if manifest.is_index() {
            let content = manifest.content(image.host())?;
            let child = content
                .for_platform(platform)
                .ok_or_else(|| Error::NotFound {
                    what: format!("{image} for {platform}"),
                })?;
            manifest = self
                .manifest(&image.with_digest(child.digest.clone()))
                .await?;
        }
        let config = manifest.content(image.host())?.config;
        let config =
            config.ok_or_else(|| bad_answer(image.host(), "a manifest without a configuration"))?;
        let target = Target::new(self, image, Action::Pull);
        let (_, bytes) = self
            .fetch(
                &target,
                &target.blob_request(Method::GET, &config.digest)?,
                MAX_CONFIG_BYTES,
            )
            .await?;
        if digest_of(&bytes) != config.digest {
            return Err(bad_answer(
                image.host(),
                format!("blob {} is damaged", config.digest),
            ));
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| bad_answer(image.host(), "a configuration that is not JSON"))
    }

    /// Sends a request and reads its answer of up to `limit` bytes; both are tried again together.
    async fn fetch(
        &self,
        target: &Target,
        request: &Request,
        limit: usize,
    ) -> Result<(HeaderMap, Bytes), Error> {
        retry(self.options.backoff, tokio::time::sleep, || async {
            let answer = self
                .attempt(&target.registry, &target.scopes, request)
                .await?;
            let headers = answer.headers().clone();
            Ok((
                headers,
                self.transport
                    .read(&target.registry.name, answer, limit)
                    .await?,
            ))
        })
        .await
    }

    /// Sends a request until it succeeds or fails for good. The answer is a success.
    async fn call(
        &self,
        registry: &Endpoint,
        scopes: &Scopes,
        request: &Request,
    ) -> Result<Response, Error> {
        retry(self.options.backoff, tokio::time::sleep, || {
            self.attempt(registry, scopes, request)
        })
        .await
    }

    /// Sends a request once, or as often as logging in takes.
    async fn attempt(
        &self,
        registry: &Endpoint,
        scopes: &Scopes,
        request: &Request,
    ) -> Result<Response, Error> {
        let mut logins = 0;
        loop {
            let presented = self.login.present(registry, scopes).await?;
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
                    .may_log_in_again(registry, scopes, presented.as_ref(), &rejection)
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
        registry: &Endpoint,
        scopes: &Scopes,
        presented: Option<&Presented>,
        rejection: &Rejection,
    ) -> Result<bool, Error> {
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

    /// Best effort: registries drop unfinished uploads by themselves, some know no cancelling, and only the registry's own
    /// host is asked.
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
        let _ = self
            .attempt(&target.registry, &target.scopes, &request)
            .await;
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// One image in one registry, and what is to be done with it.
struct Target {
    registry: Endpoint,
    repository: String,
    /// The digest if there is one, else the tag, else `latest`, as all tools have it.
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
            .map_err(|_| bad_answer(&self.registry.name, "a media type that no header can hold"))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = Some(manifest.bytes.clone());
        Ok(request)
    }

    fn blob_request(&self, method: Method, digest: &Digest) -> Result<Request, Error> {
        self.request(method, &format!("blobs/{digest}"))
    }

    /// Begins an upload; `query` may ask for a mount.
    fn upload_request(&self, query: &str) -> Result<Request, Error> {
        let mut request = self.request(Method::POST, &format!("blobs/uploads/{query}"))?;
        // An empty body, so that its length is sent: proxies refuse a POST without one.
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

/// The token is good and does not reach far enough: another login would not help.
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

fn not_found(image: &ImageRef) -> Error {
    Error::NotFound {
        what: image.to_string(),
    }
}
