//! The stable name of a cause, and its page in the book of codes.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable name of a cause: `area/cause` in kebab case, such as `image-pull/auth`.
///
/// A code keeps its meaning in all versions. A program that reads diagnoses of a newer version may meet codes that it doesn't
/// know, so any text can be read as a code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The page of this code in [`codes`](super::codes); `None` for codes of other programs.
    pub fn page(&self) -> Option<&'static Page> {
        super::codes::find(&self.0)
    }
}

impl Default for Code {
    /// The code of diagnoses that were stored before there were codes.
    fn default() -> Self {
        Self::from(&super::codes::UNKNOWN)
    }
}

impl From<&Page> for Code {
    fn from(page: &Page) -> Self {
        Self(Cow::Borrowed(page.code))
    }
}

impl PartialEq<Page> for Code {
    fn eq(&self, page: &Page) -> bool {
        self.0 == page.code
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a code means and how to fix it. Every [`Diagnosis`](super::Diagnosis) starts from one.
///
/// PipeOps' own pages are in [`codes`](super::codes). A program can add pages for errors of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "programs define pages in statics, and a page has no other part"
)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// The default title of a diagnosis.
    pub title: &'static str,
    /// What happened, and how PipeOps knows.
    pub meaning: &'static str,
    /// What to do, the likeliest first.
    pub fixes: &'static [&'static str],
}

impl fmt::Display for Page {
    /// The page as `pipeops explain` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n\n{}", self.code, self.title, self.meaning)?;
        if !self.fixes.is_empty() {
            writeln!(f, "\nFix:")?;
        }
        for (index, fix) in self.fixes.iter().enumerate() {
            writeln!(f, "{}. {fix}", index + 1)?;
        }
        Ok(())
    }
}
