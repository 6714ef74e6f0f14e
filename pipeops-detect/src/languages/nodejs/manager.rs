//! The package manager.

use super::command::split;
use super::package::Package;
use crate::findings::{Findings, weight};
use crate::plan::Install;
use crate::repository::folder::Folder;

/// Files that managers write or read, and whose they are.
const FILES: &[(&str, &str)] = &[
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    (".yarnrc.yml", "yarn"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("bunfig.toml", "bun"),
    ("pnpm-workspace.yaml", "pnpm"),
    (".pnpmfile.cjs", "pnpm"),
    ("package.json5", "pnpm"),
    ("package.yaml", "pnpm"),
];

/// The files in which managers write exact versions.
pub(crate) const LOCKS: &[&str] = &[
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "yarn.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
];

/// Finds the package manager: told, or by the files that it leaves.
pub(crate) fn manager(found: &mut Findings, folder: &Folder<'_>, package: &Package) {
    let file = written(folder);
    if let Some((file, name)) = file {
        found.add(weight::LOCKFILE, folder, file, format!("written by {name}"));
    }
    let told = told(package);
    if let Some((_, says)) = &told {
        found.add(weight::NONE, folder, package.file, says.clone());
    }
    if told.is_none()
        && file.is_none()
        && let Some((_, file, says)) = hinted(folder, package)
    {
        found.add(weight::NONE, folder, file, says);
    }
    let name = name(folder, package);
    found.plan.install = Some(Install::new(install(name, folder, package)));
    found.package_manager = Some(name.to_owned());
}

/// The manager of a package: told, or by the files that it leaves, or suggested, or npm.
pub(crate) fn name(folder: &Folder<'_>, package: &Package) -> &'static str {
    let told = told(package).map(|(name, _)| name);
    told.or_else(|| Some(written(folder)?.1))
        .or_else(|| Some(hinted(folder, package)?.0))
        .unwrap_or("npm")
}

/// The first file of a manager, and whose it is.
fn written(folder: &Folder<'_>) -> Option<(&'static str, &'static str)> {
    FILES.iter().copied().find(|(file, _)| folder.has(file))
}

const NAMES: &[&str] = &["npm", "pnpm", "yarn", "bun"];

fn known(name: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|known| *known == name)
}

/// The manager that is told.
fn told(package: &Package) -> Option<(&'static str, String)> {
    let text = package
        .text("/packageManager")
        .and_then(|text| text.split('@').next());
    if let Some(name) = text.and_then(known) {
        return Some((name, format!("`packageManager` is {name}")));
    }
    let name = package
        .text("/devEngines/packageManager/name")
        .and_then(known)?;
    Some((name, format!("`devEngines` asks for {name}")))
}

/// What suggests a manager where no file does: the manager, the file, and what that says.
fn hinted(
    folder: &Folder<'_>,
    package: &Package,
) -> Option<(&'static str, &'static str, &'static str)> {
    let in_package = in_package(package).map(|(name, says)| (name, package.file, says));
    let version = || folder.first(&[".bun-version"]);
    in_package.or_else(|| Some(("bun", version()?, "names a version of Bun")))
}

fn in_package(package: &Package) -> Option<(&'static str, &'static str)> {
    let engines = ["pnpm", "yarn", "bun"].iter().find(|name| {
        ["engines", "volta"]
            .iter()
            .any(|key| package.text(&format!("/{key}/{name}")).is_some())
    });
    if let Some(name) = engines.and_then(|name| known(name)) {
        return Some((name, "requires a version of this package manager"));
    }
    let only = split(package.script("preinstall").unwrap_or_default());
    let only = only
        .iter()
        .find(|command| command.program() == "only-allow");
    if let Some(name) = only.and_then(|command| known(command.argument(0))) {
        return Some((name, "allows only this package manager"));
    }
    let bun = split(package.script("start").unwrap_or_default())
        .iter()
        .any(|command| command.program() == "bun" || command.text.starts_with("bunx "));
    (bun || package.depends("bun-types") || package.depends("@types/bun"))
        .then_some(("bun", "runs with Bun"))
}

/// Whether it is Yarn 2 or newer, which has other commands than the first.
pub(crate) fn is_modern_yarn(folder: &Folder<'_>, package: &Package) -> bool {
    let told = package
        .text("/packageManager")
        .and_then(|told| told.strip_prefix("yarn@"));
    match told {
        Some(version) => !version.starts_with("1.") && !version.starts_with("0."),
        None => {
            let modern = || {
                folder
                    .text("yarn.lock")
                    .is_some_and(|text| text.contains("__metadata:"))
            };
            folder.has(".yarnrc.yml") || modern()
        }
    }
}

/// The command that installs what the package depends on, as locked where a lockfile is there.
pub(crate) fn install(manager: &str, folder: &Folder<'_>, package: &Package) -> &'static str {
    let has = |files: &[&str]| folder.first(files).is_some();
    // A lockfile of another manager says nothing to this one.
    match manager {
        "pnpm" if has(&["pnpm-lock.yaml"]) => "pnpm install --frozen-lockfile",
        "pnpm" => "pnpm install",
        "bun" if has(&["bun.lock", "bun.lockb"]) => "bun install --frozen-lockfile",
        "bun" => "bun install",
        "yarn" if !has(&["yarn.lock"]) => "yarn install",
        "yarn" if is_modern_yarn(folder, package) => "yarn install --immutable",
        "yarn" => "yarn install --frozen-lockfile",
        _ if has(&["package-lock.json", "npm-shrinkwrap.json"]) => "npm ci",
        _ => "npm install",
    }
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::{Layout, check};

    const EMPTY: (&str, &str) = ("package.json", "{}");
    const YARN: (&str, &str) = ("yarn.lock", "");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[EMPTY], &["manager npm", "install npm install"]),
        (&[EMPTY, ("package-lock.json", "{}")], &["manager npm", "install npm ci"]),
        (&[EMPTY, YARN], &["manager yarn", "install yarn install --frozen-lockfile"]),
        (&[EMPTY, YARN, (".yarnrc.yml", "")], &["manager yarn", "install yarn install --immutable"]),
        (&[EMPTY, ("yarn.lock", "__metadata:\n")], &["manager yarn", "install yarn install --immutable"]),
        (&[("package.json", r#"{"packageManager": "yarn@4.5.0"}"#), YARN], &["manager yarn", "install yarn install --immutable"]),
        (&[("package.json", r#"{"packageManager": "pnpm@9.1.0"}"#), ("package-lock.json", "")], &["manager pnpm", "install pnpm install"]),
        (&[("package.json", r#"{"engines": {"pnpm": ">=9"}}"#)], &["manager pnpm", "install pnpm install"]),
        (&[("package.json", r#"{"scripts": {"preinstall": "npx only-allow pnpm"}}"#)], &["manager pnpm", "install pnpm install"]),
        (&[("package.json", r#"{"devDependencies": {"@types/bun": "1"}}"#)], &["manager bun", "install bun install"]),
        (&[EMPTY, (".bun-version", "1.2.3")], &["manager bun", "version 1.2.3"]),
        (&[EMPTY, ("bun.lock", "")], &["manager bun", "install bun install --frozen-lockfile"]),
        (&[("package.json5", "{}")], &["manager pnpm", "install pnpm install"]),
    ];

    #[test]
    fn the_manager_is_told_or_left_traces() {
        check(detect, LAYOUTS);
    }
}
