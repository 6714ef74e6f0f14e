//! One logical line taken apart, not yet checked.

use std::borrow::Cow;
use std::ops::Range;

use super::super::Keyword;
use super::super::ast::{Arg, Word};
use super::super::error::ParseErrorKind;
use super::super::instructions::{CommandForm, Form, Held, Part, Tables, TriggerRow};
use super::bytes::Piece;
use super::json::{Array, array};
use super::lines::Logical;
use super::words::{self, PairsError, Quoted};

/// What is wrong, and where in the logical line. Boxed, as there is mostly nothing wrong.
pub(super) type Problem = Box<(ParseErrorKind, Range<usize>)>;

/// Keyword, flags and the rest of an instruction.
pub(super) struct Parts {
    /// `None` where there is no instruction of this name.
    pub(super) keyword: Option<Keyword>,
    pub(super) name: Piece,
    pub(super) flags: Part,
    /// What stands behind the flags, without white space around it.
    rest: Piece,
}

impl Parts {
    /// Takes a piece apart that has no white space around it.
    #[inline]
    pub(super) fn read<'a>(
        line: &Logical<'a, '_>,
        piece: Piece,
        escape: u8,
        words: &mut Vec<Word<'a>>,
    ) -> Self {
        let (name, behind) = piece.split_once(line.text);
        let before = words.len();
        let rest = words::flags(line, behind, escape, words);
        Self {
            keyword: keyword(name.of(line.text)),
            name,
            flags: Part::from(before, words),
            rest: rest.trim_start(line.text),
        }
    }

    /// Adds to `tables` what the instruction holds. It may take something else.
    #[inline]
    pub(super) fn arguments<'a>(
        &self,
        line: &Logical<'a, '_>,
        escape: u8,
        tables: &mut Tables<'a>,
    ) -> Result<Held, Problem> {
        use Keyword::*;
        let rest = self.rest;
        let words = &mut tables.words;
        match self.keyword {
            None => Ok(Held::NOTHING),
            Some(Add | Copy | Volume) => exec_or(separated, line, rest, words),
            Some(Cmd | Entrypoint | Run | Shell) => exec_or(text, line, rest, words),
            Some(Arg) => Ok(args(line, rest, escape, &mut tables.args)),
            Some(keyword @ (Env | Label)) => pairs(keyword, line, rest, escape, tables),
            Some(Expose | From) => Ok(separated(line, rest, words)),
            Some(Healthcheck) => health(line, rest, words),
            Some(Maintainer | Stopsignal | User | Workdir) => Ok(text(line, rest, words)),
            Some(Onbuild) if rest.is_empty() => Ok(Held::NOTHING),
            Some(Onbuild) => trigger(line, rest, escape, tables),
        }
    }
}

/// The keyword of this name, in any case. Two letters beyond ASCII have an ASCII letter as their lower case.
#[inline]
fn keyword(name: &[u8]) -> Option<Keyword> {
    match Keyword::find(name) {
        None if !name.is_ascii() => {
            let text = std::str::from_utf8(name).ok()?;
            let text = text.replace('\u{212A}', "k").replace('\u{130}', "i");
            Keyword::find(text.as_bytes())
        }
        found => found,
    }
}

#[inline]
fn exec_or<'a>(
    otherwise: impl FnOnce(&Logical<'a, '_>, Piece, &mut Vec<Word<'a>>) -> Held,
    line: &Logical<'a, '_>,
    rest: Piece,
    words: &mut Vec<Word<'a>>,
) -> Result<Held, Problem> {
    let before = words.len();
    match array(line, rest, words) {
        Array::Strings => Ok(Held::from(Form::Exec, before, words)),
        Array::NotJson => Ok(otherwise(line, rest, words)),
        Array::NotStrings => Err(Box::new((ParseErrorKind::NotStrings, rest.range()))),
    }
}

#[inline]
fn text<'a>(line: &Logical<'a, '_>, rest: Piece, words: &mut Vec<Word<'a>>) -> Held {
    if rest.is_empty() {
        return Held::NOTHING;
    }
    let before = words.len();
    line.add_word(rest, words);
    Held::from(Form::Text, before, words)
}

#[inline]
fn separated<'a>(line: &Logical<'a, '_>, rest: Piece, words: &mut Vec<Word<'a>>) -> Held {
    let before = words.len();
    for word in words::separated(line.text, rest) {
        line.add_word(word, words);
    }
    Held::from(Form::Words, before, words)
}

#[inline]
fn args<'a>(line: &Logical<'a, '_>, rest: Piece, escape: u8, args: &mut Vec<Arg<'a>>) -> Held {
    let before = args.len();
    for word in words::quoted(line.text, rest, escape) {
        add_arg(line, word, args);
    }
    Held::from(Form::Args, before, args)
}

#[inline]
fn add_arg<'a>(line: &Logical<'a, '_>, word: Quoted, args: &mut Vec<Arg<'a>>) {
    let arg = |key, default| Arg {
        key,
        default,
        line: line.number,
        span: line.span(word.whole),
    };
    let Some((key, default)) = word.text.split_at_byte(line.text, b'=') else {
        return args.push(arg(line.text(word.text), None));
    };
    match (line.borrowed(key), line.borrowed(default)) {
        (Some(key), Some(default)) => {
            args.push(arg(Cow::Borrowed(key), Some(Cow::Borrowed(default))));
        }
        _ => args.push(arg(line.text(key), Some(line.text(default)))),
    }
}

#[inline]
fn pairs<'a>(
    keyword: Keyword,
    line: &Logical<'a, '_>,
    rest: Piece,
    escape: u8,
    tables: &mut Tables<'a>,
) -> Result<Held, Problem> {
    let problem = |expected, range| {
        let kind = ParseErrorKind::Arguments { keyword, expected };
        Err(Box::new((kind, range)))
    };
    let before = tables.pairs.len();
    match words::pairs(line, rest, escape, &mut tables.pairs) {
        Ok(()) => Ok(Held::from(Form::Pairs, before, &tables.pairs)),
        Err(PairsError::NoValue) => problem("requires a key and a value", rest.range()),
        Err(PairsError::NoEquals(range)) => problem("requires `=` in each word", range),
    }
}

fn health<'a>(
    line: &Logical<'a, '_>,
    rest: Piece,
    words: &mut Vec<Word<'a>>,
) -> Result<Held, Problem> {
    let (kind, command) = words::first_word(line.text, rest);
    if kind.is_empty() {
        return Ok(Held::NOTHING);
    }
    let before = words.len();
    words.push(line.word(kind));
    let form = match exec_or(text, line, command, words)?.form {
        Form::Exec => CommandForm::Exec,
        Form::Text => CommandForm::Text,
        _ => CommandForm::None,
    };
    Ok(Held::from(Form::Health(form), before, words))
}

fn trigger<'a>(
    line: &Logical<'a, '_>,
    rest: Piece,
    escape: u8,
    tables: &mut Tables<'a>,
) -> Result<Held, Problem> {
    let parts = Parts::read(line, rest, escape, &mut tables.words);
    let held = match parts.keyword {
        // Refused later, whatever it holds. Only an error of this pass comes first.
        Some(Keyword::Onbuild) => {
            let innermost = innermost(line, parts.rest, escape, &mut tables.words);
            innermost.arguments(line, escape, tables)?;
            Held::NOTHING
        }
        _ => parts.arguments(line, escape, tables)?,
    };
    let before = tables.triggers.len();
    tables.triggers.push(TriggerRow {
        name: line.word(parts.name),
        keyword: parts.keyword,
        flags: parts.flags,
        held,
    });
    Ok(Held::from(Form::Trigger, before, &tables.triggers))
}

/// What stands behind all `ONBUILD`s. In a loop: the input decides how many there are.
fn innermost<'a>(
    line: &Logical<'a, '_>,
    rest: Piece,
    escape: u8,
    words: &mut Vec<Word<'a>>,
) -> Parts {
    let mut parts = Parts::read(line, rest, escape, words);
    while parts.keyword == Some(Keyword::Onbuild) && !parts.rest.is_empty() {
        parts = Parts::read(line, parts.rest, escape, words);
    }
    parts
}
