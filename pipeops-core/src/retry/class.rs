//! Whether an error is worth another try.

use serde::{Deserialize, Serialize};

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RetryClass {
    /// A later attempt may succeed: throttling, a cut connection, a daemon that restarts.
    Transient,
    /// It was transient, was tried again below, and still failed: callers don't retry it.
    Exhausted,
    /// The credential was refused or has expired: renew it, then try once more.
    NeedsCredential,
    /// The same input fails again: a person has to change something.
    #[default]
    Permanent,
}

impl RetryClass {
    /// True for [`RetryClass::Transient`].
    pub fn is_transient(self) -> bool {
        self == Self::Transient
    }
}
