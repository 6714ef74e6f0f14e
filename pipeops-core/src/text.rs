//! Cleans text that others wrote: commit messages, names of users and files, output of builds and containers.
//!
//! Clean such text before you store or show it. Raw, it can move the cursor, change colors, or display in another order than it
//! is written.

use std::borrow::Cow;

/// The text without escape sequences and characters that control the display. Line feeds and tabs stay; other line breaks
/// (carriage return, `U+2028`, …) become a space, and a carriage return before a line feed is removed.
///
/// ```
/// use pipeops_core::text::clean;
///
/// assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r\n\tnext \u{202e}line"), "red\n\tnext line");
/// ```
pub fn clean(text: &str) -> Cow<'_, str> {
    if text
        .chars()
        .all(|c| matches!(c, '\n' | '\t') || !is_control(c))
    {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\u{1b}' | '\u{80}'..='\u{9f}' if c != '\u{85}' => after_escape(c, after),
            _ => after,
        };
        match c {
            '\r' if rest.starts_with('\n') => {}
            '\n' | '\t' => clean.push(c),
            c if is_line_break(c) => clean.push(' '),
            c if is_control(c) => {}
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// The text on one line: [`clean`], with each run of white space as one space and none at the ends.
///
/// ```
/// use pipeops_core::text::one_line;
///
/// assert_eq!(one_line("Fix the till\u{2028}now\n\nDetails.\n"), "Fix the till now Details.");
/// ```
pub fn one_line(text: &str) -> String {
    let words: Vec<String> = clean(text).split_whitespace().map(str::to_owned).collect();
    words.join(" ")
}

/// Whether a character controls the display instead of showing something: C0 and C1 controls, bidirectional controls, and line
/// and paragraph separators.
pub fn is_control(c: char) -> bool {
    c.is_control() || is_line_break(c) || is_bidirectional(c)
}

/// Characters that change the order in which others are displayed, so that text can look like something else.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// What follows the escape sequence that `start` begins. An incomplete one hides nothing but its beginning.
fn after_escape(start: char, text: &str) -> &str {
    // A C1 control is short for ESC and another character: U+009B for ESC [.
    let (kind, rest) = match start {
        '\u{1b}' => {
            let mut chars = text.chars();
            match chars.next() {
                Some(kind @ (' '..='~')) => (kind, chars.as_str()),
                _ => return text,
            }
        }
        short => match char::from_u32(u32::from(short) - 0x40) {
            Some(kind) => (kind, text),
            None => return text,
        },
    };
    match kind {
        '[' => after_final(rest, '0'..='?'),
        ']' | 'P' | 'X' | '^' | '_' => after_string(rest).unwrap_or(rest),
        ' '..='/' => after_final(rest, ' '..='/'),
        _ => rest,
    }
}

/// What follows the parameters and the final character of a sequence.
fn after_final(text: &str, parameters: std::ops::RangeInclusive<char>) -> &str {
    let rest = text.trim_start_matches(|c| parameters.contains(&c) || (' '..='/').contains(&c));
    rest.strip_prefix(|c: char| ('0'..='~').contains(&c))
        .unwrap_or(rest)
}

/// What follows a string, such as the title of a window, that ends on the same line with BEL or a string terminator.
fn after_string(text: &str) -> Option<&str> {
    let end = text.find(['\u{7}', '\u{1b}', '\u{9c}', '\n'])?;
    let rest = &text[end..];
    ["\u{7}", "\u{1b}\\", "\u{9c}"]
        .iter()
        .find_map(|terminator| rest.strip_prefix(terminator))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_go_as_a_whole() {
        for (text, expected) in [
            ("a \u{1b}[1;31mred\u{1b}[0m b", "a red b"),
            ("\u{1b}]0;title\u{7}x", "x"),
            (
                "\u{1b}]8;;https://example.com\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{9b}31mred", "red"),
            ("\u{1b}(Bplain \u{1b}=x", "plain x"),
            ("\u{1b}P1$r0m\u{9c}y", "y"),
            // An incomplete sequence hides no text.
            ("\u{1b}]0;open end", "0;open end"),
            ("\u{1b}[31", ""),
            ("\u{1b}[é", "é"),
            ("\u{1b}", ""),
            ("\u{1b}\u{1b}[0mz", "z"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_that_is_shown_as_it_is_written_stays() {
        let text = "Café opens ☕🎂 — naïve…\n\tשלום 👩‍👩‍👧";
        assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn characters_that_turn_text_around_or_break_lines_go() {
        assert_eq!(
            clean("\u{202e}detrevni\u{202c} \u{2067}x\u{2069}\u{61c}"),
            "detrevni x"
        );
        assert_eq!(
            clean("a\u{2028}b\u{2029}c\u{85}d\u{b}e\rf\r\ng"),
            "a b c d e f\ng"
        );
        assert_eq!(clean("a\0b\u{7}c\u{7f}d\u{8}"), "abcd");
        assert_eq!(one_line(" a\n\n\tb\u{2028}\r\n"), "a b");
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_controls_the_display(
            text in prop_oneof![any::<String>(), "[\u{1b}\u{9b}\u{9d}\u{7}\u{202e}\u{2028}\r\n\\[\\]();0-9a-m\u{9c}\\\\ ]{0,40}"],
        ) {
            let once = clean(&text).into_owned();
            prop_assert!(once.chars().all(|c| matches!(c, '\n' | '\t') || !is_control(c)), "{once:?}");
            prop_assert_eq!(clean(&once), once.as_str());
            prop_assert!(!one_line(&text).contains(is_control));
        }

        #[test]
        fn plain_text_is_not_changed(text in "[^\\p{C}\\p{Zl}\\p{Zp}]{0,40}") {
            prop_assert_eq!(clean(&text), text.as_str());
        }
    }
}
