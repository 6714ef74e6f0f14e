//! A build cache in an S3 bucket, in the layout of BuildKit's `s3` back end.
//!
//! Blobs are at `<prefix>blobs/sha256:…`, manifests at `<prefix>manifests/<name>`. The records in a manifest are named by
//! this daemon's own keys: a real daemon finds nothing in them, and this one nothing in a real daemon's.

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptionsEntry;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use pipeops_core::{Digest, SecretString};
use serde::{Deserialize, Serialize};

use super::error::{BuildError, BuildResult};
use super::http_client::{HttpClient, Response};
use super::remote::Hosts;
use crate::sigv4::{Canonical, Scope, encode_path, sha256_hex};

/// One cache: a place in a bucket.
#[derive(Debug, Clone)]
pub(super) struct S3Cache {
    http: HttpClient,
    /// `http://HOST`, without a slash at its end.
    endpoint: String,
    bucket: String,
    region: String,
    manifests: String,
    blobs: String,
    names: Vec<String>,
    /// Key id and secret.
    keys: (String, SecretString),
    /// Steps of all stages are kept, not only those of the result.
    pub(super) max: bool,
}

/// What a manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) layers: Vec<CachedLayer>,
    #[serde(default)]
    pub(super) records: Vec<CachedStep>,
}

/// A layer and the one below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CachedLayer {
    pub(super) blob: Digest,
    /// The place of the layer below; -1 when there is none.
    #[serde(default)]
    pub(super) parent: i64,
    #[serde(default)]
    pub(super) annotations: Option<LayerAnnotations>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerAnnotations {
    pub(super) media_type: String,
    #[serde(rename = "diffID")]
    pub(super) diff_id: Digest,
    pub(super) size: u64,
    pub(super) created_at: String,
}

/// A step and the layer that it made, if it made one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CachedStep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    #[serde(default)]
    pub(super) layers: Vec<StepResult>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepResult {
    pub(super) layer: usize,
    #[serde(default)]
    pub(super) created_at: String,
}

/// How often a request is sent before it has failed.
const ATTEMPTS: u32 = 3;

impl S3Cache {
    /// Reads the attributes.
    pub(super) fn new(
        entry: &CacheOptionsEntry,
        hosts: &Hosts,
        http: HttpClient,
    ) -> BuildResult<Self> {
        let attr = |name: &str| entry.attrs.get(name).filter(|value| !value.is_empty());
        let required = |name: &str| {
            let missing = || {
                BuildError::new(format!(
                    "{name} ($AWS_{}) not set for s3 cache",
                    name.to_uppercase()
                ))
            };
            attr(name).cloned().ok_or_else(missing)
        };
        let endpoint = attr("endpoint_url").map(|url| url.trim_end_matches('/').to_owned());
        let endpoint = endpoint.filter(|url| {
            url.strip_prefix("http://")
                .is_some_and(|host| hosts.serve(host))
        });
        let endpoint = endpoint.ok_or_else(|| {
            BuildError::unsupported(
                "a cache in S3 elsewhere than over plain HTTP on loopback (endpoint_url)",
            )
        })?;
        let keys = match (attr("access_key_id"), attr("secret_access_key")) {
            (Some(id), Some(secret)) => Some((id.clone(), SecretString::from(secret.as_str()))),
            _ => None,
        };
        let prefix = attr("prefix").cloned().unwrap_or_default();
        let below = |name: &str, usual: &str| {
            format!("{prefix}{}", attr(name).map_or(usual, String::as_str))
        };
        let names = attr("name").map_or("buildkit", String::as_str);
        Ok(Self {
            http,
            endpoint,
            bucket: required("bucket")?,
            region: required("region")?,
            manifests: below("manifests_prefix", "manifests/"),
            blobs: below("blobs_prefix", "blobs/"),
            names: names.split(';').map(str::to_owned).collect(),
            keys: keys.ok_or_else(|| {
                BuildError::new("failed to retrieve credentials: the daemon has no role")
            })?,
            max: attr("mode").is_some_and(|mode| mode == "max"),
        })
    }

    /// The manifest of the first name; none when there is none yet.
    pub(super) async fn read(&self) -> BuildResult<Option<Manifest>> {
        let name = self.names.first().map_or("", String::as_str);
        let key = format!("{}{name}", self.manifests);
        let answer = self.send(Method::GET, &key, Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => {
                let manifest = serde_json::from_slice(&answer.body);
                manifest.map(Some).map_err(|error| {
                    BuildError::new(format!("failed to unmarshal cache manifest: {error}"))
                })
            }
            StatusCode::NOT_FOUND if s3_code(&answer) == "NoSuchKey" => Ok(None),
            _ => Err(failed("GetObject", &answer)),
        }
    }

    /// A layer's content. That it is missing is an error, as with a real daemon.
    pub(super) async fn blob(&self, digest: &Digest) -> BuildResult<Bytes> {
        let key = format!("{}{digest}", self.blobs);
        let answer = self.send(Method::GET, &key, Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            _ => Err(failed("GetObject", &answer)),
        }
    }

    /// Writes a blob unless it is there.
    pub(super) async fn write_blob(&self, digest: &Digest, content: &Bytes) -> BuildResult<()> {
        let key = format!("{}{digest}", self.blobs);
        let head = self.send(Method::HEAD, &key, Bytes::new()).await;
        let head = head.map_err(|error| error.wrap("failed to check file presence in cache"))?;
        match head.status {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => {
                let put = self.send(Method::PUT, &key, content.clone()).await?;
                expect(put, "PutObject").map_err(|error| error.wrap("error writing layer blob"))
            }
            _ => Err(failed("HeadObject", &head).wrap("failed to check file presence in cache")),
        }
    }

    /// Writes the manifest under each name. The last writer wins.
    pub(super) async fn write(&self, manifest: &Manifest) -> BuildResult<()> {
        let bytes = serde_json::to_vec(manifest);
        let bytes = Bytes::from(bytes.map_err(|error| BuildError::new(error.to_string()))?);
        for name in &self.names {
            let key = format!("{}{name}", self.manifests);
            let put = self.send(Method::PUT, &key, bytes.clone()).await?;
            expect(put, "PutObject").map_err(|error| error.wrap("error writing manifest"))?;
        }
        Ok(())
    }

    /// Sends a signed request, up to [`ATTEMPTS`] times while the server fails.
    async fn send(&self, method: Method, key: &str, body: Bytes) -> BuildResult<Response> {
        let path = format!("/{}/{key}", self.bucket);
        let url = format!("{}{}", self.endpoint, encode_path(&path));
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let headers = self.sign(&method, &path, &body);
            match self
                .http
                .send(method.clone(), &url, &headers, body.clone())
                .await
            {
                Ok(answer) if answer.status.is_server_error() => last = Some(Ok(answer)),
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(Err(error)),
            }
        }
        match last {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                let reason = error
                    .vertex_message()
                    .trim_start_matches("failed to do request: ");
                Err(BuildError::new(format!(
                    "operation error S3: {}, exceeded maximum number of attempts, {ATTEMPTS}, https response error \
                     StatusCode: 0, RequestID: , HostID: , request send failed, {reason}",
                    operation(&method)
                )))
            }
            None => Err(BuildError::new("no attempt was made")),
        }
    }

    fn sign(&self, method: &Method, path: &str, body: &[u8]) -> HeaderMap {
        let scope = Scope {
            date: Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string(),
            region: self.region.clone(),
        };
        let host = self.endpoint.trim_start_matches("http://").to_owned();
        let payload = sha256_hex(body);
        let mut headers = vec![
            ("host".to_owned(), host),
            ("x-amz-content-sha256".to_owned(), payload.clone()),
            ("x-amz-date".to_owned(), scope.date.clone()),
        ];
        let canonical = Canonical {
            method: method.as_str(),
            path,
            query: &[],
            headers: &headers,
            payload: &payload,
        };
        let (id, secret) = &self.keys;
        let signature = scope.sign(&scope.key(secret.expose()), canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{}, SignedHeaders={}, Signature={signature}",
            scope.text(),
            canonical.signed_headers()
        );
        headers.push(("authorization".to_owned(), authorization));
        let pairs = headers.iter().filter_map(|(name, value)| {
            let name = name.parse::<HeaderName>().ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        });
        pairs.collect()
    }
}

fn operation(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        _ => "PutObject",
    }
}

fn expect(answer: Response, operation: &str) -> BuildResult<()> {
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(failed(operation, &answer)),
    }
}

/// The error for an answer, as Amazon's SDK words it.
fn failed(operation: &str, answer: &Response) -> BuildError {
    let (status, code) = (answer.status.as_u16(), s3_code(answer));
    let code = match code.is_empty() {
        true => answer
            .status
            .canonical_reason()
            .unwrap_or_default()
            .replace(' ', ""),
        false => code,
    };
    BuildError::new(format!(
        "operation error S3: {operation}, https response error StatusCode: {status}, RequestID: , HostID: , api error \
         {code}: {}",
        between(&answer.body, "<Message>", "</Message>")
    ))
}

fn s3_code(answer: &Response) -> String {
    between(&answer.body, "<Code>", "</Code>")
}

fn between(body: &[u8], start: &str, end: &str) -> String {
    let text = String::from_utf8_lossy(body);
    let rest = text.split_once(start).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(end));
    found.map(|(found, _)| found.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(attrs: &[(&str, &str)]) -> BuildResult<S3Cache> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let entry = CacheOptionsEntry {
            r#type: "s3".to_owned(),
            attrs: attrs.iter().map(own).collect(),
        };
        S3Cache::new(&entry, &Hosts::default(), HttpClient::new(1))
    }

    #[test]
    fn attributes_are_buildkits() {
        let place = [
            ("bucket", "b"),
            ("region", "r"),
            ("endpoint_url", "http://127.0.0.1:9/"),
            ("access_key_id", "id"),
            ("secret_access_key", "secret"),
        ];
        let plain = cache(&place).unwrap();
        assert_eq!(
            (plain.manifests.as_str(), plain.blobs.as_str()),
            ("manifests/", "blobs/")
        );
        assert_eq!(
            (plain.names, plain.max),
            (vec!["buildkit".to_owned()], false)
        );
        let mut more = place.to_vec();
        more.extend([("prefix", "p/"), ("name", "a;b"), ("mode", "max")]);
        let more = cache(&more).unwrap();
        assert_eq!(
            (more.manifests.as_str(), more.names.len(), more.max),
            ("p/manifests/", 2, true)
        );
    }

    #[test]
    fn what_cannot_be_reached_is_an_error() {
        assert!(cache(&[("bucket", "b"), ("region", "r")]).is_err());
        assert!(
            cache(&[
                ("bucket", "b"),
                ("region", "r"),
                ("endpoint_url", "http://s3.example")
            ])
            .is_err()
        );
        assert!(cache(&[("region", "r"), ("endpoint_url", "http://127.0.0.1:9")]).is_err());
    }

    #[test]
    fn manifests_have_buildkits_shape() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let text = format!(
            r#"{{"layers":[{{"blob":"{digest}","annotations":null}}],"records":[{{"inputs":[[]]}}]}}"#
        );
        let manifest: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (manifest.layers[0].parent, manifest.records[0].layers.len()),
            (0, 0)
        );
    }
}
