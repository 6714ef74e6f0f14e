//! Workspaces of uv: several projects with one lock file.

use toml::{Table, Value};

use super::packages::at;
use crate::languages::nodejs::glob::matches;
use crate::outside::references::Need;
use crate::repository::folder::Folder;

/// A project that is a member of a workspace.
pub(crate) struct Member {
    /// The root of the workspace, from the root of the tree; empty for the root.
    pub(crate) root: String,
    /// The file that says so, from the root of the tree.
    file: String,
    /// Its name.
    pub(crate) package: String,
    /// Whether the workspace has a lock file.
    pub(crate) locked: bool,
}

/// Whether it's the root of a workspace that installs nothing itself: its apps are its members.
pub(crate) fn has_members_only(pyproject: &Table) -> bool {
    at(pyproject, &["tool", "uv", "workspace"]).is_some() && at(pyproject, &["project"]).is_none()
}

/// The membership of a project, if it has one. The nearest workspace above decides.
pub(crate) fn member(folder: &Folder<'_>) -> Option<Member> {
    let project = folder.toml("pyproject.toml")?;
    let package = at(&project, &["project", "name"])?.as_str()?.to_owned();
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
    if folder.has("uv.lock") || package.is_empty() || !package.chars().all(plain) {
        return None;
    }
    let (root, path, workspace) = folder.above().find_map(|(root, path)| {
        let table = root.toml("pyproject.toml")?;
        let workspace = at(&table, &["tool", "uv", "workspace"])?
            .as_table()?
            .clone();
        Some((root, path, workspace))
    })?;
    let means = |key: &str| patterns(&workspace, key).any(|pattern| is(pattern, path));
    if !means("members") || means("exclude") {
        return None;
    }
    Some(Member {
        file: root.at("pyproject.toml"),
        locked: root.has("uv.lock"),
        root: match root.path() {
            "." => String::new(),
            path => path.to_owned(),
        },
        package,
    })
}

/// The root of the workspace, which a member needs.
pub(crate) fn root(folder: &Folder<'_>) -> Option<Need> {
    let member = member(folder)?;
    Some(Need {
        path: format!("the workspace of {}", member.package),
        folder: member.root,
        file: member.file,
    })
}

fn patterns<'t>(workspace: &'t Table, key: &str) -> impl Iterator<Item = &'t str> {
    let list = workspace.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn is(pattern: &str, path: &str) -> bool {
    let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
    matches(&parts.collect::<Vec<_>>(), path)
}
