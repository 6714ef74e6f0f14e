//! JSON as people write it for tools that allow more: comments, commas at the end, single quotes, names without quotes.

use serde_json::Value;

/// Reads JSON, JSON with comments, and what package managers take of JSON5.
pub(crate) fn json(text: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{FEFF}');
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&strict(&without_comments(text))))
        .ok()
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

/// Strict JSON from a text without comments.
fn strict(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&ch) = chars.get(at) {
        at += 1;
        match ch {
            '"' | '\'' => at = string(&chars, at, ch, &mut out),
            ',' => {
                let next = chars[at..].iter().find(|next| !next.is_whitespace());
                if !matches!(next, Some('}' | ']') | None) {
                    out.push(',');
                }
            }
            _ if ch.is_alphabetic() || ch == '_' || ch == '$' => {
                let end = chars[at..]
                    .iter()
                    .position(|&next| !next.is_alphanumeric() && next != '_' && next != '$');
                let end = end.map_or(chars.len(), |length| at + length);
                let word: String = chars[at - 1..end].iter().collect();
                at = end;
                match word.as_str() {
                    "true" | "false" | "null" => out.push_str(&word),
                    _ => out.push_str(&Value::from(word).to_string()),
                }
            }
            _ => out.push(ch),
        }
    }
    out
}

/// Copies a string that begins at `at`, behind its quote, and says where it ends.
fn string(chars: &[char], mut at: usize, quote: char, out: &mut String) -> usize {
    out.push('"');
    while let Some(&ch) = chars.get(at) {
        at += 1;
        match ch {
            _ if ch == quote => break,
            '\\' => {
                let next = chars.get(at).copied().unwrap_or('\\');
                at += 1;
                if next != '\'' {
                    out.push('\\');
                }
                out.push(next);
            }
            '"' => out.push_str("\\\""),
            _ => out.push(ch),
        }
    }
    out.push('"');
    at
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
