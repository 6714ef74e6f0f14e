//! `KEY=value` in the text of a Dockerfile.

/// Limit for the size of a Dockerfile.
const LONGEST: usize = 1 << 20;

/// Finds the assignments of a Dockerfile: `ARG`, `ENV`, `LABEL`, and variables in front of commands. Values that refer to a
/// variable (`$X`) are skipped.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut found = Vec::new();
    let lines = text[..end].lines().map(str::trim);
    for line in lines.filter(|line| !line.starts_with('#')) {
        found.extend(old_env(line));
        found.extend(line.split_whitespace().filter_map(assignment));
    }
    found.retain(|(_, value)| !value.is_empty() && !value.contains('$'));
    found
}

/// `ENV KEY value`, the old form.
fn old_env(line: &str) -> Option<(String, String)> {
    let mut words = line.splitn(3, char::is_whitespace);
    let instruction = words.next()?;
    let (key, value) = (words.next()?, words.next()?.trim());
    (instruction.eq_ignore_ascii_case("ENV") && is_name(key))
        .then(|| (key.to_owned(), unquote(value)))
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once('=')?;
    is_name(key).then(|| (key.to_owned(), unquote(value.trim_end_matches(';'))))
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|ch| ch.is_ascii_alphabetic() || ch == '_')
        && chars.all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '.' | '-'))
}

fn unquote(value: &str) -> String {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"')
        .or_else(|| inner('\''))
        .unwrap_or(value)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_written_down_are_found_and_references_are_not() {
        let text = "# ARG C=1\nARG A=\"x y\" B='q' D\nENV OLD some value\nENV N=$A M=${B} \\\n  L=l\nRUN T=abc; cmd --flag=1 U=$(cat f)\n";
        let found = assignments(text);
        let found: Vec<_> = found
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(found, ["A=\"x", "B=q", "OLD=some value", "L=l", "T=abc"]);
    }
}
