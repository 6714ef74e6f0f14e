//! Answers: errors as diagnoses, and headers that belong on every one.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use pipeops_core::{Diagnose, Diagnosis};
use serde_json::json;

use crate::controller::Refusal;
use crate::store::StoreError;

/// An error as an answer: `{"error": DIAGNOSIS}`.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    diagnosis: Box<Diagnosis>,
}

impl Error {
    pub(super) fn new(status: StatusCode, diagnosis: Diagnosis) -> Self {
        Self {
            status,
            diagnosis: Box::new(diagnosis),
        }
    }

    pub(super) fn not_found(what: &str) -> Self {
        let diagnosis = Diagnosis::new("Not found")
            .error(format!("there is no such {what}"))
            .fix("Check the address");
        Self::new(StatusCode::NOT_FOUND, diagnosis)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::UnknownProject { .. } => StatusCode::NOT_FOUND,
            Refusal::Unverified(_) => StatusCode::UNAUTHORIZED,
            Refusal::Unreadable(_) => StatusCode::BAD_REQUEST,
            Refusal::WrongRepository { .. } | Refusal::Incomplete { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Refusal::Store(error) => return store_error(error),
        };
        Self::new(status, refusal.diagnosis())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        store_error(&error)
    }
}

/// What the database said is for the log of the server, not for a stranger.
fn store_error(error: &StoreError) -> Error {
    let source: &dyn std::error::Error = error;
    tracing::error!(error = source, "the store does not answer");
    let diagnosis = Diagnosis::new("Temporarily unavailable")
        .error("the store does not answer")
        .fix("Try again")
        .fix("Look at the server's own log");
    Error::new(StatusCode::SERVICE_UNAVAILABLE, diagnosis)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.diagnosis}))).into_response()
    }
}

/// Headers for every answer: no guessing of types, no caching, no framing, no addresses to strangers.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
