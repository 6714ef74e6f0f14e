//! Whether an operation is worth retrying.

use serde::{Deserialize, Serialize};

/// Whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RetryClass {
    /// A later attempt may succeed: throttling, a cut connection, a daemon that restarts.
    Transient,
    /// Transient, but already retried: callers don't retry it again.
    Exhausted,
    /// The credential was refused or has expired: renew it, then retry once.
    NeedsCredential,
    /// The same input would fail again.
    #[default]
    Permanent,
}

impl RetryClass {
    /// True for [`RetryClass::Transient`].
    pub fn is_transient(self) -> bool {
        self == Self::Transient
    }
}
