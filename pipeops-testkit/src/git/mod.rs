//! A git server over HTTP, with repositories made in code.
//!
//! ```
//! use pipeops_testkit::git::{GitOptions, GitServer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = GitServer::start(GitOptions::default()).await?;
//! let repo = server.create("team/app");
//! let sha = repo.commit(&[("main.py", "print('hello')\n")], "First")?;
//! // `git clone` of this address, or a fetch of exactly `sha` with depth 1:
//! assert!(repo.url().ends_with("/team/app.git") && sha.len() == 40);
//! # Ok(()) }
//! ```
//!
//! # What it does
//! Smart HTTP for fetches and clones, protocol versions 0 and 2: references, fetch by name and of any commit by its SHA,
//! `deepen`, incremental fetches. A SHA that is not there is `upload-pack: not our ref`, as git says it. It takes no
//! pushes (403), no filters, no `deepen-since`; the dumb protocol and version 1 are not served.
//!
//! Objects are held in memory and packs are written without deltas: repositories are meant to be small.
//!
//! # Operations for fault rules
//! `refs` (the first request of every fetch), `ls-refs`, `fetch`, `push`. [`Fault::Cut`](crate::fault::Fault::Cut) on
//! `fetch` breaks the pack off.

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

/// How a [`GitServer`] starts. Default: everybody may read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GitOptions {
    /// User name and password of each login; an empty user name stands for any.
    pub logins: Vec<(String, SecretString)>,
}

impl GitOptions {
    /// Lets this user in. With one login or more, only these may read.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.logins.push((name.into(), password.into()));
        self
    }

    /// Lets everybody in who has this access token as password, under any user name, as forges do.
    #[must_use]
    pub fn token(self, token: impl Into<SecretString>) -> Self {
        self.user("", token)
    }
}

/// A git server on a free port of 127.0.0.1, over plain HTTP. It stops when it is dropped.
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
    /// When no port can be had.
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

    /// Creates an empty repository; or answers the one that is there under this name.
    pub fn create(&self, name: &str) -> Repo {
        let name = name.trim_matches('/').trim_end_matches(".git");
        let mut repositories = lock(&self.shared.repositories);
        let state = repositories.entry(name.to_owned()).or_default().clone();
        Repo::new(name.to_owned(), self.url(name), state)
    }

    /// `http://127.0.0.1:PORT/NAME.git`, whether there is such a repository or not.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// The requests seen, oldest first; the last 10,000 of them.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// Takes back all logins and allows these instead, as a rotation of tokens does.
    pub fn set_logins(&self, options: GitOptions) {
        *lock(&self.shared.logins) = options.logins;
    }

    /// Cuts all connections and refuses new ones until [`GitServer::restart`]. The repositories stay.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Listens again, at the same port, after a crash.
    ///
    /// # Errors
    /// When another process has taken the port.
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
