//! JSON arrays of strings, as Go's `encoding/json` accepts them.
//!
//! Not serde_json: an array that is almost JSON is not an error but shell form, so every difference in acceptance would
//! change what a Dockerfile means. Go replaces invalid UTF-8 and lone surrogates, and refuses numbers beyond `f64`.

use std::borrow::Cow;
use std::ops::Range;

use super::super::ast::Word;
use super::bytes::{Piece, decode, lossy, trim_start};
use super::lines::Logical;

/// How deep Go's decoder nests.
const MAX_DEPTH: usize = 10_000;

/// What the arguments of an instruction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    /// Not a JSON array: the instruction is in shell form.
    NotJson,
    /// A JSON array with something other than strings in it.
    NotStrings,
    /// The exec form: its strings were added, each with its place, in which its quotes are.
    Strings,
}

/// Reads the whole of a piece of `line` as an array, and adds its strings to `words` if it holds nothing else.
#[inline]
pub(super) fn array<'a>(line: &Logical<'a, '_>, piece: Piece, words: &mut Vec<Word<'a>>) -> Array {
    let bytes = piece.of(line.text);
    if trim_start(bytes).first() != Some(&b'[') {
        return Array::NotJson;
    }
    read_array(line, piece, words)
}

fn read_array<'a>(line: &Logical<'a, '_>, piece: Piece, words: &mut Vec<Word<'a>>) -> Array {
    let before = words.len();
    let bytes = piece.of(line.text);
    let at = bytes.len() - trim_start(bytes).len();
    let array = Reader { bytes, at }.array(line, piece, words);
    let array = array.unwrap_or(Array::NotJson);
    if array != Array::Strings {
        words.truncate(before);
    }
    array
}

struct Reader<'l> {
    bytes: &'l [u8],
    at: usize,
}

/// What a string is, its quotes and escapes taken out.
enum Text {
    /// What is written there.
    Plain(Range<usize>),
    Unescaped(String),
}

impl Reader<'_> {
    fn array<'a>(
        &mut self,
        line: &Logical<'a, '_>,
        piece: Piece,
        words: &mut Vec<Word<'a>>,
    ) -> Option<Array> {
        let mut only_strings = true;
        self.expect(b'[')?;
        if self.skip_space() != Some(b']') {
            loop {
                if self.skip_space()? == b'"' {
                    let start = self.at;
                    let text = match self.string()? {
                        Text::Plain(range) => line.text(piece.slice(range.start, range.end)),
                        Text::Unescaped(text) => Cow::Owned(text),
                    };
                    words.push(Word::new(text, line.span(piece.slice(start, self.at))));
                } else {
                    only_strings = false;
                    self.value()?;
                }
                match self.skip_space()? {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.expect(b']')?;
        if self.skip_space().is_some() {
            return None;
        }
        Some(if only_strings {
            Array::Strings
        } else {
            Array::NotStrings
        })
    }

    /// Skips one value of any kind. Without recursion: the input decides the depth.
    fn value(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            match self.skip_space()? {
                b @ (b'[' | b'{') => {
                    self.at += 1;
                    open.push(b);
                    // The outermost array counts as well.
                    if open.len() >= MAX_DEPTH {
                        return None;
                    }
                    if self.closes(b) {
                        open.pop();
                    } else if b == b'{' {
                        self.key()?;
                        continue;
                    } else {
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            self.after_value(&mut open)?;
            if open.is_empty() {
                return Some(());
            }
        }
    }

    /// Behind a value: closes what ends here, and stands before the next value, if there is one.
    fn after_value(&mut self, open: &mut Vec<u8>) -> Option<()> {
        while let Some(&inside) = open.last() {
            if self.closes(inside) {
                open.pop();
                continue;
            }
            self.skip_space();
            self.expect(b',')?;
            if inside == b'{' {
                self.key()?;
            }
            return Some(());
        }
        Some(())
    }

    /// Whether the bracket that `open` opened is closed here; then stands behind it.
    fn closes(&mut self, open: u8) -> bool {
        let close = if open == b'[' { b']' } else { b'}' };
        let closes = self.skip_space() == Some(close);
        self.at += usize::from(closes);
        closes
    }

    fn key(&mut self) -> Option<()> {
        self.skip_space();
        self.string()?;
        self.skip_space();
        self.expect(b':')
    }

    fn string(&mut self) -> Option<Text> {
        self.expect(b'"')?;
        let start = self.at;
        let is_plain = |byte: u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
        let length = self.bytes[start..]
            .iter()
            .position(|&byte| !is_plain(byte))?;
        self.at += length;
        if self.bytes[self.at] == b'"' {
            self.at += 1;
            return Some(Text::Plain(start..start + length));
        }
        self.unescaped(start).map(Text::Unescaped)
    }

    /// The string that begins at `start`, of which nothing in front of here is an escape.
    fn unescaped(&mut self, start: usize) -> Option<String> {
        let mut text = lossy(&self.bytes[start..self.at]).into_owned();
        loop {
            let (ch, length) = decode(self.bytes.get(self.at..).filter(|b| !b.is_empty())?);
            self.at += length;
            match ch {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                '\0'..'\x20' => return None,
                ch => text.push(ch),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\x08',
            b'f' => '\x0C',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return None,
        })
    }

    /// Behind `\u`. A lone surrogate is U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        let behind = self.at;
        if (0xD800..0xDC00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
            }
            self.at = behind;
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, &digit| {
            Some(value * 16 + char::from(digit).to_digit(16)?)
        })
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).ok()?;
        text.parse::<f64>().ok()?.is_finite().then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.at += 1;
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space; the byte behind it.
    fn skip_space(&mut self) -> Option<u8> {
        while matches!(self.peek()?, b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        self.peek()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::trim_newline;
    use super::super::lines::{Joined, Lines};
    use super::super::source::Source;
    use super::*;

    fn read(json: &[u8]) -> (Array, Vec<Word<'_>>) {
        // One line, whatever its length.
        let mut joined = Joined::default();
        let mut lines = Lines::new(Source::new(json));
        let line = Logical::read(trim_newline(json), 0, &mut lines, b'\0', &mut joined);
        let mut words = Vec::new();
        (array(&line, line.piece(), &mut words), words)
    }

    fn strings(json: &str) -> Option<Vec<String>> {
        match read(json.as_bytes()) {
            (Array::Strings, words) => {
                Some(words.iter().map(|word| word.text.to_string()).collect())
            }
            (_, words) => {
                assert_eq!(words, [], "{json}");
                None
            }
        }
    }

    #[test]
    fn arrays_of_strings() {
        for (json, expected) in [
            (r#"[]"#, &[] as &[&str]),
            (r#" [ "a" , "b c" ] "#, &["a", "b c"]),
            (r#"["\"\\\/\b\n\u0041\ud83d\ude00"]"#, &["\"\\/\x08\nA😀"]),
            (r#"["\ud83d", "\udc00x"]"#, &["\u{FFFD}", "\u{FFFD}x"]),
            (r#"["\ud83d\u0041"]"#, &["\u{FFFD}A"]),
        ] {
            let expected = expected.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(strings(json), Some(expected), "{json}");
        }
        let (_, invalid) = read(b" [\"\xFF\xC3\"]");
        assert_eq!(invalid[0].text, "\u{FFFD}\u{FFFD}");
        assert_eq!(invalid[0].span(), 2..6);
    }

    #[test]
    fn other_values_are_told_from_other_text() {
        for json in [
            "[1]",
            "[\"a\", -0.5e+3]",
            "[null]",
            "[true, false]",
            "[[]]",
            "[[[]], {}]",
            "[{\"a\": [1, {\"b\": \"\"}], \"c\": 0}]",
        ] {
            assert_eq!(read(json.as_bytes()).0, Array::NotStrings, "{json}");
        }
        for text in [
            "",
            "x",
            "[",
            "[,]",
            "[\"a\",]",
            "[\"a\" \"b\"]",
            "['a']",
            "[\"a\"] x",
            "[01]",
            "[1.]",
            "[1e999]",
            "[tru]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"a",
            "[\"\t\"]",
            "[{]",
            "[{\"a\"}]",
            "[{\"a\":1,}]",
            "[[1,]]",
            "[-]",
        ] {
            assert_eq!(read(text.as_bytes()).0, Array::NotJson, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(nested(10_000).as_bytes()).0, Array::NotStrings);
        assert_eq!(read(nested(10_001).as_bytes()).0, Array::NotJson);
        assert_eq!(read("[".repeat(1_000_000).as_bytes()).0, Array::NotJson);
    }
}
