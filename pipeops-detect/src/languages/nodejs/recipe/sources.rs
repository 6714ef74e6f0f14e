//! What installing a package needs of its folder.

use super::native::CHECKOUT;
use crate::generate::script::{Script, quote};
use crate::languages::nodejs::command::commands;
use crate::languages::nodejs::package::Package;
use crate::repository::folder::Folder;

/// Files that decide the dependencies, or how they are installed.
const FILES: &[&str] = &[
    "package.json",
    "package.json5",
    "package.yaml",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "bunfig.toml",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
];

/// Why installing needs the sources, if it does: it runs scripts of the project, or reads other files of it.
pub(crate) fn needed(folder: &Folder<'_>, package: &Package) -> Option<&'static str> {
    if has_hook(package, |program| !CHECKOUT.contains(&program)) {
        return Some("installation runs a script of the project");
    }
    let text = package.json.to_string();
    let folders = [
        "\"file:",
        "\"link:",
        "\"portal:",
        "\"patch:",
        "patchedDependencies",
    ];
    let patches = folder.has_dir("patches") || folders.iter().any(|mark| text.contains(mark));
    patches.then_some("a dependency is a folder or a patch in the project")
}

/// Whether installing runs a script of the package with a program that counts.
pub(crate) fn has_hook(package: &Package, counts: impl Fn(&str) -> bool) -> bool {
    let hooks = ["preinstall", "install", "postinstall", "prepare"];
    let scripts = hooks.iter().filter_map(|hook| package.script(hook));
    let mut all = scripts.flat_map(|script| commands(script, package));
    all.any(|command| counts(command.program()))
}

/// Copies the files that decide the dependencies of the package in the folder `dir` of the context, and Yarn's own folder.
pub(crate) fn copy(script: &mut Script, folder: &Folder<'_>, dir: &str) {
    let at = |file: &str| match dir {
        "" => file.to_owned(),
        dir => quote(&format!("{dir}/{file}")),
    };
    let to = match dir {
        "" => "./".to_owned(),
        dir => format!("./{}/", quote(dir)),
    };
    let files: Vec<String> = FILES
        .iter()
        .filter(|file| folder.has(file))
        .map(|file| at(file))
        .collect();
    if !files.is_empty() {
        script.manifests(&files.join(" "), &to);
    }
    if folder.has_dir(".yarn") {
        let why = "Yarn itself, its plugins, patches and packages that the project includes";
        script.line(&format!("COPY {} {to}.yarn", at(".yarn")), why);
    }
}
