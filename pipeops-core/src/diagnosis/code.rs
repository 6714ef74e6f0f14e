//! The stable name of a cause.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::codes;
use super::page::Page;

/// The stable name of a cause: `area/cause` in kebab case, such as `image-pull/auth`.
///
/// A code keeps its meaning in all versions. Diagnoses of a newer version can contain unknown codes, so any text can be parsed
/// as a code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The page of this code in [`codes`]; `None` for codes of other programs.
    pub fn page(&self) -> Option<&'static Page> {
        codes::find(&self.0)
    }
}

impl Default for Code {
    /// The code of diagnoses that were stored before codes existed.
    fn default() -> Self {
        Self::from(&codes::UNKNOWN)
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
