//! Physical lines, and the logical lines that continuations join them into.

use std::borrow::Cow;
use std::ops::Range;

use super::super::ast::Word;
use super::super::span::Span;
use super::bytes::{Piece, lossy, trim_newline, trim_start};
use super::scan;
use super::source::Source;

/// The longest line, without its line feed, that BuildKit's scanner accepts.
const MAX_LINE: usize = 65_535;

/// The physical lines of a file with their line ends, numbers and offsets.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: Source<'a>,
    at: usize,
    /// Lines read so far.
    pub(super) count: usize,
    /// The offset of a line that is too long. Reading stops there.
    pub(super) too_long: Option<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Self {
            source,
            at: 0,
            count: 0,
            too_long: None,
        }
    }

    /// The next line and its offset.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(&'a [u8], usize)> {
        let start = self.at;
        let rest = &self.source.bytes[start..];
        if rest.is_empty() || self.too_long.is_some() {
            return None;
        }
        let length = scan::byte(rest, b'\n').map_or(rest.len(), |newline| newline + 1);
        if length - usize::from(rest[..length].ends_with(b"\n")) > MAX_LINE {
            self.too_long = Some(start);
            return None;
        }
        self.at += length;
        self.count += 1;
        Some((&rest[..length], start))
    }
}

/// A buffer for joined lines. Each logical line reuses its memory.
#[derive(Debug, Default)]
pub(super) struct Joined {
    text: Vec<u8>,
    /// The offset of each part in the text and in the file, without the first part.
    parts: Vec<(usize, usize)>,
}

/// A logical line: usually one physical line, otherwise several joined by continuations.
#[derive(Debug)]
pub(super) struct Logical<'a, 'l> {
    source: Source<'a>,
    /// The text, without comments, continuation characters and line ends.
    pub(super) text: &'l [u8],
    /// The offset of each part in the text and in the file, without the first part.
    parts: &'l [(usize, usize)],
    /// The offset of the first part in the file.
    start: usize,
    /// The number of its first line, from 1.
    pub(super) number: usize,
    /// Whether it contains an empty line, about which BuildKit warns.
    pub(super) has_empty_line: bool,
}

impl<'a: 'l, 'l> Logical<'a, 'l> {
    /// Joins `first`, at offset `start` in the file, with the lines that continue it.
    #[inline]
    pub(super) fn read(
        first: &'a [u8],
        start: usize,
        lines: &mut Lines<'a>,
        escape: u8,
        joined: &'l mut Joined,
    ) -> Self {
        let (text, continues) = cut_continuation(first, escape);
        let mut logical = Self {
            source: lines.source,
            text,
            parts: &[],
            start,
            number: lines.count,
            has_empty_line: false,
        };
        if continues {
            logical.join(lines, escape, joined);
        }
        logical
    }

    fn join(&mut self, lines: &mut Lines<'a>, escape: u8, joined: &'l mut Joined) {
        joined.text.clear();
        joined.text.extend_from_slice(self.text);
        joined.parts.clear();
        let mut continues = true;
        while continues && let Some((line, at)) = lines.next() {
            let line = trim_newline(line);
            match trim_start(line).first() {
                Some(b'#') => {}
                None => self.has_empty_line = true,
                Some(_) => {
                    let text;
                    (text, continues) = cut_continuation(line, escape);
                    joined.parts.push((joined.text.len(), at));
                    joined.text.extend_from_slice(text);
                }
            }
        }
        self.text = &joined.text;
        self.parts = &joined.parts;
    }

    /// The whole text.
    pub(super) fn piece(&self) -> Piece {
        Piece::all(self.text)
    }

    /// The position of a piece of the text in the file.
    #[inline]
    pub(super) fn span(&self, piece: Piece) -> Span {
        let Range { start, end } = self.range(piece.range());
        Span::new(start, end)
    }

    /// The position of a range of the text in the file.
    #[inline]
    pub(super) fn range(&self, range: Range<usize>) -> Range<usize> {
        match self.parts.is_empty() {
            true => self.start + range.start..self.start + range.end,
            false => self.range_of_parts(range),
        }
    }

    #[inline(never)]
    fn range_of_parts(&self, range: Range<usize>) -> Range<usize> {
        let start = self.place(range.start);
        // The end is in the same part as the last byte, not in the next one.
        let end = match range.len() {
            0 => start,
            _ => self.place(range.end - 1) + 1,
        };
        start..end
    }

    /// A piece as text. It's copied only if it spans a continuation or isn't UTF-8.
    #[inline(never)]
    pub(super) fn text(&self, piece: Piece) -> Cow<'a, str> {
        match self.borrowed(piece) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(lossy(piece.of(self.text)).into_owned()),
        }
    }

    /// A piece as text, if the file contains it in one part and as UTF-8. Callers try this first because it's the fast path: the
    /// parts stay in registers.
    #[inline]
    pub(super) fn borrowed(&self, piece: Piece) -> Option<&'a str> {
        self.borrowed_at(piece, self.range(piece.range()))
    }

    #[inline]
    fn borrowed_at(&self, piece: Piece, range: Range<usize>) -> Option<&'a str> {
        // A continuation inside makes the range longer.
        match range.len() == piece.len() {
            true => self.source.borrowed(range),
            false => None,
        }
    }

    /// A piece as text, with its position in the file.
    pub(super) fn word(&self, piece: Piece) -> Word<'a> {
        Word::new(self.text(piece), self.span(piece))
    }

    /// Adds a piece as a word.
    #[inline]
    pub(super) fn add_word(&self, piece: Piece, words: &mut Vec<Word<'a>>) {
        let range = self.range(piece.range());
        let span = Span::new(range.start, range.end);
        match self.borrowed_at(piece, range) {
            Some(text) => words.push(Word::new(Cow::Borrowed(text), span)),
            None => words.push(Word::new(self.text(piece), span)),
        }
    }

    fn place(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|&(start, _)| start <= at);
        let (start, place) = match part {
            0 => (0, self.start),
            part => self.parts[part - 1],
        };
        place + at - start
    }
}

/// The line without its continuation character, and whether it had one. An escape character isn't a continuation if another one
/// precedes it or if anything but blanks follows it.
#[inline]
fn cut_continuation(line: &[u8], escape: u8) -> (&[u8], bool) {
    if !matches!(line.last(), Some(&last) if last == escape || last == b' ' || last == b'\t') {
        return (line, false);
    }
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\t'))
        .map_or(0, |last| last + 1);
    let is_escape = |at: usize| line[at] == escape;
    if end == 0 || !is_escape(end - 1) || (end >= 2 && is_escape(end - 2)) {
        return (line, false);
    }
    (&line[..end - 1], true)
}

/// The first logical line of a text, for tests.
#[cfg(test)]
pub(super) fn logical<'a: 'l, 'l>(source: &'a str, joined: &'l mut Joined) -> Logical<'a, 'l> {
    let mut lines = Lines::new(Source::new(source.as_bytes()));
    let (first, start) = lines.next().unwrap_or_default();
    Logical::read(trim_newline(first), start, &mut lines, b'\\', joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_skip_comments_and_empty_lines() {
        let mut joined = Joined::default();
        let line = logical("RUN a \\\n# no\n\n  \\\n  b\nRUN c", &mut joined);
        assert_eq!(line.text, b"RUN a     b");
        assert!(line.has_empty_line);
    }

    #[test]
    fn what_continues_a_line() {
        for (line, continues) in [
            ("a\\", true),
            ("a \\ \t", true),
            ("\\", true),
            ("a\\\\", false),
            ("a\\\\\\", false),
            ("a\\x", false),
            ("", false),
        ] {
            assert_eq!(
                cut_continuation(line.as_bytes(), b'\\').1,
                continues,
                "{line}"
            );
        }
    }

    #[test]
    fn places_are_kept_across_continuations() {
        let source = "RUN a\\\n#\n bc\\\nd";
        let mut joined = Joined::default();
        let line = logical(source, &mut joined);
        assert_eq!(line.text, b"RUN a bcd");
        assert_eq!(&source[line.range(4..5)], "a");
        assert_eq!(&source[line.range(6..8)], "bc");
        assert_eq!(&source[line.range(6..9)], "bc\\\nd");
        assert_eq!(line.range(9..9).len(), 0);
    }

    #[test]
    fn only_words_across_continuations_are_copied() {
        let mut joined = Joined::default();
        let line = logical("RUN a\\\nb c\\\n", &mut joined);
        for (start, end, text, borrowed) in [
            (0, 5, "RUN a", true),
            (4, 6, "ab", false),
            (5, 8, "b c", true),
            (8, 8, "", true),
        ] {
            let found = line.text(line.piece().slice(start, end));
            assert_eq!(found, text);
            assert_eq!(matches!(found, Cow::Borrowed(_)), borrowed, "{text}");
        }
    }

    #[test]
    fn the_limit_is_that_of_the_scanner() {
        let count = |length: usize, end: &str| {
            let source = "x".repeat(length) + end;
            let mut lines = Lines::new(Source::new(source.as_bytes()));
            while lines.next().is_some() {}
            (lines.count, lines.too_long)
        };
        assert_eq!(count(65_535, "\n"), (1, None));
        assert_eq!(count(65_535, ""), (1, None));
        assert_eq!(count(65_536, "\n"), (0, Some(0)));
        assert_eq!(count(65_536, ""), (0, Some(0)));
    }
}
