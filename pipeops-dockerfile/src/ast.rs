//! What a Dockerfile is made of.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::parser;
use super::span::Span;
use super::tables::{Held, Tables};
use super::{Keyword, ParseError};

/// A Dockerfile, as BuildKit's own parser understands it.
///
/// It borrows its texts from the file's bytes; [`into_owned`](Self::into_owned) gives one that lives on without them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Dockerfile<'a> {
    /// The parser directives at the start.
    pub directives: Directives,
    /// The keys of all `ARG`s before the first `FROM`. They reach a stage only where it declares them again.
    pub meta_args: Vec<Arg<'a>>,
    /// The build stages, in the order of the file. Empty when the file has `ARG`s only: it parses, but nothing builds.
    pub stages: Vec<Stage<'a>>,
    /// What BuildKit accepts today and warns about.
    pub warnings: Vec<Warning>,
    /// The rows of the instructions in front of the first stage.
    pub(super) meta: Range<usize>,
    pub(super) tables: Arc<Tables<'a>>,
}

impl<'a> Dockerfile<'a> {
    /// The largest file that BuildKit's frontend reads: 16 MiB.
    pub const MAX_SIZE: usize = 16 << 20;

    /// Reads a Dockerfile.
    ///
    /// It need not be UTF-8: as in BuildKit, each invalid byte reads as U+FFFD.
    ///
    /// ```
    /// use pipeops_dockerfile::Dockerfile;
    ///
    /// let file = Dockerfile::parse(b"ARG TAG=3.22\nFROM alpine:${TAG} AS base\nARG A=1 B\n")?;
    /// assert_eq!(file.meta_args[0].key, "TAG");
    /// assert_eq!(file.stages[0].from.text, "alpine:${TAG}");
    /// assert_eq!(file.stages[0].args().count(), 2);
    ///
    /// let error = Dockerfile::parse(b"FROM alpine\nRNU true\n").unwrap_err();
    /// assert_eq!(error.line, 2);
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Exactly where BuildKit's parser refuses the file, and where substitutions before a heredoc nest more than 200 deep.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        parser::parse(bytes)
    }

    /// The stage of this name, or with this number from 0, as `COPY --from` finds it.
    pub fn stage(&self, name: &str) -> Option<&Stage<'a>> {
        let number = self.target(name).or_else(|| name.parse().ok());
        self.stages.get(number?)
    }

    /// The instructions in front of the first stage.
    pub(super) fn meta(&self) -> impl Iterator<Item = Instruction<'_>> {
        let rows = &self.tables.rows[self.meta.clone()];
        rows.iter().map(|row| self.tables.instruction(row))
    }
}

impl fmt::Debug for Dockerfile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dockerfile")
            .field("directives", &self.directives)
            .field("meta", &Vec::from_iter(self.meta()))
            .field("stages", &self.stages)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Dockerfile<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.directives == other.directives
            && self.meta().eq(other.meta())
            && self.stages == other.stages
            && self.warnings == other.warnings
    }
}

impl Eq for Dockerfile<'_> {}

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

/// One build stage: a `FROM` and what follows it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// The base as written: an image, `scratch`, or an earlier stage.
    pub from: Word<'a>,
    /// The name behind `AS`, in lower case.
    pub name: Option<Cow<'a, str>>,
    /// The value of `--platform`, as written.
    pub platform: Option<Cow<'a, str>>,
    /// The rows of its instructions: `FROM` itself, and those behind it.
    pub(super) rows: Range<usize>,
    pub(super) tables: Arc<Tables<'a>>,
}

impl<'a> Stage<'a> {
    /// The instructions behind `FROM`.
    pub fn instructions(
        &self,
    ) -> impl ExactSizeIterator<Item = Instruction<'_>> + DoubleEndedIterator + Clone {
        let rows = &self.tables.rows[self.rows.start + 1..self.rows.end];
        rows.iter().map(|row| self.tables.instruction(row))
    }

    /// The lines of `FROM`, from 1.
    pub fn lines(&self) -> RangeInclusive<usize> {
        self.opening().lines()
    }

    /// The keys of the stage's `ARG`s, in order.
    pub fn args(&self) -> impl Iterator<Item = &Arg<'a>> {
        let rows = &self.tables.rows[self.rows.start + 1..self.rows.end];
        rows.iter().flat_map(|row| self.tables.args(row.held))
    }

    /// The TCP ports of `EXPOSE`, where they are written as numbers.
    pub fn exposed_ports(&self) -> impl Iterator<Item = u16> {
        let exposed = self
            .instructions()
            .filter(|instruction| instruction.keyword == Keyword::Expose);
        let words = exposed.flat_map(|instruction| match instruction.arguments {
            Arguments::Words(words) => words,
            _ => &[],
        });
        words.filter_map(|word| word.text.trim_end_matches("/tcp").parse().ok())
    }

    /// The keys of `ONBUILD ARG`s: declared in each image that is built from this one.
    pub fn onbuild_args(&self) -> impl Iterator<Item = &Arg<'a>> {
        let rows = &self.tables.rows[self.rows.start + 1..self.rows.end];
        let triggers = rows
            .iter()
            .filter_map(|row| self.tables.trigger_row(row.held));
        triggers.flat_map(|trigger| self.tables.args(trigger.held))
    }

    /// `FROM` itself.
    pub(super) fn opening(&self) -> Instruction<'_> {
        self.tables.instruction(&self.tables.rows[self.rows.start])
    }
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("from", &self.from)
            .field("name", &self.name)
            .field("platform", &self.platform)
            .field("lines", &self.lines())
            .field("instructions", &Vec::from_iter(self.instructions()))
            .finish_non_exhaustive()
    }
}

impl PartialEq for Stage<'_> {
    fn eq(&self, other: &Self) -> bool {
        // The other fields are made of its `FROM`.
        self.opening() == other.opening() && self.instructions().eq(other.instructions())
    }
}

impl Eq for Stage<'_> {}

/// One instruction of a [`Stage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instruction<'a> {
    /// What it does.
    pub keyword: Keyword,
    /// `--name` or `--name=value`, quotes and escapes taken out.
    pub flags: &'a [Word<'a>],
    /// What stands behind the flags.
    pub arguments: Arguments<'a>,
    /// The heredocs that it opens, in order.
    pub heredocs: &'a [Heredoc<'a>],
    pub(super) span: Span,
    pub(super) keyword_span: Span,
    pub(super) first_line: u32,
    pub(super) last_line: u32,
}

impl Instruction<'_> {
    /// Its lines, from 1, heredocs included.
    pub fn lines(&self) -> RangeInclusive<usize> {
        self.first_line as usize..=self.last_line as usize
    }

    /// Its bytes in the file, without the heredocs.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }

    /// The bytes of its name in the file.
    pub fn keyword_span(&self) -> Range<usize> {
        self.keyword_span.range()
    }
}

/// What stands behind an instruction's keyword and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments<'a> {
    /// Nothing.
    None,
    /// The rest of the line: `USER`, `WORKDIR`, and the shell form of `RUN`, `CMD`, `ENTRYPOINT`.
    Text(&'a Word<'a>),
    /// A JSON array: the exec form. The spans of its strings have the quotes inside.
    Exec(&'a [Word<'a>]),
    /// Words between white space: `FROM`, `COPY`, `ADD`, `EXPOSE`, `VOLUME`.
    Words(&'a [Word<'a>]),
    /// Keys and values of `ENV` and `LABEL`, as written.
    Pairs(&'a [Pair<'a>]),
    /// The keys of an `ARG`.
    Args(&'a [Arg<'a>]),
    /// `HEALTHCHECK`: its type and the command.
    Health(&'a Word<'a>, Command<'a>),
    /// `ONBUILD`: the instruction that waits.
    Trigger(Trigger<'a>),
}

/// The command of a `HEALTHCHECK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Nothing.
    None,
    /// The shell form.
    Text(&'a Word<'a>),
    /// A JSON array: the exec form.
    Exec(&'a [Word<'a>]),
}

impl<'a> From<Command<'a>> for Arguments<'a> {
    fn from(command: Command<'a>) -> Self {
        match command {
            Command::None => Self::None,
            Command::Text(word) => Self::Text(word),
            Command::Exec(words) => Self::Exec(words),
        }
    }
}

/// The instruction behind `ONBUILD`. BuildKit does not check it before an image is built on this one.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Trigger<'a> {
    /// Its name, as written.
    pub name: &'a Word<'a>,
    /// What it does; `None` where there is no such instruction.
    pub keyword: Option<Keyword>,
    /// Its flags.
    pub flags: &'a [Word<'a>],
    pub(super) tables: &'a Tables<'a>,
    pub(super) held: Held,
}

impl<'a> Trigger<'a> {
    /// What stands behind the flags. Never another trigger.
    pub fn arguments(&self) -> Arguments<'a> {
        self.tables.arguments(self.held)
    }
}

impl fmt::Debug for Trigger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("name", &self.name)
            .field("keyword", &self.keyword)
            .field("flags", &self.flags)
            .field("arguments", &self.arguments())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Trigger<'_> {
    fn eq(&self, other: &Self) -> bool {
        // The keyword follows from the name.
        self.name == other.name
            && self.flags == other.flags
            && self.arguments() == other.arguments()
    }
}

impl Eq for Trigger<'_> {}

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
