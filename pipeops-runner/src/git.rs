//! Names of refs and repositories.

use std::fmt;
use std::str::FromStr;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest ref name and repository path that is accepted.
const MAX_NAME: usize = 255;

/// A branch or a tag, written as its full ref name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum GitRef {
    /// `refs/heads/NAME`
    Branch(String),
    /// `refs/tags/NAME`
    Tag(String),
}

impl GitRef {
    /// The name without `refs/heads/` or `refs/tags/`.
    pub fn name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
        }
    }

    /// The branch's name; `None` for a tag.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(name) => Some(name),
            Self::Tag(_) => None,
        }
    }
}

impl FromStr for GitRef {
    type Err = GitNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, make): (_, fn(String) -> Self) =
            if let Some(name) = text.strip_prefix("refs/heads/") {
                (name, Self::Branch)
            } else if let Some(name) = text.strip_prefix("refs/tags/") {
                (name, Self::Tag)
            } else {
                return Err(GitNameError::new(text, "only branches and tags are known"));
            };
        check_ref_name(name).map_err(|why| GitNameError::new(text, why))?;
        Ok(make(name.to_owned()))
    }
}

impl TryFrom<String> for GitRef {
    type Error = GitNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<GitRef> for String {
    fn from(reference: GitRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "refs/heads/{name}"),
            Self::Tag(name) => write!(f, "refs/tags/{name}"),
        }
    }
}

/// Where a repository is fetched from: `https://`, or `http://` on this machine's loopback. Never with credentials in it.
///
/// ```
/// use pipeops_runner::RepositoryUrl;
///
/// let url: RepositoryUrl = "https://git.example.com/team/shop.git".parse()?;
/// assert_eq!(url.full_name(), "team/shop");
/// assert!("http://git.example.com/team/shop".parse::<RepositoryUrl>().is_err());
/// assert!("https://bob:token@git.example.com/team/shop".parse::<RepositoryUrl>().is_err());
/// # Ok::<(), pipeops_runner::git::GitNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryUrl(Url);

impl RepositoryUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The path inside the forge, without `.git`: `team/shop`.
    pub fn full_name(&self) -> &str {
        let path = self.0.path().trim_matches('/');
        path.strip_suffix(".git").unwrap_or(path)
    }

    /// The host's name, with its port if one is written.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl FromStr for RepositoryUrl {
    type Err = GitNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A refused text may hold a password: the error does not repeat it.
        let refuse = |why: &str| Err(GitNameError::new("the repository's URL", why));
        let Ok(url) = Url::parse(text) else {
            return refuse("write it as https://HOST/PATH");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it holds credentials: set them as the project's git login instead");
        }
        match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => {}
            ("http", false) => return refuse("http:// is for loopback only: use https://"),
            _ => return refuse("only https:// is spoken (and http:// on loopback)"),
        }
        if url.query().is_some() || url.fragment().is_some() || text.len() > 2048 {
            return refuse("it has a query or a fragment, or is longer than 2048 bytes");
        }
        let url = Self(url);
        if url.full_name().is_empty() {
            return refuse("it has no path");
        }
        Ok(url)
    }
}

impl TryFrom<String> for RepositoryUrl {
    type Error = GitNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RepositoryUrl> for String {
    fn from(url: RepositoryUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names nothing in git.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is refused: {why}")]
#[non_exhaustive]
pub struct GitNameError {
    /// The text, cut to 100 characters; what it stands for, where the text may hold a secret.
    pub text: String,
    /// Which rule it breaks.
    pub why: String,
}

impl GitNameError {
    fn new(text: &str, why: impl Into<String>) -> Self {
        Self {
            text: text.chars().take(100).collect(),
            why: why.into(),
        }
    }
}

impl Diagnose for GitNameError {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&codes::project::INVALID_GIT_NAME)
            .error(self.to_string())
            .reason(&self.why)
    }
}

/// The part of `git check-ref-format` that keeps a name from being an option, a path escape or a control sequence.
pub(crate) fn check_ref_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("a ref name has 1 to 255 bytes");
    }
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\\u{7f}".contains(c);
    if name.contains(forbidden) || name.contains("..") || name.contains("@{") {
        return Err("it has characters that git forbids in ref names");
    }
    if name.starts_with(['-', '/', '.']) || name.ends_with(['/', '.']) || name.contains("//") {
        return Err("it begins or ends as git forbids for ref names");
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_that_git_forbids_are_refused() {
        for text in [
            "main",
            "refs/heads/",
            "refs/heads/-x",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a\n",
            "refs/notes/x",
            "refs/heads//a",
        ] {
            assert!(text.parse::<GitRef>().is_err(), "{text:?} was accepted");
        }
        let tag: GitRef = "refs/tags/v1.0".parse().unwrap();
        assert_eq!((tag.name(), tag.branch()), ("v1.0", None));
        assert_eq!(tag.to_string(), "refs/tags/v1.0");
    }

    #[test]
    fn a_repository_is_https_or_loopback() {
        for good in [
            "https://h/a/b.git",
            "http://127.0.0.1:3000/a/b",
            "http://localhost/a",
            "http://[::1]:1/a",
        ] {
            assert!(good.parse::<RepositoryUrl>().is_ok(), "{good}");
        }
        for bad in [
            "file:///etc",
            "ssh://git@h/a",
            "https://h/",
            "https://h/a?b=c",
            "http://10.0.0.1/a",
            "/a/b",
        ] {
            assert!(bad.parse::<RepositoryUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let error = "https://bob:hunter22@h/a"
            .parse::<RepositoryUrl>()
            .unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter22"));
    }
}
