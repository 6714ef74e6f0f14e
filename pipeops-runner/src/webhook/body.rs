//! Reading a webhook's body.

use serde::de::DeserializeOwned;

/// What is wrong with a webhook's body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not JSON, or a field is missing or of another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A ref in it has no possible name.
    #[error(transparent)]
    Name(#[from] crate::git::GitNameError),
    /// A commit is not a full SHA.
    #[error(transparent)]
    Commit(#[from] pipeops_core::commit::InvalidCommitSha),
}

pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(body)?)
}
