//! Go.

use super::framework;
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::number;

const FRAMEWORKS: &[(&str, &str)] = &[
    ("github.com/gin-gonic/gin", "gin"),
    ("github.com/labstack/echo", "echo"),
    ("github.com/gofiber/fiber", "fiber"),
    ("github.com/go-chi/chi", "chi"),
    ("github.com/beego/beego", "beego"),
    ("github.com/gorilla/mux", "gorilla"),
    ("github.com/kataras/iris", "iris"),
    ("goa.design/goa", "goa"),
];

/// Looks for a Go module, or for a program without one.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Go);
    let module = folder.text("go.mod").map(|text| Module::read(&text));
    let workspace = folder.text("go.work").map(|text| members(&text));
    if module.is_none() && workspace.is_none() && !folder.has("main.go") {
        return found;
    }
    if let Some(module) = &module {
        found.add(weight::MANIFEST, folder, "go.mod", "a Go module");
        found.version(folder, module.version().map(|version| ("go.mod", version)));
        describe(&mut found, folder, module);
    }
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["go.sum"],
        "checksums of Go modules",
    );
    if let Some(members) = workspace {
        found.add(
            weight::MANIFEST,
            folder,
            "go.work",
            format!("a Go workspace of {} modules", members.len()),
        );
        found.members = programs(folder, &members);
    }
    entry(&mut found, folder);
    found.package_manager = Some("go".to_owned());
    found.install = module.is_some().then(|| "go mod download".to_owned());
    found
}

fn describe(found: &mut Findings, folder: &Folder<'_>, module: &Module) {
    let requires = |path: &str| {
        module
            .requires
            .iter()
            .any(|required| is_module(required, path))
    };
    if let Some((path, name)) = framework(FRAMEWORKS, requires) {
        found.add(
            weight::FRAMEWORK,
            folder,
            "go.mod",
            format!("requires {path}"),
        );
        found.framework = Some(name);
    }
}

/// Whether `required` is `path`, or a later major version of it.
fn is_module(required: &str, path: &str) -> bool {
    let rest = required.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
}

/// The package that is run: the root, or a folder of `cmd`, or a member of the workspace.
fn entry(found: &mut Findings, folder: &Folder<'_>) {
    let mut packages = vec![".".to_owned()];
    let commands = folder.sub("cmd");
    packages.extend(commands.own_dirs().map(|name| format!("./cmd/{name}")));
    if commands.has("main.go") {
        packages.push("./cmd".to_owned());
    }
    packages.extend(found.members.iter().map(|member| format!("./{member}")));
    let programs: Vec<_> = packages
        .into_iter()
        .filter_map(|package| Some((main_file(folder, &package)?, package)))
        .collect();
    let Some((file, package)) = programs.iter().min_by_key(|(_, package)| rank(package)) else {
        found.role = Role::Library;
        return;
    };
    found.add(weight::ENTRY, folder, file, "package main");
    if programs.len() > 1 {
        let others = programs.len() - 1;
        found.add(
            weight::NONE,
            folder,
            file,
            format!("taken before {others} other programs by its name"),
        );
    }
    found.build = Some(format!("go build -o app {package}"));
    found.start = Some("./app".to_owned());
    found.listens(folder, file);
}

/// Among several programs the root goes first, then names that servers have.
fn rank(package: &str) -> (usize, usize) {
    const SERVERS: &[&str] = &["server", "api", "web", "app", "main", "http", "service"];
    if package == "." {
        return (0, 0);
    }
    let name = package.rsplit('/').next().unwrap_or_default();
    let server = SERVERS.iter().position(|server| name == *server);
    server.map_or((2, 0), |at| (1, at))
}

/// The file of a package that holds its `main`.
fn main_file(folder: &Folder<'_>, package: &str) -> Option<String> {
    let path = package.trim_start_matches("./").trim_start_matches('.');
    let inside = folder.sub(path);
    let mut files: Vec<&str> = inside
        .ending(".go")
        .filter(|name| !name.ends_with("_test.go"))
        .collect();
    files.sort_by_key(|name| *name != "main.go");
    // A package of many files has its `main` in one of the first, or in a file named so.
    let is_main = |name: &&str| {
        let text = inside.text(name).unwrap_or_default();
        text.lines().any(|line| line.trim_end() == "package main") && text.contains("func main()")
    };
    let name = files.into_iter().take(50).find(is_main)?;
    Some(if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    })
}

fn programs(folder: &Folder<'_>, members: &[String]) -> Vec<String> {
    let runs = |member: &&String| main_file(folder, member).is_some();
    members.iter().filter(runs).cloned().collect()
}

/// What `go.work` uses.
fn members(text: &str) -> Vec<String> {
    let paths = entries(text, "use");
    let clean = |path: String| {
        path.trim_matches('"')
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    };
    paths
        .into_iter()
        .map(clean)
        .filter(|path| !path.is_empty() && path != "." && !path.starts_with(".."))
        .collect()
}

struct Module {
    go: Option<String>,
    toolchain: Option<String>,
    requires: Vec<String>,
}

impl Module {
    fn read(text: &str) -> Self {
        let first = |verb: &str| entries(text, verb).into_iter().next();
        let module = |line: String| {
            line.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            go: first("go"),
            toolchain: first("toolchain"),
            requires: entries(text, "require").into_iter().map(module).collect(),
        }
    }

    fn version(&self) -> Option<String> {
        let toolchain = self.toolchain.as_deref().and_then(number);
        toolchain.or_else(|| self.go.as_deref().and_then(number))
    }
}

/// What stands behind a verb of a `go.mod` or `go.work`, on its line or in its block, comments cut.
fn entries(text: &str, verb: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if inside {
            inside = line != ")";
            if inside && !line.is_empty() {
                entries.push(line.to_owned());
            }
            continue;
        }
        // The verb is a word of its own: `go 1.22` is one, `godebug x=1` is not.
        let Some((word, rest)) = line.split_once([' ', '\t', '(']) else {
            continue;
        };
        if word != verb {
            continue;
        }
        if line.ends_with('(') {
            inside = true;
        } else {
            entries.push(rest.trim().to_owned());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_file_is_read_by_words() {
        let module = Module::read(
            "module x\n\ngodebug default=go1.21\ngo 1.22.1 // least\nrequire github.com/a/b v1.0.0\nrequire (\n\tgithub.com/gin-gonic/gin v1.9 // indirect\n)\n",
        );
        assert_eq!(module.version().as_deref(), Some("1.22.1"));
        assert_eq!(
            module.requires,
            ["github.com/a/b", "github.com/gin-gonic/gin"]
        );
        assert_eq!(
            Module::read("go 1.22\ntoolchain go1.24.2\n")
                .version()
                .as_deref(),
            Some("1.24.2")
        );
        assert!(is_module(
            "github.com/labstack/echo/v4",
            "github.com/labstack/echo"
        ));
        assert!(!is_module(
            "github.com/labstack/echo-contrib",
            "github.com/labstack/echo"
        ));
    }

    #[test]
    fn a_workspace_uses_folders_inside() {
        assert_eq!(
            members("go 1.22\nuse (\n\t./api\n\t./worker/ // x\n\t../out\n)\nuse ./web\n"),
            ["api", "worker", "web"]
        );
    }
}
