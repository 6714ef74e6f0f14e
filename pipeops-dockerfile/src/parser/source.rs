//! The file that is read.

use std::borrow::Cow;
use std::ops::Range;

use super::bytes::lossy;

/// A file: its bytes, and as text as much of it as is UTF-8. Nearly always that is all of it, and then no part has to be
/// looked at again to be text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    valid: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        Self { bytes, valid }
    }

    /// The text of a part that is certainly text.
    #[inline]
    pub(super) fn borrowed(self, part: Range<usize>) -> Option<&'a str> {
        self.valid.get(part)
    }

    /// The text of a part.
    pub(super) fn text(self, part: Range<usize>) -> Cow<'a, str> {
        match self.borrowed(part.clone()) {
            Some(text) => Cow::Borrowed(text),
            None => lossy(&self.bytes[part]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_borrowed_where_it_is_text() {
        let source = Source::new(b"a\xC3\xA4b\xFFcd");
        for (part, text, borrowed) in [
            (0..4, "aäb", true),
            (0..2, "a\u{FFFD}", false),
            (3..5, "b\u{FFFD}", false),
            (5..7, "cd", true),
            (7..7, "", true),
        ] {
            let found = source.text(part);
            assert_eq!(found, text);
            assert_eq!(matches!(found, Cow::Borrowed(_)), borrowed, "{text}");
        }
    }
}
