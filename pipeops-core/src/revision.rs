//! One version of an application in the cluster.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::commit::CommitSha;

/// One version of an application in the cluster: the commit that it was built from, or a name if it wasn't deployed from
/// git. 1 to 128 letters, digits, `.`, `_` and `-`; the first is a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// The revision of running objects that have no valid revision.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// The revision as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<CommitSha> for Revision {
    fn from(sha: CommitSha) -> Self {
        Self(sha.into())
    }
}

impl From<&CommitSha> for Revision {
    fn from(sha: &CommitSha) -> Self {
        sha.clone().into()
    }
}

impl TryFrom<String> for Revision {
    type Error = InvalidRevision;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=128).contains(&text.len())
            && text.bytes().all(valid)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            Ok(Self(text))
        } else {
            Err(InvalidRevision {
                text: text.chars().take(80).collect(),
            })
        }
    }
}

impl TryFrom<&str> for Revision {
    type Error = InvalidRevision;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.to_owned().try_into()
    }
}

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.try_into()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that isn't a revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} must be a commit SHA, or 1 to 128 letters, digits, '.', '_' and '-', the first a letter or digit"
)]
#[non_exhaustive]
pub struct InvalidRevision {
    /// The text, cut to 80 characters.
    pub text: String,
}

/// For callers that accept a text or a commit, which is always valid.
impl From<Infallible> for InvalidRevision {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_commit_or_a_short_plain_name() {
        for valid in ["1", "v1.2_3-rc", &"a".repeat(128)] {
            assert_eq!(valid.parse::<Revision>().unwrap().as_str(), valid);
        }
        for invalid in ["", "-x", ".x", "a b", "a/b", "é", &"a".repeat(129)] {
            let error = Revision::try_from(invalid).unwrap_err();
            assert!(error.text.len() <= 80 && invalid.starts_with(&error.text));
            assert!(serde_json::from_value::<Revision>(invalid.into()).is_err());
        }
        let sha: CommitSha = "A".repeat(64).parse().unwrap();
        assert_eq!(Revision::from(sha), Revision("a".repeat(64)));
    }
}
