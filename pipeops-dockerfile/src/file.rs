//! A Dockerfile and its stages.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::ast::{Arg, Directives, Warning, Word};
use super::instructions::{Instruction, Tables};

/// A Dockerfile, parsed as BuildKit parses it.
///
/// It borrows its text from the input; [`into_owned`](Self::into_owned) copies it. Create one with
/// [`parse`](Self::parse), then look at its [`stages`](Self::stages), its [`graph`](Self::graph) or its
/// [`tokens`](Self::tokens), or [`filter`](crate::filter) build arguments by it.
///
/// ```
/// use pipeops_dockerfile::{Dockerfile, Keyword};
///
/// let file = Dockerfile::parse(b"FROM rust AS build\nRUN cargo build\nFROM scratch\nCOPY --from=build /app /app\n")?;
/// let last = file.stages.last().expect("two stages");
/// assert_eq!(last.from.text, "scratch");
/// let copy = last.instructions().next().expect("one instruction");
/// assert_eq!((copy.keyword, copy.lines()), (Keyword::Copy, 4..=4));
/// assert_eq!(copy.flags[0].text, "--from=build");
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Dockerfile<'a> {
    /// The parser directives at the start.
    pub directives: Directives,
    /// The keys of all `ARG`s before the first `FROM`. A stage sees them only if it declares them again.
    pub meta_args: Vec<Arg<'a>>,
    /// The build stages, in file order. Empty if the file has only `ARG`s: it parses, but builds nothing.
    pub stages: Vec<Stage<'a>>,
    /// The warnings that BuildKit's parser gives.
    pub warnings: Vec<Warning>,
    /// The rows of the instructions in front of the first stage.
    pub(super) meta: Range<usize>,
    pub(super) tables: Arc<Tables<'a>>,
}

impl<'a> Dockerfile<'a> {
    /// The largest file that BuildKit's frontend reads: 16 MiB.
    pub const MAX_SIZE: usize = 16 << 20;

    /// The stage with this name, or with this number (from 0), as `COPY --from` resolves it. If several stages have the name, it is
    /// the last one.
    ///
    /// ```
    /// use pipeops_dockerfile::Dockerfile;
    ///
    /// let file = Dockerfile::parse(b"FROM rust AS build\nRUN make\nFROM scratch\nCOPY --from=build /app /\n")?;
    /// let build = file.stage("build").unwrap();
    /// assert_eq!((build.from.text.as_ref(), build.lines()), ("rust", 1..=1));
    /// assert!(file.stage("1").is_some() && file.stage("test").is_none());
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
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

/// One build stage: a `FROM` and the instructions after it.
///
/// ```
/// use pipeops_dockerfile::{Dockerfile, Keyword};
///
/// let file = Dockerfile::parse(b"FROM nginx\nARG MODE=fast\nCOPY . /srv\nEXPOSE 80 443/tcp 53/udp\n")?;
/// let stage = &file.stages[0];
/// let keywords: Vec<Keyword> = stage.instructions().map(|instruction| instruction.keyword).collect();
/// assert_eq!(keywords, [Keyword::Arg, Keyword::Copy, Keyword::Expose]);
/// assert_eq!(stage.from.text, "nginx");
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// The base as written: an image, `scratch`, or an earlier stage.
    pub from: Word<'a>,
    /// The name after `AS`, in lower case.
    pub name: Option<Cow<'a, str>>,
    /// The value of `--platform`, as written.
    pub platform: Option<Cow<'a, str>>,
    /// The rows of its instructions: `FROM` itself, and those behind it.
    pub(super) rows: Range<usize>,
    pub(super) tables: Arc<Tables<'a>>,
}

impl<'a> Stage<'a> {
    /// The instructions after `FROM`, in file order.
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

    /// The keys of `ONBUILD ARG`s, which are declared in every image built from this one.
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
