//! Names of git refs and URLs of repositories.

use std::fmt;
use std::str::FromStr;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, text};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest accepted ref name, in bytes.
const MAX_NAME: usize = 255;

/// A branch or a tag. Its text form is the full ref name.
///
/// ```
/// use pipeops_runner::GitRef;
///
/// let main: GitRef = "refs/heads/main".parse()?;
/// assert_eq!(main.branch(), Some("main"));
/// assert!("main".parse::<GitRef>().is_err());
/// # Ok::<(), pipeops_runner::git::GitNameError>(())
/// ```
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
    /// The name of the branch; `None` for a tag.
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
                return Err(GitNameError::new(
                    text,
                    "only refs/heads/ and refs/tags/ are supported",
                ));
            };
        check_ref_name(name).map_err(|why| GitNameError::new(text, why))?;
        Ok(make(name.to_owned()))
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

/// The URL of a git repository: `https://`, or `http://` for loopback addresses. It can't contain credentials.
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

    /// The path of the repository without `.git`: `team/shop`.
    pub fn full_name(&self) -> &str {
        let path = self.0.path().trim_matches('/');
        path.strip_suffix(".git").unwrap_or(path)
    }
}

impl FromStr for RepositoryUrl {
    type Err = GitNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The error doesn't repeat the text, which may contain a password.
        let refuse = |why: &str| Err(GitNameError::new("the repository URL", why));
        let Ok(url) = Url::parse(text) else {
            return refuse("write it as https://HOST/PATH");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(
                "it contains credentials: set them as the git login of the project instead",
            );
        }
        match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => {}
            ("http", false) => {
                return refuse("http:// is only allowed for loopback addresses: use https://");
            }
            _ => return refuse("only https:// is supported, and http:// for loopback addresses"),
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

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How both types are serialized: as their text.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = GitNameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(GitRef, RepositoryUrl);

/// An invalid ref name or repository URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is invalid: {why}")]
#[non_exhaustive]
pub struct GitNameError {
    /// The text, cut to 100 characters. For a URL, which may contain a secret, a description instead.
    pub text: String,
    /// The violated rule.
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

/// The rules of `git check-ref-format` that prevent options, path escapes and control sequences, and one more: no character that
/// changes how the name is displayed, such as a bidirectional control.
pub(crate) fn check_ref_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("a ref name must have 1 to 255 bytes");
    }
    let forbidden = |c: char| text::is_control(c) || " ~^:?*[\\".contains(c);
    if name.contains(forbidden) || name.contains("..") || name.contains("@{") {
        return Err(
            "it contains characters that git forbids in ref names, or that change how text is displayed",
        );
    }
    if name.starts_with(['-', '/', '.']) || name.ends_with(['/', '.']) || name.contains("//") {
        return Err("it starts or ends with a character that git forbids there");
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
        for name in ["", "-x", "a..b", "a b", "a\n", "/a", "a/", "a@{1}"] {
            let text = format!("refs/heads/{name}");
            assert!(text.parse::<GitRef>().is_err(), "{text:?} was accepted");
        }
        for text in ["main", "refs/notes/x"] {
            assert!(text.parse::<GitRef>().is_err(), "{text:?} was accepted");
        }
        let tag: GitRef = "refs/tags/v1.0".parse().unwrap();
        assert_eq!(tag.branch(), None);
        assert_eq!(tag.to_string(), "refs/tags/v1.0");
    }

    #[test]
    fn a_repository_is_https_or_loopback() {
        let good =
            "https://h/a/b.git http://127.0.0.1:3000/a/b http://localhost/a http://[::1]:1/a";
        for good in good.split(' ') {
            assert!(good.parse::<RepositoryUrl>().is_ok(), "{good}");
        }
        let bad = "file:///etc ssh://git@h/a https://h/ https://h/a?b=c http://10.0.0.1/a /a/b";
        for bad in bad.split(' ') {
            assert!(bad.parse::<RepositoryUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let refused = "https://bob:hunter22@h/a".parse::<RepositoryUrl>();
        let error = refused.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter22"));
    }
}
