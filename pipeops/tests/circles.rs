//! No two files of a crate need each other: the modules of each crate form layers.
//!
//! A file needs another one when it names an item that the other defines. Declaring a module and re-exporting its items needs
//! nothing, and tests may need anything.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

#[test]
fn no_files_need_each_other() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut circles = Vec::new();
    let roots = roots(workspace);
    assert!(roots.len() >= 12, "only {} crates found", roots.len());
    for root in roots {
        let crate_ = Crate::read(&root);
        circles.extend(crate_.circles(workspace));
    }
    assert!(
        circles.is_empty(),
        "{} circles; move what both need into a file below them:\n{}",
        circles.len(),
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_found_through_imports_paths_and_reexports() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use a::A;");
    write("a.rs", "use crate::b::B; pub struct A(B);");
    write("b.rs", "use super::c; pub struct B; fn f() { c::g() }");
    // The name is re-exported by the root, and defined in `a`.
    write("c.rs", "pub fn g() { let _: crate::A; }");
    let circles = Crate::read(&folder.path().join("lib.rs")).circles(folder.path());
    assert_eq!(
        circles,
        ["a.rs -> b.rs (B)\nb.rs -> c.rs (g)\nc.rs -> a.rs (A)\n"]
    );
    write(
        "c.rs",
        "pub fn g() {} #[cfg(test)] mod tests { use crate::A; }",
    );
    let circles = Crate::read(&folder.path().join("lib.rs")).circles(folder.path());
    assert!(circles.is_empty(), "tests may need anything: {circles:?}");
    // Through a glob, and inside of a macro.
    write("lib.rs", "mod a; mod b;");
    write("a.rs", "use crate::b::*; pub fn f() { g() }");
    write("b.rs", "pub fn g() { assert!(crate::a::f()) }");
    let circles = Crate::read(&folder.path().join("lib.rs")).circles(folder.path());
    assert_eq!(circles, ["a.rs -> b.rs (g)\nb.rs -> a.rs (f)\n"]);
}

/// The root files of all crates of the workspace.
fn roots(workspace: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(workspace)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.push(workspace.join("examples/pipeops-cli"));
    let mut roots: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file)))
        .filter(|file| file.exists())
        .collect();
    roots.sort();
    roots
}

/// The path of a module from the root of its crate.
type Module = Vec<String>;

/// What the files of a crate define and name.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Scope>,
}

/// One module.
#[derive(Default)]
struct Scope {
    file: PathBuf,
    items: BTreeSet<String>,
    /// Imported and re-exported names and the paths that they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// Modules whose items are all imported or re-exported.
    globs: Vec<Vec<String>>,
    /// Paths that the module's code needs.
    needs: BTreeSet<Vec<String>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut crate_ = Self::default();
        crate_.read_file(root, root.parent().unwrap(), Vec::new());
        crate_
    }

    /// Reads a file, and below it the modules that it declares. Their files are in `folder`.
    fn read_file(&mut self, file: &Path, folder: &Path, module: Module) {
        let text = std::fs::read_to_string(file).unwrap();
        let parsed = syn::parse_file(&text).unwrap();
        self.read_items(&parsed.items, file, folder, module);
    }

    fn read_items(&mut self, items: &[Item], file: &Path, folder: &Path, module: Module) {
        let mut scope = Scope {
            file: file.to_owned(),
            ..Scope::default()
        };
        for item in items.iter().filter(|item| !for_tests(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let path: Module = module.iter().cloned().chain([name.clone()]).collect();
                    let below = folder.join(&name);
                    match &child.content {
                        Some((_, items)) => self.read_items(items, file, &below, path),
                        None => {
                            let flat = folder.join(format!("{name}.rs"));
                            let nested = below.join("mod.rs");
                            let found = if flat.exists() { flat } else { nested };
                            self.read_file(&found, &below, path);
                        }
                    }
                }
                Item::Use(import) => {
                    let private = matches!(import.vis, Visibility::Inherited);
                    scope.import(&import.tree, &mut Vec::new(), private);
                }
                item => {
                    scope.items.extend(name(item));
                    Names(&mut scope).visit_item(item);
                }
            }
        }
        self.modules.insert(module, scope);
    }

    /// The groups of files that need each other, as lines `file -> file (name)`.
    fn circles(&self, base: &Path) -> Vec<String> {
        let mut needs: BTreeMap<&Path, BTreeMap<&Path, String>> = BTreeMap::new();
        for (module, scope) in &self.modules {
            for path in &scope.needs {
                if let Some((file, name)) = self.resolve(module, path, 0)
                    && file != scope.file
                {
                    let needs = needs.entry(&scope.file).or_default();
                    needs.entry(file).or_insert(name);
                }
            }
        }
        let reach: BTreeMap<&Path, BTreeSet<&Path>> = needs
            .keys()
            .map(|file| (*file, reachable(&needs, file)))
            .collect();
        let mut done = BTreeSet::new();
        let mut circles = Vec::new();
        let shown = |file: &Path| {
            file.strip_prefix(base)
                .unwrap_or(file)
                .display()
                .to_string()
        };
        for (file, files) in &reach {
            if !files.contains(file) || done.contains(file) {
                continue;
            }
            let group: BTreeSet<&Path> = files
                .iter()
                .copied()
                .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
                .collect();
            let mut lines = String::new();
            for from in &group {
                for (to, name) in needs[from].iter().filter(|(to, _)| group.contains(*to)) {
                    lines.push_str(&format!("{} -> {} ({name})\n", shown(from), shown(to)));
                }
            }
            done.extend(group);
            circles.push(lines);
        }
        circles
    }

    /// The file that defines what `path` names in `module`, and the item's name; `None` for other crates' items and modules.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<(&Path, String)> {
        // Names that stand for each other end here.
        if depth > 20 {
            return None;
        }
        let mut at = module.to_vec();
        let mut rest = path;
        while let [segment, tail @ ..] = rest {
            match segment.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                name => {
                    let scope = self.modules.get(&at)?;
                    if scope.items.contains(name) {
                        return Some((&scope.file, name.to_owned()));
                    }
                    let child: Module = at.iter().cloned().chain([name.to_owned()]).collect();
                    if self.modules.contains_key(&child) {
                        at = child;
                    } else if let Some(full) = scope.names.get(name) {
                        let full: Vec<String> = full.iter().chain(tail).cloned().collect();
                        return self.resolve(&at, &full, depth + 1);
                    } else {
                        return scope.globs.iter().find_map(|glob| {
                            let full: Vec<String> = glob.iter().chain(rest).cloned().collect();
                            self.resolve(&at, &full, depth + 1)
                        });
                    }
                }
            }
            rest = tail;
        }
        None
    }
}

fn reachable<'p>(
    needs: &BTreeMap<&'p Path, BTreeMap<&'p Path, String>>,
    from: &Path,
) -> BTreeSet<&'p Path> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Path> = vec![from];
    while let Some(file) = open.pop() {
        for next in needs.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(*next) {
                open.push(next);
            }
        }
    }
    found
}

impl Scope {
    fn import(&mut self, tree: &UseTree, prefix: &mut Vec<String>, private: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix, private);
                prefix.pop();
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let mut path = prefix.clone();
                if name != "self" {
                    path.push(name);
                }
                let last = path.last().cloned().unwrap_or_default();
                self.named(last, path, private);
            }
            UseTree::Rename(rename) => {
                let path = prefix.iter().cloned().chain([rename.ident.to_string()]);
                self.named(rename.rename.to_string(), path.collect(), private);
            }
            UseTree::Glob(_) => self.globs.push(prefix.clone()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, private);
                }
            }
        }
    }

    fn named(&mut self, name: String, path: Vec<String>, private: bool) {
        if private {
            self.needs.insert(path.clone());
        }
        self.names.insert(name, path);
    }
}

/// Collects the paths that code names.
struct Names<'s>(&'s mut Scope);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.0.needs.insert(segments.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        // Inside of a function.
        self.0.import(&import.tree, &mut Vec::new(), true);
    }
}

impl Names<'_> {
    /// Collects the paths among a macro's arguments: names that `::` joins.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.0.needs.insert(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.0.needs.insert(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.0.needs.insert(path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item is compiled for tests or fuzz targets only.
fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string();
        attribute.path().is_ident("cfg")
            && (condition == "test"
                || condition == "fuzzing"
                || condition.starts_with("all (test")
                || condition.starts_with("any (test , fuzzing"))
    })
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
