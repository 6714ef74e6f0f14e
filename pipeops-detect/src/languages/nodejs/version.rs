//! The version of Node.js that a project asks for.

use super::package::Package;
use crate::repository::folder::Folder;
use crate::repository::version::{compare, number, resolve, terms, tool};

/// The version where the project asks for none, or only for a least one: a long-term release.
pub(crate) const DEFAULT_VERSION: &str = "22";

/// Long-term releases, the newest first.
const LONG_TERM: &[(&str, &str)] = &[
    ("24", "krypton"),
    ("22", "jod"),
    ("20", "iron"),
    ("18", "hydrogen"),
    ("16", "gallium"),
    ("14", "fermium"),
    ("12", "erbium"),
    ("10", "dubnium"),
    ("8", "carbon"),
];

/// The version that the project asks for, and the file that says so.
pub(crate) fn version(folder: &Folder<'_>, package: &Package) -> Option<(&'static str, String)> {
    let engines = package.text("/engines/node");
    let file = by_file(folder, package);
    match engines {
        // A least version says what works. What the developers use says more, if it works.
        Some(spec) if is_open(spec) => match (file, meaning(spec)) {
            (Some((name, version)), Some(wanted))
                if within(spec, &version) || wanted == version =>
            {
                Some((name, version))
            }
            (_, wanted) => wanted.map(|version| (package.file, version)),
        },
        Some(spec) => meaning(spec)
            .map(|version| (package.file, version))
            .or(file),
        None => file,
    }
}

/// The files that version managers read.
fn by_file(folder: &Folder<'_>, package: &Package) -> Option<(&'static str, String)> {
    for file in [".nvmrc", ".node-version"] {
        let text = folder.text(file).unwrap_or_default();
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        if let Some(version) = line.and_then(meaning) {
            return Some((file, version));
        }
    }
    for told in ["/volta/node", "/devEngines/runtime/version"] {
        if let Some(version) = package.text(told).and_then(meaning) {
            return Some((package.file, version));
        }
    }
    [".tool-versions", "mise.toml", ".mise.toml", ".prototools"]
        .into_iter()
        .find_map(|file| {
            let text = folder.text(file)?;
            let names = ["nodejs", "node"];
            let named = || text.lines().find_map(|line| long_term_line(line, &names));
            Some((file, tool(&text, &names).or_else(named)?))
        })
}

/// `node = "lts"` and the like, which hold no number.
fn long_term_line(line: &str, names: &[&str]) -> Option<String> {
    let (name, version) = line.trim().split_once([' ', '='])?;
    names.contains(&name.trim()).then(|| meaning(version))?
}

/// The version that a text means: a range, a number, `lts/iron`.
fn meaning(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'', ' ', '=']);
    let lower = text.to_ascii_lowercase();
    if let Some(name) = lower.strip_prefix("lts") {
        let name = name.trim_start_matches(['/', '-', ' ', '_']);
        let known = LONG_TERM.iter().find(|(_, known)| *known == name);
        let newest = matches!(name, "" | "*" | "latest").then_some(&LONG_TERM[0]);
        return known.or(newest).map(|(version, _)| (*version).to_owned());
    }
    if let Some((version, _)) = LONG_TERM.iter().find(|(_, name)| *name == lower) {
        return Some((*version).to_owned());
    }
    let alternative = text.rsplit("||").next()?.trim();
    if is_open(alternative) || alternative.contains(" - ") {
        return best_within(alternative);
    }
    resolve(text, DEFAULT_VERSION).filter(|version| version.starts_with(|ch: char| ch != '0'))
}

/// Whether more than one major version is meant.
fn is_open(spec: &str) -> bool {
    spec.contains(['<', '>', '*']) && !spec.trim_start().starts_with(['^', '~'])
        || spec.contains("||")
}

/// The default if it is allowed, else the newest long-term release that is, else the lower bound.
fn best_within(range: &str) -> Option<String> {
    let default = [DEFAULT_VERSION].into_iter();
    let all = default.chain(LONG_TERM.iter().map(|(version, _)| *version));
    let allowed = all.into_iter().find(|version| within(range, version));
    allowed.map(str::to_owned).or_else(|| number(range))
}

/// Whether one of the alternatives of a range allows a version. A major version alone is its newest release.
fn within(spec: &str, version: &str) -> bool {
    spec.split("||")
        .any(|range| within_one(range.trim(), version))
}

fn within_one(range: &str, version: &str) -> bool {
    if let Some((lower, upper)) = range.split_once(" - ") {
        return within_one(&format!(">={lower} <={upper}"), version);
    }
    let newest = match version.contains('.') {
        true => version.to_owned(),
        false => format!("{version}.999"),
    };
    terms(range).all(|(operator, bound)| allows(operator, &bound, &newest))
}

fn allows(operator: &str, bound: &str, version: &str) -> bool {
    let same_major = version.split('.').next() == bound.split('.').next();
    let order = compare(version, bound);
    match operator {
        // `<=20` and `>20` mean all of 20.
        "<=" if !bound.contains('.') => same_major || order.is_le(),
        ">" if !bound.contains('.') => !same_major && order.is_gt(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => same_major,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn texts_mean_versions() {
        for (text, expected) in [
            ("20", Some("20")),
            ("v20.11.0", Some("20.11.0")),
            ("20.x", Some("20")),
            ("^18.17.0", Some("18.17.0")),
            ("~20.1", Some("20.1")),
            (">=18", Some("22")),
            (">= 18.0.0", Some("22")),
            (">=18 <21", Some("20")),
            (">=18.0.0 <=20.x.x", Some("20")),
            (">=18 <19", Some("18")),
            ("<=20", Some("20")),
            ("<20", Some("18")),
            (">20", Some("22")),
            (">=23", Some("24")),
            (">=24.1", Some("24")),
            (">=26", Some("26")),
            ("18 - 20", Some("20")),
            ("18 || 20", Some("20")),
            ("^18.0.0 || ^20.0.0 || >=22.0.0", Some("22")),
            ("*", Some("22")),
            ("lts/*", Some("24")),
            ("lts/iron", Some("20")),
            ("LTS/Hydrogen", Some("18")),
            ("iron", Some("20")),
            ("lts/foo", None),
            ("latest", None),
            ("", None),
        ] {
            assert_eq!(meaning(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn exact_files_go_before_open_ranges_only() {
        for (engines, nvmrc, expected) in [
            (">=18", "20.11.0", "20.11.0"),
            (">=22", "20.11.0", "22"),
            ("18.x", "20", "18"),
            ("", "lts/jod", "22"),
            ("18 || 20", "18", "18"),
        ] {
            let package = format!(r#"{{"engines": {{"node": "{engines}"}}}}"#);
            let tree = MemTree::from([("package.json", package.as_str()), (".nvmrc", nvmrc)]);
            let folder = Folder::open(&tree, "");
            let package = Package::read(&folder).unwrap();
            let found = version(&folder, &package).map(|(_, version)| version);
            assert_eq!(found.as_deref(), Some(expected), "{engines} {nvmrc}");
        }
    }
}
