//! Which heredocs a line opens.

use std::borrow::Cow;
use std::ops::Range;

use super::bytes::lossy;
use super::lexer::{LexError, Raw, words};
use super::source::Source;

/// A heredoc as it is opened, its content not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// The terminator.
    pub(super) name: String,
    /// No part of the word is quoted: variables in the content are replaced.
    pub(super) expand: bool,
    /// `<<-`: leading tabs do not count.
    pub(super) chomp: bool,
}

/// The heredocs that a logical line opens, in order.
pub(super) fn openings(line: &[u8]) -> Result<Vec<Opening>, LexError> {
    let raw = Raw {
        quotes: true,
        escapes: true,
    };
    let found = match words(line, raw) {
        // BuildKit takes a line with an open quote for one without heredocs.
        Err(LexError::Syntax) => return Ok(Vec::new()),
        found => found?,
    };
    found
        .iter()
        .filter_map(|word| opening(word.as_bytes()).transpose())
        .collect()
}

/// The heredoc that this one word opens, if it does: `<<EOF`, `3<<-"EOF"`.
pub(super) fn opening(word: &[u8]) -> Result<Option<Opening>, LexError> {
    let Some((chomp, rest)) = operator(word) else {
        return Ok(None);
    };
    let keep = |quotes| Raw {
        quotes,
        escapes: false,
    };
    let mut names = words(rest, keep(false))?;
    if names.len() != 1 {
        return Ok(None);
    }
    let quoted = words(rest, keep(true))?;
    let [quoted] = quoted.as_slice() else {
        return Err(LexError::Syntax);
    };
    let name = names.remove(0);
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Ok(Some(Opening {
        expand: quotes(&name) == quotes(quoted),
        name,
        chomp,
    }))
}

/// Splits `[digits]<<[-][blanks]word`: whether there is a dash, and the word.
fn operator(word: &[u8]) -> Option<(bool, &[u8])> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = word[digits..].strip_prefix(b"<<")?;
    let (chomp, rest) = match rest.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' '))
        .count();
    let rest = &rest[blanks..];
    (!rest.is_empty() && !rest.contains(&b'<')).then_some((chomp, rest))
}

/// The content as the instruction sees it: without leading tabs where the heredoc says so.
pub(super) fn content(source: Source<'_>, lines: Range<usize>, chomp: bool) -> Cow<'_, str> {
    let raw = &source.bytes[lines.clone()];
    if !chomp || !raw.contains(&b'\t') {
        return source.text(lines);
    }
    let mut text = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        let tabs = line.iter().take_while(|&&byte| byte == b'\t').count();
        text.extend_from_slice(&line[tabs..]);
    }
    Cow::Owned(lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_of_a_line() {
        for (line, expected) in [
            ("RUN <<EOF", &[("EOF", true, false)] as &[_]),
            ("RUN cat <<EOF > x", &[("EOF", true, false)]),
            ("RUN python3 - << 'EOF'", &[("EOF", false, false)]),
            (
                "COPY <<-a <<\"b c\" /d/",
                &[("a", true, true), ("b c", false, false)],
            ),
            ("RUN 3<<EOF", &[("EOF", true, false)]),
            ("RUN cat <<<EOF", &[]),
            ("RUN echo '<<EOF'", &[]),
            ("RUN echo \\<<EOF", &[]),
            ("RUN <<", &[]),
            ("RUN echo \" <<EOF", &[]),
            ("RUN <<E\\OF", &[("EOF", true, false)]),
        ] {
            let found = openings(line.as_bytes()).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|doc| (doc.name.as_str(), doc.expand, doc.chomp))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn tabs_are_chomped_at_each_line() {
        let content = |text: &'static str, chomp| {
            let source = Source::new(text.as_bytes());
            content(source, 0..text.len(), chomp)
        };
        assert_eq!(content("\t\ta\n \tb\n\tc", true), "a\n \tb\nc");
        assert_eq!(content("\ta\n", false), "\ta\n");
    }
}
