//! Reads the body of a webhook.

use serde::de::DeserializeOwned;

/// Why the body of a webhook can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It isn't JSON, or a field is missing or has another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The name of a ref is invalid.
    #[error(transparent)]
    Name(#[from] crate::git::GitNameError),
    /// A commit is not a full SHA.
    #[error(transparent)]
    Commit(#[from] pipeops_core::commit::InvalidCommitSha),
}

pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(body)?)
}
