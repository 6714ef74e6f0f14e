//! The version of Node.js that a project asks for.

use super::package::Package;
use crate::repository::folder::Folder;
use crate::repository::version as range;
use crate::repository::version::{compare, managed, number, resolve, terms, tool};

/// The version where the project asks for none, or only for a least one: a long-term release.
pub(crate) const DEFAULT_VERSION: &str = "22";

/// The major version of Bun where the project asks for none, or only for a least one.
const BUN: &str = "1";

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

/// The version of Bun that the project asks for, and the file that says so.
pub(crate) fn bun(folder: &Folder<'_>, package: &Package) -> Option<(&'static str, String)> {
    let in_package = |pointer: &str| package.text(pointer).filter(|text| !text.is_empty());
    let named = |kind: &str| {
        let is_bun = in_package(&format!("/devEngines/{kind}/name")) == Some("bun");
        in_package(&format!("/devEngines/{kind}/version")).filter(|_| is_bun)
    };
    let told = in_package("/packageManager").and_then(|told| told.strip_prefix("bun@"));
    let exact = told
        .and_then(|told| Some((package.file, number(told)?)))
        .or_else(|| Some((".bun-version", number(&folder.text(".bun-version")?)?)))
        .or_else(|| managed(folder, &["bun"]));
    let asked = in_package("/engines/bun")
        .or_else(|| named("runtime"))
        .or_else(|| named("packageManager"));
    match (exact, asked) {
        (Some((_, version)), Some(spec)) if !range::within(spec, &version) => {
            Some((package.file, bun_within(spec)?))
        }
        (Some(exact), _) => Some(exact),
        (None, spec) => Some((package.file, bun_within(spec?)?)),
    }
}

/// The newest Bun where a requirement allows it, else the version that it names.
fn bun_within(spec: &str) -> Option<String> {
    match is_open(spec) && range::within(spec, BUN) {
        true => Some(BUN.to_owned()),
        false => resolve(spec, BUN),
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
    let runtime = package.text("/devEngines/runtime/name");
    let runs_node = runtime.is_none_or(|name| name == "node");
    let told = ["/volta/node", "/devEngines/runtime/version"];
    for told in &told[..1 + usize::from(runs_node)] {
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
    fn bun_is_told_in_several_places() {
        let package = |text: &'static str| ("package.json", text);
        for (files, expected) in [
            (
                &[package(r#"{"engines": {"bun": ">=1.1.30 <1.2.0"}}"#)] as &[_],
                Some("1.1.30"),
            ),
            (&[package(r#"{"engines": {"bun": ">=1.1"}}"#)], Some("1")),
            (
                &[package(r#"{"engines": {"bun": "^1.2.3"}}"#)],
                Some("1.2.3"),
            ),
            (&[package(r#"{"engines": {"bun": "*"}}"#)], Some("1")),
            (
                &[package(r#"{"packageManager": "bun@1.2.8"}"#)],
                Some("1.2.8"),
            ),
            (&[package(r#"{"packageManager": "pnpm@9.1.0"}"#)], None),
            (
                &[package("{}"), (".bun-version", "bun-v1.0.9\n")],
                Some("1.0.9"),
            ),
            (
                &[package("{}"), (".tool-versions", "nodejs 22\nbun 1.1.4\n")],
                Some("1.1.4"),
            ),
            (
                &[package("{}"), ("mise.toml", "[tools]\nbun = \"1.2\"\n")],
                Some("1.2"),
            ),
            (
                &[package(
                    r#"{"devEngines": {"runtime": {"name": "bun", "version": "1.3.1"}}}"#,
                )],
                Some("1.3.1"),
            ),
            // A least version says what works, the exact one what is used, if it works.
            (
                &[
                    package(r#"{"engines": {"bun": ">=1.1"}}"#),
                    (".bun-version", "1.1.9"),
                ],
                Some("1.1.9"),
            ),
            (
                &[
                    package(r#"{"engines": {"bun": "~1.1.0"}}"#),
                    (".bun-version", "1.2.9"),
                ],
                Some("1.1.0"),
            ),
        ] {
            let tree: MemTree = files.iter().copied().collect();
            let folder = Folder::open(&tree, "");
            let package = Package::read(&folder).unwrap();
            let found = bun(&folder, &package).map(|(_, version)| version);
            assert_eq!(found.as_deref(), expected, "{files:?}");
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
