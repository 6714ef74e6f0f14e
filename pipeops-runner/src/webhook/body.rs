//! Reads the body of a webhook.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

/// Why the body of a webhook can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It isn't JSON, or a field has another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// What the payload must say is missing, null or empty.
    #[error("the payload does not name {0}")]
    Missing(&'static str),
    /// The name of a ref is invalid.
    #[error(transparent)]
    Name(#[from] crate::git::GitNameError),
    /// A commit is not a full SHA.
    #[error(transparent)]
    Commit(#[from] pipeops_core::commit::InvalidCommitSha),
}

/// Reads JSON. In a payload, null, missing and empty mean the same: the types that read it have a default for every field, and
/// read each one with [`or_default`].
pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(body)?)
}

/// Null as the default value, for `#[serde(deserialize_with)]`.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The first text that isn't empty.
pub(super) fn or(first: String, second: String) -> String {
    if first.is_empty() { second } else { first }
}
