//! The requests that a stand-in has received.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::Call;

/// One request to a stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The operation, as in [fault rules](crate::fault::Matcher::operation).
    pub operation: String,
    /// The user who was authenticated. `None` for anonymous and rejected requests.
    pub user: Option<String>,
    /// The status of the response. `None` when the connection was closed without a response.
    pub status: Option<u16>,
}

impl SeenRequest {
    pub(crate) fn new(call: Call) -> Self {
        Self {
            method: call.method,
            path: call.path,
            operation: call.operation,
            user: None,
            status: None,
        }
    }
}

/// The latest requests of one stand-in. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<SeenRequest>>>);

impl Log {
    /// Older requests are forgotten, so that a long-lived stand-in does not grow.
    const LIMIT: usize = 10_000;

    pub(crate) fn push(&self, request: SeenRequest) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == Self::LIMIT {
            log.pop_front();
        }
        log.push_back(request);
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }
}
