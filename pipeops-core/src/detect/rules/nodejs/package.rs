//! `package.json`.

use serde_json::Value;

/// A package as its file describes it.
pub(super) struct Package {
    pub(super) json: Value,
}

impl Package {
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer)?.as_str()
    }

    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.json.get("scripts")?.get(name)?.as_str()
    }

    /// Development dependencies count: many apps have their framework there.
    pub(super) fn depends(&self, name: &str) -> bool {
        ["dependencies", "devDependencies"].iter().any(|kind| {
            self.json
                .get(kind)
                .is_some_and(|all| all.get(name).is_some())
        })
    }

    pub(super) fn has_dependencies(&self) -> bool {
        let dependencies = self.json.get("dependencies").and_then(Value::as_object);
        dependencies.is_some_and(|all| !all.is_empty())
    }

    pub(super) fn workspaces(&self) -> Vec<String> {
        let workspaces = self.json.get("workspaces");
        let list =
            workspaces.and_then(|all| all.as_array().or_else(|| all.get("packages")?.as_array()));
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}
