//! Patterns of folders, as workspaces name their members.

use crate::repository::folder::Folder;

/// How deep `**` goes.
const DEPTH: usize = 4;

/// How many alternatives of `{a,b}` are tried: the patterns come from a repository.
const MOST_OPTIONS: usize = 256;

/// Adds the folders that a pattern means, in parts between `/`, and stops when there are more than `most`.
pub(crate) fn expand(folder: &Folder<'_>, parts: &[&str], most: usize, paths: &mut Vec<String>) {
    let mut parts = parts.to_vec();
    parts.dedup_by(|a, b| *a == "**" && a == b);
    below(folder, "", &parts, DEPTH, most, paths);
}

fn below(
    folder: &Folder<'_>,
    path: &str,
    parts: &[&str],
    depth: usize,
    most: usize,
    paths: &mut Vec<String>,
) {
    if paths.len() > most {
        return;
    }
    let Some((part, rest)) = parts.split_first() else {
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
        return;
    };
    if *part == "**" {
        below(folder, path, rest, depth, most, paths);
    }
    for name in folder.own_dirs() {
        let inside = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        };
        if *part == "**" {
            if depth > 0 {
                below(&folder.sub(name), &inside, parts, depth - 1, most, paths);
            }
        } else if matches_word(part, name) {
            below(&folder.sub(name), &inside, rest, depth, most, paths);
        }
    }
}

/// Whether a pattern means a path.
pub(crate) fn matches(parts: &[&str], path: &str) -> bool {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let (mut part, mut name) = (0, 0);
    // Where to go on with one more name for the last `**`. Earlier ones never need more: so the time is bounded.
    let mut retry = None;
    while name < names.len() {
        match parts.get(part) {
            Some(&"**") => {
                part += 1;
                retry = Some((part, name));
            }
            Some(word) if matches_word(word, names[name]) => {
                part += 1;
                name += 1;
            }
            _ => {
                let Some((after, from)) = retry else {
                    return false;
                };
                (part, name) = (after, from + 1);
                retry = Some((after, from + 1));
            }
        }
    }
    parts[part..].iter().all(|part| *part == "**")
}

/// One part of a pattern, with `*` and `{a,b}`.
fn matches_word(pattern: &str, name: &str) -> bool {
    let mut left = vec![pattern.to_owned()];
    let mut tried = 0;
    while let Some(pattern) = left.pop() {
        tried += 1;
        if tried > MOST_OPTIONS {
            return false;
        }
        match (pattern.find('{'), pattern.find('}')) {
            (Some(open), Some(close)) if open < close => {
                let options = pattern[open + 1..close].split(',').take(MOST_OPTIONS);
                let (start, end) = (&pattern[..open], &pattern[close + 1..]);
                left.extend(options.map(|option| format!("{start}{option}{end}")));
            }
            _ if matches_stars(&pattern, name) => return true,
            _ => {}
        }
    }
    false
}

fn matches_stars(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let mut texts = rest.split('*');
    let end = texts.next_back().unwrap_or_default();
    for text in texts {
        let Some((_, after)) = name.split_once(text) else {
            return false;
        };
        name = after;
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_folders() {
        for (pattern, path, expected) in [
            ("apps/*", "apps/web", true),
            ("apps/*", "apps/web/x", false),
            ("apps/**", "apps/web/x", true),
            ("**/test/**", "a/test", true),
            ("**/test/**", "a/test/b", true),
            ("{apps,libs}/*", "libs/a", true),
            ("app-*", "app-a", true),
            ("app-*", "lib-a", false),
            ("app-*", "app-", true),
            ("a*-*z", "ab-cz", true),
            ("a*-*z", "ab-c", false),
            ("a*a", "a", false),
            ("{a,b}-{c,d}", "b-c", true),
            ("{a,b}-{c,d}", "b-e", false),
            ("**/a/**/b", "a/x/a/y/b", true),
            ("**/a/**/b", "x/a/y", false),
        ] {
            let parts: Vec<&str> = pattern.split('/').collect();
            assert_eq!(matches(&parts, path), expected, "{pattern} {path}");
        }
    }

    /// A pattern that would be tried in exponentially many ways ends at once.
    #[test]
    fn hostile_patterns_end() {
        let name = "a".repeat(200);
        assert!(!matches(
            &["*a".repeat(60).as_str(), "b"],
            &format!("{name}/c")
        ));
        assert!(!matches(&[format!("{}b", "*a".repeat(60)).as_str()], &name));
        assert!(!matches(&["{a,a}".repeat(60).as_str()], &name));
        let path = vec!["a"; 200].join("/");
        let parts = ["**", "a"].repeat(60);
        assert!(matches(&parts, &path));
        assert!(!matches(&[parts, vec!["b"]].concat(), &path));
    }
}
