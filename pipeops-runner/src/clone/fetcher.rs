//! The built-in fetcher: gix on a blocking thread, within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pipeops_core::Failure;
use tokio::task::spawn_blocking;

use super::tally::bytes_text;
use super::{CloneError, CloneRequest, Cloned, SourceFetcher, fetch, source_folder};
use crate::workspace::{Workspace, usage};

/// How often the size of the workspace is measured.
const SIZE_CHECK: Duration = Duration::from_millis(100);

/// Fetches from git servers over https: [`clone`] as a [`SourceFetcher`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GitFetcher;

#[async_trait]
impl SourceFetcher for GitFetcher {
    async fn fetch(
        &self,
        workspace: &Arc<Workspace>,
        request: &CloneRequest,
    ) -> Result<Cloned, Failure> {
        Ok(clone(workspace, request).await?)
    }
}

/// Fetches the commit into the workspace's source folder.
///
/// Files have git's modes (0644 or 0755). Symlinks are written as they are, also those that lead out of the tree: whoever
/// reads the folder must not follow them. Dropping the future stops the work soon after; the workspace lives until then.
///
/// # Errors
/// A missing commit, a refused login, a server that is not reached, and a repository that is too large are different
/// variants of [`CloneError`].
pub async fn clone(
    workspace: &Arc<Workspace>,
    request: &CloneRequest,
) -> Result<Cloned, CloneError> {
    let stop = StopOnDrop::default();
    let mut work = {
        let (workspace, request) = (Arc::clone(workspace), request.clone());
        let flag = Arc::clone(&stop.0);
        spawn_blocking(move || fetch::fetch(&source_folder(&workspace), &request, &flag))
    };
    let limits = &request.limits;
    tokio::select! {
        done = &mut work => done.unwrap_or_else(|panic| Err(CloneError::internal(request, panic))),
        () = tokio::time::sleep(limits.time) => Err(CloneError::Timeout {
            url: request.url.clone(),
            limit: limits.time,
        }),
        () = grows_beyond(workspace, limits.bytes) => Err(CloneError::TooLarge {
            url: request.url.clone(),
            what: bytes_text(limits.bytes),
        }),
    }
}

/// Ends once the workspace holds more than this. The pack arrives in one file: looking at it costs little.
async fn grows_beyond(workspace: &Arc<Workspace>, bytes: u64) {
    loop {
        tokio::time::sleep(SIZE_CHECK).await;
        let workspace = Arc::clone(workspace);
        let measured = spawn_blocking(move || usage(workspace.path())).await;
        if measured.is_ok_and(|usage| usage.bytes > bytes) {
            return;
        }
    }
}

/// Stops the blocking thread when the future is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
