//! The id of a git commit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits. Parsing accepts upper case.
///
/// ```
/// use pipeops_core::CommitSha;
///
/// let sha: CommitSha = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse()?;
/// assert_eq!(sha.short(), "1f7a7a4");
/// # Ok::<(), pipeops_core::commit::InvalidCommitSha>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitSha(String);

impl CommitSha {
    /// The full id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for messages.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }

    /// Parses an id; all zeros are `None`. Forges send zeros for a ref that was created or deleted.
    ///
    /// # Errors
    /// When the text is neither an id nor all zeros.
    pub fn parse_or_zero(text: &str) -> Result<Option<Self>, InvalidCommitSha> {
        let sha: Self = text.parse()?;
        Ok((!sha.0.bytes().all(|digit| digit == b'0')).then_some(sha))
    }
}

impl FromStr for CommitSha {
    type Err = InvalidCommitSha;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidCommitSha {
                text: text.chars().take(100).collect(),
            })
        }
    }
}

impl TryFrom<String> for CommitSha {
    type Error = InvalidCommitSha;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CommitSha> for String {
    fn from(sha: CommitSha) -> Self {
        sha.0
    }
}

impl fmt::Display for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that isn't a full commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a commit: expected the full SHA, 40 or 64 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidCommitSha {
    /// The text, cut to 100 characters.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_a_full_sha_and_zeros_are_none() {
        assert!("abc123".parse::<CommitSha>().is_err());
        assert!("g".repeat(40).parse::<CommitSha>().is_err());
        assert_eq!(CommitSha::parse_or_zero(&"0".repeat(40)), Ok(None));
        let sha = CommitSha::parse_or_zero(&"A".repeat(40)).unwrap().unwrap();
        assert_eq!(sha.as_str(), "a".repeat(40));
    }
}
