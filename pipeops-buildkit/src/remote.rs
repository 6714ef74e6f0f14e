//! Builds whose files are not in a folder of this machine: the daemon clones or downloads them, or they come as an archive.

use std::collections::BTreeMap;

use pipeops_core::build::DockerfileSource;
use tokio::io::AsyncRead;

use crate::error::Error;
use crate::frontend::{NamedContext, check_context};
use crate::random;
use crate::session::upload::{Once, Upload};
use crate::solve::Solve;

/// Where the daemon gets the build context.
#[derive(Debug, Clone, Default)]
pub(crate) enum Main {
    /// From the request's folder.
    #[default]
    Folder,
    /// From an address.
    Remote(NamedContext),
    /// From a stream of this process.
    Stream(Once),
}

/// A context that is not in a folder, as a daemon finds it.
pub(crate) struct Place {
    address: String,
    /// The stream that is there for it, by its id.
    pub(crate) stream: Option<(String, Once)>,
}

impl Solve {
    /// Builds a repository that the daemon clones, `https://host/owner/name.git#REF:FOLDER`, instead of the request's folder,
    /// which is not looked at. The Dockerfile is the repository's, unless the request has its text.
    ///
    /// A private repository needs a token in the request's secret `GIT_AUTH_TOKEN`, or `GIT_AUTH_TOKEN.HOST` for one host
    /// ([Docker's documentation](https://docs.docker.com/build/building/secrets/#git-authentication-for-remote-contexts)), or an
    /// agent ([`Solve::ssh_agent`]) and an address of the form `git@host:owner/name.git`.
    #[must_use]
    pub fn git_context(mut self, address: impl Into<String>) -> Self {
        self.main = Main::Remote(NamedContext::Git(address.into()));
        self
    }

    /// Builds an archive (tar, also compressed with gzip, bzip2 or xz) that the daemon downloads, instead of the request's
    /// folder, which is not looked at. The Dockerfile is the archive's, unless the request has its text.
    #[must_use]
    pub fn http_context(mut self, address: impl Into<String>) -> Self {
        self.main = Main::Remote(NamedContext::Http(address.into()));
        self
    }

    /// As [`Solve::http_context`], with an archive that this process has: nothing is unpacked here. It is sent whole, and read
    /// once: a second attempt needs another one. Where a folder can be had, it is faster from the second build on, as only what
    /// changed is sent.
    #[must_use]
    pub fn archive_context(mut self, archive: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.main = Main::Stream(Once::new(archive));
        self
    }
}

impl Main {
    /// Whether the request's folder is the context.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder)
    }

    /// Where it is for the daemon, in one attempt; `None` for the request's folder.
    pub(crate) fn place(&self) -> Result<Option<Place>, Error> {
        let (address, stream) = match self {
            Self::Folder => return Ok(None),
            Self::Remote(context) => {
                check_context("context", context)?;
                (context.address().to_owned(), None)
            }
            Self::Stream(stream) => {
                // Each attempt has an address of its own: the daemon keeps what it downloaded by address.
                let id = random::id()?;
                (Upload::address(&id), Some((id, stream.clone())))
            }
        };
        Ok(Some(Place { address, stream }))
    }
}

impl Place {
    /// What the frontend is told.
    pub(crate) fn attributes(self, dockerfile: &DockerfileSource) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::from([("context".to_owned(), self.address)]);
        if matches!(dockerfile, DockerfileSource::Inline(_)) {
            // Without it the frontend looks for the file in the context.
            attributes.insert("dockerfilekey".to_owned(), "dockerfile".to_owned());
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use pipeops_core::BuildRequest;

    use super::*;

    /// The folder is one that nobody has.
    fn solve(dockerfile: Option<&str>) -> Solve {
        let mut request = BuildRequest::new("/nowhere/at/all", "r.io/a:1".parse().unwrap());
        if let Some(text) = dockerfile {
            request.dockerfile = DockerfileSource::Inline(text.into());
        }
        Solve::new(request)
    }

    fn attribute(solve: &Solve, key: &str) -> Option<String> {
        let prepared = solve.prepare().unwrap();
        prepared.request.frontend_attrs.get(key).cloned()
    }

    #[test]
    fn the_daemon_is_told_where_the_files_are_and_no_folder_is_read() {
        let git = solve(None).git_context("https://h/o/n.git#main:app");
        assert_eq!(
            attribute(&git, "context").unwrap(),
            "https://h/o/n.git#main:app"
        );
        assert_eq!(attribute(&git, "dockerfilekey"), None);
        let http = solve(Some("FROM x")).http_context("https://h/a.tgz");
        assert_eq!(attribute(&http, "context").unwrap(), "https://h/a.tgz");
        assert_eq!(attribute(&http, "dockerfilekey").unwrap(), "dockerfile");
    }

    #[test]
    fn each_attempt_reads_an_archive_at_an_address_of_its_own() {
        let archive = solve(None).archive_context(&b""[..]);
        let address = || attribute(&archive, "context").unwrap();
        assert!(address().starts_with("http://buildkit-session/"));
        assert_ne!(address(), address());
    }

    #[test]
    fn an_address_that_the_frontend_would_take_for_something_else_is_refused() {
        for solve in [
            solve(None).git_context("https://h/o/n"),
            solve(None).http_context("/etc"),
        ] {
            let error = solve.prepare().err().unwrap();
            assert!(error.to_string().contains("would not read"), "{error}");
        }
    }
}
