//! Instructions, and the lists that hold their parts. All instructions of a file share these lists: lists for each
//! instruction would need an allocation each, and allocations are most of what a parser spends.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use super::Keyword;
use super::ast::{Arg, Heredoc, Pair, Word};
use super::span::Span;

/// One instruction of a [`Stage`](crate::Stage).
///
/// ```
/// use pipeops_dockerfile::{Arguments, Dockerfile};
///
/// let file = Dockerfile::parse(b"FROM scratch\nCOPY --chown=app a b \\\n  /srv/\n")?;
/// let copy = file.stages[0].instructions().next().unwrap();
/// assert_eq!((copy.flags[0].text.as_ref(), copy.lines()), ("--chown=app", 2..=3));
/// let Arguments::Words([sources @ .., target]) = copy.arguments else {
///     panic!("COPY has words")
/// };
/// assert_eq!((sources.len(), target.text.as_ref()), (2, "/srv/"));
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instruction<'a> {
    /// The instruction's keyword.
    pub keyword: Keyword,
    /// The flags, as `--name` or `--name=value`, without quotes and escapes.
    pub flags: &'a [Word<'a>],
    /// The arguments after the flags.
    pub arguments: Arguments<'a>,
    /// The heredocs, in order.
    pub heredocs: &'a [Heredoc<'a>],
    pub(super) span: Span,
    pub(super) keyword_span: Span,
    pub(super) first_line: u32,
    pub(super) last_line: u32,
}

impl Instruction<'_> {
    /// The line numbers, from 1, heredocs included.
    pub fn lines(&self) -> RangeInclusive<usize> {
        self.first_line as usize..=self.last_line as usize
    }

    /// The byte range in the file, without heredocs.
    pub fn span(&self) -> Range<usize> {
        self.span.range()
    }

    /// The byte range of the keyword.
    pub fn keyword_span(&self) -> Range<usize> {
        self.keyword_span.range()
    }
}

/// The arguments of an instruction, in the form that the instruction has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments<'a> {
    /// Nothing.
    None,
    /// The rest of the line: `USER`, `WORKDIR`, and the shell form of `RUN`, `CMD`, `ENTRYPOINT`.
    Text(&'a Word<'a>),
    /// A JSON array: the exec form. The spans of the strings include the quotes.
    Exec(&'a [Word<'a>]),
    /// Words separated by white space: `FROM`, `COPY`, `ADD`, `EXPOSE`, `VOLUME`.
    Words(&'a [Word<'a>]),
    /// Keys and values of `ENV` and `LABEL`, as written.
    Pairs(&'a [Pair<'a>]),
    /// The keys of an `ARG`.
    Args(&'a [Arg<'a>]),
    /// `HEALTHCHECK`: the type (`NONE` or `CMD`) and the command.
    Health(&'a Word<'a>, Command<'a>),
    /// `ONBUILD`: the trigger instruction.
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

/// The instruction after `ONBUILD`. BuildKit checks it only when another image is built on this one.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Trigger<'a> {
    /// The name of the instruction, as written.
    pub name: &'a Word<'a>,
    /// The keyword; `None` if there is no such instruction.
    pub keyword: Option<Keyword>,
    /// The flags.
    pub flags: &'a [Word<'a>],
    pub(super) tables: &'a Tables<'a>,
    pub(super) held: Held,
}

impl<'a> Trigger<'a> {
    /// The arguments after the flags. Never another trigger.
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

/// The lists of a file. Each instruction has a part of them, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables<'a> {
    pub(super) rows: Vec<Row>,
    pub(super) words: Vec<Word<'a>>,
    pub(super) pairs: Vec<Pair<'a>>,
    pub(super) args: Vec<Arg<'a>>,
    pub(super) heredocs: Vec<Heredoc<'a>>,
    pub(super) triggers: Vec<TriggerRow<'a>>,
}

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) keyword: Keyword,
    /// Among the words.
    pub(super) flags: Part,
    pub(super) held: Held,
    pub(super) heredocs: Part,
    pub(super) span: Span,
    pub(super) keyword_span: Span,
    pub(super) first_line: u32,
    pub(super) last_line: u32,
}

/// The instruction behind an `ONBUILD`.
#[derive(Debug, Clone)]
pub(super) struct TriggerRow<'a> {
    pub(super) name: Word<'a>,
    pub(super) keyword: Option<Keyword>,
    /// Among the words.
    pub(super) flags: Part,
    pub(super) held: Held,
}

/// What stands behind keyword and flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) form: Form,
    /// Of the list that belongs to the form.
    pub(super) part: Part,
}

/// The form of arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    None,
    Text,
    Exec,
    Words,
    Pairs,
    Args,
    /// A word, and behind it the words of the command in its form.
    Health(CommandForm),
    Trigger,
}

/// The form of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum CommandForm {
    None,
    Text,
    Exec,
}

/// A part of a list: where it begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    start: u32,
    end: u32,
}

impl Part {
    /// From `start` to the end of the list as it is now. No list has more items than the file has bytes.
    #[inline]
    pub(super) fn from<T>(start: usize, list: &[T]) -> Self {
        Self {
            start: start as u32,
            end: list.len() as u32,
        }
    }

    #[inline]
    fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.start as usize..self.end as usize]
    }
}

impl Held {
    pub(super) const NOTHING: Self = Self {
        form: Form::None,
        part: Part { start: 0, end: 0 },
    };

    /// In this form, from `start` to the end of its list as it is now.
    #[inline]
    pub(super) fn from<T>(form: Form, start: usize, list: &[T]) -> Self {
        let part = Part::from(start, list);
        Self { form, part }
    }
}

impl<'a> Tables<'a> {
    /// The words of arguments that are nothing else.
    #[inline]
    pub(super) fn words(&self, held: Held) -> &[Word<'a>] {
        match held.form {
            Form::Text | Form::Exec | Form::Words => held.part.of(&self.words),
            _ => &[],
        }
    }

    /// The keys and values of an `ENV` or a `LABEL`.
    #[inline]
    pub(super) fn pairs(&self, held: Held) -> &[Pair<'a>] {
        match held.form {
            Form::Pairs => held.part.of(&self.pairs),
            _ => &[],
        }
    }

    /// The keys of an `ARG`.
    #[inline]
    pub(super) fn args(&self, held: Held) -> &[Arg<'a>] {
        match held.form {
            Form::Args => held.part.of(&self.args),
            _ => &[],
        }
    }

    /// The instruction behind an `ONBUILD`.
    pub(super) fn trigger_row(&self, held: Held) -> Option<&TriggerRow<'a>> {
        match held.form {
            Form::Trigger => held.part.of(&self.triggers).first(),
            _ => None,
        }
    }

    /// The instruction of a row.
    #[inline]
    pub(super) fn instruction(&self, row: &Row) -> Instruction<'_> {
        Instruction {
            keyword: row.keyword,
            flags: self.flags(row.flags),
            arguments: self.arguments(row.held),
            heredocs: row.heredocs.of(&self.heredocs),
            span: row.span,
            keyword_span: row.keyword_span,
            first_line: row.first_line,
            last_line: row.last_line,
        }
    }

    #[inline]
    pub(super) fn flags(&self, flags: Part) -> &[Word<'a>] {
        flags.of(&self.words)
    }

    #[inline]
    pub(super) fn arguments(&self, held: Held) -> Arguments<'_> {
        let part = held.part;
        match held.form {
            Form::None => Arguments::None,
            Form::Text => Arguments::Text(&part.of(&self.words)[0]),
            Form::Exec => Arguments::Exec(part.of(&self.words)),
            Form::Words => Arguments::Words(part.of(&self.words)),
            Form::Pairs => Arguments::Pairs(part.of(&self.pairs)),
            Form::Args => Arguments::Args(part.of(&self.args)),
            Form::Health(command) => self.health(part, command),
            Form::Trigger => Arguments::Trigger(self.trigger(&part.of(&self.triggers)[0])),
        }
    }

    fn health(&self, part: Part, command: CommandForm) -> Arguments<'_> {
        let words = part.of(&self.words);
        let command = match command {
            CommandForm::None => Command::None,
            CommandForm::Text => Command::Text(&words[1]),
            CommandForm::Exec => Command::Exec(&words[1..]),
        };
        Arguments::Health(&words[0], command)
    }

    fn trigger<'t>(&'t self, row: &'t TriggerRow<'_>) -> Trigger<'t> {
        Trigger {
            name: &row.name,
            keyword: row.keyword,
            flags: self.flags(row.flags),
            tables: self,
            held: row.held,
        }
    }
}

impl Tables<'_> {
    /// The same with copies of all texts.
    pub(super) fn into_owned(self) -> Tables<'static> {
        Tables {
            rows: all(self.rows, |row| row),
            words: all(self.words, Word::into_owned),
            pairs: all(self.pairs, Pair::into_owned),
            args: all(self.args, Arg::into_owned),
            heredocs: all(self.heredocs, Heredoc::into_owned),
            triggers: all(self.triggers, TriggerRow::into_owned),
        }
    }
}

impl TriggerRow<'_> {
    fn into_owned(self) -> TriggerRow<'static> {
        TriggerRow {
            name: self.name.into_owned(),
            keyword: self.keyword,
            flags: self.flags,
            held: self.held,
        }
    }
}

/// Not in place: what grew while it was read becomes as small as it can be.
fn all<T, U>(items: Vec<T>, change: impl FnMut(T) -> U) -> Vec<U> {
    let mut changed = Vec::with_capacity(items.len());
    changed.extend(items.into_iter().map(change));
    changed
}
