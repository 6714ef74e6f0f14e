//! Rust.

use toml::{Table, Value};

use super::framework;
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::number;

const FRAMEWORKS: &[(&str, &str)] = &[
    ("leptos", "leptos"),
    ("dioxus", "dioxus"),
    ("loco-rs", "loco"),
    ("axum", "axum"),
    ("actix-web", "actix"),
    ("rocket", "rocket"),
    ("warp", "warp"),
    ("poem", "poem"),
    ("salvo", "salvo"),
    ("tide", "tide"),
    ("tonic", "tonic"),
    ("hyper", "hyper"),
];

/// Looks for a Cargo package or workspace.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Rust);
    if !folder.has("Cargo.toml") {
        return found;
    }
    let manifest = folder.toml("Cargo.toml").unwrap_or_default();
    found.add(weight::MANIFEST, folder, "Cargo.toml", "a Cargo manifest");
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["Cargo.lock"],
        "written by Cargo",
    );
    if let Some((dependency, name)) = framework(FRAMEWORKS, |name| depends(&manifest, name)) {
        found.add(
            weight::FRAMEWORK,
            folder,
            "Cargo.toml",
            format!("depends on {dependency}"),
        );
        found.framework = Some(name);
    }
    found.version(folder, version(folder, &manifest));
    found.package_manager = Some("cargo".to_owned());
    found.install = Some("cargo fetch --locked".to_owned());
    workspace(&mut found, folder, &manifest);
    program(&mut found, folder, &manifest);
    found
}

fn depends(manifest: &Table, name: &str) -> bool {
    let own = manifest.get("dependencies");
    let shared = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    [own, shared]
        .into_iter()
        .flatten()
        .any(|table| table.get(name).is_some())
}

fn version(folder: &Folder<'_>, manifest: &Table) -> Option<(&'static str, String)> {
    if let Some(toolchain) = folder.toml("rust-toolchain.toml") {
        let channel = toolchain
            .get("toolchain")?
            .get("channel")?
            .as_str()?
            .to_owned();
        return Some(("rust-toolchain.toml", number(&channel)?));
    }
    if let Some(version) = folder.text("rust-toolchain").and_then(|text| number(&text)) {
        return Some(("rust-toolchain", version));
    }
    let package = manifest.get("package")?.get("rust-version")?.as_str()?;
    Some(("Cargo.toml", number(package)?))
}

fn workspace(found: &mut Findings, folder: &Folder<'_>, manifest: &Table) {
    let members = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array());
    let Some(members) = members else { return };
    found.add(
        weight::LOCKFILE,
        folder,
        "Cargo.toml",
        "the root of a workspace",
    );
    let mut paths = Vec::new();
    for member in members.iter().filter_map(Value::as_str) {
        match member.split_once("/*") {
            Some((parent, _)) => paths.extend(
                folder
                    .sub(parent)
                    .own_dirs()
                    .map(|name| format!("{parent}/{name}")),
            ),
            None if member == "*" => paths.extend(folder.own_dirs().map(str::to_owned)),
            None => paths.push(member.to_owned()),
        }
    }
    paths.sort();
    found.members = paths
        .into_iter()
        .filter(|path| folder.has(&format!("{path}/src/main.rs")))
        .collect();
}

/// The program that is run: of the package here, or of the only member that has one.
fn program(found: &mut Findings, folder: &Folder<'_>, manifest: &Table) {
    let own = binary(folder, manifest, "");
    let binary = own.or_else(|| match found.members.as_slice() {
        [member] => binary(
            folder,
            &folder.toml(&format!("{member}/Cargo.toml"))?,
            &format!("{member}/"),
        ),
        _ => None,
    });
    let Some((name, file)) = binary else {
        if found.members.is_empty() {
            found.role = Role::Library;
        }
        return;
    };
    let says = format!("the program `{name}`");
    found.add(weight::ENTRY, folder, &file, says);
    found.build = Some("cargo build --release --locked".to_owned());
    found.start = Some(format!("./target/release/{name}"));
    found.listens(folder, &file);
}

/// Name and source of a package's program: the first `[[bin]]`, or `src/main.rs`.
fn binary(folder: &Folder<'_>, manifest: &Table, dir: &str) -> Option<(String, String)> {
    let bin = manifest
        .get("bin")
        .and_then(|bins| bins.as_array()?.first());
    let of_bin = |key: &str| bin.and_then(|bin| bin.get(key)?.as_str());
    let package = manifest.get("package")?.get("name")?.as_str();
    let file = format!("{dir}{}", of_bin("path").unwrap_or("src/main.rs"));
    let name = of_bin("name").or(package)?.to_owned();
    folder.has(&file).then_some((name, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    fn found(files: &[(&str, &str)]) -> Findings {
        let tree: MemTree = files.iter().copied().collect();
        look(&Folder::open(&tree, ""))
    }

    #[test]
    fn programs_and_libraries() {
        let manifest =
            "[package]\nname = \"shop\"\nrust-version = \"1.85\"\n[dependencies]\naxum = \"0.8\"\n";
        let program = found(&[
            ("Cargo.toml", manifest),
            ("src/main.rs", "env::var(\"PORT\")"),
        ]);
        assert_eq!(program.start.as_deref(), Some("./target/release/shop"));
        assert_eq!(program.framework.as_deref(), Some("axum"));
        assert_eq!(program.version.as_deref(), Some("1.85"));
        assert_eq!(
            found(&[("Cargo.toml", manifest), ("src/lib.rs", "")]).role,
            Role::Library
        );
    }

    #[test]
    fn a_workspace_with_one_program_is_that_program() {
        let found = found(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]"),
            ("crates/a/Cargo.toml", "[package]\nname = \"server\""),
            ("crates/a/src/main.rs", ""),
            ("crates/b/src/lib.rs", ""),
        ]);
        assert_eq!(found.members, ["crates/a"]);
        assert_eq!(found.start.as_deref(), Some("./target/release/server"));
    }
}
