//! Front ends below a server: those that it serves itself are built into its image, the others are apps of their own.

use super::nodejs;
use super::nodejs::builders;
use super::nodejs::frontend::Frontend;
use super::nodejs::site::Site;
use crate::Language;
use crate::devices;
use crate::findings::Role;
use crate::repository::folder::{Folder, is_beside, resolve};

/// How deep front ends are looked for.
const DEPTH: usize = 3;

/// How many folders are searched for front ends.
const FOLDERS: usize = 300;

/// How many sources of the server are read.
const SOURCES: usize = 400;

/// How deep sources of the server are looked for.
const SOURCE_DEPTH: usize = 6;

/// Endings of files that say what a server serves, or what is compiled into it.
const ENDINGS: &[&str] = &[
    ".go",
    ".py",
    ".java",
    ".kt",
    ".kts",
    ".gradle",
    ".properties",
    ".xml",
    ".yml",
    ".yaml",
    ".rs",
    ".cs",
    ".csproj",
    ".fs",
    ".fsproj",
    ".json",
    ".toml",
    ".rb",
    ".php",
    ".ex",
    ".exs",
    ".cpp",
    ".cc",
    ".cr",
    ".scala",
    ".sbt",
    ".swift",
    ".dart",
    ".ini",
    ".cfg",
];

/// Texts of sources that compile files into the program.
const EMBEDS: &[&str] = &[
    "//go:embed",
    "RustEmbed",
    "rust_embed",
    "include_dir!",
    "include_bytes!",
    "include_str!",
];

/// A front end whose results the server serves.
#[derive(Debug)]
pub(crate) struct Served<'a> {
    pub(crate) frontend: Frontend<'a>,
    /// The folder with the results, from the folder that `frontend` was read from.
    pub(crate) from: String,
    /// The same from the server's folder.
    pub(crate) output: String,
    /// The file that says so, and how it does.
    pub(crate) because: (String, &'static str),
    /// Whether the results become a part of the program.
    pub(crate) embedded: bool,
}

impl Served<'_> {
    /// What is found, for people.
    pub(crate) fn says(&self) -> String {
        let (file, verb) = &self.because;
        format!(
            "a front end: built in a stage of its own into {}, which {file} {verb}",
            self.from
        )
    }
}

/// The front ends below a server.
#[derive(Debug, Default)]
pub(crate) struct Frontends<'a> {
    /// Those that it serves.
    pub(crate) served: Vec<Served<'a>>,
    /// The folders of those that nothing of the server names, and where they build into.
    pub(crate) others: Vec<(String, String)>,
    /// Those that the server's own build builds.
    pub(crate) own: Vec<Own>,
    /// Folders that are compiled in, which neither the repository nor a front end has, and the files that say so.
    pub(crate) missing: Vec<(String, String)>,
}

/// A front end that the build of the server builds.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) dir: String,
    /// The file of the build.
    pub(crate) file: String,
    /// Whether it needs Node.js beside it, and doesn't download one.
    pub(crate) needs_node: bool,
}

/// Whether servers in this language have their front ends found here: those of Node.js are members of workspaces, or built by
/// scripts of the root.
pub(crate) fn has_frontends(language: Language) -> bool {
    !matches!(
        language,
        Language::Nodejs | Language::Deno | Language::Static | Language::Shell
    )
}

/// The front ends below a server in its folder.
pub(crate) fn find<'a>(server: &Folder<'a>, language: Language) -> Frontends<'a> {
    let mut all = Frontends::default();
    if !has_frontends(language) {
        return all;
    }
    let mut candidates = Vec::new();
    let mut left = FOLDERS;
    collect(server, "", DEPTH, &mut left, &mut candidates);
    let go = language == Language::Go;
    if candidates.is_empty() && !go {
        return all;
    }
    let dirs: Vec<String> = candidates
        .iter()
        .map(|candidate| candidate.frontend.dir.clone())
        .collect();
    let mut sources = Vec::new();
    read(server, "", SOURCE_DEPTH, &dirs, &mut sources);
    let embeds: Vec<Embed> = sources.iter().flat_map(embeds).collect();
    let own = sources
        .iter()
        .find_map(|source| Some((source, source.builds()?)));
    for candidate in candidates {
        let dir = candidate.frontend.dir.clone();
        // Elixir's recipe builds what Phoenix has there.
        if language == Language::Elixir && dir == "assets" {
            continue;
        }
        if let Some((source, needs_node)) = own {
            let file = source.file.clone();
            all.own.push(Own {
                dir,
                file,
                needs_node,
            });
            continue;
        }
        match candidate.link(&sources, &embeds) {
            Some((output, because, embedded)) => all.served.push(Served {
                frontend: candidate.frontend,
                from: output.clone(),
                output,
                because,
                embedded,
            }),
            None if !candidate.beside => {
                all.others.push((candidate.frontend.dir, candidate.output))
            }
            None => {}
        }
    }
    let is_there = |path: &str| server.has(path) || !server.sub(path).is_empty();
    let is_built = |path: &str| {
        all.served
            .iter()
            .any(|served| overlap(&served.output, path))
    };
    let missing = embeds
        .into_iter()
        .filter(|embed| !is_there(&embed.path) && !is_built(&embed.path));
    all.missing = missing.map(|embed| (embed.path, embed.file)).collect();
    // A file has a line for each pattern.
    all.missing.sort();
    all.missing.dedup();
    all
}

/// The front ends beside a server that build into its folder, or that its sources name (`../frontend/dist`), and the folder
/// above that holds both.
pub(crate) fn beside<'a>(
    server: &Folder<'a>,
    language: Language,
) -> Option<(Folder<'a>, Vec<Served<'a>>)> {
    if !has_frontends(language) {
        return None;
    }
    let mut sources = None;
    server.above().find_map(|(root, member)| {
        let own = member.split('/').next().unwrap_or_default();
        let names = root
            .own_dirs()
            .filter(|name| *name != own && !is_beside(name));
        let all = names
            .take(FOLDERS)
            .filter_map(|name| candidate(&root, name, &root.sub(name), false));
        let all: Vec<Candidate<'a>> = all.collect();
        if all.is_empty() {
            return None;
        }
        let sources = sources.get_or_insert_with(|| {
            let mut sources = Vec::new();
            read(server, "", SOURCE_DEPTH, &[], &mut sources);
            sources
        });
        let served: Vec<Served<'a>> = all
            .into_iter()
            .filter_map(|candidate| candidate.beside(member, sources))
            .collect();
        (!served.is_empty()).then_some((root, served))
    })
}

/// A package that builds files for browsers.
struct Candidate<'a> {
    frontend: Frontend<'a>,
    /// Where it builds into, from the server's folder.
    output: String,
    /// Whether its folder holds tests, documents, files that an app reads, or a part of it.
    beside: bool,
}

fn collect<'a>(
    server: &Folder<'a>,
    dir: &str,
    depth: usize,
    left: &mut usize,
    into: &mut Vec<Candidate<'a>>,
) {
    let folder = server.sub(dir);
    for name in folder.own_dirs() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = join(dir, name);
        let inside = server.sub(&path);
        let beside = path.split('/').any(is_beside);
        match candidate(server, &path, &inside, beside) {
            Some(candidate) => into.push(candidate),
            None if depth > 1 && !inside.is_environment() => {
                collect(server, &path, depth - 1, left, into)
            }
            None => {}
        }
    }
}

fn candidate<'a>(
    server: &Folder<'a>,
    path: &str,
    inside: &Folder<'a>,
    beside: bool,
) -> Option<Candidate<'a>> {
    let frontend = Frontend::read(server, path)?;
    frontend.build()?;
    // A theme or a plugin is a part of its host.
    const PARTS: &[&str] = &[
        "addons",
        "extensions",
        "modules",
        "packages",
        "plugins",
        "theme",
        "themes",
        "wp-content",
    ];
    let part = path.split('/').any(|name| PARTS.contains(&name));
    let found = nodejs::detect::detect(inside);
    if found.role != Role::Frontend || devices::only(inside) {
        return None;
    }
    let site = Site {
        folder: &frontend.folder,
        package: &frontend.package,
    };
    // Where it leads out of its folder, it leads into the server's.
    let release = builders::script_outside(&site).map(|(script, told)| (script.to_owned(), told));
    let told = release
        .clone()
        .or_else(|| builders::outside(&site).map(|(told, _)| (String::new(), told)));
    let outside = told.and_then(|(_, told)| resolve(path, &told));
    let own = || Some(join(path, found.output.as_deref()?));
    let output = outside.or_else(own)?;
    let frontend = match release {
        Some((script, _)) => frontend.prefer(&script),
        None => frontend,
    };
    Some(Candidate {
        frontend,
        output,
        beside: beside || part,
    })
}

impl<'a> Candidate<'a> {
    /// What a server in the folder `member` beside it serves.
    fn beside(self, member: &str, sources: &[Source]) -> Option<Served<'a>> {
        let into = self
            .output
            .strip_prefix(&format!("{member}/"))
            .map(str::to_owned);
        let climbs = |source: &&Source| {
            let above = ["..", "parent"]
                .iter()
                .any(|mark| source.text.contains(mark));
            above && source.names(&self.output)
        };
        let (output, because) = match into {
            Some(output) => {
                let file = self.frontend.at(self.frontend.package.file);
                (output, (file, "builds for the server"))
            }
            None => {
                let source = sources.iter().find(climbs)?;
                let up = "../".repeat(member.split('/').count());
                let file = format!("{member}/{}", source.file);
                (format!("{up}{}", self.output), (file, "serves"))
            }
        };
        let compiled = ["src/main/resources/", "wwwroot"]
            .iter()
            .any(|part| output.contains(part));
        let named = || sources.iter().filter(|source| source.names(&output));
        Some(Served {
            embedded: compiled || named().any(Source::embeds),
            frontend: self.frontend,
            from: self.output,
            output,
            because,
        })
    }

    /// What of the server reads the results: where they are then, the file that says so, and whether they are compiled in.
    fn link(
        &self,
        sources: &[Source],
        embeds: &[Embed],
    ) -> Option<(String, (String, &'static str), bool)> {
        let dir = format!("{}/", self.frontend.dir);
        if let Some(embed) = embeds
            .iter()
            .find(|embed| overlap(&embed.path, &self.output))
        {
            return Some((self.output.clone(), (embed.file.clone(), "embeds"), true));
        }
        let leaves = !self.output.starts_with(&dir);
        let namers = || sources.iter().filter(|source| source.names(&self.output));
        if leaves {
            let compiled = ["src/main/resources/", "wwwroot"]
                .iter()
                .any(|part| self.output.contains(part));
            let embeds = compiled || namers().any(Source::embeds);
            let file = self.frontend.at(self.frontend.package.file);
            return Some((self.output.clone(), (file, "builds for the server"), embeds));
        }
        let first = namers().next()?;
        let built = |source: &Source| source.embeds() || is_build_file(&source.file);
        let embedded = namers().any(built);
        Some((
            self.output.clone(),
            (first.file.clone(), "serves"),
            embedded,
        ))
    }
}

/// Whether a file says what a build takes in.
fn is_build_file(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let ends = [".csproj", ".fsproj", ".gradle", ".kts"];
    name == "pom.xml" || name == "build.rs" || ends.iter().any(|end| name.ends_with(end))
}

/// Whether a build file in the server's folder builds front ends itself, and whether it needs Node.js for it.
pub(crate) fn built_by(server: &Folder<'_>) -> Option<bool> {
    let files = server.ending("").filter(|name| is_build_file(name));
    let sources = files.map(|name| Source {
        file: name.to_owned(),
        text: server.text(name).unwrap_or_default(),
    });
    let all: Vec<bool> = sources.filter_map(|source| source.builds()).collect();
    (!all.is_empty()).then(|| all.contains(&true))
}

/// The paths that sources of Go compile in.
pub(crate) fn embedded(server: &Folder<'_>) -> Vec<String> {
    let mut sources = Vec::new();
    read(server, "", SOURCE_DEPTH, &[], &mut sources);
    sources
        .iter()
        .flat_map(embeds)
        .map(|embed| embed.path)
        .collect()
}

/// Whether one of two paths is the other, or holds it.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    holds(a, b) || holds(b, a)
}

/// A source of the server.
struct Source {
    file: String,
    text: String,
}

impl Source {
    /// Whether it builds front ends itself, and needs Node.js for it.
    fn builds(&self) -> Option<bool> {
        if !is_build_file(&self.file) {
            return None;
        }
        let has = |marks: &[&str]| marks.iter().any(|mark| self.text.contains(mark));
        if has(&[
            "frontend-maven-plugin",
            "org.siouan.frontend",
            "vaadin-maven-plugin",
        ]) {
            return Some(false);
        }
        if has(&["com.github.node-gradle.node"]) {
            return Some(!has(&["download = true", "download.set(true)"]));
        }
        let calls = [
            "npm install",
            "npm ci",
            "npm run",
            "\"npm\"",
            "yarn install",
            "pnpm install",
        ];
        has(&calls).then_some(true)
    }

    fn embeds(&self) -> bool {
        EMBEDS.iter().any(|mark| self.text.contains(mark))
    }

    /// Whether it names a path: `web/dist`, `"web" / "dist"`, `join(__dir__, "web", "dist")`.
    fn names(&self, path: &str) -> bool {
        let is_word = |ch: char| ch.is_alphanumeric() || "_-.".contains(ch);
        let parts: Vec<&str> = path.split('/').collect();
        let Some((first, rest)) = parts.split_first() else {
            return false;
        };
        // A single name says too little.
        !rest.is_empty()
            && self.text.match_indices(first).any(|(at, _)| {
                let before = self.text[..at].chars().next_back();
                let mut text = &self.text[at + first.len()..];
                !before.is_some_and(is_word)
                    && rest.iter().all(|part| {
                        let word =
                            text.trim_start_matches(|ch: char| "\"'`/\\,() \n\t".contains(ch));
                        let separated = word.len() < text.len();
                        text = word.strip_prefix(part).unwrap_or_default();
                        separated && word.starts_with(part)
                    })
                    && !text.starts_with(|ch: char| is_word(ch) && ch != '.')
            })
    }
}

/// What a Go file compiles in.
struct Embed {
    /// From the server's folder, up to the first part with a wildcard.
    path: String,
    file: String,
}

fn embeds(source: &Source) -> Vec<Embed> {
    let dir = source.file.rsplit_once('/').map_or("", |(dir, _)| dir);
    let lines = source
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("//go:embed "));
    let patterns = lines.flat_map(str::split_whitespace);
    let paths = patterns.filter_map(|pattern| {
        let pattern = pattern.trim_matches(['"', '`']);
        let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
        let fixed: Vec<&str> = pattern
            .split('/')
            .take_while(|part| !part.contains(['*', '?', '[']))
            .collect();
        resolve(dir, &fixed.join("/")).filter(|path| !path.is_empty())
    });
    paths
        .map(|path| Embed {
            path,
            file: source.file.clone(),
        })
        .collect()
}

/// The sources of the server, without those of its front ends.
fn read(server: &Folder<'_>, dir: &str, depth: usize, without: &[String], into: &mut Vec<Source>) {
    let folder = server.sub(dir);
    let named = |name: &&str| ENDINGS.iter().any(|end| name.ends_with(end));
    for name in folder.ending("").filter(named) {
        if into.len() >= SOURCES {
            return;
        }
        // Lock files are long, and say nothing.
        if name.contains("lock") {
            continue;
        }
        into.push(Source {
            file: join(dir, name),
            text: folder.text(name).unwrap_or_default(),
        });
    }
    for name in folder.own_dirs() {
        let path = join(dir, name);
        let embeds = server.sub(&path);
        if without.contains(&path) {
            // A file of Go beside the package may embed its results.
            for name in embeds.ending(".go") {
                into.push(Source {
                    file: join(&path, name),
                    text: embeds.text(name).unwrap_or_default(),
                });
            }
        } else if depth > 1 {
            read(server, &path, depth - 1, without, into);
        }
    }
}

fn join(dir: &str, name: &str) -> String {
    match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    const VITE: &str = r#"{"private": true, "scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#;
    const WEB: (&str, &str) = ("web/package.json", VITE);
    const UI: (&str, &str) = ("frontend/package.json", VITE);
    const OUTSIDE: (&str, &str) = (
        "frontend/vite.config.ts",
        "export default { build: { outDir: \"../app/static\" } }",
    );

    #[test]
    fn front_ends_beside_a_server_build_into_it_or_are_named() {
        let vite = (
            "frontend/vite.config.ts",
            "export default { build: { outDir: \"../backend/app/frontend\", emptyOutDir: true } }",
        );
        let index = ("frontend/index.html", "");
        for (files, expected) in [
            (
                &[UI, index, vite, ("backend/app/main.py", "")] as &[_],
                Some(("backend/app/frontend", "app/frontend")),
            ),
            (
                &[
                    UI,
                    index,
                    (
                        "backend/main.py",
                        "StaticFiles(directory=\"../frontend/dist\")",
                    ),
                ],
                Some(("frontend/dist", "../frontend/dist")),
            ),
            (
                &[
                    UI,
                    index,
                    (
                        "backend/main.py",
                        "Path(__file__).parent.parent / \"frontend\" / \"dist\"",
                    ),
                ],
                Some(("frontend/dist", "../frontend/dist")),
            ),
            (&[UI, index, ("backend/main.py", "")], None),
            (
                &[
                    UI,
                    index,
                    vite,
                    ("other/main.py", ""),
                    ("backend/x/main.py", ""),
                ],
                Some(("backend/app/frontend", "app/frontend")),
            ),
        ] {
            let tree: MemTree = files.iter().copied().collect();
            let found = beside(&Folder::open(&tree, "backend"), Language::Python);
            let first = found.as_ref().and_then(|(_, served)| served.first());
            let first = first.map(|served| (served.from.as_str(), served.output.as_str()));
            assert_eq!(first, expected, "{files:?}");
        }
    }

    /// Files, the server's language, and what is found: folder, output, the file that says so, whether it is compiled in.
    type Row = (
        &'static [(&'static str, &'static str)],
        Language,
        Option<(&'static str, &'static str, &'static str, bool)>,
    );

    // One line per layout.
    #[rustfmt::skip]
    const LINKS: &[Row] = &[
        (&[WEB, ("web/web.go", "//go:embed all:dist\nvar Files embed.FS")], Language::Go, Some(("web", "web/dist", "web/web.go", true))),
        (&[WEB, ("main.go", "//go:embed web/dist/*\nvar f embed.FS")], Language::Go, Some(("web", "web/dist", "main.go", true))),
        (&[WEB, ("internal/server/files.go", "http.Dir(filepath.Join(root, \"web\", \"dist\"))")], Language::Go, Some(("web", "web/dist", "internal/server/files.go", false))),
        (&[WEB, ("main.go", "package main")], Language::Go, None),
        (&[("web/package.json", r#"{"scripts": {"build": "vite build", "release": "vite build --mode release --outDir=../server/frontend/dist --emptyOutDir"}, "devDependencies": {"vite": "6"}}"#), ("server/frontend/frontend.go", "//go:embed dist/*\nvar f embed.FS"), ("server/frontend/dist/index.html", "")], Language::Go, Some(("web", "server/frontend/dist", "server/frontend/frontend.go", true))),
        (&[WEB, ("main.go", "// see web/distribution")], Language::Go, None),
        (&[UI, ("recipes/app.py", "StaticFiles(directory=pathlib.Path(__file__).parents[1] / \"frontend\" / \"dist\")")], Language::Python, Some(("frontend", "frontend/dist", "recipes/app.py", false))),
        (&[UI, OUTSIDE, ("app/main.py", "")], Language::Python, Some(("frontend", "app/static", "frontend/package.json", false))),
        (&[UI, ("frontend/vite.config.ts", "export default { build: { outDir: '../src/main/resources/static' } }")], Language::Java, Some(("frontend", "src/main/resources/static", "frontend/package.json", true))),
        (&[UI, ("pom.xml", "<directory>${basedir}/frontend/dist</directory>")], Language::Java, Some(("frontend", "frontend/dist", "pom.xml", true))),
        (&[("ui/package.json", r#"{"scripts": {"build": "react-scripts build"}, "dependencies": {"react-scripts": "5"}}"#), ("src/assets.rs", "#[derive(RustEmbed)]\n#[folder = \"ui/build/\"]\nstruct Assets;")], Language::Rust, Some(("ui", "ui/build", "src/assets.rs", true))),
        (&[UI, ("src/main.rs", "ServeDir::new(\"./frontend/dist\")")], Language::Rust, Some(("frontend", "frontend/dist", "src/main.rs", false))),
        (&[("client/package.json", r#"{"scripts": {"build": "vite build --outDir ../wwwroot"}, "devDependencies": {"vite": "6"}}"#), ("Web.csproj", "")], Language::Dotnet, Some(("client", "wwwroot", "client/package.json", true))),
    ];

    fn found<'a>(tree: &'a MemTree, language: Language) -> Frontends<'a> {
        find(&Folder::open(tree, ""), language)
    }

    #[test]
    fn servers_say_where_they_read_a_front_end() {
        for (files, language, expected) in LINKS {
            let tree: MemTree = files.iter().copied().collect();
            let all = found(&tree, *language);
            let first = all.served.first().map(|served| {
                let dir = served.frontend.dir.as_str();
                (
                    dir,
                    served.output.as_str(),
                    served.because.0.as_str(),
                    served.embedded,
                )
            });
            assert_eq!(first, *expected, "{files:?}");
            assert_eq!(
                all.others.len(),
                usize::from(expected.is_none()),
                "{files:?}"
            );
        }
    }

    #[test]
    fn the_script_that_builds_into_the_server_is_run() {
        let package = r#"{"scripts": {"build": "vite build", "release": "vite build --outDir=../static"}, "devDependencies": {"vite": "6"}}"#;
        let tree = MemTree::from([("web/package.json", package), ("app.py", "")]);
        let all = found(&tree, Language::Python);
        let served = all.served.first().unwrap();
        let build = served.frontend.build().unwrap().shell();
        assert_eq!(
            (build.as_str(), served.output.as_str()),
            ("npm run release", "static")
        );
    }

    #[test]
    fn builds_of_servers_may_build_front_ends_themselves() {
        for (file, text, language, needs_node) in [
            (
                "pom.xml",
                "<artifactId>frontend-maven-plugin</artifactId>",
                Language::Java,
                false,
            ),
            (
                "build.gradle",
                "id 'com.github.node-gradle.node'",
                Language::Java,
                true,
            ),
            (
                "build.gradle.kts",
                "id(\"com.github.node-gradle.node\")\nnode { download.set(true) }",
                Language::Java,
                false,
            ),
            (
                "Web.csproj",
                "<Exec WorkingDirectory=\"$(SpaRoot)\" Command=\"npm run build\" />",
                Language::Dotnet,
                true,
            ),
            (
                "build.rs",
                "Command::new(\"npm\").arg(\"ci\")",
                Language::Rust,
                true,
            ),
        ] {
            let tree = MemTree::from([UI, (file, text)]);
            let all = found(&tree, language);
            assert!(all.served.is_empty() && all.others.is_empty(), "{file}");
            let own = all.own.first().unwrap();
            assert_eq!((own.file.as_str(), own.needs_node), (file, needs_node));
        }
    }

    #[test]
    fn what_is_compiled_in_but_nowhere_built_is_missing() {
        let go = (
            "main.go",
            "//go:embed dist\nvar f embed.FS\n\n//go:embed schema.sql templates/*.html\nvar s embed.FS",
        );
        let tree = MemTree::from([go, ("schema.sql", ""), ("templates/a.html", "")]);
        let missing = found(&tree, Language::Go).missing;
        assert_eq!(missing, [("dist".to_owned(), "main.go".to_owned())]);
    }

    #[test]
    fn themes_and_tests_are_no_apps() {
        for dir in ["wp-content/themes/x", "e2e", "docs", "plugins/a"] {
            let path = format!("{dir}/package.json");
            let tree = MemTree::from([(path.as_str(), VITE), ("index.php", "")]);
            let all = found(&tree, Language::Php);
            assert!(all.served.is_empty() && all.others.is_empty(), "{dir}");
        }
    }
}
