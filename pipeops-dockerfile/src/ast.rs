//! The pieces that instructions are made of.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::span::Span;

/// The parser directives: `# name=value` lines at the start of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directives {
    /// The escape character. Default: a backslash.
    pub escape: char,
    /// The frontend image of `# syntax=`. As in BuildKit, a `// syntax=` line and a `syntax` key in a JSON document count too,
    /// also after a `#!` line.
    pub syntax: Option<String>,
    /// The value of `# check=`, which configures BuildKit's lint rules.
    pub check: Option<String>,
}

/// A piece of text with its position in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Word<'a> {
    /// The text without line continuations. Quotes and variables are as written.
    pub text: Cow<'a, str>,
    pub(super) span: Span,
}

impl<'a> Word<'a> {
    pub(super) fn new(text: Cow<'a, str>, span: Span) -> Self {
        Self { text, span }
    }

    /// The byte range in the file, line continuations included.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }
}

/// One key of an `ARG`. An `ARG A=1 B` has two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Arg<'a> {
    /// The key as written, up to the first `=`.
    pub key: Cow<'a, str>,
    /// The text after `=`, as written; `None` without `=`.
    pub default: Option<Cow<'a, str>>,
    /// The first line of its instruction, from 1.
    pub line: usize,
    pub(super) span: Span,
}

impl Arg<'_> {
    /// The name of the build argument that sets it: the key without quotes.
    pub fn name(&self) -> String {
        self.key.replace(['"', '\''], "")
    }

    /// The byte range in the file.
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

/// A key and its value in an `ENV` or `LABEL`.
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
    /// The byte range of key and value in the file.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }
}

/// A heredoc: the lines of an instruction up to a terminator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heredoc<'a> {
    /// The terminator.
    pub name: Cow<'a, str>,
    /// The content. For `<<-`, leading tabs are removed.
    pub content: Cow<'a, str>,
    /// Whether variables in the content are replaced: no part of the terminator is quoted.
    pub expand: bool,
    pub(super) span: Span,
    pub(super) end: Span,
}

impl Heredoc<'_> {
    /// The byte range of the content, tabs and line ends included.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }

    /// The byte range of the terminator after the content.
    pub fn end(&self) -> Range<usize> {
        self.end.range()
    }
}

/// A warning: BuildKit accepts this today, but discourages it.
///
/// ```
/// use pipeops_dockerfile::Dockerfile;
///
/// let file = Dockerfile::parse(b"FROM alpine\nRUN a && \\\n\n  b\n")?;
/// assert_eq!(file.warnings.len(), 1); // an empty line in a continued one
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The line, from 1.
    pub line: usize,
    /// What to change.
    pub message: String,
}
