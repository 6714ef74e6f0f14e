//! The sources of a build's files.

use std::path::PathBuf;

use pipeops_core::ImageRef;

use crate::error::Error;
use crate::session::upload::Once;

/// What `FROM name` and `COPY --from=name` refer to, instead of a stage or an image.
///
/// ```
/// use pipeops_buildkit::{BuildRequest, NamedContext, Solve};
///
/// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
/// let solve = Solve::new(request)
///     .context("assets", NamedContext::Folder("/srv/assets".into()))
///     .context("base", NamedContext::Image("registry.example.com/base:24.04".parse()?))
///     .context("tools", NamedContext::Git("https://github.com/acme/tools.git#v3".into()));
/// # let _ = solve;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Names consist of lower-case letters, digits and `._-/:@`; a name without a tag also replaces `name:latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedContext {
    /// A local folder. It's sent like the build context and has its own `.dockerignore`.
    Folder(PathBuf),
    /// An image that the daemon pulls.
    Image(ImageRef),
    /// A repository that the daemon clones: `https://host/owner/name.git#REF:FOLDER`, `git://…`, or `git@host:owner/name.git`.
    Git(String),
    /// An archive or file that the daemon downloads over HTTP.
    Http(String),
    /// An image in a local folder with an OCI image layout, as `skopeo copy docker://IMAGE oci:FOLDER:TAG` writes it. The daemon
    /// reads its blobs through the build's session.
    ///
    /// ```
    /// use pipeops_buildkit::NamedContext;
    ///
    /// // FROM base uses the image without a registry.
    /// let base = NamedContext::OciLayout { folder: "/srv/images/base".into(), tag: Some("24.04".into()) };
    /// # let _ = base;
    /// ```
    OciLayout {
        /// The folder.
        folder: PathBuf,
        /// The image's tag in the folder's index; `None` if the index has only one image.
        tag: Option<String>,
    },
}

/// The source of a context other than the request's folder.
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
                "{name:?} is not a valid context name: use lower-case letters, digits and ._-/:@"
            ));
        }
        if name == "scratch" {
            return refuse("scratch is reserved for the empty image".to_owned());
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
                "{name}: unsupported address: use git@…, git://… or http(s)://….git for a repository, http(s)://… for an archive"
            )),
        }
    }
}
