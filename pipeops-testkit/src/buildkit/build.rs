//! The state of one build.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use pipeops_core::Digest;
use tonic::Code;

use super::cache::Record;
use super::daemon::Daemon;
use super::error::{BuildError, BuildResult, SourceFile, code_of};
use super::progress::Progress;
use super::registry_auth::Logins;
use super::remote::Remote;
use super::request::BuildRequest;
use super::s3_cache::{CachedLayer, S3Cache};
use super::session::Session;
use crate::fault::{Call, Fault};

/// Everything that one build knows.
pub(super) struct Build {
    pub(super) daemon: Arc<Daemon>,
    pub(super) request: BuildRequest,
    pub(super) session: Option<Session>,
    pub(super) progress: Progress,
    pub(super) remote: Remote,
    /// What the remote caches know.
    pub(super) imported: OnceLock<Imported>,
    /// The steps done so far, in order.
    pub(super) done: Mutex<Vec<DoneStep>>,
    pub(super) source: OnceLock<SourceFile>,
}

/// Steps that remote caches know, by key.
pub(super) type Imported = HashMap<Digest, ImportedStep>;

/// A step in a remote cache.
#[derive(Debug, Clone)]
pub(super) struct ImportedStep {
    pub(super) cache: S3Cache,
    pub(super) layer: Option<CachedLayer>,
    pub(super) created: String,
}

/// A step of this build, for the caches that are written.
#[derive(Debug, Clone)]
pub(super) struct DoneStep {
    pub(super) key: Digest,
    /// The blob of the layer below.
    pub(super) parent: Option<Digest>,
    pub(super) record: Record,
}

impl Build {
    pub(super) fn new(
        daemon: Arc<Daemon>,
        request: BuildRequest,
        session: Option<Session>,
        progress: Progress,
    ) -> Self {
        let logins = Logins::new(session.clone());
        let remote = Remote::new(
            daemon.http.clone(),
            logins,
            daemon.options.hosts.clone(),
            daemon.blobs.clone(),
        );
        Self {
            daemon,
            request,
            session,
            progress,
            remote,
            imported: OnceLock::new(),
            done: Mutex::default(),
            source: OnceLock::new(),
        }
    }

    /// The Dockerfile of this build.
    pub(super) fn source(&self) -> &SourceFile {
        static NONE: SourceFile = SourceFile {
            name: String::new(),
            data: Vec::new(),
        };
        self.source.get().unwrap_or(&NONE)
    }

    /// Shows a point of the build to the scripted faults.
    pub(super) async fn hook(&self, operation: &str, name: &str) -> BuildResult<()> {
        let Some(fault) = self
            .daemon
            .base
            .faults
            .next(&Call::new("BUILD", name, operation))
        else {
            return Ok(());
        };
        let lost =
            || BuildError::new("transport error: the session was cut").code(Code::Unavailable);
        match fault {
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Fault::Crash => {
                self.daemon.base.switch.off();
                Err(lost())
            }
            Fault::Status { code, body, .. } => {
                let message = body.unwrap_or_else(|| format!("scripted fault: status {code}"));
                Err(BuildError::new(message).code(code_of(code)))
            }
            Fault::Expired { code } => {
                Err(BuildError::new("authorization failed").code(code_of(code)))
            }
            Fault::Gone => Err(BuildError::new("gone").code(Code::NotFound)),
            // Refuse and Cut: the client's session ends here.
            _ => {
                self.daemon.sessions.close(&self.request.session);
                Err(lost())
            }
        }
    }

    /// Now, or the time that `SOURCE_DATE_EPOCH` sets.
    pub(super) fn time(&self) -> String {
        let epoch = self.request.source_date_epoch();
        let epoch = epoch.and_then(|seconds| Timestamp::from_second(seconds).ok());
        epoch.unwrap_or_else(Timestamp::now).to_string()
    }
}
