//! Copying images between repositories and between registries.

use futures::stream;
use pipeops_core::retry::retry;
use pipeops_core::{Digest, ImageRef};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Method, Response};
use url::Url;

use super::manifest::{Content, Descriptor, MAX_MANIFESTS};
use super::rejection::Rejection;
use super::transport::{bad_answer, location};
use super::{Manifest, RegistryClient, Target};
use crate::error::{Action, Error};

impl RegistryClient {
    /// Copies an image with all its platforms to another name, and returns its digest. Existing layers are skipped, layers of
    /// the same registry are mounted, and others are streamed without being stored in memory or on disk.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, [`Error::InvalidImage`] if `to` is pinned to another digest, or any error
    /// of the two registries.
    pub async fn copy(&self, from: &ImageRef, to: &ImageRef) -> Result<Digest, Error> {
        let manifest = self.manifest(from).await?;
        if to.digest().is_some_and(|digest| *digest != manifest.digest) {
            return Err(Error::InvalidImage {
                image: to.to_string(),
                why: format!("{from} is {}", manifest.digest),
            });
        }
        let content = manifest.content(from.host())?;
        if content.manifests.len() > MAX_MANIFESTS {
            return Err(bad_answer(
                from.host(),
                format!("an index of more than {MAX_MANIFESTS} manifests"),
            ));
        }
        for child in &content.manifests {
            let child_from = from.with_digest(child.digest.clone());
            let child_manifest = self.manifest(&child_from).await?;
            if child_manifest.is_index() {
                return Err(bad_answer(from.host(), "an index within an index"));
            }
            self.copy_blobs(&child_manifest.content(from.host())?, from, to)
                .await?;
            // By digest: the tag must not refer to a single platform meanwhile.
            self.put_manifest(&child_manifest, to, child.digest.as_str())
                .await?;
        }
        self.copy_blobs(&content, from, to).await?;
        let reference = to.tag().unwrap_or(manifest.digest.as_str());
        self.put_manifest(&manifest, to, reference).await?;
        Ok(manifest.digest)
    }

    async fn put_manifest(
        &self,
        manifest: &Manifest,
        to: &ImageRef,
        reference: &str,
    ) -> Result<(), Error> {
        let mut target = Target::new(self, to, Action::Push);
        target.reference = reference.to_owned();
        let request = target.put_manifest_request(manifest)?;
        self.call(&target, &request).await.map(drop)
    }

    async fn copy_blobs(
        &self,
        content: &Content,
        from: &ImageRef,
        to: &ImageRef,
    ) -> Result<(), Error> {
        let (source, mut target) = (
            Target::new(self, from, Action::Pull),
            Target::new(self, to, Action::Push),
        );
        let same_registry = source.registry == target.registry;
        if same_registry && source.repository != target.repository {
            target.scopes.extend(source.scopes.clone());
        }
        let blobs = content.config.iter().chain(&content.layers);
        for blob in blobs.filter(|blob| blob.urls.is_empty()) {
            let copy = || {
                retry(self.options.backoff, tokio::time::sleep, || {
                    self.copy_blob(blob, &source, &target, same_registry)
                })
            };
            match copy().await {
                // The token expired during the upload of a large layer. The second attempt gets a new one.
                Err(Error::Unauthorized {
                    presented: true, ..
                }) => copy().await?,
                other => other?,
            }
        }
        Ok(())
    }

    /// One attempt to copy the blob.
    async fn copy_blob(
        &self,
        blob: &Descriptor,
        source: &Target,
        target: &Target,
        same_registry: bool,
    ) -> Result<(), Error> {
        let there = target.blob_request(Method::HEAD, &blob.digest)?;
        match self.attempt(target, &there).await {
            Ok(_) => return Ok(()),
            Err(Error::NotFound { .. } | Error::NameUnknown { .. }) => {}
            Err(error) => return Err(error),
        }
        let query = match same_registry {
            true => format!("?mount={}&from={}", blob.digest, source.repository),
            false => String::new(),
        };
        let start = target.upload_request(&query)?;
        let started = self.attempt(target, &start).await?;
        // 201: mounted. 202: the registry started an upload instead.
        if started.status() == 201 {
            return Ok(());
        }
        let location = location(&started)
            .ok_or_else(|| bad_answer(&target.registry.name, "an upload without a location"))?;
        target.registry.check_storage(&location, &self.options)?;
        let read = source.blob_request(Method::GET, &blob.digest)?;
        let bytes = self.attempt(source, &read).await?;
        self.upload(target, location, blob, bytes).await
    }

    /// One request for the whole blob: ECR drops chunks after the first.
    async fn upload(
        &self,
        target: &Target,
        mut location: Url,
        blob: &Descriptor,
        bytes: Response,
    ) -> Result<(), Error> {
        location
            .query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(blob.size));
        let presented = match target.registry.is_origin_of(&location) {
            true => self.login.present(&target.registry, &target.scopes).await?,
            false => None,
        };
        if let Some(presented) = &presented {
            presented.add_to(&mut headers);
        }
        let body = self.stream(bytes);
        let answer = self
            .transport
            .upload(location, headers, body, self.options.blob_timeout)
            .await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let redactor = presented
            .as_ref()
            .map(|presented| presented.redactor.clone())
            .unwrap_or_default();
        let rejection =
            Rejection::read(&self.transport, &target.registry.name, answer, &redactor).await;
        if rejection.class.needs_credential() {
            self.login.learn(
                &target.registry,
                &target.scopes,
                presented.as_ref(),
                &rejection.headers,
            )?;
        }
        let request = target.upload_request("")?;
        Err(rejection.into_error(&target.registry.name, &request, presented.is_some()))
    }

    /// Streams the body of a response as the body of a request. Each chunk has a time limit.
    fn stream(&self, answer: Response) -> Body {
        let (transport, url) = (self.transport.clone(), answer.url().clone());
        Body::wrap_stream(stream::try_unfold(
            (transport, url, answer),
            |(transport, url, mut answer)| async move {
                let chunk = transport.chunk(&url, &mut answer).await?;
                Ok::<_, Error>(chunk.map(|chunk| (chunk, (transport, url, answer))))
            },
        ))
    }
}
