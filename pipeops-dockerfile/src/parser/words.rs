//! Words, flags and keys of a logical line.

use std::borrow::Cow;
use std::ops::Range;

use super::super::ast::{Pair, Word};
use super::bytes::{Piece, decode, is_latin1_space};
use super::lines::Logical;
use super::scan;

/// A word that may hold white space in quotes or behind escape characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted {
    /// Its text: without an escape character at the very end of the line.
    pub(super) text: Piece,
    /// All of it.
    pub(super) whole: Piece,
}

/// The words between separators, of a piece without white space around it.
#[inline]
pub(super) fn separated(text: &[u8], piece: Piece) -> impl Iterator<Item = Piece> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        let word;
        (word, rest) = rest.split_once(text);
        (!word.is_empty()).then_some(word)
    })
}

/// The words of `ARG`, `ENV` and `LABEL`: separated by white space outside of quotes. Quotes and escapes stay.
#[inline]
pub(super) fn quoted(text: &[u8], piece: Piece, escape: u8) -> impl Iterator<Item = Quoted> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start(text);
            if rest.is_empty() {
                return None;
            }
            let (length, whole_length) = quoted_word(rest.of(text), escape);
            let word = Quoted {
                text: rest.slice(0, length),
                whole: rest.slice(0, whole_length),
            };
            rest = rest.from(whole_length);
            if length > 0 {
                return Some(word);
            }
        }
    })
}

/// How much of `bytes` one word from their start is: its text, and all of it.
#[inline]
fn quoted_word(bytes: &[u8], escape: u8) -> (usize, usize) {
    match scan::special(bytes) {
        None => (bytes.len(), bytes.len()),
        Some(at) if matches!(bytes[at], b'\t'..=b'\r' | b' ') => (at, at),
        Some(at) => quoted_word_from(at, bytes, escape),
    }
}

/// The same where nothing is special in front of `at`.
fn quoted_word_from(mut at: usize, bytes: &[u8], escape: u8) -> (usize, usize) {
    let mut quote = None;
    while at < bytes.len() {
        let (ch, length) = decode(&bytes[at..]);
        match quote {
            None if ch.is_whitespace() => break,
            None if matches!(ch, '\'' | '"') => quote = Some(ch),
            Some(open) if open == ch => quote = None,
            _ => {}
        }
        at += length;
        if ch == char::from(escape) && quote != Some('\'') {
            let Some(escaped) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                // An escape character at the very end is dropped.
                return (at - length, at);
            };
            at += decode(escaped).1;
        }
    }
    (at, at)
}

/// Adds the flags at the start to `words`, quotes and escapes taken out, and gives what stands behind them.
#[inline]
pub(super) fn flags<'a>(
    line: &Logical<'a, '_>,
    piece: Piece,
    escape: u8,
    words: &mut Vec<Word<'a>>,
) -> Piece {
    let behind = match piece.of(line.text).first() {
        None => 0,
        Some(&byte) if byte != b'-' && !is_latin1_space(byte) => 0,
        Some(_) => flags_and_blanks(line, piece, escape, words),
    };
    piece.from(behind)
}

/// The same for any piece; what stands behind the flags begins at the number.
fn flags_and_blanks<'a>(
    line: &Logical<'a, '_>,
    piece: Piece,
    escape: u8,
    words: &mut Vec<Word<'a>>,
) -> usize {
    let bytes = piece.of(line.text);
    let mut at = 0;
    loop {
        at += bytes[at..]
            .iter()
            .take_while(|&&byte| is_latin1_space(byte))
            .count();
        if !bytes[at..].starts_with(b"--") {
            return at;
        }
        let Flag { taken_out, length } = flag(&bytes[at..], escape);
        let whole = piece.slice(at, at + length);
        at += length;
        let text = taken_out.map_or_else(|| line.text(whole), Cow::Owned);
        // `--` alone ends the flags.
        if text == "--" {
            return at;
        }
        words.push(Word::new(text, line.span(whole)));
    }
}

/// One flag.
struct Flag {
    /// Its text, where it is not what is written.
    taken_out: Option<String>,
    /// Its length as written.
    length: usize,
}

/// The flag at the start of `bytes`.
fn flag(bytes: &[u8], escape: u8) -> Flag {
    let length = scan::special(bytes).unwrap_or(bytes.len());
    match bytes.get(length) {
        Some(&byte) if !is_latin1_space(byte) => unquoted_flag(bytes, escape),
        _ => Flag {
            taken_out: None,
            length,
        },
    }
}

/// The same for any flag. Each byte is a character of its own, as in BuildKit.
fn unquoted_flag(bytes: &[u8], escape: u8) -> Flag {
    let mut text = String::with_capacity(24);
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if quote.is_none() && is_latin1_space(byte) {
            break;
        }
        at += 1;
        if quote == Some(byte) {
            quote = None;
        } else if quote.is_none() && matches!(byte, b'\'' | b'"') {
            quote = Some(byte);
        } else if byte != escape {
            text.push(char::from(byte));
        } else if at < bytes.len() {
            text.push(char::from(bytes[at]));
            at += 1;
        } else {
            quote = None;
        }
    }
    Flag {
        taken_out: Some(text),
        length: at,
    }
}

/// Why keys and values are not what `ENV` and `LABEL` take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PairsError {
    /// `ENV key` without a value.
    NoValue,
    /// A word without `=` behind one that has it.
    NoEquals(Range<usize>),
}

/// Adds keys and values to `pairs`: `key=value …`, or the old `key value` where the first word has no `=`.
#[inline]
pub(super) fn pairs<'a>(
    line: &Logical<'a, '_>,
    piece: Piece,
    escape: u8,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<(), PairsError> {
    let before = pairs.len();
    for word in quoted(line.text, piece, escape) {
        match word.text.split_at_byte(line.text, b'=') {
            Some((key, value)) => add_pair(line, key, value, word.whole, pairs),
            None if pairs.len() == before => {
                let (key, value) = piece.split_once(line.text);
                if value.is_empty() {
                    return Err(PairsError::NoValue);
                }
                add_pair(line, key, value, piece, pairs);
                break;
            }
            None => return Err(PairsError::NoEquals(word.whole.range())),
        }
    }
    Ok(())
}

#[inline]
fn add_pair<'a>(
    line: &Logical<'a, '_>,
    key: Piece,
    value: Piece,
    whole: Piece,
    pairs: &mut Vec<Pair<'a>>,
) {
    let span = line.span(whole);
    let pair = |key, value| Pair { key, value, span };
    match (line.borrowed(key), line.borrowed(value)) {
        (Some(key), Some(value)) => pairs.push(pair(Cow::Borrowed(key), Cow::Borrowed(value))),
        _ => pairs.push(pair(line.text(key), line.text(value))),
    }
}

/// The first word by Latin-1 white space, and what stands behind it: how `HEALTHCHECK` is split.
pub(super) fn first_word(text: &[u8], piece: Piece) -> (Piece, Piece) {
    let bytes = piece.of(text);
    let end = bytes
        .iter()
        .position(|&byte| is_latin1_space(byte))
        .unwrap_or(bytes.len());
    let blanks = bytes[end..]
        .iter()
        .take_while(|&&byte| is_latin1_space(byte))
        .count();
    (piece.slice(0, end), piece.from(end + blanks))
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Joined, logical};
    use super::*;

    fn texts(line: &str, escape: u8) -> Vec<&str> {
        let words = quoted(line.as_bytes(), Piece::all(line.as_bytes()), escape);
        words.map(|word| &line[word.text.range()]).collect()
    }

    #[test]
    fn words_keep_quotes_and_escapes() {
        for (line, expected) in [
            ("a=1 b=2 c", &["a=1", "b=2", "c"] as &[_]),
            (r#"a="x y" b='p \' c=q"#, &[r#"a="x y""#, r"b='p \'", "c=q"]),
            (r"a=x\ y z", &[r"a=x\ y", "z"]),
            (r#"a="open b"#, &[r#"a="open b"#]),
            ("ä=1\u{2003}b", &["ä=1", "b"]),
            ("a\\", &["a"]),
            ("\\", &[]),
        ] {
            assert_eq!(texts(line, b'\\'), expected, "{line}");
        }
        assert_eq!(texts("a=`  b", b'`'), ["a=` ", "b"]);
        let line = b" ab  cd\\";
        let last = quoted(line, Piece::all(line), b'\\').last().unwrap();
        assert_eq!((last.text.range(), last.whole.range()), (5..7, 5..8));
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        for (source, expected, rest) in [
            ("--a --b=c d --e", &["--a", "--b=c"] as &[_], "d --e"),
            (r#"--a="x y"\z d"#, &["--a=x yz"], "d"),
            ("--a -- --b", &["--a"], " --b"),
            ("--ä", &["--\u{C3}\u{A4}"], ""),
            ("-a", &[], "-a"),
            ("--a", &["--a"], ""),
        ] {
            let mut joined = Joined::default();
            let line = logical(source, &mut joined);
            let mut found = Vec::new();
            let behind = flags(&line, line.piece(), b'\\', &mut found);
            let found: Vec<_> = found.iter().map(|word| &*word.text).collect();
            assert_eq!(found, expected, "{source}");
            assert_eq!(&source[behind.range()], rest);
        }
    }

    #[test]
    fn pairs_have_an_old_and_a_new_form() {
        let read = |source: &str| {
            let mut joined = Joined::default();
            let line = logical(source, &mut joined);
            let mut found = Vec::new();
            pairs(&line, line.piece(), b'\\', &mut found)?;
            let triple =
                |pair: &Pair<'_>| (pair.key.to_string(), pair.value.to_string(), pair.span());
            Ok(found.iter().map(triple).collect())
        };
        let pair = |key: &str, value: &str, span| (key.to_owned(), value.to_owned(), span);
        assert_eq!(read("a b=c d"), Ok(vec![pair("a", "b=c d", 0..7)]));
        assert_eq!(
            read("a=b c=\"d e\""),
            Ok(vec![pair("a", "b", 0..3), pair("c", "\"d e\"", 4..11)])
        );
        assert_eq!(read("a"), Err(PairsError::NoValue));
        assert_eq!(read("a=b c"), Err(PairsError::NoEquals(4..5)));
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn separators_are_taken_in_runs() {
        let line = b"a \t b\x0Bc";
        let words: Vec<_> = separated(line, Piece::all(line)).collect();
        assert_eq!(words.len(), 3);
        assert_eq!(words[2].range(), 6..7);
        assert!(separated(b"", Piece::all(b"")).next().is_none());
    }
}
