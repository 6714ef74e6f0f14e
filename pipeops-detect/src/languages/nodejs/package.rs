//! `package.json`, and the other formats that pnpm reads.

use serde_json::Value;

use crate::repository::folder::Folder;
use crate::repository::{relaxed, yaml};

/// A package as its file describes it.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) json: Value,
    /// The file.
    pub(crate) file: &'static str,
}

/// The files that describe packages: the first one that is there counts.
pub(crate) const FILES: &[&str] = &["package.json", "package.json5", "package.yaml"];

impl Package {
    /// The package in a folder; `None` when there is none, or when it cannot be read.
    pub(crate) fn read(folder: &Folder<'_>) -> Option<Self> {
        let file = folder.first(FILES)?;
        let text = folder.text(file)?;
        let json = match file {
            "package.yaml" => yaml::read(&text),
            _ => relaxed::json(&text)?,
        };
        let package = Self { json, file };
        // Haskell's package.yaml has its dependencies as a list, and no scripts.
        let is_one =
            file != "package.yaml" || package.has_any("scripts") || package.has_any("dependencies");
        (package.json.is_object() && is_one).then_some(package)
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        let text = self.json.pointer(pointer)?.as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn script(&self, name: &str) -> Option<&str> {
        let script = self.json.get("scripts")?.get(name)?.as_str()?.trim();
        (!script.is_empty()).then_some(script)
    }

    /// Names of all scripts.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = &str> {
        let scripts = self.json.get("scripts").and_then(Value::as_object);
        scripts
            .into_iter()
            .flat_map(|scripts| scripts.keys().map(String::as_str))
    }

    /// Names of all dependencies, developers' too.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &str> {
        let kinds = ["dependencies", "devDependencies", "optionalDependencies"];
        let all = kinds
            .into_iter()
            .filter_map(|kind| self.json.get(kind)?.as_object());
        all.flat_map(|all| all.keys().map(String::as_str))
    }

    /// Development dependencies count: many apps have their framework there.
    pub(crate) fn depends(&self, name: &str) -> bool {
        self.asks_for(name).is_some()
    }

    /// The first of these dependencies.
    pub(crate) fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.depends(name))
    }

    /// The version that a dependency is asked for in; empty where it is no text.
    pub(crate) fn asks_for(&self, name: &str) -> Option<&str> {
        ["dependencies", "devDependencies", "optionalDependencies"]
            .iter()
            .find_map(|kind| self.json.get(kind)?.get(name))
            .map(|version| version.as_str().unwrap_or_default())
    }

    /// Whether something is needed to run.
    pub(crate) fn has_dependencies(&self) -> bool {
        self.has_any("dependencies")
    }

    pub(crate) fn has_any(&self, kind: &str) -> bool {
        let all = self.json.get(kind).and_then(Value::as_object);
        all.is_some_and(|all| !all.is_empty())
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/name").unwrap_or_default()
    }

    /// Whether it needs packages beside it that only the root of the workspace sees.
    pub(crate) fn depends_on_members(&self) -> bool {
        let kinds = ["dependencies", "devDependencies"];
        let all = kinds
            .iter()
            .filter_map(|kind| self.json.get(kind)?.as_object());
        all.flat_map(|all| all.values()).any(|version| {
            version
                .as_str()
                .is_some_and(|version| version.starts_with("workspace:"))
        })
    }

    /// Patterns of the folders of a workspace; npm, Yarn and bun have a list, or an object with one.
    pub(crate) fn workspaces(&self) -> Vec<String> {
        let workspaces = self.json.get("workspaces");
        texts(workspaces.and_then(|all| all.as_array().or_else(|| all.get("packages")?.as_array())))
    }
}

/// The texts of a list.
pub(crate) fn texts(list: Option<&Vec<Value>>) -> Vec<String> {
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
