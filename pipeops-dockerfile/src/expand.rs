//! Variables in instructions.

use std::collections::BTreeMap;

/// How deep `${a:-${b:-…}}` may nest.
const MAX_DEPTH: usize = 20;

/// The longest value, in bytes. `ENV A=$A$A` doubles it in each line.
const MAX_LENGTH: usize = 64 << 10;

/// `text` with its variables replaced and its quotes taken out; `None` where a variable has no value, a substitution is of a kind
/// that needs the shell's patterns, or the result is too long.
pub(super) fn expand(
    text: &str,
    escape: char,
    values: &BTreeMap<String, String>,
) -> Option<String> {
    Expander { escape, values }.expand(text, 0)
}

struct Expander<'a> {
    escape: char,
    values: &'a BTreeMap<String, String>,
}

impl Expander<'_> {
    fn expand(&self, text: &str, depth: usize) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        let mut quote = None;
        while let Some(ch) = rest.chars().next() {
            let behind = &rest[ch.len_utf8()..];
            rest = match ch {
                '\'' | '"' if quote.is_none() => {
                    quote = Some(ch);
                    behind
                }
                _ if quote == Some(ch) => {
                    quote = None;
                    behind
                }
                '$' if quote != Some('\'') => {
                    let (value, behind) = self.variable(behind, depth)?;
                    if expanded.len() + value.len() > MAX_LENGTH {
                        return None;
                    }
                    expanded += &value;
                    behind
                }
                _ if ch == self.escape && quote != Some('\'') => {
                    let next = behind.chars().next();
                    expanded.extend(next);
                    &behind[next.map_or(0, char::len_utf8)..]
                }
                _ => {
                    expanded.push(ch);
                    behind
                }
            };
        }
        quote.is_none().then_some(expanded)
    }

    /// The value of the variable behind `$`, and what stands behind it.
    fn variable<'t>(&self, text: &'t str, depth: usize) -> Option<(String, &'t str)> {
        let Some(braced) = text.strip_prefix('{') else {
            let (name, behind) = name(text);
            return Some((self.values.get(name)?.clone(), behind));
        };
        let (name, behind) = name(braced);
        let end = closing_brace(behind)?;
        let (modifier, behind) = (&behind[..end], &behind[end + 1..]);
        let value = self.values.get(name);
        let value = self.modified(value, modifier, depth)?;
        Some((value, behind))
    }

    /// `value` under `:-word` and the like.
    fn modified(&self, value: Option<&String>, modifier: &str, depth: usize) -> Option<String> {
        // With a colon, an empty value is none.
        let (value, modifier) = match modifier.strip_prefix(':') {
            Some(modifier) => (value.filter(|value| !value.is_empty()), modifier),
            None => (value, modifier),
        };
        let word = |word: &str| match depth < MAX_DEPTH {
            true => self.expand(word, depth + 1),
            false => None,
        };
        if modifier.is_empty() {
            return value.cloned();
        }
        if let Some(default) = modifier.strip_prefix('-') {
            return value.cloned().or_else(|| word(default));
        }
        if let Some(instead) = modifier.strip_prefix('+') {
            return value.map_or(Some(String::new()), |_| word(instead));
        }
        value.filter(|_| modifier.starts_with('?')).cloned()
    }
}

/// The name at the start of `text`, and what stands behind it.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
    text.split_at(end.unwrap_or(text.len()))
}

/// Where the brace is closed that was opened in front of `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, ch) in text.char_indices() {
        match ch {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let values = [("A", "1"), ("B_2", "two"), ("EMPTY", "")];
        let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let values = BTreeMap::from(values);
        let expand = |text: &str| expand(text, '\\', &values);
        for (text, expected) in [
            ("a:$A", "a:1"),
            ("${A}x$B_2/", "1xtwo/"),
            ("${C:-x}${C-y}${A:-z}", "xy1"),
            ("${EMPTY:-x}${EMPTY-y}", "x"),
            ("${A:+x}${C:+y}${EMPTY+z}", "xz"),
            ("${C:-a${A}${D:-e}}", "a1e"),
            ("${A:?must}", "1"),
            (r#""a $A"'$A'\$A"#, "a 1$A$A"),
            ("é$A", "é1"),
        ] {
            assert_eq!(expand(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "$C", "${C}", "${A#x}", "${A/1/2}", "${", "$", "${A", "'a", "${C:?no}",
        ] {
            assert_eq!(expand(text), None, "{text}");
        }
        let deep = format!("{}x{}", "${C:-".repeat(10_000), "}".repeat(10_000));
        assert_eq!(expand(&deep), None);
    }
}
