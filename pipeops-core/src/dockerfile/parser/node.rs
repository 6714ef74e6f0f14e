//! One logical line taken apart, not yet checked.

use std::ops::{Range, RangeInclusive};

use super::super::ast::{Arg, Arguments, Heredoc, Keyword, Trigger, Word};
use super::super::error::ParseErrorKind;
use super::bytes::Piece;
use super::heredoc::{self, Body, Opening};
use super::json::{Array, array};
use super::lines::Logical;
use super::words::{self, Found, PairsError};

/// An instruction that may be unknown or have arguments that it does not take.
#[derive(Debug)]
pub(super) struct Node {
    /// What it does, or its name where there is no such instruction.
    pub(super) keyword: Result<Keyword, String>,
    pub(super) name_span: Range<usize>,
    pub(super) flags: Vec<Word>,
    pub(super) arguments: Arguments,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) lines: RangeInclusive<usize>,
    pub(super) span: Range<usize>,
    /// Where the texts of an array or of pairs stand.
    pub(super) argument_spans: Vec<Range<usize>>,
}

/// What is wrong, and where in the logical line.
pub(super) type Problem = (ParseErrorKind, Range<usize>);

impl Node {
    /// Takes `line` apart. `lines` and the heredocs are filled in by whoever reads on.
    pub(super) fn read(line: &Logical<'_>, escape: char) -> Result<Self, Problem> {
        let parts = Parts::read(line, line.piece(), escape);
        let (arguments, argument_spans) = parts.arguments(line, escape)?;
        Ok(Self {
            keyword: parts.keyword.ok_or_else(|| parts.name.text()),
            arguments,
            argument_spans,
            name_span: line.span(parts.name.range()),
            flags: parts.flags,
            heredocs: Vec::new(),
            lines: 1..=1,
            span: line.span(line.piece().trim().range()),
        })
    }

    /// Whether heredocs can follow.
    pub(super) fn can_have_heredocs(&self) -> bool {
        let (keyword, arguments) = match &self.arguments {
            Arguments::Trigger(trigger) => (trigger.keyword, &trigger.arguments),
            arguments => (self.keyword.as_ref().ok().copied(), arguments),
        };
        matches!(keyword, Some(Keyword::Add | Keyword::Copy | Keyword::Run))
            && !matches!(arguments, Arguments::Exec(_))
    }

    /// Adds a heredoc with the content that was read.
    pub(super) fn add_heredoc(&mut self, opening: Opening, body: Body<'_>) {
        self.heredocs.push(Heredoc {
            name: opening.name,
            content: heredoc::content(body.content, opening.chomp),
            expand: opening.expand,
            span: body.span,
            end: body.end,
        });
    }
}

/// Keyword, flags and the rest of an instruction.
struct Parts<'a> {
    keyword: Option<Keyword>,
    name: Piece<'a>,
    flags: Vec<Word>,
    rest: Piece<'a>,
}

impl<'a> Parts<'a> {
    fn read(line: &Logical<'_>, piece: Piece<'a>, escape: char) -> Self {
        let (name, behind) = piece.trim().split_once();
        let end = piece.from(piece.bytes.len());
        let (flags, rest) = behind.map_or((Vec::new(), end), |behind| words::flags(behind, escape));
        let word = |(text, range): Found| Word::new(text, line.span(range));
        Self {
            keyword: keyword(name),
            name,
            flags: flags.into_iter().map(word).collect(),
            rest: rest.trim(),
        }
    }

    fn arguments(&self, line: &Logical<'_>, escape: char) -> Result<Read, Problem> {
        use Keyword::*;
        let rest = self.rest;
        let plain = |arguments| Ok((arguments, Vec::new()));
        match self.keyword {
            None => plain(Arguments::None),
            Some(Add | Copy | Volume) => exec_or(line, rest, separated),
            Some(Cmd | Entrypoint | Run | Shell) => exec_or(line, rest, text),
            Some(Arg) => plain(args(line, rest, escape)),
            Some(keyword @ (Env | Label)) => pairs(keyword, line, rest, escape),
            Some(Expose | From) => plain(separated(line, rest)),
            Some(Healthcheck) => health(line, rest),
            Some(Maintainer | Stopsignal | User | Workdir) => plain(text(line, rest)),
            Some(Onbuild) if rest.bytes.is_empty() => plain(Arguments::None),
            Some(Onbuild) => trigger(line, rest, escape),
        }
    }
}

/// Arguments, and where the texts of an array or of pairs in them stand.
type Read = (Arguments, Vec<Range<usize>>);

/// The keyword of this name, in any case. Two letters beyond ASCII have an ASCII letter as their lower case.
fn keyword(name: Piece<'_>) -> Option<Keyword> {
    let find = |name: &[u8]| {
        let same = |keyword: &Keyword| keyword.as_str().as_bytes().eq_ignore_ascii_case(name);
        Keyword::ALL.iter().copied().find(same)
    };
    if name.bytes.is_ascii() {
        return find(name.bytes);
    }
    let text = std::str::from_utf8(name.bytes).ok()?;
    let text = text.replace('\u{212A}', "k").replace('\u{130}', "i");
    find(text.as_bytes())
}

fn exec_or<'a>(
    line: &Logical<'_>,
    rest: Piece<'a>,
    otherwise: impl FnOnce(&Logical<'_>, Piece<'a>) -> Arguments,
) -> Result<Read, Problem> {
    match array(rest.bytes) {
        Array::Strings(strings, spans) => {
            let span = |span: Range<usize>| line.span(rest.at + span.start..rest.at + span.end);
            Ok((
                Arguments::Exec(strings),
                spans.into_iter().map(span).collect(),
            ))
        }
        Array::NotJson => Ok((otherwise(line, rest), Vec::new())),
        Array::NotStrings => Err((ParseErrorKind::NotStrings, rest.range())),
    }
}

fn text(line: &Logical<'_>, rest: Piece<'_>) -> Arguments {
    if rest.bytes.is_empty() {
        return Arguments::None;
    }
    Arguments::Text(line.word(rest))
}

fn separated(line: &Logical<'_>, rest: Piece<'_>) -> Arguments {
    let words = words::separated(rest);
    Arguments::Words(words.map(|piece| line.word(piece)).collect())
}

fn args(line: &Logical<'_>, rest: Piece<'_>, escape: char) -> Arguments {
    let arg = |(text, range): Found| {
        let (key, default) = words::split_key(text);
        Arg::new(key, default, line.number, line.span(range))
    };
    Arguments::Args(words::quoted(rest, escape).map(arg).collect())
}

fn pairs(
    keyword: Keyword,
    line: &Logical<'_>,
    rest: Piece<'_>,
    escape: char,
) -> Result<Read, Problem> {
    let problem = |expected, range| (ParseErrorKind::Arguments { keyword, expected }, range);
    match words::pairs(rest, escape) {
        Ok(found) => {
            let place = |(pair, range)| (pair, line.span(range));
            let (pairs, spans) = found.into_iter().map(place).unzip();
            Ok((Arguments::Pairs(pairs), spans))
        }
        Err(PairsError::NoValue) => Err(problem("needs a key and a value", rest.range())),
        Err(PairsError::NoEquals(range)) => Err(problem("needs `=` in each word", range)),
    }
}

fn health(line: &Logical<'_>, rest: Piece<'_>) -> Result<Read, Problem> {
    let (kind, command) = words::first_word(rest);
    if kind.bytes.is_empty() {
        return Ok((Arguments::None, Vec::new()));
    }
    let (command, spans) = exec_or(line, command, text)?;
    Ok((Arguments::Health(line.word(kind), Box::new(command)), spans))
}

fn trigger(line: &Logical<'_>, rest: Piece<'_>, escape: char) -> Result<Read, Problem> {
    let parts = Parts::read(line, rest, escape);
    let (arguments, spans) = match parts.keyword {
        // Refused later, whatever it holds. Only an error of this pass comes first.
        Some(Keyword::Onbuild) => {
            innermost(line, parts.rest, escape).arguments(line, escape)?;
            (Arguments::None, Vec::new())
        }
        _ => parts.arguments(line, escape)?,
    };
    let name = line.word(parts.name);
    let trigger = Trigger {
        name: name.text,
        name_span: name.span,
        keyword: parts.keyword,
        flags: parts.flags,
        arguments,
    };
    Ok((Arguments::Trigger(Box::new(trigger)), spans))
}

/// What stands behind all `ONBUILD`s. In a loop: the input decides how many there are.
fn innermost<'a>(line: &Logical<'_>, rest: Piece<'a>, escape: char) -> Parts<'a> {
    let mut parts = Parts::read(line, rest, escape);
    while parts.keyword == Some(Keyword::Onbuild) && !parts.rest.bytes.is_empty() {
        parts = Parts::read(line, parts.rest, escape);
    }
    parts
}
