//! Positions in a text, and excerpts that show them.

use std::fmt;
use std::ops::Range;

use pipeops_core::text::is_control;

/// The most of a line that is shown, in characters.
const WIDTH: usize = 120;

/// How much of a long line is shown in front of what is pointed at.
const IN_FRONT: usize = 60;

/// A line and column in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Position {
    /// The line, from 1. Only a line feed ends a line.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` in `source`. Offsets after the end give the end.
    ///
    /// ```
    /// use pipeops_dockerfile::Position;
    ///
    /// let position = Position::of("FROM a\nRUN čau\n".as_bytes(), 13);
    /// assert_eq!((position.line, position.column), (2, 6));
    /// ```
    pub fn of(source: &[u8], offset: usize) -> Self {
        let before = &source[..offset.min(source.len())];
        let start = line_start(before);
        let newlines = before.iter().filter(|&&byte| byte == b'\n').count();
        Self {
            line: newlines + 1,
            column: characters(&before[start..]) + 1,
        }
    }
}

/// A line of a text with carets under a part of it. `Display` prints three lines, without a trailing line feed:
///
/// ```
/// use pipeops_dockerfile::Excerpt;
///
/// let excerpt = Excerpt::of(b"FROM a\nRNU true\n", 7..10);
/// assert_eq!(excerpt.to_string(), "  |\n2 | RNU true\n  | ^^^");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    /// The part of the line that is shown, with blanks for control characters.
    shown: Box<str>,
    /// How many characters stand in front of the carets. Small, as errors are moved about.
    indent: u16,
    /// How many carets there are.
    carets: u16,
}

impl Excerpt {
    /// The line on which `span` begins. The carets end with the line. A long line is cut to the part around the carets.
    pub fn of(source: &[u8], span: Range<usize>) -> Self {
        let at = span.start.min(source.len());
        let start = line_start(&source[..at]);
        let newline = source[at..].iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(source.len(), |newline| at + newline);
        let column = characters(&source[start..at]);
        let skipped = if column < WIDTH { 0 } else { column - IN_FRONT };
        // Four bytes are the longest character.
        let line = String::from_utf8_lossy(&source[start..end.min(at + 4 * WIDTH)]);
        let shown = line.chars().skip(skipped).take(WIDTH);
        let shown: String = shown
            .map(|ch| if is_control(ch) { ' ' } else { ch })
            .collect();
        let shown = shown.trim_end();
        let marked = characters(&source[at..end.min(span.end.max(at)).min(at + 4 * WIDTH)]);
        let indent = column - skipped;
        let carets = marked.clamp(1, shown.chars().count().saturating_sub(indent).max(1));
        // Both are less than `WIDTH`.
        let small = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        Self {
            line: source[..at].iter().filter(|&&byte| byte == b'\n').count() + 1,
            shown: shown.into(),
            indent: small(indent),
            carets: small(carets),
        }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            shown,
            indent,
            carets,
        } = self;
        let gutter = " ".repeat(line.to_string().len());
        let indent = usize::from(*indent);
        let carets = "^".repeat(usize::from(*carets));
        write!(
            f,
            "{gutter} |\n{line} | {shown}\n{gutter} | {:indent$}{carets}",
            ""
        )
    }
}

/// Where the last line of `before` begins.
fn line_start(before: &[u8]) -> usize {
    let newline = before.iter().rposition(|&byte| byte == b'\n');
    newline.map_or(0, |newline| newline + 1)
}

fn characters(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_span() {
        let excerpt = Excerpt::of("FROM a\n\tÄ [1] x\n".as_bytes(), 11..14);
        assert_eq!(excerpt.to_string(), "  |\n2 |  Ä [1] x\n  |    ^^^");
        let end = Excerpt::of(b"a\nbc", 4..9);
        assert_eq!(end.to_string(), "  |\n2 | bc\n  |   ^");
    }

    #[test]
    fn long_lines_are_shown_around_the_carets() {
        let long = format!("{}here{}", "x".repeat(1000), "y".repeat(1000));
        let text = Excerpt::of(long.as_bytes(), 1000..1004).to_string();
        assert!(
            text.contains("xhereyy") && text.ends_with("   ^^^^"),
            "{text}"
        );
        assert!(text.len() < 400, "{text}");
        let whole = Excerpt::of(long.as_bytes(), 0..long.len()).to_string();
        assert!(whole.ends_with(&"^".repeat(WIDTH)), "{whole}");
    }

    #[test]
    fn nothing_is_shown_of_nothing() {
        assert!(Excerpt::of(b"", 7..8).is_empty());
        assert!(Excerpt::of(b"a\n\nb", 2..2).is_empty());
    }
}
