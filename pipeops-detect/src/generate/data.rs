//! Folders with files that programs read at run time.

use super::app::App;
use super::script::{Script, quote};
use crate::repository::folder::{Folder, is_beside};

/// Names that such folders have, over all languages that are compiled.
const NAMES: &[&str] = &[
    "assets",
    "conf",
    "config",
    "configs",
    "data",
    "locales",
    "migrations",
    "priv",
    "public",
    "resources",
    "static",
    "templates",
    "translations",
    "views",
    "web",
    "www",
];

/// How deep files are looked for.
const DEPTH: usize = 3;

/// How many folders and lists of files are copied at most.
const COPIES: usize = 40;

/// Folders of developers and releases, besides those that no app is in.
const TOOL_FOLDERS: &[&str] = &[
    "bruno",
    "contrib",
    "docker",
    "git",
    "hooks",
    "licenses",
    "mocks",
    "packaging",
    "release",
    "releases",
    "screenshots",
    "testing",
];

/// Endings of sources, and of files that only tools read.
const TOOLS: &[&str] = &[
    ".bat",
    ".bazel",
    ".c",
    ".cabal",
    ".cbl",
    ".cc",
    ".cmake",
    ".cob",
    ".cpp",
    ".cr",
    ".cxx",
    ".dart",
    ".go",
    ".h",
    ".hh",
    ".hpp",
    ".hs",
    ".lock",
    ".md",
    ".mod",
    ".nix",
    ".proto",
    ".ps1",
    ".py",
    ".resolved",
    ".rs",
    ".rst",
    ".sh",
    ".sum",
    ".swift",
    ".tf",
    ".ts",
    ".tsx",
    ".work",
    ".zig",
    ".zon",
];

/// Beginnings of names of manifests, documents and settings of tools, in lower case.
const MANIFESTS: &[&str] = &[
    "authors",
    "babel.",
    "biome.",
    "bower.",
    "buf.",
    "bun",
    "cargo.",
    "changelog",
    "cloudbuild",
    "cmakelists",
    "code_of_conduct",
    "codecov",
    "codeowners",
    "compose.",
    "configure",
    "contributing",
    "copying",
    "deno.",
    "docker-compose",
    "dockerfile",
    "eslint",
    "fly.",
    "gemfile",
    "gleam.toml",
    "heroku.",
    "jenkinsfile",
    "justfile",
    "license",
    "lefthook",
    "makefile",
    "manifest.toml",
    "meson",
    "mise.",
    "mkdocs",
    "netlify.",
    "notice",
    "npm-shrinkwrap",
    "package-lock",
    "package.json",
    "package.yaml",
    "pnpm-",
    "postcss.",
    "procfile",
    "pubspec.",
    "railway.",
    "readme",
    "render.yaml",
    "release-",
    "renovate",
    "rust-toolchain",
    "security",
    "shard.",
    "skaffold.",
    "sonar-project",
    "sqlc.",
    "stack.yaml",
    "tailwind.",
    "taskfile",
    "tilt",
    "tsconfig",
    "vagrantfile",
    "vercel.",
    "vite.config",
    "vitest",
    "webpack.",
    "yarn",
];

/// Manifests of other apps, which have their own images.
const APPS: &[&str] = &["package.json", "go.mod", "Cargo.toml"];

/// Copies what is no source (`source` is the ending of the language's), unless `embedded` says that it is part of the program,
/// or the tree's `.dockerignore` leaves it out.
pub(crate) fn copy(
    app: &App<'_>,
    script: &mut Script,
    source: &str,
    embedded: impl Fn(&str) -> bool,
) {
    let ignored = Ignored::read(&app.folder);
    let mut data = Data {
        source,
        skip: &|path| embedded(path) || ignored.matches(path),
        copies: Vec::new(),
    };
    data.top(&app.folder);
    let why = "files that the program reads at run time";
    for (from, to) in data.copies {
        script.line(&format!("COPY {from} {to}"), why);
    }
    script.served(embedded);
}

/// What of a tree is data.
struct Data<'a> {
    source: &'a str,
    skip: &'a dyn Fn(&str) -> bool,
    /// Sources and targets of copies.
    copies: Vec<(String, String)>,
}

impl Data<'_> {
    fn top(&mut self, folder: &Folder<'_>) {
        self.files(folder, "");
        for name in folder.own_dirs() {
            let usual = NAMES.contains(&name);
            if (is_beside(name) || TOOL_FOLDERS.contains(&name)) && !usual {
                continue;
            }
            let inside = folder.sub(name);
            match usual && self.holds_data(&inside, DEPTH) {
                true => self.folder(name),
                false => self.below(&inside, name, DEPTH),
            }
        }
    }

    /// A folder as a whole where it holds no sources, else what is data in it.
    fn below(&mut self, folder: &Folder<'_>, path: &str, depth: usize) {
        if !self.holds_data(folder, depth) || (self.skip)(path) {
            return;
        }
        if !self.holds_sources(folder, depth) {
            self.folder(path);
            return;
        }
        self.files(folder, path);
        if depth > 1 {
            for name in folder
                .own_dirs()
                .filter(|name| !is_beside(name) || NAMES.contains(name))
            {
                self.below(&folder.sub(name), &format!("{path}/{name}"), depth - 1);
            }
        }
    }

    fn folder(&mut self, path: &str) {
        if !(self.skip)(path) && self.copies.len() < COPIES {
            let path = quote(path);
            self.copies.push((path.clone(), format!("./{path}")));
        }
    }

    /// The files directly in a folder, in one list.
    fn files(&mut self, folder: &Folder<'_>, dir: &str) {
        let at = |name: &str| match dir {
            "" => name.to_owned(),
            dir => format!("{dir}/{name}"),
        };
        // At the root, pictures belong to documents, and samples to developers.
        let beside = [".gif", ".jpg", ".png", ".example", ".sample", ".dist"];
        let is_beside =
            |name: &&str| dir.is_empty() && beside.iter().any(|end| name.ends_with(end));
        let all = folder
            .ending("")
            .filter(|name| self.is_data(name) && !is_beside(name))
            .map(at);
        let all: Vec<String> = all
            .filter(|path| !(self.skip)(path))
            .map(|path| quote(&path))
            .collect();
        if !all.is_empty() && self.copies.len() < COPIES {
            let to = match dir {
                "" => "./".to_owned(),
                dir => format!("./{}/", quote(dir)),
            };
            self.copies.push((all.join(" "), to));
        }
    }

    fn is_data(&self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        !name.starts_with('.')
            && !name.ends_with(self.source)
            && !TOOLS.iter().any(|end| lower.ends_with(end))
            && !lower.contains(".config.")
            && !MANIFESTS.iter().any(|start| lower.starts_with(start))
    }

    fn holds_data(&self, folder: &Folder<'_>, depth: usize) -> bool {
        if folder.first(APPS).is_some() {
            return false;
        }
        folder.ending("").any(|name| self.is_data(name))
            || (depth > 1
                && folder
                    .own_dirs()
                    .any(|name| self.holds_data(&folder.sub(name), depth - 1)))
    }

    /// Whether sources of the language, or another app, are in the folder.
    fn holds_sources(&self, folder: &Folder<'_>, depth: usize) -> bool {
        folder.first(APPS).is_some()
            || folder.ending(self.source).next().is_some()
            || (depth > 1
                && folder
                    .own_dirs()
                    .any(|name| self.holds_sources(&folder.sub(name), depth - 1)))
    }
}

/// What the tree's own `.dockerignore` leaves out, as far as names and endings say.
struct Ignored {
    /// Patterns, and whether each takes something in again.
    patterns: Vec<(String, bool)>,
}

impl Ignored {
    fn read(folder: &Folder<'_>) -> Self {
        let text = folder.text(".dockerignore").unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns = lines.map(|line| {
            let again = line.starts_with('!');
            let line = line.trim_start_matches('!').trim_start_matches("./");
            (line.trim_matches('/').to_owned(), again)
        });
        Self {
            patterns: patterns.take(500).collect(),
        }
    }

    /// The last pattern that matches decides.
    fn matches(&self, path: &str) -> bool {
        let last = self
            .patterns
            .iter()
            .rfind(|(pattern, _)| covers(pattern, path));
        last.is_some_and(|(_, again)| !again)
    }
}

/// Whether a pattern covers a path: by its name, a folder above, or its ending.
fn covers(pattern: &str, path: &str) -> bool {
    let anywhere = pattern.strip_prefix("**/");
    let pattern = anywhere
        .unwrap_or(pattern)
        .trim_end_matches("/**")
        .trim_end_matches("/*");
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |part: &str| match pattern.split_once('*') {
        None => part == pattern,
        Some((start, end)) => {
            !end.contains('*')
                && part.len() >= start.len() + end.len()
                && part.starts_with(start)
                && part.ends_with(end)
        }
    };
    match anywhere {
        Some(_) => parts.iter().any(|part| fits(part)),
        None => (1..=parts.len()).any(|end| fits(&parts[..end].join("/"))),
    }
}

/// Whether a folder is one of those that images of compiled programs have.
pub(crate) fn is_copied(app: &App<'_>, name: &str) -> bool {
    NAMES.contains(&name) && app.folder.has_dir(name)
}

/// Copies those of these folders that the app has.
pub(crate) fn folders(app: &App<'_>, script: &mut Script, names: &[&str]) {
    for name in names.iter().filter(|name| app.folder.has_dir(name)) {
        let why = "files that the program reads at run time";
        script.line(&format!("COPY {name} ./{name}"), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn copies(files: &[&str], ignore: &str) -> Vec<String> {
        let mut tree: Vec<(&str, &str)> = files.iter().map(|file| (*file, "")).collect();
        tree.push((".dockerignore", ignore));
        let tree: MemTree = tree.into_iter().collect();
        let folder = Folder::open(&tree, "");
        let ignored = Ignored::read(&folder);
        let mut data = Data {
            source: ".go",
            skip: &|path| ignored.matches(path),
            copies: Vec::new(),
        };
        data.top(&folder);
        data.copies.into_iter().map(|(from, _)| from).collect()
    }

    #[test]
    fn what_is_no_source_is_there_at_run_time() {
        for (files, expected) in [
            (
                &[
                    "go.mod",
                    "cmd/main.go",
                    "schema.sql",
                    "queries/all.sql",
                    "i18n/en.json",
                    "static/page.html",
                ] as &[_],
                &["schema.sql", "i18n", "queries", "static"] as &[_],
            ),
            (
                &[
                    "main.go",
                    "README.md",
                    "LICENSE",
                    "Makefile",
                    "Dockerfile",
                    "docker-compose.yml",
                    "go.sum",
                    ".env",
                ],
                &[],
            ),
            (
                &["main.go", "config.yaml", "app.ini"],
                &["app.ini config.yaml"],
            ),
            (
                &[
                    "main.go",
                    "internal/mail/mail.go",
                    "internal/mail/welcome.html",
                    "internal/db/migrations/1.sql",
                ],
                &["internal/db", "internal/mail/welcome.html"],
            ),
            (
                &[
                    "main.go",
                    "docs/a.png",
                    "tests/data.json",
                    "testdata/x.json",
                    "scripts/a.sql",
                    "deploy/x.yaml",
                ],
                &[],
            ),
            (
                &[
                    "main.go",
                    "web/package.json",
                    "web/index.html",
                    "templates/a.html",
                ],
                &["templates"],
            ),
        ] {
            assert_eq!(copies(files, ""), expected, "{files:?}");
        }
    }

    #[test]
    fn what_the_tree_leaves_out_is_not_copied() {
        let files = [
            "main.go",
            "schema.sql",
            "seed.csv",
            "queries/a.sql",
            "static/a.css",
        ];
        for (ignore, expected) in [
            ("schema.sql\n/queries/", &["seed.csv", "static"] as &[_]),
            ("*.csv\n", &["schema.sql", "queries", "static"]),
            ("*\n!static\n!schema.sql", &["schema.sql", "static"]),
            ("**/static\n# seed.csv", &["schema.sql seed.csv", "queries"]),
        ] {
            assert_eq!(copies(&files, ignore), expected, "{ignore}");
        }
    }
}
