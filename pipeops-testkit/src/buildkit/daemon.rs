//! The state of a daemon, shared by all calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::SolveRequest;
use tokio::sync::watch;

use super::cache::Cache;
use super::error::{BuildError, BuildResult};
use super::filesync::Kept;
use super::http_client::HttpClient;
use super::options::BuildkitOptions;
use super::progress::Progress;
use super::remote::Blobs;
use super::seen::SeenBuild;
use super::session::Sessions;
use crate::serve::{Base, lock};

/// The largest blob that is read from a registry, in bytes.
const MAX_BLOB: usize = 1 << 30;

/// How many builds are remembered.
const BUILDS: usize = 1_000;

/// How long `Status` waits for a build that it does not know: the client may be about to ask for it.
const WAIT: Duration = Duration::from_secs(6);

pub(super) struct Daemon {
    pub(super) options: BuildkitOptions,
    pub(super) base: Base,
    pub(super) sessions: Arc<Sessions>,
    pub(super) cache: Cache,
    pub(super) kept: Kept,
    pub(super) blobs: Blobs,
    pub(super) http: HttpClient,
    builds: Mutex<VecDeque<(SeenBuild, Progress)>>,
    started: watch::Sender<()>,
}

impl Daemon {
    pub(super) fn new(options: BuildkitOptions, base: Base) -> Self {
        let http = HttpClient::new(MAX_BLOB);
        Self {
            options,
            base,
            sessions: Arc::default(),
            cache: Cache::default(),
            kept: Kept::default(),
            blobs: Blobs::default(),
            http,
            builds: Mutex::default(),
            started: watch::Sender::new(()),
        }
    }

    /// Begins a build.
    pub(super) fn begin(&self, request: &SolveRequest) -> BuildResult<Progress> {
        let mut builds = lock(&self.builds);
        let id = request.r#ref.as_str();
        if id.is_empty() {
            return Err(BuildError::new("the build has no ref"));
        }
        if builds.iter().any(|(seen, _)| seen.id == id) {
            return Err(BuildError::new(format!("job ID {id} exists")));
        }
        if builds.len() == BUILDS {
            builds.pop_front();
        }
        let progress = Progress::new(id);
        builds.push_back((SeenBuild::new(request), progress.clone()));
        drop(builds);
        self.started.send_replace(());
        Ok(progress)
    }

    /// The progress of a build; waits for it a while.
    pub(super) async fn progress(&self, id: &str) -> Option<Progress> {
        let mut started = self.started.subscribe();
        let found = async {
            loop {
                let known = self.find(id);
                if known.is_some() {
                    return known;
                }
                started.changed().await.ok()?;
            }
        };
        tokio::time::timeout(WAIT, found).await.ok().flatten()
    }

    fn find(&self, id: &str) -> Option<Progress> {
        let builds = lock(&self.builds);
        let build = builds.iter().find(|(seen, _)| seen.id == id);
        build.map(|(_, progress)| progress.clone())
    }

    /// Writes something down about a build.
    pub(super) fn note(&self, id: &str, write: impl FnOnce(&mut SeenBuild)) {
        let mut builds = lock(&self.builds);
        if let Some((seen, _)) = builds.iter_mut().find(|(seen, _)| seen.id == id) {
            write(seen);
        }
    }

    /// All builds, oldest first.
    pub(super) fn builds(&self) -> Vec<SeenBuild> {
        lock(&self.builds)
            .iter()
            .map(|(seen, _)| seen.clone())
            .collect()
    }

    /// Forgets all cached steps, contexts and blobs.
    pub(super) fn prune(&self) {
        self.kept.clear();
        self.blobs.clear();
        self.cache.clear();
    }
}
