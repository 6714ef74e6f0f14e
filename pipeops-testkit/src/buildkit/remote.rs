//! Images in registries: pulls base images and pushes results.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pipeops_core::{Digest, ImageRef};
use serde_json::Value;

use super::error::{BuildError, BuildResult};
use super::http_client::{HttpClient, Response};
use super::registry_auth::Logins;
use crate::oci::{Descriptor, ImageConfig, ImageManifest, digest_of, media_type};
use crate::serve::lock;

/// Where images are looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    /// Host in a name → the host that serves its images instead.
    pub(super) mirrors: HashMap<String, String>,
    /// Hosts beside loopback that are spoken to, over plain HTTP.
    pub(super) plain_http: Vec<String>,
}

impl Hosts {
    /// Whether this host is spoken to.
    pub(super) fn serve(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name == "localhost"
            || name
                .parse()
                .is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || self.plain_http.iter().any(|known| known == host)
    }
}

/// A base image: where it is, and what it is.
#[derive(Debug, Clone)]
pub(super) struct BaseImage {
    /// The full name, pinned: what the steps are called by.
    pub(super) name: ImageRef,
    /// The registry that has it.
    pub(super) host: String,
    pub(super) layers: Vec<Descriptor>,
    pub(super) config: ImageConfig,
}

/// Blobs of base images, kept from build to build. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Blobs(Arc<Mutex<HashMap<Digest, Bytes>>>);

impl Blobs {
    pub(super) fn get(&self, digest: &Digest) -> Option<Bytes> {
        lock(&self.0).get(digest).cloned()
    }

    pub(super) fn put(&self, digest: Digest, bytes: Bytes) {
        lock(&self.0).insert(digest, bytes);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// Registries, as one build reaches them.
#[derive(Debug)]
pub(super) struct Remote {
    http: HttpClient,
    logins: Logins,
    hosts: Hosts,
    blobs: Blobs,
}

const MANIFEST_TYPES: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// What an error of the authorization says, and what daemons put before it.
const FAILED: &str = "authorization failed";
const DENIED: &str = "access denied, repository does not exist or may require authorization";

impl Remote {
    pub(super) fn new(http: HttpClient, logins: Logins, hosts: Hosts, blobs: Blobs) -> Self {
        Self {
            http,
            logins,
            hosts,
            blobs,
        }
    }

    /// Finds a base image and reads its configuration. `platform` is `os/architecture`.
    pub(super) async fn resolve(&self, name: &ImageRef, platform: &str) -> BuildResult<BaseImage> {
        let host = self.host_of(name)?;
        let mut reference = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let mut pinned = None;
        // An index leads to the manifest of one platform; an index in an index does not exist.
        for _ in 0..2 {
            let answer = self.get_manifest(&host, name, &reference).await?;
            let digest = digest_of(&answer.body);
            pinned.get_or_insert_with(|| name.with_digest(digest));
            let json: Value = serde_json::from_slice(&answer.body)
                .map_err(|error| BuildError::new(format!("invalid manifest of {name}: {error}")))?;
            let Some(children) = json["manifests"].as_array() else {
                let manifest = parse_manifest(name, &answer.body)?;
                let config = self
                    .blob(&host, name.repository(), &manifest.config)
                    .await?;
                let config = serde_json::from_slice(&config).map_err(|error| {
                    BuildError::new(format!("invalid config of {name}: {error}"))
                })?;
                return Ok(BaseImage {
                    name: pinned.unwrap_or_else(|| name.clone()),
                    host,
                    layers: manifest.layers,
                    config,
                });
            };
            let child = children.iter().find(|child| is_platform(child, platform));
            let child = child.and_then(|child| child["digest"].as_str());
            reference = child.map(str::to_owned).ok_or_else(|| {
                BuildError::new(format!(
                    "no match for platform in manifest: not found ({platform})"
                ))
            })?;
        }
        Err(BuildError::new(format!("{name} is an index of indexes")))
    }

    /// A blob of an image, from an earlier build or from the registry; its digest is checked.
    pub(super) async fn blob(
        &self,
        host: &str,
        repository: &str,
        descriptor: &Descriptor,
    ) -> BuildResult<Bytes> {
        if let Some(bytes) = self.blobs.get(&descriptor.digest) {
            return Ok(bytes);
        }
        let url = format!("http://{host}/v2/{repository}/blobs/{}", descriptor.digest);
        let answer = self
            .send(
                Method::GET,
                host,
                repository,
                &url,
                &HeaderMap::new(),
                Bytes::new(),
            )
            .await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refused());
        }
        if digest_of(&answer.body) != descriptor.digest {
            return Err(BuildError::new(format!(
                "the content of {url} does not match its digest"
            )));
        }
        self.blobs
            .put(descriptor.digest.clone(), answer.body.clone());
        Ok(answer.body)
    }

    /// Pushes a blob, unless the registry has it. `kind` is `layer` or `config`.
    pub(super) async fn push_blob(
        &self,
        name: &ImageRef,
        kind: &str,
        digest: &Digest,
        bytes: &Bytes,
    ) -> BuildResult<()> {
        let (host, repository) = (self.push_host(name)?, name.repository());
        let none = HeaderMap::new();
        let url = format!("http://{host}/v2/{repository}/blobs/{digest}");
        let head = self
            .push(Method::HEAD, host, repository, &url, &none, Bytes::new())
            .await?;
        match head.status {
            StatusCode::OK => return Ok(()),
            StatusCode::NOT_FOUND => {}
            // The answer to HEAD has no body: daemons ask once more for the reason.
            StatusCode::FORBIDDEN => {
                let get = self.push(Method::GET, host, repository, &url, &none, Bytes::new());
                return Err(get
                    .await?
                    .registry_error()
                    .map_or_else(|| head.unexpected(), BuildError::new));
            }
            _ => return Err(head.unexpected()),
        }
        let url = format!("http://{host}/v2/{repository}/blobs/uploads/");
        let start = self
            .push(Method::POST, host, repository, &url, &none, Bytes::new())
            .await?;
        if start.status != StatusCode::ACCEPTED {
            return Err(start.refused());
        }
        let location = start.headers.get(LOCATION).and_then(|l| l.to_str().ok());
        let location = location.ok_or_else(|| BuildError::new("the upload has no location"))?;
        let location = match location.starts_with('/') {
            true => format!("http://{host}{location}"),
            false => location.to_owned(),
        };
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest=sha256%3A{}", digest.hex());
        let mut headers = HeaderMap::new();
        let octets = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, octets);
        let done = self
            .push(Method::PUT, host, repository, &url, &headers, bytes.clone())
            .await;
        let done =
            done.map_err(|error| error.wrap(format!("failed commit on ref \"{kind}-{digest}\"")))?;
        match done.status {
            StatusCode::CREATED => Ok(()),
            _ => Err(done.refused()),
        }
    }

    /// Pushes a manifest under the image's digest if its name has one, else its tag.
    pub(super) async fn push_manifest(
        &self,
        name: &ImageRef,
        media_type: &str,
        bytes: &Bytes,
    ) -> BuildResult<()> {
        let (host, repository) = (self.push_host(name)?, name.repository());
        let digest = name.digest().map(Digest::as_str);
        let reference = digest.or(name.tag()).unwrap_or("latest");
        let url = format!("http://{host}/v2/{repository}/manifests/{reference}");
        let mut headers = HeaderMap::new();
        if let Ok(kind) = HeaderValue::from_str(media_type) {
            headers.insert(CONTENT_TYPE, kind);
        }
        let done = self
            .push(Method::PUT, host, repository, &url, &headers, bytes.clone())
            .await;
        let done = done.map_err(|error| {
            error.wrap(format!(
                "failed commit on ref \"manifest-{}\"",
                digest_of(bytes)
            ))
        })?;
        match done.status {
            StatusCode::CREATED | StatusCode::OK => Ok(()),
            _ => Err(done.refused()),
        }
    }

    async fn get_manifest(
        &self,
        host: &str,
        name: &ImageRef,
        reference: &str,
    ) -> BuildResult<Response> {
        let repository = name.repository();
        let url = format!("http://{host}/v2/{repository}/manifests/{reference}");
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST_TYPES));
        let ask = async |method| {
            let answer = self.send(method, host, repository, &url, &headers, Bytes::new());
            answer
                .await
                .map_err(|error| match error.vertex_message().contains(FAILED) {
                    true => error.wrap(format!("pull {DENIED}")),
                    false => error,
                })
        };
        // As daemons do: whether it is there, and then what it is.
        let head = ask(Method::HEAD).await?;
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(BuildError::new(format!("{}: not found", written(name))));
            }
            StatusCode::FORBIDDEN => {
                let unexpected = head.unexpected();
                let reason = ask(Method::GET).await?.registry_error().unwrap_or_default();
                let message = format!("{}\n{reason}", unexpected.vertex_message());
                return Err(BuildError::new(message.trim_end()));
            }
            _ => return Err(head.unexpected()),
        }
        let answer = ask(Method::GET).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            _ => Err(answer.refused()),
        }
    }

    async fn push(
        &self,
        method: Method,
        host: &str,
        repository: &str,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> BuildResult<Response> {
        let scope = format!("repository:{repository}:pull,push");
        let sent = self.send_as(method, host, &scope, url, headers, body).await;
        sent.map_err(|error| match error.vertex_message().contains(FAILED) {
            true => error.wrap(format!("push {DENIED}")),
            false => error,
        })
    }

    async fn send(
        &self,
        method: Method,
        host: &str,
        repository: &str,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> BuildResult<Response> {
        let scope = format!("repository:{repository}:pull");
        self.send_as(method, host, &scope, url, headers, body).await
    }

    /// Sends a request, and once more with a login when the registry asks for one.
    async fn send_as(
        &self,
        method: Method,
        host: &str,
        scope: &str,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> BuildResult<Response> {
        let mut headers = headers.clone();
        let login = self.logins.known(host, scope);
        let had_login = login.is_some();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, login);
        }
        let answer = self
            .http
            .send(method.clone(), url, &headers, body.clone())
            .await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if had_login {
            // It was good before: its time has passed, and the session may have a new one.
            self.logins.forget(host);
        }
        let Some(login) = self.logins.answer(host, scope, &answer).await? else {
            return Ok(answer);
        };
        headers.insert(AUTHORIZATION, login);
        let answer = self.http.send(method, url, &headers, body).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // An error where the registry says what is wrong with the new login.
            self.logins.answer(host, scope, &answer).await?;
        }
        Ok(answer)
    }

    fn host_of(&self, name: &ImageRef) -> BuildResult<String> {
        let host = self.hosts.mirrors.get(name.host());
        let host = host.map_or_else(|| name.host(), String::as_str);
        match self.hosts.serve(host) {
            true => Ok(host.to_owned()),
            false => Err(unreachable(name)),
        }
    }

    fn push_host<'a>(&self, name: &'a ImageRef) -> BuildResult<&'a str> {
        match self.hosts.serve(name.host()) {
            true => Ok(name.host()),
            false => Err(unreachable(name)),
        }
    }
}

/// The name as the daemon writes it: with its tag, always.
pub(super) fn written(name: &ImageRef) -> String {
    match (name.tag(), name.digest()) {
        (None, None) => format!("{name}:latest"),
        _ => name.to_string(),
    }
}

fn unreachable(name: &ImageRef) -> BuildError {
    BuildError::new(format!(
        "failed to do request: stand-in: a request to {:?} is not implemented; only registries on loopback and \
         mirrors are reached",
        name.host()
    ))
}

fn parse_manifest(name: &ImageRef, bytes: &[u8]) -> BuildResult<ImageManifest> {
    let mut json: Value = serde_json::from_slice(bytes).unwrap_or_default();
    // Optional in OCI manifests.
    if json["mediaType"].is_null() {
        json["mediaType"] = media_type::MANIFEST.into();
    }
    serde_json::from_value(json)
        .map_err(|error| BuildError::new(format!("invalid manifest of {name}: {error}")))
}

fn is_platform(child: &Value, platform: &str) -> bool {
    let field = |name: &str| child["platform"][name].as_str().unwrap_or_default();
    let mut parts = platform.split('/');
    parts.next() == Some(field("os")) && parts.next() == Some(field("architecture"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_mirrors_and_named_hosts_are_reached() {
        let hosts = Hosts {
            mirrors: [("docker.io".to_owned(), "127.0.0.1:5000".to_owned())].into(),
            plain_http: vec!["registry.test:80".to_owned()],
        };
        let logins = Logins::new(None);
        let remote = Remote::new(HttpClient::new(1), logins, hosts, Blobs::default());
        let host = |name: &str| remote.host_of(&name.parse().unwrap());
        assert_eq!(host("python:3").unwrap(), "127.0.0.1:5000");
        assert_eq!(host("registry.test:80/a").unwrap(), "registry.test:80");
        assert!(host("ghcr.io/a/b").is_err() && host("127.evil.com/a").is_err());
    }
}
