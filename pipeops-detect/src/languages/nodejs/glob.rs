//! Patterns of folders, as workspaces name their members.

use crate::repository::folder::Folder;

/// How deep `**` goes.
const DEPTH: usize = 4;

/// Adds the folders that a pattern means, in parts between `/`, and stops when there are more than `most`.
pub(crate) fn expand(folder: &Folder<'_>, parts: &[&str], most: usize, paths: &mut Vec<String>) {
    below(folder, "", parts, DEPTH, most, paths);
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
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, rest),
        None => (path, ""),
    };
    match parts.split_first() {
        None => path.is_empty(),
        Some((&"**", more)) => matches(more, path) || (!path.is_empty() && matches(parts, rest)),
        Some((part, more)) => !path.is_empty() && matches_word(part, name) && matches(more, rest),
    }
}

/// One part of a pattern, with `*` and `{a,b}`.
fn matches_word(pattern: &str, name: &str) -> bool {
    if let (Some(open), Some(close)) = (pattern.find('{'), pattern.find('}'))
        && open < close
    {
        let mut options = pattern[open + 1..close].split(',');
        return options.any(|option| {
            matches_word(
                &format!("{}{option}{}", &pattern[..open], &pattern[close + 1..]),
                name,
            )
        });
    }
    match pattern.split_once('*') {
        Some((start, end)) => {
            let rest = name.strip_prefix(start).unwrap_or("\0");
            rest != "\0"
                && (0..=rest.len())
                    .any(|at| rest.is_char_boundary(at) && matches_word(end, &rest[at..]))
        }
        None => pattern == name,
    }
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
        ] {
            let parts: Vec<&str> = pattern.split('/').collect();
            assert_eq!(matches(&parts, path), expected, "{pattern} {path}");
        }
    }
}
