//! Physical lines and the logical lines that continuations make of them.

use std::borrow::Cow;
use std::io::BufRead as _;
use std::ops::Range;

use super::super::ast::Word;
use super::bytes::{Piece, lossy, trim_newline, trim_start};

/// The longest line without its line feed. One byte more and BuildKit's scanner gives up.
const MAX_LINE: usize = 65_535;

/// The physical lines of a file, line ends included, with their numbers and places.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: &'a [u8],
    at: usize,
    /// Lines read so far.
    pub(super) count: usize,
    /// Where a line begins that is too long: nothing is read from there on.
    pub(super) too_long: Option<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            at: 0,
            count: 0,
            too_long: None,
        }
    }

    /// The next line and where it starts.
    pub(super) fn next(&mut self) -> Option<(&'a [u8], usize)> {
        let start = self.at;
        let rest = &self.source[start..];
        if rest.is_empty() || self.too_long.is_some() {
            return None;
        }
        // The standard library's fastest search for a byte; reading from memory does not fail.
        let length = { rest }.skip_until(b'\n').unwrap_or(rest.len());
        if length - usize::from(rest[..length].ends_with(b"\n")) > MAX_LINE {
            self.too_long = Some(start);
            return None;
        }
        self.at += length;
        self.count += 1;
        Some((&rest[..length], start))
    }
}

/// Lines joined by continuations.
#[derive(Debug)]
pub(super) struct Logical<'a> {
    /// The text, without comments, continuation characters and line ends.
    pub(super) text: Cow<'a, [u8]>,
    /// Where each part of the text starts, and where it stands in the file.
    parts: Vec<(usize, usize)>,
    /// Where the first part stands in the file.
    start: usize,
    /// The number of its first line, from 1.
    pub(super) number: usize,
    /// An empty line stands inside. BuildKit warns.
    pub(super) has_empty_line: bool,
}

impl<'a> Logical<'a> {
    /// Joins `first`, which stands at `start` in the file, with the lines that continue it.
    pub(super) fn read(
        first: &'a [u8],
        start: usize,
        lines: &mut Lines<'a>,
        escape: char,
    ) -> Logical<'a> {
        let (text, mut continues) = cut_continuation(first, escape);
        let mut logical = Self {
            text: Cow::Borrowed(text),
            parts: Vec::new(),
            start,
            number: lines.count,
            has_empty_line: false,
        };
        while continues && let Some((line, at)) = lines.next() {
            let line = trim_newline(line);
            match trim_start(line).first() {
                Some(b'#') => {}
                None => logical.has_empty_line = true,
                Some(_) => {
                    let text;
                    (text, continues) = cut_continuation(line, escape);
                    logical.parts.push((logical.text.len(), at));
                    logical.text.to_mut().extend_from_slice(text);
                }
            }
        }
        logical
    }

    /// The whole text.
    pub(super) fn piece(&self) -> Piece<'_> {
        Piece {
            bytes: &self.text,
            at: 0,
        }
    }

    /// Where this range of the text stands in the file.
    pub(super) fn span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.place(range.start);
        // The end belongs to the part of the last byte, not to the part that follows.
        let end = match range.len() {
            0 => start,
            _ => self.place(range.end - 1) + 1,
        };
        start..end
    }

    /// A word with its place in the file.
    pub(super) fn word(&self, piece: Piece<'_>) -> Word {
        Word::new(lossy(piece.bytes), self.span(piece.range()))
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

/// The line without a continuation character at its end, and whether there is one. An escape character in front of it, or
/// anything but blanks behind it, keeps it from being one.
fn cut_continuation(line: &[u8], escape: char) -> (&[u8], bool) {
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'\t'))
        .map_or(0, |last| last + 1);
    let is_escape = |at: usize| char::from(line[at]) == escape;
    if end == 0 || !is_escape(end - 1) || (end >= 2 && is_escape(end - 2)) {
        return (line, false);
    }
    (&line[..end - 1], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(source: &str) -> Logical<'_> {
        let mut lines = Lines::new(source.as_bytes());
        let (first, start) = lines.next().unwrap();
        Logical::read(trim_newline(first), start, &mut lines, '\\')
    }

    #[test]
    fn continuations_skip_comments_and_empty_lines() {
        let line = logical("RUN a \\\n# no\n\n  \\\n  b\nRUN c");
        assert_eq!(&*line.text, b"RUN a     b");
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
                cut_continuation(line.as_bytes(), '\\').1,
                continues,
                "{line}"
            );
        }
    }

    #[test]
    fn places_are_kept_across_continuations() {
        let source = "RUN a\\\n#\n bc\\\nd";
        let line = logical(source);
        assert_eq!(&*line.text, b"RUN a bcd");
        assert_eq!(&source[line.span(4..5)], "a");
        assert_eq!(&source[line.span(6..8)], "bc");
        assert_eq!(&source[line.span(6..9)], "bc\\\nd");
        assert_eq!(line.span(9..9).len(), 0);
    }

    #[test]
    fn the_limit_is_that_of_the_scanner() {
        let count = |length: usize, end: &str| {
            let source = "x".repeat(length) + end;
            let mut lines = Lines::new(source.as_bytes());
            while lines.next().is_some() {}
            (lines.count, lines.too_long)
        };
        assert_eq!(count(65_535, "\n"), (1, None));
        assert_eq!(count(65_535, ""), (1, None));
        assert_eq!(count(65_536, "\n"), (0, Some(0)));
        assert_eq!(count(65_536, ""), (0, Some(0)));
    }
}
