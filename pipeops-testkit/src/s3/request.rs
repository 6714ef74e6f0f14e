//! Helpers of the request handlers.

use http::Method;

use super::Shared;
use super::error::{S3Error, S3Result};
use crate::serve;

/// One request on its way through a handler. Its body is checked and out of its chunks.
pub(super) type Exchange = serve::Exchange<Shared>;

impl Exchange {
    /// The bucket; empty when all of them are meant.
    pub(super) fn bucket(&self) -> &str {
        self.place().0
    }

    /// The key; empty when the whole bucket is meant.
    pub(super) fn key(&self) -> &str {
        self.place().1
    }

    fn place(&self) -> (&str, &str) {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split_once('/').unwrap_or((path, ""))
    }

    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    /// A required parameter of the query.
    pub(super) fn required(&self, name: &str) -> S3Result<&str> {
        let missing = || S3Error::bad_request("InvalidArgument", format!("{name} is missing"));
        self.query.get(name).ok_or_else(missing)
    }
}
