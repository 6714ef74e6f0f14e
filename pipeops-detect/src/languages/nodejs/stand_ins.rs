//! Settings without which a build stops: stand-ins for the step that builds.

use super::package::Package;
use super::site::Site;
use crate::repository::folder::Folder;
use crate::repository::shell::is_name;
use crate::repository::sources::{self, is_comment};
use crate::repository::stand_in;

/// Frameworks whose builds run code of the app.
const RUN_THE_APP: &[&str] = &[
    "next",
    "nuxt",
    "astro",
    "@sveltejs/kit",
    "@remix-run/dev",
    "@react-router/dev",
    "@tanstack/react-start",
];

/// Beginnings of names whose values become a part of the pages: a stand-in would stay there.
const PUBLIC: &[&str] = &[
    "EXPO_PUBLIC_",
    "GATSBY_",
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "PUBLIC_",
    "REACT_APP_",
    "VITE_",
];

/// A setting that a build reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// The value for the build; none where it would stay in the pages.
    pub(crate) value: Option<String>,
    /// The file that asks for it.
    pub(crate) file: String,
}

/// The settings that the build of a package can't do without.
pub(crate) fn needed(folder: &Folder<'_>, package: &Package) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut add = |name: &str, value: Option<&str>, file: &str| {
        let public = PUBLIC.iter().any(|start| name.starts_with(start));
        let value = value.unwrap_or_else(|| stand_in::value(name));
        if is_name(name) && !matches!(name, "NODE_ENV" | "PORT" | "CI") {
            found.push(Setting {
                name: name.to_owned(),
                value: (!public).then(|| value.to_owned()),
                file: file.to_owned(),
            });
        }
    };
    for file in [
        "prisma.config.ts",
        "prisma.config.mts",
        "prisma.config.js",
        "prisma.config.mjs",
    ] {
        let text = folder.text(file).unwrap_or_default();
        for name in quoted_behind(&text, "env(") {
            add(name, None, file);
        }
    }
    let site = Site { folder, package };
    for command in site.build_commands() {
        let files = command.words.iter().skip(1).filter(|word| folder.has(word));
        for file in files.filter(|_| !matches!(command.program(), "cp" | "cat" | "mv")) {
            let text = folder.text(file).unwrap_or_default();
            for name in refused(&text) {
                add(name, None, file);
            }
        }
    }
    if package.first(RUN_THE_APP).is_some() {
        sources::read(
            folder,
            &[".js", ".mjs", ".ts", ".mts", ".tsx"],
            |file, text| {
                if text.contains("SKIP_ENV_VALIDATION") {
                    add("SKIP_ENV_VALIDATION", Some("1"), file);
                    return;
                }
                if text.contains("createEnv(") {
                    for (name, value) in validated(text) {
                        add(name, value, file);
                    }
                }
                for name in refused(text) {
                    add(name, None, file);
                }
            },
        );
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// `X` of `if (!process.env.X) throw …` and `process.env.X ?? exit()`.
fn refused(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().filter(|line| !is_comment(line)).collect();
    let mut names = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let next = &lines[index..lines.len().min(index + 3)];
        let stops = |line: &&str| line.contains("throw ") || line.contains("process.exit(");
        if !next.iter().any(stops) {
            continue;
        }
        for (at, _) in line.match_indices("process.env.") {
            let rest = &line[at + "process.env.".len()..];
            let end = rest.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            let negated = line[..at].trim_end().ends_with('!');
            let or_stops =
                after.trim_start().starts_with("??") || after.trim_start().starts_with("||");
            if negated || (or_stops && stops(&after)) {
                names.push(name);
            }
        }
    }
    names
}

/// Names of `createEnv` with validators that take no missing value, and a value that some of them ask for.
fn validated(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.lines().filter_map(|line| {
        let (name, validator) = line.trim().split_once(':')?;
        let asks = validator.trim_start().starts_with("z.");
        let optional = ["optional()", ".default(", "nullish()"]
            .iter()
            .any(|part| validator.contains(part));
        let upper = name
            .chars()
            .all(|ch| ch.is_ascii_uppercase() || ch.is_ascii_digit() || ch == '_');
        let value = if validator.contains(".email(") {
            Some("build@example.com")
        } else if validator.contains("z.enum(") {
            validator
                .split(['"', '\''])
                .nth(1)
                .filter(|value| is_name(value))
        } else if validator.contains("z.url(") || validator.contains(".url(") {
            let own = stand_in::value(name);
            Some(own)
                .filter(|own| own.contains("://"))
                .or(Some("http://localhost"))
        } else {
            None
        };
        (asks && !optional && upper && !name.is_empty()).then_some((name, value))
    })
}

/// The texts in quotes directly behind a mark.
fn quoted_behind<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(mark).filter_map(move |(at, _)| {
        let rest = &text[at + mark.len()..];
        let quote = rest.chars().next().filter(|ch| "\"'".contains(*ch))?;
        rest[1..].split(quote).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn names(package: &str, files: &[(&str, &str)]) -> Vec<String> {
        let tree: MemTree = files
            .iter()
            .copied()
            .chain([("package.json", package)])
            .collect();
        let folder = Folder::open(&tree, "");
        let package = Package::read(&folder).unwrap();
        let found = needed(&folder, &package);
        let text = |setting: Setting| {
            format!(
                "{}={}",
                setting.name,
                setting.value.unwrap_or("?".to_owned())
            )
        };
        found.into_iter().map(text).collect()
    }

    #[test]
    fn builds_ask_for_settings() {
        let next = r#"{"scripts": {"build": "node check.js && next build"}, "dependencies": {"next": "15"}}"#;
        let plain = r#"{"scripts": {"build": "node check.js"}, "dependencies": {"express": "4"}}"#;
        let database = "DATABASE_URL=postgresql://build:build@localhost/build";
        for (package, file, text, expected) in [
            (
                next,
                "check.js",
                "if (!process.env.DATABASE_URL) process.exit(1)",
                &[database] as &[_],
            ),
            (
                plain,
                "check.js",
                "if (!process.env.DATABASE_URL) {\n  process.exit(1)\n}",
                &[database],
            ),
            (
                plain,
                "server.js",
                "if (!process.env.DATABASE_URL) throw new Error()",
                &[],
            ),
            (
                next,
                "lib/mongodb.ts",
                "const uri = process.env.MONGODB_URI\nif (!process.env.MONGODB_URI) {\n  throw new Error('x')\n}",
                &["MONGODB_URI=mongodb://localhost/build"],
            ),
            (
                next,
                "lib/a.ts",
                "// if (!process.env.A) throw 1\nconst b = process.env.B || 'x'\nif (!process.env.NODE_ENV) throw 1",
                &[],
            ),
            (
                next,
                "prisma.config.ts",
                "datasource: { url: env(\"DATABASE_URL\") }",
                &[database],
            ),
            (
                next,
                "src/env.js",
                "createEnv({ server: { A: z.string() },\n skipValidation: !!process.env.SKIP_ENV_VALIDATION })",
                &["SKIP_ENV_VALIDATION=1"],
            ),
            (
                next,
                "env.ts",
                "createEnv({\n server: {\n  AUTH_SECRET: z.string().min(32),\n  MODE: z.enum(['on', 'off']),\n  MAIL: z.string().email(),\n  B: z.string().optional(),\n  API: z.string().url(),\n },\n client: {\n  NEXT_PUBLIC_SITE: z.string(),\n }})",
                &[
                    "API=http://localhost",
                    "AUTH_SECRET=build-only-build-only-build-only",
                    "MAIL=build@example.com",
                    "MODE=on",
                    "NEXT_PUBLIC_SITE=?",
                ],
            ),
            (
                next,
                "lib/a.ts",
                "export const key = process.env.API_KEY ?? (() => { throw new Error() })()",
                &["API_KEY=build-only-build-only-build-only"],
            ),
        ] {
            assert_eq!(names(package, &[(file, text)]), expected, "{file}: {text}");
        }
    }
}
