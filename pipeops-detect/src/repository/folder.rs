//! One folder of the tree, with the accessors that rules use.

use serde_json::Value;

use crate::repository::{relaxed, yaml};
use pipeops_core::source::{Entry, EntryKind, SourceTree, SourceTreeExt};

/// Folders that hold what others wrote or what a build left: nothing in them says what the app is.
const FOREIGN: &[&str] = &[
    "3rdparty",
    "__pycache__",
    "_build",
    "bin",
    "bower_components",
    "build",
    "carthage",
    "coverage",
    "deps",
    "dist",
    "env",
    "extern",
    "external",
    "htmlcov",
    "jspm_packages",
    "node_modules",
    "obj",
    "out",
    "pods",
    "site-packages",
    "target",
    "third-party",
    "third_party",
    "thirdparty",
    "vendor",
    "vendored",
    "vendors",
    "venv",
    "virtualenv",
    "wwwroot",
];

/// Folders beside the app: what they hold runs, but is not what is deployed. Tests and examples, what describes or operates
/// a cluster, apps for phones, functions of other platforms, and files that an app reads.
const BESIDE: &[&str] = &[
    "android",
    "ansible",
    "assets",
    "bench",
    "benches",
    "benchmark",
    "benchmarks",
    "cdk",
    "chart",
    "charts",
    "ci",
    "demo",
    "demos",
    "deploy",
    "deployment",
    "devops",
    "doc",
    "docs",
    "documentation",
    "e2e",
    "example",
    "examples",
    "fixtures",
    "functions",
    "hack",
    "helm",
    "iac",
    "infra",
    "infrastructure",
    "integration",
    "ios",
    "k8s",
    "kubernetes",
    "migrations",
    "netlify",
    "notebooks",
    "ops",
    "public",
    "pulumi",
    "sample",
    "samples",
    "script",
    "scripts",
    "spec",
    "specs",
    "static",
    "supabase",
    "templates",
    "terraform",
    "test",
    "testdata",
    "tests",
    "tool",
    "tools",
];

/// One folder of the tree.
#[derive(Debug)]
pub(crate) struct Folder<'a> {
    tree: &'a dyn SourceTree,
    /// From the root of the tree, without `/` at the end; the root is empty.
    path: String,
    entries: Vec<Entry>,
    /// The member that is the app, where the folder is the root of a workspace.
    member: Option<String>,
}

impl<'a> Folder<'a> {
    /// The folder at `path`; empty when there is none, or when it cannot be read.
    pub(crate) fn open(tree: &'a dyn SourceTree, path: &str) -> Self {
        let parts = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".");
        let path = parts.collect::<Vec<_>>().join("/");
        let entries = tree.list(&path).unwrap_or_default();
        Self {
            tree,
            path,
            entries,
            member: None,
        }
    }

    /// The same folder as the root of a workspace whose member at this path is the app.
    pub(crate) fn for_member(mut self, member: &str) -> Self {
        self.member = Some(member.to_owned());
        self
    }

    /// The member of the workspace that is the app, where one was asked for.
    pub(crate) fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The folders above, the nearest first, and the path of this one from each.
    pub(crate) fn above(&self) -> impl Iterator<Item = (Folder<'a>, &str)> {
        let ends = self.path.match_indices('/').map(|(at, _)| at);
        let mut ends: Vec<usize> = ends.collect();
        ends.reverse();
        let above = ends.into_iter().map(|end| {
            let folder = Folder::open(self.tree, &self.path[..end]);
            (folder, &self.path[end + 1..])
        });
        let root =
            (!self.path.is_empty()).then(|| (Folder::open(self.tree, ""), self.path.as_str()));
        above.chain(root)
    }

    /// The folder at a path from the root of the tree.
    pub(crate) fn in_tree(&self, path: &str) -> Folder<'a> {
        Folder::open(self.tree, path)
    }

    /// A folder inside.
    pub(crate) fn sub(&self, path: &str) -> Folder<'a> {
        Folder::open(self.tree, &self.at(path))
    }

    /// The path from the root of the tree; `.` is the root.
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() {
            "."
        } else {
            &self.path
        }
    }

    /// Where a file of this folder is, from the root of the tree.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        }
    }

    /// Whether it is an environment that Python's `venv` made, whatever its name.
    pub(crate) fn is_environment(&self) -> bool {
        self.has("pyvenv.cfg")
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is a regular file of this name, or at this path below.
    pub(crate) fn has(&self, path: &str) -> bool {
        if path.contains('/') {
            return self.tree.has(&self.at(path));
        }
        self.is(path, EntryKind::File)
    }

    /// Whether there is something of this name that is neither a file nor a folder, such as a link.
    pub(crate) fn has_other(&self, name: &str) -> bool {
        self.is(name, EntryKind::Other)
    }

    /// All folders inside, sorted.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &str> {
        let dirs = self.entries.iter();
        dirs.filter(|entry| entry.kind == EntryKind::Dir)
            .map(|entry| entry.name.as_str())
    }

    /// Whether there is a folder of this name.
    pub(crate) fn has_dir(&self, name: &str) -> bool {
        self.is(name, EntryKind::Dir)
    }

    fn is(&self, name: &str, kind: EntryKind) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.kind == kind && entry.name == name)
    }

    /// The first of these files that is there.
    pub(crate) fn first<'n>(&self, paths: &[&'n str]) -> Option<&'n str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    /// The files whose names end so, sorted.
    pub(crate) fn ending(&self, end: &str) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(move |entry| entry.kind == EntryKind::File && entry.name.ends_with(end))
            .map(|entry| entry.name.as_str())
    }

    /// The folders inside that may hold the app's own code, sorted.
    pub(crate) fn own_dirs(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Dir && !is_foreign(&entry.name))
            .map(|entry| entry.name.as_str())
    }

    /// A file as text, up to 1 MiB; `None` when there is none.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.tree.text(&self.at(path))
    }

    /// The first three bytes of a file: those that say how it is encoded.
    pub(crate) fn start(&self, path: &str) -> Option<Vec<u8>> {
        self.tree.read(&self.at(path), 3).ok()?
    }

    /// A JSON file. Comments and commas at the end are taken: many tools allow them.
    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        relaxed::json(&self.text(path)?)
    }

    /// A YAML file, its scalars as texts; null when there is none.
    pub(crate) fn yaml(&self, path: &str) -> Value {
        yaml::read(&self.text(path).unwrap_or_default())
    }

    /// A TOML file.
    pub(crate) fn toml(&self, path: &str) -> Option<toml::Table> {
        self.text(path)?.parse().ok()
    }
}

/// A relative path as seen from the folder `dir`, from the root; `None` where it leaves the root.
pub(crate) fn resolve(dir: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The folder that holds both, from the root; empty for the root.
pub(crate) fn common(a: &str, b: &str) -> String {
    let pairs = a.split('/').zip(b.split('/'));
    let parts = pairs.take_while(|(a, b)| a == b).map(|(part, _)| part);
    parts.collect::<Vec<_>>().join("/")
}

/// Whether a folder of this name holds dependencies or results of a build.
pub(crate) fn is_foreign(name: &str) -> bool {
    name.starts_with('.') || FOREIGN.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a folder of this name holds tests, documentation, tools: not what is deployed.
pub(crate) fn is_beside(name: &str) -> bool {
    BESIDE.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn a_folder_sees_its_own_files_only() {
        let tree = MemTree::from([
            ("api/main.py", ""),
            ("api/node_modules/x/package.json", "{}"),
            ("api/src/a.py", ""),
            ("other", ""),
        ]);
        let folder = Folder::open(&tree, "./api/");
        assert_eq!(folder.path(), "api");
        assert_eq!(folder.at("main.py"), "api/main.py");
        assert!(folder.has("main.py") && folder.has("src/a.py") && !folder.has("src"));
        assert!(folder.own_dirs().eq(["src"]));
        assert!(folder.ending(".py").eq(["main.py"]));
        assert!(Folder::open(&tree, "../x").is_empty());
        assert_eq!(resolve("a/b", "../c/./d").as_deref(), Some("a/c/d"));
        assert_eq!(resolve("a", "../../x"), None);
        assert_eq!(common("a/b/c", "a/b/d"), "a/b");
        assert_eq!(common("a", "b"), "");
        let deep = Folder::open(&tree, "api/src");
        let above: Vec<(String, &str)> = deep
            .above()
            .map(|(folder, path)| (folder.path().to_owned(), path))
            .collect();
        assert_eq!(
            above,
            [("api".to_owned(), "src"), (".".to_owned(), "api/src")]
        );
        assert_eq!(Folder::open(&tree, "").above().count(), 0);
    }
}
