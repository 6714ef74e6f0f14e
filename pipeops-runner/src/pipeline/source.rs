//! The source of a commit on disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pipeops_core::Diagnosis;
use pipeops_core::diagnosis::codes;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::StepFailure;
use crate::clone::{CloneRequest, Cloned, SourceFetcher, source_folder};
use crate::workspace::{Workspace, Workspaces};

/// The source of one commit, which is fetched when a step first needs it and removed on drop.
pub(super) struct Source<'a> {
    workspaces: &'a Workspaces,
    fetcher: &'a dyn SourceFetcher,
    request: CloneRequest,
    fetched: OnceCell<(Arc<Workspace>, Cloned)>,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        workspaces: &'a Workspaces,
        fetcher: &'a dyn SourceFetcher,
        request: CloneRequest,
    ) -> Self {
        Self {
            workspaces,
            fetcher,
            request,
            fetched: OnceCell::new(),
        }
    }

    /// The fetched commit.
    pub(super) async fn cloned(&self) -> Result<Cloned, StepFailure> {
        Ok(self.fetched().await?.1.clone())
    }

    /// The folder with the files of the commit.
    pub(super) async fn folder(&self) -> Result<PathBuf, StepFailure> {
        Ok(source_folder(&self.fetched().await?.0))
    }

    async fn fetched(&self) -> Result<&(Arc<Workspace>, Cloned), StepFailure> {
        self.fetched.get_or_try_init(|| self.fetch()).await
    }

    async fn fetch(&self) -> Result<(Arc<Workspace>, Cloned), StepFailure> {
        let workspaces = self.workspaces.clone();
        let workspace = Arc::new(blocking(move || workspaces.create()).await??);
        let cloned = self.fetcher.fetch(&workspace, &self.request).await;
        Ok((workspace, cloned.map_err(StepFailure::new)?))
    }
}

/// Runs work on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepFailure> {
    spawn_blocking(work).await.map_err(|error| {
        StepFailure::from_diagnosis(
            Diagnosis::new(&codes::deployment::INTERNAL)
                .error(error.to_string())
                .reason("the step panicked: this is a bug in PipeOps"),
        )
    })
}

/// The source on disk can't be read.
pub(super) fn unreadable(error: io::Error) -> StepFailure {
    StepFailure::from_diagnosis(
        Diagnosis::new(&codes::deployment::WORKSPACE)
            .error("cannot read the source")
            .reason(error.to_string()),
    )
}
