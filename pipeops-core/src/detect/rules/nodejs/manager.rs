//! Package manager and version of Node.js.

use super::package::Package;
use crate::detect::findings::{Findings, weight};
use crate::detect::folder::Folder;
use crate::detect::version::{resolve, tool};

/// The version where the project asks for none, or only for a least one: a long-term release.
const DEFAULT_VERSION: &str = "22";

/// Finds the package manager: told, or by its lockfile.
pub(super) fn manager(found: &mut Findings, folder: &Folder<'_>, package: &Package) {
    const LOCKFILES: &[(&str, &str)] = &[
        ("pnpm-lock.yaml", "pnpm"),
        ("bun.lock", "bun"),
        ("bun.lockb", "bun"),
        (".yarnrc.yml", "yarn"),
        ("yarn.lock", "yarn"),
        ("package-lock.json", "npm"),
        ("npm-shrinkwrap.json", "npm"),
    ];
    let lock = LOCKFILES.iter().find(|(file, _)| folder.has(file));
    if let Some((file, name)) = lock {
        found.add(weight::LOCKFILE, folder, file, format!("written by {name}"));
    }
    let told = package
        .text("/packageManager")
        .and_then(|text| text.split('@').next());
    let told = told.filter(|name| matches!(*name, "npm" | "pnpm" | "yarn" | "bun"));
    if let Some(name) = told {
        found.add(
            weight::NONE,
            folder,
            "package.json",
            format!("`packageManager` is {name}"),
        );
    }
    let name = told.or(lock.map(|(_, name)| *name)).unwrap_or("npm");
    // A lockfile of another manager says nothing to this one.
    let locked = LOCKFILES
        .iter()
        .any(|(file, manager)| *manager == name && folder.has(file) && !file.starts_with('.'));
    found.install = Some(install(name, locked, folder).to_owned());
    found.package_manager = Some(name.to_owned());
}

fn install(manager: &str, locked: bool, folder: &Folder<'_>) -> &'static str {
    match (manager, locked) {
        ("pnpm", true) => "pnpm install --frozen-lockfile",
        ("pnpm", false) => "pnpm install",
        ("bun", true) => "bun install --frozen-lockfile",
        ("bun", false) => "bun install",
        ("yarn", true) if folder.has(".yarnrc.yml") => "yarn install --immutable",
        ("yarn", true) => "yarn install --frozen-lockfile",
        ("yarn", false) => "yarn install",
        (_, true) => "npm ci",
        (_, false) => "npm install",
    }
}

/// The version that the project asks for, and the file that says so.
pub(super) fn version(folder: &Folder<'_>, package: &Package) -> Option<(&'static str, String)> {
    let resolve = |text: &str| resolve(text, DEFAULT_VERSION);
    if let Some(version) = package.text("/engines/node").and_then(resolve) {
        return Some(("package.json", version));
    }
    for file in [".nvmrc", ".node-version"] {
        if let Some(version) = folder.text(file).as_deref().and_then(resolve) {
            return Some((file, version));
        }
    }
    if let Some(version) = package.text("/volta/node").and_then(resolve) {
        return Some(("package.json", version));
    }
    [".tool-versions", "mise.toml", ".mise.toml"]
        .into_iter()
        .find_map(|file| {
            let version = tool(&folder.text(file)?, &["nodejs", "node"])?;
            Some((file, version))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn the_manager_is_told_or_left_traces() {
        for (files, manager, install) in [
            (&[("package.json", "{}")] as &[_], "npm", "npm install"),
            (
                &[("package.json", "{}"), ("package-lock.json", "{}")],
                "npm",
                "npm ci",
            ),
            (
                &[("package.json", "{}"), ("yarn.lock", "")],
                "yarn",
                "yarn install --frozen-lockfile",
            ),
            (
                &[
                    ("package.json", "{}"),
                    ("yarn.lock", ""),
                    (".yarnrc.yml", ""),
                ],
                "yarn",
                "yarn install --immutable",
            ),
            (
                &[
                    ("package.json", r#"{"packageManager": "pnpm@9.1.0"}"#),
                    ("package-lock.json", ""),
                ],
                "pnpm",
                "pnpm install",
            ),
            (
                &[("package.json", "{}"), ("bun.lock", "")],
                "bun",
                "bun install --frozen-lockfile",
            ),
        ] {
            let tree: MemTree = files.iter().copied().collect();
            let found = super::super::look(&Folder::open(&tree, ""));
            assert_eq!(found.package_manager.as_deref(), Some(manager), "{files:?}");
            assert_eq!(found.install.as_deref(), Some(install), "{files:?}");
        }
    }
}
