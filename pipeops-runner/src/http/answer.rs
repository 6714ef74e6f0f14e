//! Responses: errors as diagnoses, and the headers of all responses.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis};
use serde_json::json;

use crate::Commands;
use crate::controller::ControllerError;
use crate::store::StoreError;

/// An error response: `{"error": DIAGNOSIS}`.
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

    /// A refused webhook, with the command of the embedding program.
    pub(super) fn refused(error: ControllerError, commands: &Commands) -> Self {
        let mut refused = Self::from(error);
        commands.complete(&mut refused.diagnosis);
        refused
    }

    /// The service is shut down. `fix` says what to do then.
    pub(super) fn stopped(fix: &str) -> Self {
        let diagnosis = Diagnosis::new(&codes::api::UNAVAILABLE)
            .error("the service is shut down")
            .fixes([fix]);
        Self::new(StatusCode::SERVICE_UNAVAILABLE, diagnosis)
    }

    pub(super) fn not_found(what: &str) -> Self {
        let diagnosis =
            Diagnosis::new(&codes::api::NOT_FOUND).error(format!("there is no such {what}"));
        Self::new(StatusCode::NOT_FOUND, diagnosis)
    }
}

impl From<ControllerError> for Error {
    fn from(error: ControllerError) -> Self {
        let status = match &error {
            ControllerError::UnknownProject { .. } => StatusCode::NOT_FOUND,
            ControllerError::Unverified(_) => StatusCode::UNAUTHORIZED,
            ControllerError::Unreadable(_) => StatusCode::BAD_REQUEST,
            ControllerError::WrongRepository { .. } | ControllerError::Incomplete { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ControllerError::Store(error) => return store_error(error),
        };
        Self::new(status, error.diagnosis())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        store_error(&error)
    }
}

/// Logs the message of the database, and hides it from the client.
fn store_error(error: &StoreError) -> Error {
    let source: &dyn std::error::Error = error;
    tracing::error!(error = source, "the database is unavailable");
    let diagnosis = Diagnosis::new(&codes::api::UNAVAILABLE).error("the database is unavailable");
    Error::new(StatusCode::SERVICE_UNAVAILABLE, diagnosis)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.diagnosis}))).into_response()
    }
}

/// Adds headers to all responses: no MIME sniffing, caching, framing or referrers.
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
