//! Version requirements of projects: `^20.1`, `>=3.11,<4`, `v22.3.0`, `20.x`.

use crate::repository::folder::Folder;

/// The version that a specification means.
///
/// One that is open (`>=18`, `<=22`, `*`) means `default` if that is allowed: a bound says what works, not what is wanted;
/// otherwise the lowest version that it names as working. Several alternatives (`18 || 20`) mean the last one. `None` when
/// there is no such version in it.
pub(crate) fn resolve(spec: &str, default: &str) -> Option<String> {
    let spec = spec.rsplit("||").next()?;
    let mut bounds = Vec::new();
    for (operator, number) in terms(spec) {
        match operator {
            ">" | ">=" | "<" | "<=" => bounds.push((operator, number)),
            "!=" => {}
            // Of `18 - 20` the first; the other is a bound.
            _ => return Some(number),
        }
    }
    if bounds.is_empty() {
        return None;
    }
    let allows = |version: &str| {
        bounds.iter().all(|(operator, bound)| {
            let order = compare(version, bound);
            match *operator {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                // A version that is said to be too old by a hair is still the one to begin with.
                _ => order.is_ge(),
            }
        })
    };
    if allows(default) {
        return Some(default.to_owned());
    }
    let named = bounds.iter().filter(|(operator, _)| *operator != "<");
    let lowest = named.min_by(|(_, a), (_, b)| compare(a, b));
    lowest.map(|(_, number)| number.clone())
}

/// Whether a requirement allows a version: `>=18 <21`, `~> 3.2.0`, `^8.1 || ^9`. A version with fewer parts than a bound is its
/// newest release: `20` is within `>=20.11`.
pub(crate) fn within(spec: &str, version: &str) -> bool {
    let mut alternatives = spec.split("||");
    alternatives
        .any(|range| terms(range).all(|(operator, bound)| allows(operator, &bound, version)))
}

fn allows(operator: &str, bound: &str, version: &str) -> bool {
    let parts = bound.split('.').count();
    let same = |parts: usize| shorten(version, parts) == shorten(bound, parts);
    let open = version.split('.').count() < parts;
    let newest = if open {
        format!("{version}.999")
    } else {
        version.to_owned()
    };
    let order = compare(&newest, bound);
    match operator {
        "<" => order.is_lt(),
        // `<=3.2` allows all of 3.2.
        "<=" => order.is_le() || same(parts),
        ">" => order.is_gt() && !same(parts),
        ">=" => order.is_ge(),
        "!=" => !same(parts),
        "^" => order.is_ge() && same(1),
        "~" | "~=" | "~>" => order.is_ge() && same(parts.saturating_sub(1).max(1)),
        _ => same(parts.min(version.split('.').count())),
    }
}

/// The numbers of a specification with the operators in front of them. What has no number (`*`, `-`) is left out.
pub(crate) fn terms(spec: &str) -> impl Iterator<Item = (&str, String)> {
    let is_operator = |ch: char| matches!(ch, '<' | '>' | '=' | '!' | '^' | '~');
    let mut rest = spec;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return None;
            }
            let word = rest.trim_start_matches(is_operator);
            let operator = &rest[..rest.len() - word.len()];
            let word = word.trim_start();
            let end = word.find(|ch: char| ch == ',' || ch.is_whitespace() || is_operator(ch));
            let (word, behind) = word.split_at(end.unwrap_or(word.len()));
            rest = behind;
            if let Some(number) = number(word) {
                return Some((operator, number));
            }
        }
    })
}

/// The first number with dots in a text, without what is open (`.x`, `.*`).
pub(crate) fn number(text: &str) -> Option<String> {
    let start = text.find(|ch: char| ch.is_ascii_digit())?;
    let text = &text[start..];
    let end = text
        .find(|ch: char| !ch.is_ascii_digit() && ch != '.')
        .unwrap_or(text.len());
    Some(text[..end].trim_end_matches('.').to_owned())
}

/// Compares number by number; missing ones count as 0.
pub(crate) fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        let mut numbers: Vec<u64> = text
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        numbers
    };
    numbers(a).cmp(&numbers(b))
}

/// The first `parts` numbers: `3.12.1` to two is `3.12`.
pub(crate) fn shorten(version: &str, parts: usize) -> String {
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}

/// What a `.tool-versions` or mise file says about a tool.
pub(crate) fn tool(text: &str, names: &[&str]) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, version) = line
            .trim()
            .split_once(|ch: char| ch.is_whitespace() || ch == '=')?;
        names
            .contains(&name.trim_matches('"'))
            .then(|| number(version))?
    })
}

/// The version of a tool that the files of version managers ask for, and which file it is.
pub(crate) fn managed(folder: &Folder<'_>, names: &[&str]) -> Option<(&'static str, String)> {
    const FILES: &[&str] = &[".tool-versions", "mise.toml", ".mise.toml"];
    let asked = |file: &'static str| Some((file, tool(&folder.text(file)?, names)?));
    FILES.iter().find_map(|file| asked(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_mean_one_version() {
        for (spec, expected) in [
            ("20", Some("20")),
            ("v20.11.0", Some("20.11.0")),
            ("^20.1.0", Some("20.1.0")),
            ("20.x", Some("20")),
            ("==3.11.*", Some("3.11")),
            (">=18", Some("22")),
            (">=18 <21", Some("18")),
            (">=23", Some("23")),
            (">=3,<30", Some("22")),
            ("18 || 20", Some("20")),
            ("18 - 20", Some("18")),
            (">= 18", Some("22")),
            ("<= 20", Some("20")),
            ("<=20.0 , >= 18", Some("18")),
            ("<20", None),
            (">=18<21", Some("18")),
            ("!=19, >=18", Some("22")),
            ("~> 3.1", Some("3.1")),
            ("<", None),
            ("lts/*", None),
            ("", None),
        ] {
            assert_eq!(resolve(spec, "22").as_deref(), expected, "{spec}");
        }
    }

    #[test]
    fn requirements_allow_versions() {
        for (spec, version, expected) in [
            (">= 3.4.0", "4.0.6", true),
            ("~> 3.2.0", "3.1.4", false),
            ("~> 3.2.0", "3.2.9", true),
            ("~> 3.1", "3.4.1", true),
            (">=3.1,<3.4", "3.4.0", false),
            ("^8.1 || ^9", "9.2", true),
            ("^8.1", "8.0", false),
            (">=20.11", "20", true),
            ("<=20.0", "20.0.3", true),
            (">20", "20.1", false),
            ("!=3.9.7, >=3.9", "3.9.7", false),
            ("1.1.30", "1.1", true),
            ("1.1.30", "1.2", false),
            ("*", "1", true),
        ] {
            assert_eq!(within(spec, version), expected, "{spec} {version}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(compare("3.9", "3.12").is_lt());
        assert!(compare("3", "3.0.0").is_eq());
        assert_eq!(shorten("3.12.1", 2), "3.12");
    }

    #[test]
    fn tool_files_have_a_tool_per_line() {
        let text = "# x\nnodejs 20.1.0\npython = \"3.12\"\n";
        assert_eq!(tool(text, &["nodejs", "node"]).as_deref(), Some("20.1.0"));
        assert_eq!(tool(text, &["python"]).as_deref(), Some("3.12"));
        assert_eq!(tool(text, &["ruby"]), None);
    }
}
