//! The page of a code.

use std::fmt;

/// What a code means and how to fix it. Every [`Diagnosis`](super::Diagnosis) starts from one.
///
/// PipeOps' own pages are in [`codes`](super::codes). A program can add pages for its own errors.
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
    /// What to do, most likely fix first.
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
