//! The errors of the distribution API.

use http::header::HeaderName;
use http::{Response, StatusCode};

use crate::serve::{Body, full, set_headers, with_type};

/// The media type of errors.
const JSON: &str = "application/json";

/// A rejected manifest or image, with a code of the [distribution specification].
///
/// [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct Refused {
    /// The code, such as `MANIFEST_BLOB_UNKNOWN`.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self {
            code: error.code.to_owned(),
            message: error.message,
        }
    }
}

/// An error answer: status, code and message as the [distribution specification] lists them.
///
/// [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    header: Option<(HeaderName, String)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: String) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) fn blob_unknown(digest: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            format!("blob unknown to registry: {digest}"),
        )
    }

    pub(super) fn digest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", why)
    }

    pub(super) fn manifest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why)
    }

    pub(super) fn manifest_unknown(reference: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            format!("manifest unknown: {reference}"),
        )
    }

    pub(super) fn name_unknown(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            format!("repository name not known to registry: {name}"),
        )
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", what)
    }

    pub(super) fn upload_unknown(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            format!("blob upload unknown to registry: {id}"),
        )
    }

    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "SIZE_INVALID",
            "the stand-in accepts no more bytes here",
        )
    }

    pub(super) fn broken_off(why: &str) -> Self {
        let message = format!("the body could not be read: {why}");
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({"errors": [{"code": self.code, "message": self.message}]});
        let mut response = with_type(self.status, JSON, full(body.to_string()));
        if let Some((name, value)) = self.header {
            set_headers(&mut response, &[(name.as_str(), value)]);
        }
        response
    }
}
