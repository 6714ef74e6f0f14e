//! An HTTP client for registries: plain HTTP, with limits for time and size, and errors in the daemon's words.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::error::{BuildError, BuildResult};

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The method and the address, for errors.
    asked: String,
}

impl Response {
    /// The error for a status that was not expected, as containerd words it.
    pub(super) fn unexpected(&self) -> BuildError {
        BuildError::new(format!(
            "unexpected status from {}: {}",
            self.asked, self.status
        ))
    }

    /// The same in the registry's own words, where it says any.
    pub(super) fn refused(&self) -> BuildError {
        self.registry_error()
            .map_or_else(|| self.unexpected(), BuildError::new)
    }

    /// What the body of a registry's error says, as containerd prints it: the code alone where the message is the usual one.
    pub(super) fn registry_error(&self) -> Option<String> {
        let json: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let code = json["errors"][0]["code"].as_str()?;
        let message = json["errors"][0]["message"].as_str().unwrap_or_default();
        let usual = match code {
            "DENIED" => "requested access to the resource is denied",
            "TOOMANYREQUESTS" => "too many requests",
            "UNAUTHORIZED" => "authentication required",
            "UNAVAILABLE" => "service unavailable",
            "UNSUPPORTED" => "The operation is unsupported.",
            _ => "unknown error",
        };
        let code = code.to_lowercase().replace('_', " ");
        Some(match message == usual || message.is_empty() {
            true => code,
            false => format!("{code}: {message}"),
        })
    }
}

/// Keeps connections open between requests.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    limit: usize,
}

impl HttpClient {
    /// A client that reads answers of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            limit,
        }
    }

    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> BuildResult<Response> {
        let failed = |error: String| {
            let verb = title_case(method.as_str());
            BuildError::new(format!("failed to do request: {verb} \"{url}\": {error}"))
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.parse().map_err(|_| failed("invalid URL".to_owned()))?;
        *request.headers_mut() = headers.clone();
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| failed(in_go_words(&error, url)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.limit).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
            Ok(Response {
                status: parts.status,
                headers: parts.headers,
                body,
                asked: format!("{method} request to {url}"),
            })
        };
        let exchange = tokio::time::timeout(TIMEOUT, exchange).await;
        exchange.unwrap_or_else(|_| Err(failed("context deadline exceeded".to_owned())))
    }
}

/// A refused or a lost connection as Go writes it, so that clients that look for these words find them.
fn in_go_words(error: &(dyn Error + 'static), url: &str) -> String {
    let host = url.split('/').nth(2).unwrap_or_default();
    let chain = std::iter::successors(Some(error), |error| Error::source(*error));
    let kind = chain
        .clone()
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    match kind {
        Some(std::io::ErrorKind::ConnectionRefused) => {
            format!("dial tcp {host}: connect: connection refused")
        }
        Some(std::io::ErrorKind::ConnectionReset) => "read: connection reset by peer".to_owned(),
        _ if chain.clone().any(is_incomplete) => "EOF".to_owned(),
        _ => chain.last().map(ToString::to_string).unwrap_or_default(),
    }
}

fn is_incomplete(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(|error| error.is_incomplete_message() || error.is_closed())
}

/// `GET` as `Get`: so Go begins its errors.
fn title_case(method: &str) -> String {
    let mut letters = method.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    first + &letters.as_str().to_lowercase()
}
