//! Relaxed JSON, as many tools accept it: comments, trailing commas, single quotes, unquoted names.

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde_json::Value;

/// Reads JSON, JSON with comments, and what package managers take of JSON5.
pub(crate) fn json(text: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{FEFF}');
    // A text without a value is `None`.
    let relaxed = || parse_to_serde_value::<Option<Value>>(text, &ParseOptions::default());
    serde_json::from_str(text).ok().or_else(|| relaxed().ok()?)
}

/// A text in the syntax of JavaScript without its comments.
pub(crate) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quote = None;
    while let Some(ch) = rest.next() {
        match (quote, ch) {
            (Some(_), '\\') => {
                out.push(ch);
                out.extend(rest.next());
                continue;
            }
            (Some(open), _) if ch == open => quote = None,
            // A string ends with its line: an apostrophe in a pattern or in a text between tags opened none.
            (Some('"' | '\''), '\n') => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(ch),
            (None, '/') if rest.peek() == Some(&'/') => {
                while rest.next_if(|&next| next != '\n').is_some() {}
                continue;
            }
            (None, '/') if rest.peek() == Some(&'*') => {
                rest.next();
                let mut last = ' ';
                for next in rest.by_ref() {
                    if (last, next) == ('*', '/') {
                        break;
                    }
                    last = next;
                }
                out.push(' ');
                continue;
            }
            _ => {}
        }
        out.push(ch);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_take_is_read() {
        let expected = serde_json::json!({"a": ["x // y", true], "b": {"c": 1}});
        for text in [
            r#"{"a": ["x // y", true], "b": {"c": 1}}"#,
            "\u{FEFF}{\n // why\n \"a\": [\"x // y\", true,], /* , */ \"b\": {\"c\": 1},\n}",
            "{a: ['x // y', true,], b: {c: 1}}",
        ] {
            assert_eq!(json(text).as_ref(), Some(&expected), "{text}");
        }
        for text in ["", "{", "{\"a\": \"", "[1,", "{a: /*"] {
            assert_eq!(json(text), None, "{text}");
        }
    }
}
