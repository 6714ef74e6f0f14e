//! The built-in fetcher: gix on a blocking thread, with limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pipeops_core::{CommitSha, Failure};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::tally::bytes_text;
use super::{
    CloneError, CloneLimits, CloneRequest, Cloned, SourceFetcher, fetch, resolve, source_folder,
};
use crate::git::RepositoryUrl;
use crate::project::{Login, Project};
use crate::workspace::{Workspace, size};

/// How often the size of the workspace is measured.
const SIZE_CHECK: Duration = Duration::from_millis(100);

/// Fetches from git servers over https with [gix](https://docs.rs/gix), without a git binary.
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

impl GitFetcher {
    /// Resolves a branch, a tag or a short SHA at the project's git server to the full SHA of its commit.
    ///
    /// `revision` is one of these; a branch takes precedence over a tag with the same name:
    /// - a branch or a tag: `main`, `v1.2`
    /// - a full ref name: `refs/heads/main`, or `HEAD` for the server's default branch
    /// - at least four digits of a commit that a branch or a tag points to: `1f7a7a4`
    /// - a full SHA, which is returned without asking the server
    ///
    /// ```no_run
    /// use pipeops_runner::{Project, clone::GitFetcher};
    ///
    /// # async fn resolve() -> Result<(), Box<dyn std::error::Error>> {
    /// let project = Project::new("shop")?.repository("https://git.example.com/team/shop.git".parse()?);
    /// let head = GitFetcher.resolve(&project, "main").await?;
    /// println!("main is at {head}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`CloneError::UnknownRevision`] and [`CloneError::AmbiguousRevision`] when the name matches no commit or several;
    /// [`CloneError::NotConfigured`] when the project has no repository; otherwise the errors of a clone.
    pub async fn resolve(
        &self,
        project: &Project,
        revision: &str,
    ) -> Result<CommitSha, CloneError> {
        if let Ok(commit) = revision.parse() {
            return Ok(commit);
        }
        let revision = revision.to_owned();
        ask_server(
            project,
            CloneLimits::default(),
            move |url, login, limits| resolve::resolve(url, login, limits, &revision),
        )
        .await
    }

    /// Lists the branches and tags of the project's git server by their short names, such as `main` and `v1.2`.
    ///
    /// # Errors
    /// [`CloneError::NotConfigured`] when the project has no repository; otherwise the errors of a clone.
    pub async fn refs(&self, project: &Project) -> Result<Vec<String>, CloneError> {
        ask_server(project, CloneLimits::default(), resolve::names).await
    }
}

/// Runs blocking work with the URL and the login of the project's repository. The work ends soon after its limit.
pub(super) async fn ask_server<T, W>(
    project: &Project,
    limits: CloneLimits,
    work: W,
) -> Result<T, CloneError>
where
    T: Send + 'static,
    W: FnOnce(&RepositoryUrl, Option<&Login>, &CloneLimits) -> Result<T, CloneError>,
    W: Send + 'static,
{
    let url = project.repository.clone();
    let url = url.ok_or_else(|| CloneError::NotConfigured {
        project: project.name.clone(),
    })?;
    let (server, login) = (url.clone(), project.secrets.git.clone());
    let limit = limits.time;
    let asked = spawn_blocking(move || work(&server, login.as_ref(), &limits));
    match timeout(limit, asked).await {
        Ok(asked) => asked.unwrap_or_else(|panic| Err(CloneError::internal(&url, panic))),
        Err(_) => Err(CloneError::Timeout { url, limit }),
    }
}

/// Fetches the commit into the source folder of the workspace.
///
/// ```no_run
/// use std::sync::Arc;
/// use pipeops_runner::clone::{CloneRequest, clone, source_folder};
/// use pipeops_runner::workspace::Workspaces;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let workspace = Arc::new(Workspaces::open("/var/lib/my-server")?.create()?);
/// let url = "https://git.example.com/team/shop.git".parse()?;
/// let commit = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse()?;
/// let cloned = clone(&workspace, &CloneRequest::new(url, commit)).await?;
/// println!("{} files in {}", cloned.files, source_folder(&workspace).display());
/// # Ok(()) }
/// ```
///
/// Files have git's modes, 0644 or 0755. Symlinks are written unchanged, even if they lead out of the tree: don't follow them.
/// Dropping the future stops the work soon after. The workspace exists until then.
///
/// # Errors
/// When the server can't be reached, rejects the login, or doesn't have the repository or commit, and when the commit exceeds
/// a limit.
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
        done = &mut work => done.unwrap_or_else(|panic| Err(CloneError::internal(&request.url, panic))),
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

/// Completes once the workspace exceeds this size. Measuring is cheap, because a pack is one file.
async fn grows_beyond(workspace: &Arc<Workspace>, bytes: u64) {
    loop {
        tokio::time::sleep(SIZE_CHECK).await;
        let workspace = Arc::clone(workspace);
        let measured = spawn_blocking(move || size(workspace.path())).await;
        if measured.is_ok_and(|size| size > bytes) {
            return;
        }
    }
}

/// Stops the blocking thread on drop.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
