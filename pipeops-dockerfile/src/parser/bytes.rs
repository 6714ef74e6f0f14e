//! Bytes read as Go's `unicode/utf8` and `strings` read them.
//!
//! BuildKit's parser is written in Go and its input is bytes, not UTF-8: where a Dockerfile holds other bytes, what counts
//! as a space or as a character decides whether it is accepted. These helpers keep Go's answers.

use std::borrow::Cow;

use super::scan::{self, is_separator};

/// The character at the start of `bytes` and its length; an invalid byte is one U+FFFD. `bytes` must not be empty.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> (char, usize) {
    // Nearly all of all Dockerfiles.
    if bytes[0].is_ascii() {
        return (char::from(bytes[0]), 1);
    }
    decode_long(bytes)
}

fn decode_long(bytes: &[u8]) -> (char, usize) {
    let length = match bytes[0] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    bytes
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().next())
        .map_or((char::REPLACEMENT_CHARACTER, 1), |ch| (ch, length))
}

/// The character at the end of `bytes` and its length. `bytes` must not be empty.
fn decode_last(bytes: &[u8]) -> (char, usize) {
    if let Some(last) = bytes.last().filter(|last| last.is_ascii()) {
        return (char::from(*last), 1);
    }
    let continues = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let tail = bytes.iter().rev().take(3).take_while(continues).count();
    if tail < bytes.len() {
        let (ch, length) = decode(&bytes[bytes.len() - tail - 1..]);
        if length == tail + 1 {
            return (ch, length);
        }
    }
    (char::REPLACEMENT_CHARACTER, 1)
}

/// Without white space (Unicode's) at the start.
#[inline]
pub(super) fn trim_start(bytes: &[u8]) -> &[u8] {
    match bytes.first() {
        // Nearly always.
        Some(0x21..=0x7F) => bytes,
        _ => trim_start_long(bytes),
    }
}

fn trim_start_long(mut bytes: &[u8]) -> &[u8] {
    while !bytes.is_empty() {
        let (ch, length) = decode(bytes);
        if !ch.is_whitespace() {
            break;
        }
        bytes = &bytes[length..];
    }
    bytes
}

/// Without white space (Unicode's) at the end.
#[inline]
pub(super) fn trim_end(bytes: &[u8]) -> &[u8] {
    match bytes.last() {
        Some(0x21..=0x7F) => bytes,
        _ => trim_end_long(bytes),
    }
}

fn trim_end_long(mut bytes: &[u8]) -> &[u8] {
    while !bytes.is_empty() {
        let (ch, length) = decode_last(bytes);
        if !ch.is_whitespace() {
            break;
        }
        bytes = &bytes[..bytes.len() - length];
    }
    bytes
}

/// Without line ends at the end.
#[inline]
pub(super) fn trim_newline(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[..end.map_or(0, |at| at + 1)]
}

/// Text in which each invalid byte is one U+FFFD.
pub(super) fn lossy(mut bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let (ch, length) = decode(bytes);
        text.push(ch);
        bytes = &bytes[length..];
    }
    Cow::Owned(text)
}

/// White space where BuildKit takes each byte for a Latin-1 character: in flags and after `HEALTHCHECK`.
#[inline]
pub(super) fn is_latin1_space(byte: u8) -> bool {
    is_separator(byte) || matches!(byte, b'\n' | 0x85 | 0xA0)
}

/// A part of the text of a logical line: where it begins and ends. Small, as parsing hands pieces to and fro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    /// All of a line's text.
    #[inline]
    pub(super) fn all(text: &[u8]) -> Self {
        Self {
            start: 0,
            end: text.len() as u32,
        }
    }

    /// The bytes of this piece of `text`.
    #[inline]
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.range()]
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// From `start` to `end`, counted from the start of this piece.
    #[inline]
    pub(super) fn slice(self, start: usize, end: usize) -> Self {
        Self {
            start: self.start + start as u32,
            end: self.start + end as u32,
        }
    }

    /// From `start` on.
    #[inline]
    pub(super) fn from(self, start: usize) -> Self {
        Self {
            start: self.start + start as u32,
            end: self.end,
        }
    }

    /// Without white space at the start.
    #[inline]
    pub(super) fn trim_start(self, text: &[u8]) -> Self {
        self.from(self.len() - trim_start(self.of(text)).len())
    }

    /// Without white space around it.
    #[inline]
    pub(super) fn trim(self, text: &[u8]) -> Self {
        let piece = self.trim_start(text);
        piece.slice(0, trim_end(piece.of(text)).len())
    }

    /// Everything before the first run of separators, and everything behind it: nothing where there is none, as a piece that
    /// is trimmed does not end with one.
    #[inline]
    pub(super) fn split_once(self, text: &[u8]) -> (Self, Self) {
        let bytes = self.of(text);
        let end = scan::separator(bytes).unwrap_or(bytes.len());
        let mut behind = end;
        while bytes.get(behind).is_some_and(|&byte| is_separator(byte)) {
            behind += 1;
        }
        (self.slice(0, end), self.from(behind))
    }

    /// What stands in front of the first `byte`, and what stands behind it; `None` where there is none.
    #[inline]
    pub(super) fn split_at_byte(self, text: &[u8], byte: u8) -> Option<(Self, Self)> {
        let at = scan::byte(self.of(text), byte)?;
        Some((self.slice(0, at), self.from(at + 1)))
    }

    /// Where it is in the text.
    #[inline]
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_invalid_byte_is_one_replacement_character() {
        assert_eq!(lossy(b"a\xF0\x90b"), "a\u{FFFD}\u{FFFD}b");
        assert_eq!(lossy("žluťoučký".as_bytes()), "žluťoučký");
        assert_eq!(decode(b"\xED\xA0\x80"), ('\u{FFFD}', 1), "a surrogate");
    }

    #[test]
    fn trimming_knows_unicode_and_stops_at_invalid_bytes() {
        let trim = |bytes| trim_end(trim_start(bytes));
        assert_eq!(trim("\u{2003} a\u{85}\u{A0}".as_bytes()), b"a");
        assert_eq!(trim(b"\xA0a\x85"), b"\xA0a\x85");
        assert_eq!(trim(b"a\xE1\xC2\x85"), b"a\xE1");
        assert_eq!(trim_newline(b"a\r\n\r\n"), b"a");
        assert_eq!(trim_newline(b"\n"), b"");
    }

    #[test]
    fn pieces_know_where_they_are() {
        let text = b"  FROM \t x ";
        let (keyword, rest) = Piece::all(text).trim(text).split_once(text);
        assert_eq!(keyword.range(), 2..6);
        assert_eq!(rest.range(), 9..10);
        assert!(rest.split_once(text).1.is_empty());
    }
}
