//! The errors of S3.

use http::{Response, StatusCode};

use super::xml;
use crate::serve::{Body, BodyError, full};

/// An error answer, with one of [S3's codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
#[derive(Debug, Clone)]
pub(super) struct S3Error {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// The result of a request.
pub(super) type S3Result<T> = Result<T, S3Error>;

impl S3Error {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn no_such_bucket() -> Self {
        Self::not_found("NoSuchBucket", "The specified bucket does not exist")
    }

    pub(super) fn no_such_key() -> Self {
        Self::not_found("NoSuchKey", "The specified key does not exist.")
    }

    pub(super) fn no_such_upload() -> Self {
        Self::not_found("NoSuchUpload", "The specified upload does not exist.")
    }

    pub(super) fn precondition(condition: &str) -> Self {
        let message =
            format!("At least one of the pre-conditions you specified did not hold: {condition}");
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            message,
        )
    }

    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        let message = format!("stand-in: {what} is not implemented");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(super) fn into_response(self, head: bool) -> Response<Body> {
        let mut document = xml::Writer::new("Error");
        document
            .text("Code", self.code)
            .text("Message", &self.message);
        let mut response = xml::xml_answer(&mut document);
        *response.status_mut() = self.status;
        if head {
            // The answer to HEAD has no body: its status must do.
            *response.body_mut() = full("");
        }
        response
    }
}

impl From<xml::Malformed> for S3Error {
    fn from(_: xml::Malformed) -> Self {
        Self::bad_request("MalformedXML", "The XML you provided was not well-formed")
    }
}

impl From<BodyError> for S3Error {
    fn from(error: BodyError) -> Self {
        let message = format!("the body could not be read: {error:?}");
        Self::bad_request("EntityTooLarge", message)
    }
}

/// S3's own error of a status that a fault asks for.
pub(super) fn of_status(status: StatusCode, expired: bool) -> S3Error {
    let code = match status {
        _ if expired => "ExpiredToken",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "SlowDown",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::FORBIDDEN => "AccessDenied",
        StatusCode::NOT_FOUND => "NoSuchKey",
        _ => "ScriptedFault",
    };
    let message = match expired {
        true => "The provided token has expired.",
        false => status.canonical_reason().unwrap_or("scripted fault"),
    };
    S3Error::new(status, code, message)
}
