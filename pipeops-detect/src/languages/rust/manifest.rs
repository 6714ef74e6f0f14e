//! Cargo manifests: packages, their targets, and the members of a workspace.

use toml::{Table, Value};

use crate::repository::folder::{Folder, resolve};

/// How many members of a workspace are read: the tree is untrusted.
const MEMBERS: usize = 300;

/// One package, as its manifest and its files say.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its folder, from the workspace's root; empty at the root.
    pub(crate) dir: String,
    pub(crate) name: String,
    /// Programs: their names and source files, from the package's folder.
    pub(crate) programs: Vec<(String, String)>,
    /// Every other file that the manifest needs to be there, from the package's folder.
    pub(crate) others: Vec<String>,
    pub(crate) manifest: Table,
}

impl Package {
    fn read(root: &Folder<'_>, dir: &str) -> Option<Self> {
        let folder = root.sub(dir);
        let manifest = folder.toml("Cargo.toml")?;
        let package = manifest.get("package")?;
        let name = package.get("name")?.as_str()?.to_owned();
        let programs = programs(&folder, &manifest, &name);
        let others = others(&folder, &manifest);
        Some(Self {
            dir: dir.to_owned(),
            name,
            programs,
            others,
            manifest,
        })
    }

    /// A path of the package, from the workspace's root.
    pub(crate) fn at(&self, path: &str) -> String {
        match self.dir.as_str() {
            "" => path.to_owned(),
            dir => format!("{dir}/{path}"),
        }
    }

    /// Whether the package itself depends on this crate.
    pub(crate) fn depends(&self, name: &str) -> bool {
        let table = self.manifest.get("dependencies");
        table.is_some_and(|table| table.get(name).is_some())
    }

    /// The option that turns on what a program cannot be built without; empty where it needs nothing.
    pub(crate) fn features_option(&self, root: &Folder<'_>, program: &str) -> String {
        let bin = tables(&self.manifest, "bin")
            .find(|bin| bin.get("name").and_then(Value::as_str) == Some(program));
        let list = bin.and_then(|bin| bin.get("required-features")?.as_array());
        let plain = |name: &&str| {
            name.chars()
                .all(|ch| ch.is_ascii_alphanumeric() || "-_/".contains(ch))
        };
        let names: Vec<&str> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(plain)
            .collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let guarded = self.guarded(root, program).into_iter().next();
        names.extend(guarded.filter(|name| !names.contains(name)));
        match names.as_slice() {
            [] => String::new(),
            names => format!(" --features {}", names.join(",")),
        }
    }

    /// The features one of which must be on, because the sources refuse to be compiled without, as long as none is on by
    /// default: `#[cfg(not(any(feature = "sqlite", feature = "postgres")))] compile_error!(…)`.
    pub(crate) fn guarded(&self, root: &Folder<'_>, program: &str) -> Vec<String> {
        let own = self.programs.iter().find(|(name, _)| name == program);
        let own = own.map(|(_, file)| file.as_str());
        let files = ["build.rs", self.library()].into_iter().chain(own);
        let features = self.manifest.get("features").and_then(Value::as_table);
        let Some(features) = features else {
            return Vec::new();
        };
        let mut on = vec!["default".to_owned()];
        let mut next = 0;
        while let Some(name) = on.get(next).cloned() {
            let more = features.get(&name).and_then(Value::as_array);
            let more = more.into_iter().flatten().filter_map(Value::as_str);
            let more: Vec<String> = more
                .filter(|name| features.contains_key(*name) && !on.iter().any(|on| on == name))
                .map(str::to_owned)
                .collect();
            on.extend(more);
            next += 1;
        }
        let plain = |name: &&str| {
            name.chars()
                .all(|ch| ch.is_ascii_alphanumeric() || "-_".contains(ch))
        };
        let guards = files.flat_map(|file| guards(&root.text(&self.at(file)).unwrap_or_default()));
        let open = guards
            .into_iter()
            .find(|names| !names.iter().any(|name| on.contains(name)));
        let names = open.into_iter().flatten();
        names
            .filter(|name| features.contains_key(name) && plain(&name.as_str()))
            .collect()
    }

    /// The file of its library, whether it has one or not.
    pub(crate) fn library(&self) -> &str {
        let path = self
            .manifest
            .get("lib")
            .and_then(|lib| lib.get("path")?.as_str());
        path.unwrap_or("src/lib.rs")
    }

    /// The folders that it depends on, from the workspace's root; `None` for one outside.
    fn paths(&self) -> Vec<Option<String>> {
        let tables = self.manifest.iter();
        let tables = tables.filter(|(key, _)| {
            !["lib", "bin", "package", "patch", "replace"].contains(&key.as_str())
        });
        let mut paths = Vec::new();
        for (_, value) in tables {
            dependency_paths(value, 0, &mut paths);
        }
        let paths = paths.into_iter().filter(|path| !path.ends_with(".rs"));
        paths.map(|path| resolve(&self.dir, path)).collect()
    }

    /// What `cargo run` would start, where the manifest says so.
    pub(crate) fn default_run(&self) -> Option<&str> {
        self.manifest.get("package")?.get("default-run")?.as_str()
    }
}

/// The features in each condition of a source under which nothing is compiled.
fn guards(source: &str) -> Vec<Vec<String>> {
    let conditions = source.split("#[cfg(").skip(1);
    let conditions = conditions.filter_map(|rest| {
        let (condition, rest) = rest.split_once(")]")?;
        let stops = rest.trim_start().starts_with("compile_error!");
        let missing = ["not(any(", "not(feature", "all(not("]
            .iter()
            .any(|start| condition.starts_with(start));
        (stops && missing).then_some(condition)
    });
    let names = |condition: &str| {
        let parts = condition.split("feature").skip(1);
        let names = parts.filter_map(|part| part.split('"').nth(1));
        names.map(str::to_owned).collect()
    };
    conditions.map(names).collect()
}

/// The folders below the root that the packages depend on and that are none of them: dependencies by their path, those that
/// replace crates of the registry, and what these need in turn. `None` where one is outside of the root.
pub(crate) fn foreign(root: &Folder<'_>, packages: &[Package]) -> Option<Vec<String>> {
    let manifest = root.toml("Cargo.toml").unwrap_or_default();
    let mut replacing = Vec::new();
    for key in ["patch", "replace"] {
        if let Some(table) = manifest.get(key) {
            dependency_paths(table, 0, &mut replacing);
        }
    }
    let replacing = replacing.into_iter().map(|path| resolve("", path));
    let own = packages.iter().flat_map(Package::paths);
    let mut queue: Vec<Option<String>> = replacing.chain(own).collect();
    let mut dirs: Vec<String> = Vec::new();
    while let Some(dir) = queue.pop() {
        let dir = dir?;
        let known = packages.iter().any(|package| package.dir == dir);
        if known || dirs.contains(&dir) {
            continue;
        }
        if dir.is_empty() || dirs.len() >= MEMBERS || !root.has(&format!("{dir}/Cargo.toml")) {
            return None;
        }
        queue.extend(Package::read(root, &dir).iter().flat_map(Package::paths));
        dirs.push(dir);
    }
    dirs.sort();
    Some(dirs)
}

/// The package of the root, if it has one, then the members of its workspace, sorted by folder.
pub(crate) fn packages(root: &Folder<'_>) -> Vec<Package> {
    let manifest = root.toml("Cargo.toml").unwrap_or_default();
    let mut dirs = members(root, &manifest);
    dirs.insert(0, String::new());
    let read = |dir: &String| Package::read(root, dir);
    dirs.iter().filter_map(read).collect()
}

/// The file by which the folder is the root of a workspace with this member.
pub(crate) fn holds(root: &Folder<'_>, member: &str) -> Option<&'static str> {
    let manifest = root.toml("Cargo.toml")?;
    let members = members(root, &manifest);
    members
        .iter()
        .any(|dir| dir == member)
        .then_some("Cargo.toml")
}

/// The folders of a workspace's members: those listed, and those that the root depends on by path.
fn members(root: &Folder<'_>, manifest: &Table) -> Vec<String> {
    let Some(workspace) = manifest.get("workspace") else {
        return Vec::new();
    };
    let list = |key: &str| {
        let list = workspace.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    };
    let mut dirs: Vec<String> = Vec::new();
    for member in list("members") {
        expand(root, member.trim_start_matches("./"), &mut dirs);
    }
    let own = manifest.get("dependencies");
    let shared = workspace.get("dependencies");
    for table in [own, shared]
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
    {
        let paths = table
            .values()
            .filter_map(|value| value.get("path")?.as_str());
        dirs.extend(paths.map(|path| path.trim_start_matches("./").to_owned()));
    }
    let excluded: Vec<&str> = list("exclude").collect();
    dirs.retain(|dir| !dir.starts_with("..") && !excluded.contains(&dir.as_str()));
    for dir in &mut dirs {
        dir.truncate(dir.trim_end_matches('/').len());
    }
    dirs.retain(|dir| !dir.is_empty() && dir != ".");
    dirs.sort();
    dirs.dedup();
    dirs.truncate(MEMBERS);
    dirs
}

/// Adds the folders that a member's pattern means; `*` stands for one part of a path.
fn expand(root: &Folder<'_>, pattern: &str, into: &mut Vec<String>) {
    let Some(star) = pattern.find('*') else {
        into.push(pattern.to_owned());
        return;
    };
    let parent = pattern[..star].rsplit_once('/').map_or("", |(dir, _)| dir);
    let rest = pattern[star..].split_once('/').map(|(_, rest)| rest);
    for name in root.sub(parent).own_dirs() {
        let dir = match parent {
            "" => name.to_owned(),
            parent => format!("{parent}/{name}"),
        };
        match rest {
            Some(rest) if into.len() < MEMBERS => expand(root, &format!("{dir}/{rest}"), into),
            Some(_) => return,
            None if root.has(&format!("{dir}/Cargo.toml")) => into.push(dir),
            None => {}
        }
    }
}

/// Programs that are listed, and those that Cargo finds by itself.
fn programs(folder: &Folder<'_>, manifest: &Table, package: &str) -> Vec<(String, String)> {
    let mut programs = Vec::new();
    for bin in tables(manifest, "bin") {
        let Some(name) = bin.get("name").and_then(Value::as_str) else {
            continue;
        };
        let path = bin.get("path").and_then(Value::as_str);
        let usual = [
            format!("src/bin/{name}.rs"),
            format!("src/bin/{name}/main.rs"),
            "src/main.rs".to_owned(),
        ];
        let found = usual.iter().find(|path| folder.has(path));
        if let Some(path) = path.or(found.map(String::as_str)) {
            programs.push((name.to_owned(), path.to_owned()));
        }
    }
    let finds = |key: &str| {
        manifest
            .get("package")
            .and_then(|package| package.get(key)?.as_bool())
    };
    if finds("autobins") != Some(false) {
        let mut found = vec![(package.to_owned(), "src/main.rs".to_owned())];
        let bin = folder.sub("src/bin");
        found.extend(bin.ending(".rs").map(|file| {
            let name = file.trim_end_matches(".rs").to_owned();
            (name, format!("src/bin/{file}"))
        }));
        found.extend(
            bin.own_dirs()
                .map(|dir| (dir.to_owned(), format!("src/bin/{dir}/main.rs"))),
        );
        // A file that is listed under another name is not found again.
        found.retain(|(_, file)| programs.iter().all(|(_, listed)| listed != file));
        programs.extend(found);
    }
    programs.retain(|(_, file)| folder.has(file));
    programs
}

/// The library, the build script, and the listed examples, tests and benches.
fn others(folder: &Folder<'_>, manifest: &Table) -> Vec<String> {
    let path_of = |table: &Value| Some(table.get("path")?.as_str()?.to_owned());
    let lib = manifest.get("lib").and_then(path_of);
    let build = manifest
        .get("package")
        .and_then(|package| package.get("build"));
    let build = build.and_then(Value::as_str).unwrap_or("build.rs");
    let mut files = vec![
        lib.unwrap_or_else(|| "src/lib.rs".to_owned()),
        build.to_owned(),
    ];
    for (kind, dir) in [
        ("example", "examples"),
        ("test", "tests"),
        ("bench", "benches"),
    ] {
        for target in tables(manifest, kind) {
            let name = target
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            files.extend(path_of(target));
            files.push(format!("{dir}/{name}.rs"));
            files.push(format!("{dir}/{name}/main.rs"));
        }
    }
    files.retain(|file| folder.has(file));
    files.sort();
    files.dedup();
    files
}

fn tables<'t>(manifest: &'t Table, key: &str) -> impl Iterator<Item = &'t Value> {
    let list = manifest.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// The values of `path` in tables of dependencies, however deep (`target.'cfg(unix)'.dependencies.x.path`).
fn dependency_paths<'t>(value: &'t Value, depth: usize, into: &mut Vec<&'t str>) {
    let Some(table) = value.as_table().filter(|_| depth < 5) else {
        return;
    };
    for (key, value) in table {
        match value.as_str() {
            Some(path) if key == "path" => into.push(path),
            _ => dependency_paths(value, depth + 1, into),
        }
    }
}

/// The names of the crates in a lock file, with what each depends on.
pub(crate) fn locked(folder: &Folder<'_>) -> Vec<(String, Vec<String>)> {
    let lock = folder.toml("Cargo.lock").unwrap_or_default();
    let packages = tables(&lock, "package").filter_map(|package| {
        let name = package.get("name")?.as_str()?.to_owned();
        let needs = package.get("dependencies").and_then(Value::as_array);
        let first = |need: &Value| Some(need.as_str()?.split(' ').next()?.to_owned());
        let needs = needs.into_iter().flatten().filter_map(first).collect();
        Some((name, needs))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn targets_are_those_that_cargo_finds() {
        let tree = MemTree::from([
            (
                "Cargo.toml",
                "[package]\nname='a'\ndefault-run='b'\n[[bin]]\nname='x'\npath='src/x.rs'\nrequired-features=['ssr']\n[[bench]]\nname='speed'\n[workspace]\nmembers=['crates/*', 'apps/*/api']\nexclude=['crates/old']",
            ),
            ("src/main.rs", ""),
            ("src/x.rs", ""),
            ("src/bin/b.rs", ""),
            ("src/bin/c/main.rs", ""),
            ("build.rs", ""),
            ("benches/speed.rs", ""),
            ("crates/l/Cargo.toml", "[package]\nname='l'"),
            ("crates/l/src/lib.rs", ""),
            ("crates/old/Cargo.toml", "[package]\nname='old'"),
            ("crates/notes/README.md", ""),
            ("apps/one/api/Cargo.toml", "[package]\nname='api'"),
        ]);
        let packages = packages(&Folder::open(&tree, ""));
        let dirs: Vec<&str> = packages
            .iter()
            .map(|package| package.dir.as_str())
            .collect();
        assert_eq!(dirs, ["", "apps/one/api", "crates/l"]);
        let names: Vec<&str> = packages[0]
            .programs
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["x", "a", "b", "c"]);
        assert_eq!(packages[0].others, ["benches/speed.rs", "build.rs"]);
        assert_eq!(packages[0].default_run(), Some("b"));
        let root = Folder::open(&tree, "");
        assert_eq!(packages[0].features_option(&root, "x"), " --features ssr");
        assert_eq!(packages[0].features_option(&root, "b"), "");
        assert_eq!(packages[2].at("src/lib.rs"), "crates/l/src/lib.rs");
    }

    #[test]
    fn sources_that_need_a_feature_name_it() {
        let guard = "#[cfg(not(any(feature = \"sqlite\", feature = \"postgres\")))]\n    compile_error!(\"x\");";
        let both = "#[cfg(all(not(feature = \"sqlite\"), not(feature = \"postgres\")))]\ncompile_error!(\"x\");";
        let one = "#[cfg(not(feature = \"postgres\"))]\ncompile_error!(\"x\");";
        let other = "#[cfg(not(any(feature = \"sqlite\", feature = \"postgres\")))]\nfn x() {}";
        let none = "default = []\n";
        for (file, source, default, expected) in [
            ("build.rs", guard, none, " --features sqlite"),
            ("src/main.rs", both, none, " --features sqlite"),
            ("src/lib.rs", one, none, " --features postgres"),
            ("build.rs", other, none, ""),
            (
                "build.rs",
                guard,
                "default = ['all']\nall = ['postgres']\n",
                "",
            ),
            ("build.rs", guard, "default = ['sqlite']\n", ""),
        ] {
            let manifest =
                format!("[package]\nname = 'a'\n[features]\nsqlite = []\npostgres = []\n{default}");
            let mut files = vec![("Cargo.toml", manifest.as_str()), ("src/main.rs", "")];
            files.push((file, source));
            let tree: MemTree = files.into_iter().collect();
            let root = Folder::open(&tree, "");
            let packages = packages(&root);
            assert_eq!(
                packages[0].features_option(&root, "a"),
                expected,
                "{source} {default}"
            );
        }
    }

    #[test]
    fn folders_that_replace_crates_are_copied() {
        let tree = MemTree::from([
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['crates/*']\n[patch.crates-io]\nitoa = { path = 'vendor/itoa' }\n[replace]\n'ryu:1.0.0' = { path = 'vendor/ryu' }",
            ),
            (
                "crates/a/Cargo.toml",
                "[package]\nname = 'a'\n[dependencies]\nown = { path = '../../third/own' }",
            ),
            ("crates/a/src/main.rs", ""),
            (
                "vendor/itoa/Cargo.toml",
                "[package]\nname = 'itoa'\n[dependencies]\nmore = { path = '../more' }",
            ),
            ("vendor/more/Cargo.toml", "[package]\nname = 'more'"),
            ("vendor/ryu/Cargo.toml", "[package]\nname = 'ryu'"),
            ("third/own/Cargo.toml", "[package]\nname = 'own'"),
        ]);
        let root = Folder::open(&tree, "");
        let foreign = foreign(&root, &packages(&root));
        assert_eq!(
            foreign.unwrap(),
            ["third/own", "vendor/itoa", "vendor/more", "vendor/ryu"]
        );
        let tree = MemTree::from([
            (
                "Cargo.toml",
                "[package]\nname = 'a'\n[dependencies]\nx = { path = '../x' }",
            ),
            ("src/main.rs", ""),
        ]);
        let root = Folder::open(&tree, "");
        assert_eq!(super::foreign(&root, &packages(&root)), None);
    }
}
