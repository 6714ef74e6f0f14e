//! Bytes read as Go's `unicode/utf8` and `strings` read them.
//!
//! BuildKit's parser is written in Go and its input is bytes, not UTF-8: where a Dockerfile holds other bytes, what counts
//! as a space or as a character decides whether it is accepted. These helpers keep Go's answers.

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
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
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
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
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
pub(super) fn trim_newline(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[..end.map_or(0, |at| at + 1)]
}

/// Text in which each invalid byte is one U+FFFD.
pub(super) fn lossy(mut bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let (ch, length) = decode(bytes);
        text.push(ch);
        bytes = &bytes[length..];
    }
    text
}

/// The white space that separates words: not line feeds, and nothing beyond ASCII.
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0B | 0x0C | b'\r' | b' ')
}

/// White space where BuildKit takes each byte for a Latin-1 character: in flags and after `HEALTHCHECK`.
pub(super) fn is_latin1_space(byte: u8) -> bool {
    is_separator(byte) || matches!(byte, b'\n' | 0x85 | 0xA0)
}

/// Part of one logical line: its bytes and where they start in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The bytes.
    pub(super) bytes: &'a [u8],
    /// Their offset in the logical line.
    pub(super) at: usize,
}

impl<'a> Piece<'a> {
    /// From `start` to `end`, counted from the start of this piece.
    pub(super) fn slice(self, start: usize, end: usize) -> Self {
        Self {
            bytes: &self.bytes[start..end],
            at: self.at + start,
        }
    }

    /// From `start` on.
    pub(super) fn from(self, start: usize) -> Self {
        self.slice(start, self.bytes.len())
    }

    /// Without white space around it.
    pub(super) fn trim(self) -> Self {
        let bytes = trim_start(self.bytes);
        Self {
            bytes: trim_end(bytes),
            at: self.at + self.bytes.len() - bytes.len(),
        }
    }

    /// Everything before the first run of separators, and everything behind it if there is one.
    pub(super) fn split_once(self) -> (Self, Option<Self>) {
        let Some(end) = self.bytes.iter().position(|&byte| is_separator(byte)) else {
            return (self, None);
        };
        let run = self.bytes[end..]
            .iter()
            .position(|&byte| !is_separator(byte));
        let next = run.map_or(self.bytes.len(), |run| end + run);
        (self.slice(0, end), Some(self.from(next)))
    }

    /// Where it is in the logical line.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.at..self.at + self.bytes.len()
    }

    /// The text.
    pub(super) fn text(self) -> String {
        lossy(self.bytes)
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
        let line = Piece {
            bytes: b"  FROM \t x ",
            at: 0,
        };
        let (keyword, rest) = line.trim().split_once();
        assert_eq!(keyword.range(), 2..6);
        assert_eq!(rest.unwrap().range(), 9..10);
    }
}
