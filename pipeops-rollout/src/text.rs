//! Sanitizes text from the cluster, its nodes and containers: bounded, on clean lines, without tokens.

use pipeops_core::{Redactor, text};

/// Longest message of the cluster, in characters.
const LONGEST_MESSAGE: usize = 1_000;
/// Longest line of a container's output, in characters.
const LONGEST_LINE: usize = 400;

/// A message on one line: no characters that control the display, no queries of URLs (they may contain tokens), bounded.
pub(crate) fn clean(message: &str) -> String {
    let line = without_queries(&text::one_line(message));
    bounded(&Redactor::default().redact(&line), LONGEST_MESSAGE)
}

/// The last `lines` lines of a container's output, each bounded and without terminal escapes.
pub(crate) fn last_lines(output: &str, lines: usize) -> Vec<String> {
    let mut last: Vec<_> = output
        .lines()
        .rev()
        .map(|line| text::clean(line).replace('\t', " "))
        .filter(|line| !line.trim().is_empty())
        .take(lines)
        .map(|line| bounded(&line, LONGEST_LINE))
        .collect();
    last.reverse();
    last
}

fn bounded(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Cuts every URL at its `?`: registries put tokens and signatures into queries.
fn without_queries(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || "\"'<>".contains(c))
            .unwrap_or(after.len());
        let url = &after[..end];
        match url.split_once('?') {
            // A colon or comma at the end belongs to the sentence.
            Some((path, query)) => {
                clean.push_str(path);
                clean.extend(query.chars().last().filter(|c| ":,;.".contains(*c)));
            }
            None => clean.push_str(url),
        }
        rest = &after[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_urls_go_and_the_sentence_stays() {
        assert_eq!(
            clean(
                "failed: Get \"https://bob:pw@auth.example/token?service=x&sig=abc\": 401 at http://h/p?q=1: no"
            ),
            "failed: Get \"https://[redacted]@auth.example/token\": 401 at http://h/p: no"
        );
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(clean("a\nb\t\r\nc\u{2028}d\u{202e}e"), "a b c de");
        assert_eq!(clean(&"é".repeat(2_000)).chars().count(), 1_001);
    }

    #[test]
    fn the_last_lines_are_clean() {
        let output = "first\n\u{1b}[31mred\u{1b}[0m text\r\n\n\tlast\n";
        assert_eq!(last_lines(output, 2), ["red text", " last"]);
        assert!(last_lines("", 5).is_empty());
    }
}
