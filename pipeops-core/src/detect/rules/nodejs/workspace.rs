//! Workspaces: several packages with one lockfile.

use super::package::Package;
use super::{FRONTENDS, SERVERS};
use crate::detect::findings::{Findings, weight};
use crate::detect::folder::Folder;

/// Finds the workspace whose root this folder is, and its members.
pub(super) fn find(found: &mut Findings, folder: &Folder<'_>, package: &Package) {
    let mut patterns = package.workspaces();
    if !patterns.is_empty() {
        found.add(
            weight::ENTRY,
            folder,
            "package.json",
            "the root of a workspace",
        );
    } else if let Some(text) = folder.text("pnpm-workspace.yaml") {
        found.add(
            weight::ENTRY,
            folder,
            "pnpm-workspace.yaml",
            "the root of a pnpm workspace",
        );
        patterns = yaml_packages(&text);
    } else {
        let tools = [
            "nx.json",
            "turbo.json",
            "lerna.json",
            "rush.json",
            ".moon/workspace.yml",
        ];
        if found
            .add_file(weight::LOCKFILE, folder, &tools, "a monorepo's tool")
            .is_none()
        {
            return;
        }
        patterns = vec!["apps/*".to_owned(), "packages/*".to_owned()];
    }
    found.members = members(folder, &patterns);
}

/// The members of a workspace that run by themselves.
fn members(folder: &Folder<'_>, patterns: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    for pattern in patterns.iter().filter(|pattern| !pattern.starts_with('!')) {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        match pattern.split_once("/*") {
            Some((parent, _)) => {
                let parent_folder = folder.sub(parent);
                paths.extend(
                    parent_folder
                        .own_dirs()
                        .map(|name| format!("{parent}/{name}")),
                );
            }
            None if pattern == "*" => paths.extend(folder.own_dirs().map(str::to_owned)),
            None => paths.push(pattern.to_owned()),
        }
    }
    paths.sort();
    paths.dedup();
    // More than a person would read in a report, and enough to bound the work.
    paths
        .into_iter()
        .take(100)
        .filter(|path| runs(&folder.sub(path)))
        .collect()
}

fn runs(folder: &Folder<'_>) -> bool {
    let package = folder.json("package.json").map(|json| Package { json });
    package.is_some_and(|package| {
        let serves = SERVERS.iter().any(|(name, _)| package.depends(name));
        serves
            || package.script("start").is_some()
            || FRONTENDS.iter().any(|(name, ..)| builds(&package, name))
    })
}

fn builds(package: &Package, dependency: &str) -> bool {
    // A library is bundled as well, but is not called `private`.
    package.depends(dependency)
        && package.script("build").is_some()
        && package.json.get("private") == Some(&true.into())
        && package.text("/main").is_none()
        && package.json.get("exports").is_none()
}

/// The `packages:` list of a `pnpm-workspace.yaml`.
fn yaml_packages(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("packages:"))
        .skip(1);
    lines
        .take_while(|line| line.trim().is_empty() || line.starts_with([' ', '-', '#']))
        .filter_map(|line| line.trim().strip_prefix('-'))
        .map(|item| item.trim().trim_matches(['\'', '"']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn workspaces_list_the_members_that_run() {
        let found = super::super::look(&Folder::open(
            &MemTree::from([
                (
                    "package.json",
                    r#"{"private": true, "workspaces": ["apps/*", "packages/*"]}"#,
                ),
                (
                    "apps/web/package.json",
                    r#"{"dependencies": {"next": "15"}}"#,
                ),
                (
                    "apps/api/package.json",
                    r#"{"scripts": {"start": "node ."}}"#,
                ),
                ("packages/ui/package.json", r#"{"name": "ui"}"#),
            ]),
            "",
        ));
        assert_eq!(found.members, ["apps/api", "apps/web"]);
        assert_eq!(
            yaml_packages("packages:\n  - 'apps/*'\n\n  # x\n  - b\nother: 1\n- c\n"),
            ["apps/*", "b"]
        );
    }
}
