//! Files that a web server serves as they are, and Hugo.

use super::DEFAULT_PORT;
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;

/// Looks for a page, and for a site generator that needs no other language.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Static);
    let configs = [
        "hugo.toml",
        "hugo.yaml",
        "hugo.yml",
        "hugo.json",
        "config.toml",
        "config.yaml",
    ];
    if folder.has_dir("content")
        && let Some(file) = folder.first(&configs)
        && (file.starts_with("hugo")
            || folder.has_dir("archetypes")
            || folder.has_dir("layouts")
            || folder.has_dir("themes"))
    {
        found.add(weight::FRAMEWORK, folder, file, "a Hugo site");
        found.framework = Some("hugo".to_owned());
        found.build = Some("hugo --minify".to_owned());
        found.output = Some("public".to_owned());
        found.port = Some(DEFAULT_PORT);
        return found;
    }
    // Every front end has a page: alone it says little.
    found.role = Role::Library;
    if found
        .add_file(weight::MANIFEST, folder, &["Staticfile"], "static files")
        .is_some()
    {
        found.role = Role::Frontend;
    }
    let pages = [
        "index.html",
        "public/index.html",
        "dist/index.html",
        "index.htm",
    ];
    if let Some(page) = found.add_file(weight::MANIFEST, folder, &pages, "a page") {
        let root = page.split_once('/').map_or(".", |(dir, _)| dir);
        found.output = Some(root.to_owned());
        found.port = Some(DEFAULT_PORT);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn pages_and_generators() {
        let look = |files: &[(&str, &str)]| {
            look(&Folder::open(
                &files.iter().copied().collect::<MemTree>(),
                "",
            ))
        };
        assert_eq!(
            look(&[("public/index.html", "")]).output.as_deref(),
            Some("public")
        );
        assert_eq!(
            look(&[("hugo.toml", ""), ("content/a.md", "")])
                .framework
                .as_deref(),
            Some("hugo")
        );
        assert!(!look(&[("config.toml", "")]).found());
    }
}
