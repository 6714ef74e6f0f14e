//! What the stand-ins have been asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::serve::lock;

/// One request that a stand-in has answered, or cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The operation, as fault rules name it.
    pub operation: &'static str,
    /// Who sent it; none when anonymous or refused.
    pub user: Option<String>,
    /// The status that was answered; none when the connection was cut instead.
    pub status: Option<u16>,
}

/// The latest requests of one stand-in. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<SeenRequest>>>);

impl Log {
    /// Older requests are forgotten.
    const LIMIT: usize = 10_000;

    pub(crate) fn push(&self, request: SeenRequest) {
        let mut log = lock(&self.0);
        if log.len() == Self::LIMIT {
            log.pop_front();
        }
        log.push_back(request);
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        lock(&self.0).iter().cloned().collect()
    }
}
