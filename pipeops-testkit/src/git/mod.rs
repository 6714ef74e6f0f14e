//! A git server over HTTP, with repositories that are created in code.
//!
//! ```
//! use pipeops_testkit::git::{GitOptions, GitServer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = GitServer::start(GitOptions::default()).await?;
//! let repo = server.create("team/app");
//! let sha = repo.commit(&[("main.py", "print('hello')\n")], "First")?;
//! // Clone this URL, or fetch only `sha` with depth 1:
//! assert!(repo.url().ends_with("/team/app.git") && sha.len() == 40);
//! # Ok(()) }
//! ```
//!
//! # What it implements
//! Clones and fetches over smart HTTP with protocol version 2: references, fetches by name and of any commit by its SHA,
//! `deepen`. A missing SHA is reported in git's words: `upload-pack: not our ref`. Every pack is whole and without deltas, and
//! objects are held in memory, so keep repositories small.
//!
//! Not implemented (501, or an error in the pack): pushes, protocol versions 0 and 1, the dumb protocol, fetches into a shallow
//! clone, filters, `deepen-since`.
//!
//! # Operations for fault rules
//! `refs` (the first request of every fetch), `ls-refs`, `fetch`, `push`. [`Fault::Cut`](crate::fault::Fault::Cut) on `fetch`
//! truncates the pack.

mod http_api;
mod objects;
mod pack;
mod pktline;
mod repo;
mod upload_pack;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use pipeops_core::SecretString;

pub use repo::{Change, CommitError, Repo};

use crate::fault::Faults;
use crate::seen::SeenRequest;
use crate::serve::{self, Base, Server, lock};
use repo::RepoState;

/// How a [`GitServer`] starts. Default: no logins, so everyone may read.
///
/// ```
/// use pipeops_testkit::git::GitOptions;
///
/// let options = GitOptions::default().user("bob", "s3cr3t").token("ghp_token");
/// assert_eq!(options.logins.len(), 2);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GitOptions {
    /// User name and password of each login. An empty user name matches any.
    pub logins: Vec<(String, SecretString)>,
}

impl GitOptions {
    /// Adds a login. With at least one login, anonymous requests are rejected.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.logins.push((name.into(), password.into()));
        self
    }

    /// Adds an access token, which is accepted as the password of any user name, as forges do.
    #[must_use]
    pub fn token(self, token: impl Into<SecretString>) -> Self {
        self.user("", token)
    }
}

/// A git server on a free port of 127.0.0.1, over plain HTTP. It stops when it's dropped.
pub struct GitServer {
    server: Server,
    base: Base,
    shared: Arc<Shared>,
}

/// What the handlers of requests share.
struct Shared {
    logins: Mutex<Vec<(String, SecretString)>>,
    repositories: Mutex<BTreeMap<String, Arc<Mutex<RepoState>>>>,
}

impl GitServer {
    /// Starts a server without repositories.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(options: GitOptions) -> io::Result<Self> {
        let base = Base::default();
        let shared = Arc::new(Shared {
            logins: Mutex::new(options.logins),
            repositories: Mutex::default(),
        });
        let server = serve::start(&base, &shared).await?;
        Ok(Self {
            server,
            base,
            shared,
        })
    }

    /// Creates an empty repository, or returns the existing one of this name.
    pub fn create(&self, name: &str) -> Repo {
        let name = name.trim_matches('/').trim_end_matches(".git");
        let mut repositories = lock(&self.shared.repositories);
        let state = repositories.entry(name.to_owned()).or_default().clone();
        Repo::new(self.url(name), state)
    }

    /// The URL of a repository, `http://127.0.0.1:PORT/NAME.git`. The repository need not exist.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// The requests, oldest first. Only the last 10,000 are kept.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// Replaces all logins, as a token rotation does.
    pub fn set_logins(&self, options: GitOptions) {
        *lock(&self.shared.logins) = options.logins;
    }

    /// Closes all connections and refuses new ones until [`GitServer::restart`]. The repositories are kept.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Listens on the same port again, after [`GitServer::crash`] or [`Fault::Crash`](crate::fault::Fault::Crash).
    ///
    /// # Errors
    /// When another process uses the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.server.restart().await
    }
}

impl fmt::Debug for GitServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repositories = lock(&self.shared.repositories);
        f.debug_struct("GitServer")
            .field("address", &self.server.address())
            .field("repositories", &repositories.keys())
            .finish_non_exhaustive()
    }
}
