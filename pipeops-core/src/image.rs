//! Image references: repository, tag and digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diagnosis::{Diagnose, Diagnosis, codes};

/// The digest of a manifest: `sha256:` and 64 lower-case hexadecimal digits.
///
/// Other algorithms of the [OCI image specification] are rejected, because no common registry serves them.
///
/// [OCI image specification]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl FromStr for Digest {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageNameError::new(
                text,
                "a digest is sha256: and 64 hexadecimal digits",
            ))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image reference: `host/path:tag@digest`.
///
/// Short names expand as in Docker: `python` is `docker.io/library/python`. The grammar is that of
/// [distribution/reference](https://github.com/distribution/reference/blob/main/reference.go).
///
/// ```
/// use pipeops_core::ImageRef;
///
/// let image: ImageRef = "127.0.0.1:5000/team/app:abc123".parse()?;
/// assert_eq!((image.host(), image.repository(), image.tag()), ("127.0.0.1:5000", "team/app", Some("abc123")));
/// assert_eq!("python:3.12".parse::<ImageRef>()?.to_string(), "docker.io/library/python:3.12");
/// # Ok::<(), pipeops_core::image::ImageNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// The registry's host, with its port if there is one: `docker.io`, `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path inside the registry: `library/python`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `host/repository` without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The same repository with another tag and no digest.
    ///
    /// # Errors
    /// If the tag isn't 1 to 128 characters of `A-Za-z0-9_.-`, or begins with `.` or `-`.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ImageNameError> {
        check_tag(tag)?;
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository and tag, pinned to a digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 512 {
            return Err(ImageNameError::new(text, "longer than 512 bytes"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (host, repository) = split_host(name);
        check_host(&host)
            .and_then(|()| check_repository(&repository))
            .map_err(|why| ImageNameError::new(text, why))?;
        Ok(Self {
            host,
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// A text that isn't an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image name: {why}")]
#[non_exhaustive]
pub struct ImageNameError {
    /// The text, cut to 200 characters.
    pub text: String,
    /// The rule that it breaks.
    pub why: String,
}

impl ImageNameError {
    fn new(text: &str, why: impl Into<String>) -> Self {
        Self {
            text: text.chars().take(200).collect(),
            why: why.into(),
        }
    }
}

impl Diagnose for ImageNameError {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&codes::registry::INVALID_IMAGE_NAME)
            .error(self.to_string())
            .reason(&self.why)
    }
}

/// Docker's rule: the first part is a host when it has a dot or a colon, or is `localhost`.
fn split_host(name: &str) -> (String, String) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (first.to_owned(), rest.to_owned())
        }
        Some(_) => ("docker.io".to_owned(), name.to_owned()),
        None => ("docker.io".to_owned(), format!("library/{name}")),
    }
}

fn check_tag(tag: &str) -> Result<(), ImageNameError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-');
    if valid {
        Ok(())
    } else {
        Err(ImageNameError::new(
            tag,
            "a tag is up to 128 letters, digits, '_', '.' and '-'",
        ))
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "0"));
    let name_ok = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-']);
    if !name_ok {
        return Err("the host has characters that no host has");
    }
    if port.parse::<u16>().is_err() {
        return Err("the port is not a number up to 65535");
    }
    Ok(())
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.len() > 255 {
        return Err("the repository is longer than 255 bytes");
    }
    if repository.split('/').all(is_path_component) {
        Ok(())
    } else {
        Err(
            "each part of the repository is lower-case letters and digits, joined by '.', '_', '__' or dashes",
        )
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators_ok = part
        .split(alnum)
        .filter(|run| !run.is_empty())
        .all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'));
    part.starts_with(alnum) && part.ends_with(alnum) && separators_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, full) in [
            ("python", "docker.io/library/python"),
            ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
            ("localhost/app", "localhost/app"),
            ("ghcr.io/a/b-c/d__e:1.0", "ghcr.io/a/b-c/d__e:1.0"),
        ] {
            assert_eq!(text.parse::<ImageRef>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for text in [
            "",
            "App",
            "a//b",
            "h:99999/x",
            "x:",
            "x:-tag",
            "x@sha256:12",
            "a/../b",
            "x y",
            "-/x",
            "a._b",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_digest_pins_and_a_new_tag_unpins() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let image: ImageRef = "h.io/a:1".parse().unwrap();
        let pinned = image.with_digest(digest.clone());
        assert_eq!(pinned.to_string(), format!("h.io/a:1@{digest}"));
        assert_eq!(pinned.to_string().parse::<ImageRef>().unwrap(), pinned);
        assert_eq!(pinned.with_tag("2").unwrap().to_string(), "h.io/a:2");
    }
}
