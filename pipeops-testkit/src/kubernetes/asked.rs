//! The request and the reply of a handler.

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use super::shared::Shared;
use super::status::{ApiError, ApiResult};
use crate::serve::{Body, Exchange};

/// One request.
pub(crate) type Asked = Exchange<Shared>;

/// In which form the client wants the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    OnlyMetadata,
}

/// What a handler says.
pub(crate) enum Reply {
    Json(StatusCode, Value),
    /// A changed object, and the fields that were dropped from the request.
    Written(StatusCode, Value, Vec<String>),
    Text(StatusCode, String),
    /// Lines of JSON.
    Stream(Body),
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn read_json(&self) -> ApiResult<Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::bad_request(format!("the body is not valid JSON: {error}")))
    }

    /// The body as YAML, of which JSON is a part.
    pub(crate) fn read_yaml(&self) -> ApiResult<Value> {
        serde_norway::from_slice(&self.body)
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
    }

    /// The media type of the body, without parameters.
    pub(crate) fn media(&self) -> &str {
        let media = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        media.split(';').next().unwrap_or_default().trim()
    }

    /// The first form that the client takes and the stand-in can make.
    pub(crate) fn form(&self) -> ApiResult<Form> {
        let accept = self.header(ACCEPT.as_str()).unwrap_or_default();
        if accept.is_empty() {
            return Ok(Form::Plain);
        }
        let known = accept.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*") {
                return None;
            }
            let wanted = parts.find_map(|part| part.strip_prefix("as="));
            match wanted {
                None => Some(Form::Plain),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    Some(Form::OnlyMetadata)
                }
                Some(_) => None,
            }
        });
        known.ok_or_else(ApiError::not_acceptable)
    }
}
