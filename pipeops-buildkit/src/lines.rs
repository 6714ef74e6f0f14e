//! Splits output into lines.

use std::collections::HashMap;

use pipeops_core::text;

use crate::live_redactor::LiveRedactor;

/// A line longer than this comes in several pieces.
const LONGEST: usize = 16 << 10;

/// Limit for the unfinished lines that are kept.
const MOST_OPEN: usize = 1024;

/// Output of many steps, each with several streams, on its way to lines. Its memory is bounded.
#[derive(Debug)]
pub(crate) struct Lines {
    open: HashMap<(String, i64), Vec<u8>>,
    redactor: LiveRedactor,
}

impl Lines {
    /// Nothing yet; secrets go through `redactor`.
    pub(crate) fn new(redactor: LiveRedactor) -> Self {
        Self {
            open: HashMap::new(),
            redactor,
        }
    }

    /// Adds a piece of one stream of one step. Returns the lines that it completes.
    pub(crate) fn push(&mut self, step: &str, stream: i64, piece: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        let open = self.open.entry((step.to_owned(), stream)).or_default();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                lines.push(readable(open, &self.redactor));
                open.clear();
            }
            while open.len() > LONGEST {
                let rest = open.split_off(safe_cut(open, &self.redactor));
                lines.push(readable(open, &self.redactor));
                *open = rest;
            }
        }
        lines
    }

    /// Returns the unfinished lines of a step.
    pub(crate) fn finish(&mut self, step: &str) -> Vec<String> {
        let keys: Vec<_> = self
            .open
            .keys()
            .filter(|(owner, _)| owner == step)
            .cloned()
            .collect();
        let rests = keys.iter().filter_map(|key| self.open.remove(key));
        rests
            .filter(|rest| !rest.is_empty())
            .map(|rest| readable(&rest, &self.redactor))
            .collect()
    }
}

/// Where a long line is cut: not inside a character, and not where a secret may have begun.
fn safe_cut(line: &[u8], redactor: &LiveRedactor) -> usize {
    let head = &line[..LONGEST.min(line.len())];
    let end = head.len() - redactor.open_end(head);
    let boundary = (end.saturating_sub(3)..=end)
        .rev()
        .find(|at| line.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80));
    // A secret as long as the line would leave nothing: then progress matters more.
    boundary.filter(|at| *at > 0).unwrap_or(head.len())
}

/// A line as a terminal would show it, without colours, control characters and secrets.
pub(crate) fn readable(line: &[u8], redactor: &LiveRedactor) -> String {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    // A progress bar draws over itself: what it drew last stays.
    let shown = line.rsplit('\r').next().unwrap_or_default();
    redactor.clean(&text::clean(shown))
}

/// A text of several lines as a terminal would show it, at most `limit` characters.
pub(crate) fn readable_text(text: &str, limit: usize, redactor: &LiveRedactor) -> String {
    let clean = text::clean(text.trim_end_matches(['\n', '\r']));
    redactor.clean(&clean).chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use pipeops_core::SecretString;
    use proptest::prelude::*;

    use super::*;

    fn lines() -> Lines {
        let redactor = LiveRedactor::default();
        redactor.hide([SecretString::from("s3cr3t-value")]);
        Lines::new(redactor)
    }

    #[test]
    fn pieces_become_lines_for_each_stream() {
        let mut lines = lines();
        assert!(lines.push("a", 1, b"hel").is_empty());
        assert!(lines.push("a", 2, b"err").is_empty());
        assert_eq!(lines.push("a", 1, b"lo\nwor"), ["hello"]);
        assert_eq!(lines.push("a", 1, b"ld\r\n\n"), ["world", ""]);
        assert_eq!(lines.finish("a"), ["err"]);
        assert!(lines.finish("a").is_empty());
    }

    #[test]
    fn strangers_bytes_become_text() {
        assert_eq!(
            lines().push("a", 1, b"\xff \x1b[31mred\x1b[0m \x07x\x1b]0;title\x07y\n"),
            ["\u{fffd} red xy"]
        );
        assert_eq!(lines().push("a", 1, b"10%\r50%\r100%\n"), ["100%"]);
    }

    #[test]
    fn characters_that_turn_text_around_are_left_out() {
        let line = "ok \u{202e}drow\u{2066}ssap\u{2069} \u{200f}x\u{2028}y\n";
        assert_eq!(lines().push("a", 1, line.as_bytes()), ["ok drowssap x y"]);
    }

    #[test]
    fn a_text_keeps_its_lines_and_nothing_that_steers_a_terminal() {
        let redactor = LiveRedactor::default();
        redactor.hide([SecretString::from("s3cr3t-value")]);
        assert_eq!(
            readable_text("a\x1b[31m s3cr3t-\x07value\r\n\u{202e}b\n", 100, &redactor),
            "a [redacted]\nb"
        );
        assert_eq!(readable_text("äöü", 2, &redactor), "äö");
    }

    #[test]
    fn secrets_are_hidden_also_across_pieces() {
        let mut lines = lines();
        assert!(lines.push("a", 1, b"x s3cr3t-").is_empty());
        assert_eq!(lines.push("a", 1, b"value y\n"), ["x [redacted] y"]);
    }

    #[test]
    fn a_long_line_is_cut_but_never_inside_a_secret_or_a_character() {
        let mut lines = lines();
        let mut text = vec![b'x'; LONGEST - 5];
        text.extend_from_slice(b"s3cr3t-value");
        let mut all = lines.push("a", 1, &text);
        all.extend(lines.finish("a"));
        assert_eq!(all, ["x".repeat(LONGEST - 5), "[redacted]".to_owned()]);
        let umlauts = "ä".repeat(LONGEST);
        let mut all = lines.push("a", 1, umlauts.as_bytes());
        all.extend(lines.finish("a"));
        assert_eq!(all.concat(), umlauts);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_kept_without_bound(text in "[a-z\\n]{0,200}", cuts in prop::collection::vec(0..200_usize, 0..8)) {
            let mut lines = lines();
            let mut all = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                all.extend(lines.push("a", 1, &text.as_bytes()[pair[0]..pair[1]]));
            }
            all.extend(lines.finish("a"));
            let expected: Vec<&str> = text.lines().collect();
            prop_assert_eq!(all, expected);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut lines = lines();
            lines.push("a", 1, &bytes);
            lines.finish("a");
        }
    }
}
