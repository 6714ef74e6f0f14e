//! Helpers of the request handlers.

use super::Shared;
use super::auth::{Challenge, Wanted};
use super::error::ApiError;
use crate::serve::{self, BodyError};

/// One request on its way through a handler.
pub(super) type Exchange = serve::Exchange<Shared>;

/// The media type of most answers.
pub(super) const JSON: &str = "application/json";

/// A refusal or the end of the connection.
pub(super) enum Stop {
    Refused(ApiError),
    Cut,
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<BodyError> for Stop {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Cut => Self::Cut,
            BodyError::TooLarge => Self::Refused(ApiError::too_large()),
            BodyError::Broken(why) => Self::Refused(ApiError::broken_off(&why)),
        }
    }
}

impl Exchange {
    pub(super) fn challenge(&self) -> Challenge<'_> {
        Challenge {
            host: self.host(),
            mount_from: self.query.get("mount").and_then(|_| self.query.get("from")),
        }
    }

    /// Whether the same client may also do this, for instance pull from the repository that it mounts from.
    pub(super) fn may(&self, wanted: Wanted<'_>) -> bool {
        let gate = &self.shared.gate;
        gate.check(&self.parts.headers, wanted, self.challenge())
            .is_ok()
    }
}
