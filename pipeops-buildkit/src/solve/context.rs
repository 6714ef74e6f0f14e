//! Where the files of a build come from.

use std::path::PathBuf;

use pipeops_core::ImageRef;

use crate::error::Error;
use crate::session::upload::Once;

/// What `FROM name` and `COPY --from=name` refer to, instead of a stage or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedContext {
    /// A folder of this machine. It is sent like the build context, with its own `.dockerignore`.
    Folder(PathBuf),
    /// An image.
    Image(ImageRef),
    /// A repository that the daemon clones: `https://host/owner/name.git#ref`, or `git@host:owner/name.git`.
    Git(String),
    /// An archive or file that the daemon downloads.
    Http(String),
    /// An image in a folder of this machine that is an OCI image layout. Its blobs go through the build's session.
    OciLayout {
        /// The folder.
        folder: PathBuf,
        /// Its tag in the folder's index; `None` if the index has only one image.
        tag: Option<String>,
    },
}

/// Where a context other than the request's folder comes from.
#[derive(Debug, Clone)]
pub(crate) enum ContextSource {
    /// From what this names.
    Named(NamedContext),
    /// From a stream of this process.
    Stream(Once),
}

impl ContextSource {
    /// Rejects what the frontend would misread.
    pub(super) fn check(&self, name: &str) -> Result<(), Error> {
        let refuse = |why: String| {
            Err(Error::Invalid {
                field: "context",
                why,
            })
        };
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:@".contains(c);
        if name.is_empty() || !name.chars().all(valid) {
            return refuse(format!(
                "{name:?} is not a name that FROM accepts: lower-case letters, digits and ._-/:@"
            ));
        }
        if name == "scratch" {
            return refuse("scratch is always empty and cannot be replaced".to_owned());
        }
        let known = match self {
            Self::Named(NamedContext::Git(url)) => {
                let remote = url.split(['#', '?']).next().unwrap_or_default();
                url.starts_with("git@")
                    || url.starts_with("git://")
                    || (url.starts_with("http") && remote.ends_with(".git"))
            }
            Self::Named(NamedContext::Http(url)) => {
                url.starts_with("http://") || url.starts_with("https://")
            }
            _ => true,
        };
        match known {
            true => Ok(()),
            false => refuse(format!(
                "{name}: the daemon would not read its address as one of this kind: use git@…, git://… or http(s)://….git for a repository, http(s)://… for an archive"
            )),
        }
    }
}
