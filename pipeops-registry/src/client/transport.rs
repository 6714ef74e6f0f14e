//! HTTP connections to registries, and their limits.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pipeops_core::registry::host;
use pipeops_core::tls::{self, TlsError};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Body, Method, Response, StatusCode};
use url::Url;

use super::endpoint::Endpoint;
use super::options::ClientOptions;
use crate::error::{Action, Error};

/// The most consecutive redirects.
const MAX_REDIRECTS: usize = 3;

/// A request without credentials. It has no `Debug`, because a body may be the form of a token request.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// The action, for messages and credentials.
    pub(super) action: Action,
    /// The repository, for messages and credentials.
    pub(super) repository: String,
}

/// Sends requests, without retries.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    secure: reqwest::Client,
    /// For registries on this machine: without the proxy of the environment.
    local: reqwest::Client,
    answer_timeout: Duration,
}

impl Transport {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Error> {
        let tls = tls::client_config(&options.extra_roots).or_else(|error| match error {
            TlsError::Setup(_) => tls::without_authorities(),
            error => Err(error),
        });
        let tls = tls.map_err(tls_configuration)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("pipeops/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                // Followed manually: each target is checked, and gets no credentials.
                .redirect(reqwest::redirect::Policy::none())
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| Error::Configuration {
                what: "the HTTP client".to_owned(),
                why: error.to_string(),
            })
        };
        Ok(Self {
            secure: build(builder())?,
            local: build(builder().no_proxy())?,
            answer_timeout: options.answer_timeout,
        })
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, Error> {
        let sending = self.start(method, &url, headers, body).send();
        match tokio::time::timeout(self.answer_timeout, sending).await {
            Ok(answer) => answer.map_err(|error| self.failure(&url, error)),
            Err(_) => Err(self.timeout(&url)),
        }
    }

    /// Sends a body of any length; the whole exchange may take up to `limit`.
    pub(super) async fn upload(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Body,
        limit: Duration,
    ) -> Result<Response, Error> {
        let sending = self.start(Method::PUT, &url, headers, Some(body)).send();
        match tokio::time::timeout(limit, sending).await {
            Ok(answer) => answer.map_err(|error| self.failure(&url, error)),
            Err(_) => Err(Error::Timeout {
                host: authority(&url),
                limit,
            }),
        }
    }

    /// Follows redirects to the registry's storage.
    pub(super) async fn follow(
        &self,
        registry: &Endpoint,
        method: &Method,
        mut answer: Response,
        options: &ClientOptions,
    ) -> Result<Response, Error> {
        for _ in 0..MAX_REDIRECTS {
            if !is_redirect(answer.status()) {
                return Ok(answer);
            }
            let target = location(&answer)
                .ok_or_else(|| bad_answer(&registry.name, "a redirect without a location"))?;
            registry.check_storage(&target, options)?;
            answer = self
                .send(method.clone(), target, HeaderMap::new(), None)
                .await?;
        }
        Err(bad_answer(&registry.name, "too many redirects"))
    }

    /// Reads a body of up to `limit` bytes.
    pub(super) async fn read(
        &self,
        registry: &str,
        mut answer: Response,
        limit: usize,
    ) -> Result<Bytes, Error> {
        if answer
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(bad_answer(registry, format!("more than {limit} bytes")));
        }
        let mut body = BytesMut::new();
        let url = answer.url().clone();
        while let Some(chunk) = self.chunk(&url, &mut answer).await? {
            if body.len() + chunk.len() > limit {
                return Err(bad_answer(registry, format!("more than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The next chunk of a body; `None` at its end.
    pub(super) async fn chunk(
        &self,
        url: &Url,
        answer: &mut Response,
    ) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.answer_timeout, answer.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.failure(url, error)),
            Err(_) => Err(self.timeout(url)),
        }
    }

    fn start(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Body>,
    ) -> reqwest::RequestBuilder {
        let local = url.host_str().is_some_and(host::is_loopback);
        let client = if local { &self.local } else { &self.secure };
        let request = client.request(method, url.clone()).headers(headers);
        match body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// Classifies a failed exchange. The URL is removed, because it may contain a signature.
    fn failure(&self, url: &Url, error: reqwest::Error) -> Error {
        let host = authority(url);
        if error.is_timeout() {
            return self.timeout(url);
        }
        let source: Box<dyn StdError + Send + Sync> = Box::new(error.without_url());
        if tls::is_cause(&*source) {
            Error::Tls { host, source }
        } else {
            Error::Unreachable { host, source }
        }
    }

    fn timeout(&self, url: &Url) -> Error {
        Error::Timeout {
            host: authority(url),
            limit: self.answer_timeout,
        }
    }
}

/// The absolute URL of `Location`.
pub(super) fn location(answer: &Response) -> Option<Url> {
    answer
        .url()
        .join(answer.headers().get(LOCATION)?.to_str().ok()?)
        .ok()
}

fn tls_configuration(error: TlsError) -> Error {
    let (what, why) = match error {
        TlsError::Root(why) => ("an extra certificate authority", why),
        error => ("TLS", error.to_string()),
    };
    Error::Configuration {
        what: what.to_owned(),
        why,
    }
}

pub(super) fn bad_answer(registry: &str, what: impl Into<String>) -> Error {
    Error::BadAnswer {
        host: registry.to_owned(),
        what: what.into(),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_authority_must_be_a_certificate() {
        let error = Transport::new(&ClientOptions::default().extra_root("hello")).unwrap_err();
        assert!(matches!(error, Error::Configuration { .. }), "{error}");
    }
}
