//! Words, flags and keys of a logical line.

use std::ops::Range;

use super::bytes::{Piece, decode, is_latin1_space, lossy, trim_start};

/// Text and where it stands in the logical line.
pub(super) type Found = (String, Range<usize>);

/// The words between separators; none for an empty piece.
pub(super) fn separated(piece: Piece<'_>) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = (!piece.bytes.is_empty()).then_some(piece);
    std::iter::from_fn(move || {
        let (word, behind) = rest?.split_once();
        rest = behind;
        Some(word)
    })
}

/// The words of `ARG`, `ENV` and `LABEL`: separated by white space outside of quotes. Quotes and escapes stay.
pub(super) fn quoted(piece: Piece<'_>, escape: char) -> impl Iterator<Item = Found> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        loop {
            rest = rest.from(rest.bytes.len() - trim_start(rest.bytes).len());
            if rest.bytes.is_empty() {
                return None;
            }
            let (text, length) = quoted_word(rest.bytes, escape);
            let range = rest.slice(0, length).range();
            rest = rest.from(length);
            if !text.is_empty() {
                return Some((text, range));
            }
        }
    })
}

/// Splits `key=value` at the first `=`, if there is one.
pub(super) fn split_key(mut key: String) -> (String, Option<String>) {
    let value = key.find('=').map(|equals| {
        let value = key.split_off(equals + 1);
        key.truncate(equals);
        value
    });
    (key, value)
}

/// One word from the start of `bytes`, and its length there.
fn quoted_word(bytes: &[u8], escape: char) -> (String, usize) {
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        let (ch, length) = decode(&bytes[at..]);
        match quote {
            None if ch.is_whitespace() => break,
            None if matches!(ch, '\'' | '"') => quote = Some(ch),
            Some(open) if open == ch => quote = None,
            _ => {}
        }
        at += length;
        if ch == escape && quote != Some('\'') {
            let Some(escaped) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                // An escape character at the very end is dropped.
                return (lossy(&bytes[..at - length]), at);
            };
            at += decode(escaped).1;
        }
    }
    (lossy(&bytes[..at]), at)
}

/// The flags at the start, quotes and escapes taken out, and what stands behind them.
pub(super) fn flags<'a>(piece: Piece<'a>, escape: char) -> (Vec<Found>, Piece<'a>) {
    let bytes = piece.bytes;
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        at += bytes[at..]
            .iter()
            .take_while(|&&byte| is_latin1_space(byte))
            .count();
        if !bytes[at..].starts_with(b"--") {
            return (flags, piece.from(at));
        }
        let (text, quoted, length) = flag(&bytes[at..], escape);
        // `--` alone ends the flags.
        if text == "--" {
            return (flags, piece.from(at + length));
        }
        if quoted || !text.is_empty() {
            flags.push((text, piece.slice(at, at + length).range()));
        }
        at += length;
    }
}

/// One flag from the start of `bytes`: its text, whether it had quotes, and its length there. Each byte is a character of
/// its own, as in BuildKit.
fn flag(bytes: &[u8], escape: char) -> (String, bool, usize) {
    // Long enough for most.
    let mut text = String::with_capacity(24);
    let mut had_quotes = false;
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
            had_quotes = true;
        } else if char::from(byte) != escape {
            text.push(char::from(byte));
        } else if at < bytes.len() {
            text.push(char::from(bytes[at]));
            at += 1;
        } else {
            quote = None;
        }
    }
    (text, had_quotes, at)
}

/// Why keys and values are not what `ENV` and `LABEL` take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PairsError {
    /// `ENV key` without a value.
    NoValue,
    /// A word without `=` behind one that has it.
    NoEquals(Range<usize>),
}

/// A key with its value, and where both stand in the logical line.
pub(super) type Pair = ((String, String), Range<usize>);

/// Keys and values: `key=value …`, or the old `key value` where the first word has no `=`.
pub(super) fn pairs(piece: Piece<'_>, escape: char) -> Result<Vec<Pair>, PairsError> {
    let mut words = quoted(piece, escape).peekable();
    let Some((first, _)) = words.peek() else {
        return Ok(Vec::new());
    };
    if !first.contains('=') {
        let (key, value) = piece.split_once();
        let value = value.ok_or(PairsError::NoValue)?;
        return Ok(vec![((key.text(), value.text()), piece.range())]);
    }
    words
        .map(|(word, range)| match split_key(word) {
            (key, Some(value)) => Ok(((key, value), range)),
            (_, None) => Err(PairsError::NoEquals(range)),
        })
        .collect()
}

/// The first word by Latin-1 white space, and what stands behind it: how `HEALTHCHECK` is split.
pub(super) fn first_word<'a>(piece: Piece<'a>) -> (Piece<'a>, Piece<'a>) {
    let bytes = piece.bytes;
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
    use super::*;

    fn piece(text: &str) -> Piece<'_> {
        Piece {
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    fn texts(found: impl IntoIterator<Item = Found>) -> Vec<String> {
        found.into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn words_keep_quotes_and_escapes() {
        for (text, expected) in [
            ("a=1 b=2 c", &["a=1", "b=2", "c"] as &[_]),
            (r#"a="x y" b='p \' c=q"#, &[r#"a="x y""#, r"b='p \'", "c=q"]),
            (r"a=x\ y z", &[r"a=x\ y", "z"]),
            (r#"a="open b"#, &[r#"a="open b"#]),
            ("a\\", &["a"]),
            ("\\", &[]),
        ] {
            assert_eq!(texts(quoted(piece(text), '\\')), expected, "{text}");
        }
        assert_eq!(texts(quoted(piece("a=`  b"), '`')), ["a=` ", "b"]);
        assert_eq!(quoted(piece(" ab  cd"), '\\').last().unwrap().1, 5..7);
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        for (text, expected, rest) in [
            ("--a --b=c d --e", &["--a", "--b=c"] as &[_], "d --e"),
            (r#"--a="x y"\z d"#, &["--a=x yz"], "d"),
            ("--a -- --b", &["--a"], " --b"),
            ("-a", &[], "-a"),
            ("--a", &["--a"], ""),
        ] {
            let (found, behind) = flags(piece(text), '\\');
            assert_eq!(texts(found), expected, "{text}");
            assert_eq!(behind.text(), rest, "{text}");
        }
    }

    #[test]
    fn pairs_have_an_old_and_a_new_form() {
        let pairs = |text: &'static str| pairs(piece(text), '\\');
        let pair = |key: &str, value: &str, range| ((key.to_owned(), value.to_owned()), range);
        assert_eq!(pairs("a b=c d"), Ok(vec![pair("a", "b=c d", 0..7)]));
        assert_eq!(
            pairs("a=b c=\"d e\""),
            Ok(vec![pair("a", "b", 0..3), pair("c", "\"d e\"", 4..11)])
        );
        assert_eq!(pairs("a"), Err(PairsError::NoValue));
        assert_eq!(pairs("a=b c"), Err(PairsError::NoEquals(4..5)));
        assert_eq!(pairs(""), Ok(vec![]));
    }

    #[test]
    fn separators_are_taken_in_runs() {
        let words: Vec<_> = separated(piece("a \t b\u{0B}c")).collect();
        assert_eq!(words.len(), 3);
        assert_eq!(words[2].range(), 6..7);
        assert!(separated(piece("")).next().is_none());
    }
}
