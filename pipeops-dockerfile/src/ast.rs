//! The pieces that instructions are made of.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::span::Span;

/// The parser directives: `# name=value` lines before everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directives {
    /// The escape character: a backslash, or a backtick where `# escape=` says so.
    pub escape: char,
    /// The image of the frontend that `# syntax=` asks for, found as BuildKit finds it: also behind `#!`, as
    /// `// syntax=`, and in JSON.
    pub syntax: Option<String>,
    /// The lint rules that `# check=` sets.
    pub check: Option<String>,
}

/// Text that stands somewhere in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Word<'a> {
    /// The text, line continuations taken out; quotes and variables as written.
    pub text: Cow<'a, str>,
    pub(super) span: Span,
}

impl<'a> Word<'a> {
    pub(super) fn new(text: Cow<'a, str>, span: Span) -> Self {
        Self { text, span }
    }

    /// The bytes of the file that it came from, with the line continuations inside.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }
}

/// One key of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Arg<'a> {
    /// The key as written, up to the first `=`.
    pub key: Cow<'a, str>,
    /// What stands behind `=`, as written; `None` without `=`.
    pub default: Option<Cow<'a, str>>,
    /// The first line of its instruction, from 1.
    pub line: usize,
    pub(super) span: Span,
}

impl Arg<'_> {
    /// The name under which a build argument reaches it: the key without quotes.
    pub fn name(&self) -> String {
        self.key.replace(['"', '\''], "")
    }

    /// Its bytes in the file.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }
}

impl fmt::Display for Arg<'_> {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.default {
            Some(default) => write!(f, "{}={default}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// A key with its value, of `ENV` or `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pair<'a> {
    /// The key, as written.
    pub key: Cow<'a, str>,
    /// The value, as written.
    pub value: Cow<'a, str>,
    pub(super) span: Span,
}

impl Pair<'_> {
    /// The bytes of both in the file.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }
}

/// A document inside an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heredoc<'a> {
    /// The word that ends it.
    pub name: Cow<'a, str>,
    /// The content; for `<<-` without leading tabs.
    pub content: Cow<'a, str>,
    /// Variables in the content are replaced: no part of the name was quoted.
    pub expand: bool,
    pub(super) span: Span,
    pub(super) end: Span,
}

impl Heredoc<'_> {
    /// The bytes of the lines inside, tabs and line ends included.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }

    /// The bytes of the word that ends it.
    pub fn end(&self) -> Range<usize> {
        self.end.range()
    }
}

/// What BuildKit accepts today and warns about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The line, from 1.
    pub line: usize,
    /// What to change.
    pub message: String,
}
