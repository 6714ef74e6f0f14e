//! What the stand-ins have been asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::Call;

/// One request that a stand-in has answered, or cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The operation, as fault rules name it.
    pub operation: String,
    /// Who sent it; none when anonymous or refused.
    pub user: Option<String>,
    /// The status that was answered; none when the connection ended without an answer.
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
