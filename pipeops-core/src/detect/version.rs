//! Versions as projects ask for them: `^20.1`, `>=3.11,<4`, `v22.3.0`, `20.x`.

use super::folder::Folder;

/// The version that a specification means.
///
/// One that is open upwards (`>=18`, `*`) means `default` if that is allowed: a lower bound says what works, not what is
/// wanted. Several alternatives (`18 || 20`) mean the last one. `None` when there is no number in it.
pub(super) fn resolve(spec: &str, default: &str) -> Option<String> {
    let spec = spec.rsplit("||").next()?.trim();
    let mut lower = None;
    let mut upper = None;
    for part in spec
        .split([',', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let number = number(part);
        if part.starts_with('<') {
            upper = number;
        } else if part.starts_with('>') {
            lower = number;
        } else if part == "-" {
            // `18 - 20`: the second number is a bound that is allowed itself.
            continue;
        } else if let Some(number) = number {
            return Some(number);
        }
    }
    let within = |default: &str| {
        let above = lower
            .as_deref()
            .is_none_or(|lower| compare(default, lower).is_ge());
        above
            && upper
                .as_deref()
                .is_none_or(|upper| compare(default, upper).is_lt())
    };
    if (lower.is_some() || upper.is_some()) && within(default) {
        return Some(default.to_owned());
    }
    lower
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
pub(super) fn tool(text: &str, names: &[&str]) -> Option<String> {
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
pub(super) fn managed(folder: &Folder<'_>, names: &[&str]) -> Option<(&'static str, String)> {
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
            ("lts/*", None),
            ("", None),
        ] {
            assert_eq!(resolve(spec, "22").as_deref(), expected, "{spec}");
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
