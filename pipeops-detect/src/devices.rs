//! Recognizes phone and desktop apps, which can't run in a cluster.

use crate::repository::folder::Folder;

/// Dependencies of packages of Node.js whose apps run on phones or desktops.
const PACKAGES: &[&str] = &["react-native", "expo", "electron", "@nativescript/core"];

/// Scripts by which such a package is built for browsers as well.
const FOR_BROWSERS: &[&str] = &["expo export", "--platform web", "vite build", "webpack"];

/// Whether what is in the folder runs on phones or desktops, as far as one can see.
pub(crate) fn only(folder: &Folder<'_>) -> bool {
    let files = [
        "tauri.conf.json",
        "src/main/AndroidManifest.xml",
        "config.xml",
    ];
    // `config.xml` is Cordova's only beside a folder of its pages.
    let file = folder.first(&files);
    file.is_some_and(|file| file != "config.xml" || folder.has_dir("www"))
        || by_package(folder)
        || by_crate(folder)
        || by_gradle(folder)
}

fn by_package(folder: &Folder<'_>) -> bool {
    let Some(json) = folder.json("package.json") else {
        return false;
    };
    let depends = |name: &&str| {
        let lists = ["dependencies", "devDependencies"];
        lists
            .iter()
            .any(|list| json.get(list).is_some_and(|list| list.get(name).is_some()))
    };
    let scripts = json.get("scripts").map(ToString::to_string);
    let scripts = scripts.unwrap_or_default();
    PACKAGES.iter().any(depends) && !FOR_BROWSERS.iter().any(|script| scripts.contains(script))
}

fn by_crate(folder: &Folder<'_>) -> bool {
    let manifest = folder.toml("Cargo.toml").unwrap_or_default();
    manifest
        .get("dependencies")
        .is_some_and(|all| all.get("tauri").is_some())
}

fn by_gradle(folder: &Folder<'_>) -> bool {
    let files = [
        "build.gradle",
        "build.gradle.kts",
        "app/build.gradle",
        "app/build.gradle.kts",
    ];
    files.iter().any(|file| {
        let text = folder.text(file).unwrap_or_default();
        text.contains("com.android.application") || text.contains("com.android.tools.build:gradle")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    // One line per file.
    #[rustfmt::skip]
    const FILES: &[(&str, &str, bool)] = &[
        ("package.json", r#"{"dependencies": {"react-native": "0.74"}}"#, true),
        ("package.json", r#"{"devDependencies": {"electron": "30"}}"#, true),
        ("package.json", r#"{"dependencies": {"expo": "51"}, "scripts": {"build": "expo export -p web"}}"#, false),
        ("package.json", r#"{"dependencies": {"react-native-web": "1"}}"#, false),
        ("app/build.gradle", "id 'com.android.application'", true),
        ("build.gradle", "id 'application'", false),
        ("tauri.conf.json", "{}", true),
    ];

    #[test]
    fn phones_and_desktops() {
        for &(file, text, expected) in FILES {
            let tree = MemTree::from([(file, text)]);
            assert_eq!(only(&Folder::open(&tree, "")), expected, "{file} {text}");
        }
    }
}
