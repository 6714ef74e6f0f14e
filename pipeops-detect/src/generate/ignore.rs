//! The `.dockerignore` of a generated Dockerfile.

use pipeops_dockerfile::{Arguments, Dockerfile, Keyword};

use super::app::App;
use crate::Language;

/// What no image needs, whatever the language.
const ALWAYS: &[&str] = &[
    ".git",
    ".github",
    ".gitlab",
    ".gitignore",
    ".gitattributes",
    ".idea",
    ".vscode",
    ".DS_Store",
    "**/*.log",
    "**/node_modules",
    "# Settings of developers' machines, with secrets in them.",
    "**/.env",
    "**/.env.*",
    "!**/.env.example",
    "Dockerfile",
    ".dockerignore",
];

/// Where sources usually are: what `COPY . .` is for.
const SOURCES: &[&str] = &[
    "api", "app", "cmd", "internal", "lib", "pkg", "public", "server", "src",
];

/// The file that ignores for a Dockerfile of this name only, instead of `.dockerignore`.
const FOR_THE_DOCKERFILE: &str = "Dockerfile.dockerignore";

/// More lines than a person writes.
const MAX_LINES: usize = 2_000;

/// Files that the builder doesn't send.
pub(crate) struct Ignore {
    /// The file's name.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: String,
}

/// The tree's own `.dockerignore`, or one for the language. If the own one was written for another Dockerfile and hides what this
/// one copies, it's `Dockerfile.dockerignore`: the language's patterns and the own ones that hide nothing of it.
pub(crate) fn of(app: &App<'_>, dockerfile: &str) -> Ignore {
    let Some(own) = app.context.text(".dockerignore") else {
        let text = of_language(app);
        return Ignore {
            name: ".dockerignore",
            text,
        };
    };
    let lines: Vec<&str> = own.lines().take(MAX_LINES).collect();
    let patterns: Vec<Pattern<'_>> = lines
        .iter()
        .filter_map(|line| Pattern::parse(line))
        .collect();
    let needed = needed(app, dockerfile);
    let hidden = |path: &String| is_hidden(&patterns, path);
    if !needed.iter().any(hidden) {
        return Ignore {
            name: ".dockerignore",
            text: own,
        };
    }
    let harmless = |line: &&&str| {
        let pattern = Pattern::parse(line).filter(|pattern| !pattern.exception);
        pattern.is_none_or(|pattern| {
            !needed
                .iter()
                .any(|path| pattern.matches_path_or_parent(path))
        })
    };
    let mut text = of_language(app);
    text.push_str("# The patterns of .dockerignore, without those that hide what the generated Dockerfile copies.\n");
    for line in lines.iter().filter(harmless) {
        text.push_str(line);
        text.push('\n');
    }
    Ignore {
        name: FOR_THE_DOCKERFILE,
        text,
    }
}

fn of_language(app: &App<'_>) -> String {
    let language: &[&str] = match app.language {
        Language::Nodejs => &[".next", ".nuxt", ".output", "coverage"],
        Language::Python => &[
            "**/__pycache__",
            "**/*.pyc",
            ".venv",
            "venv",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            ".tox",
        ],
        Language::Scala => &["**/target", "**/.bsp", "**/.metals", "**/.bloop", "out"],
        Language::Clojure => &["target", ".cpcache", "**/.cljs_node_repl"],
        Language::Elixir => &["_build", "deps", "cover", "priv/static/assets"],
        Language::Java => &["target", "build", ".gradle"],
        Language::Rust => &["target"],
        Language::Ruby => &[".bundle", "vendor/bundle", "log/*", "tmp/*"],
        // Symfony's own `.env` holds defaults, is committed, and must be there; the others are the developer's.
        Language::Php if app.framework() == "symfony" => &["vendor", "var", "!.env"],
        Language::Php => &["vendor"],
        Language::Dotnet => &["**/bin", "**/obj"],
        // `vendor` of Go is part of the sources.
        _ => &[],
    };
    // Those of the app's folder, wherever it is in the build context.
    let anywhere = app.folder.path() != app.context.path();
    let language = language.iter().map(|line| match line {
        line if anywhere && !line.starts_with(['*', '!']) => format!("**/{line}"),
        line => (*line).to_owned(),
    });
    let mut lines: Vec<String> = ALWAYS.iter().map(|line| (*line).to_owned()).collect();
    lines.extend(language);
    lines.join("\n") + "\n"
}

/// The paths in the build context that the Dockerfile copies. Of whole folders, what shows that the app is one, and its sources.
fn needed(app: &App<'_>, dockerfile: &str) -> Vec<String> {
    let Ok(file) = Dockerfile::parse(dockerfile.as_bytes()) else {
        return Vec::new();
    };
    let mut needed = Vec::new();
    for instruction in file.stages.iter().flat_map(|stage| stage.instructions()) {
        let from_context = instruction.keyword == Keyword::Copy
            && !instruction
                .flags
                .iter()
                .any(|flag| flag.text.starts_with("--from="));
        let (Arguments::Words(words) | Arguments::Exec(words)) = instruction.arguments else {
            continue;
        };
        let Some((_, sources)) = words.split_last().filter(|_| from_context) else {
            continue;
        };
        for source in sources {
            let path = source.text.trim_start_matches("./").trim_matches('/');
            match path {
                "" | "." => needed.extend(whole(app)),
                path if path.contains(['*', '?', '[', '$']) => {}
                path => needed.push(path.to_owned()),
            }
        }
    }
    needed.sort();
    needed.dedup();
    needed
}

/// What must be there of a folder that is copied as a whole.
fn whole(app: &App<'_>) -> Vec<String> {
    let inside = |path: &str| match app.context.path() {
        "." => Some(path.to_owned()),
        folder => path
            .strip_prefix(folder)?
            .strip_prefix('/')
            .map(str::to_owned),
    };
    let evidence = app
        .detection
        .evidence
        .iter()
        .filter_map(|evidence| inside(&evidence.path));
    // Files of tools, such as `.tool-versions` and `Dockerfile`, say something and aren't part of the app.
    let part = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !name.starts_with('.')
            && !name.to_ascii_lowercase().contains("docker")
            && app.context.has(path)
    };
    let sources = SOURCES.iter().filter(|name| app.folder.has_dir(name));
    let sources = sources.filter_map(|name| inside(&app.folder.at(name)));
    evidence.filter(part).chain(sources).collect()
}

/// Whether the last pattern that matches a path or one of its parents excludes it.
fn is_hidden(patterns: &[Pattern<'_>], path: &str) -> bool {
    let last = patterns
        .iter()
        .rev()
        .find(|pattern| pattern.matches_path_or_parent(path));
    last.is_some_and(|pattern| !pattern.exception)
}

/// A line of a `.dockerignore`. Ranges (`[a-c]`) and escapes match nothing: they rarely hide source files.
struct Pattern<'a> {
    exception: bool,
    parts: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let line = line.trim_start_matches('\u{feff}').trim();
        let (exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let parts: Vec<&str> = text
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        let usable = !parts.is_empty() && !text.contains(['[', '\\']) && !parts.contains(&"..");
        usable.then_some(Self { exception, parts })
    }

    fn matches_path_or_parent(&self, path: &str) -> bool {
        // In row n: whether the first n parts of the pattern match the parts of the path so far.
        let mut row = vec![false; self.parts.len() + 1];
        row[0] = true;
        self.skip_folders(&mut row);
        for name in path.split('/') {
            let mut next = vec![false; row.len()];
            for (at, part) in self.parts.iter().enumerate() {
                if *part == "**" {
                    next[at] |= row[at];
                    next[at + 1] |= row[at];
                } else {
                    next[at + 1] |= row[at] && is_word(part, name);
                }
            }
            self.skip_folders(&mut next);
            row = next;
            if row.last() == Some(&true) {
                return true;
            }
        }
        false
    }

    /// `**/` also means no folder. At the end, `**` means at least one name.
    fn skip_folders(&self, row: &mut [bool]) {
        for at in 0..self.parts.len().saturating_sub(1) {
            row[at + 1] |= row[at] && self.parts[at] == "**";
        }
    }
}

/// Whether a name matches a part of a pattern, with `*` and `?`.
fn is_word(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and up to where it matches.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, matched)) => {
                    star = Some((at, matched + 1));
                    (p, n) = (at + 1, matched + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;
    use crate::{BaseImages, Detector, Generated, generate};

    fn generated(files: &[(&str, &str)]) -> Generated {
        let tree: MemTree = files.iter().copied().collect();
        generate(
            &tree,
            &Detector::new().detect(&tree),
            &BaseImages::default(),
        )
        .unwrap()
    }

    const GO: [(&str, &str); 3] = [
        ("go.mod", "module example.com/gate\ngo 1.24\n"),
        ("main.go", "package main\nfunc main() {}\n"),
        ("entrypoint.sh", "#!/bin/sh\n"),
    ];
    const NODE: [(&str, &str); 3] = [
        (
            "package.json",
            r#"{"scripts":{"build":"tsc","start":"node dist/a.js"},"devDependencies":{"typescript":"5"}}"#,
        ),
        ("package-lock.json", "{}"),
        ("src/a.ts", ""),
    ];

    #[test]
    fn an_own_file_that_hides_what_is_copied_is_replaced_for_this_dockerfile() {
        for (app, own, kept) in [
            (
                &GO[..],
                "*\n!gate-linux-*\n!entrypoint.sh\n",
                "!entrypoint.sh\n",
            ),
            (&GO[..], "# all\n**\n!dist/**\nsecrets\n", "secrets\n"),
            (&GO[..], "go.*\n*.pem\n", "*.pem\n"),
            (&GO[..], "**/*.go\ntmp/\n", "tmp/\n"),
            (&NODE[..], "src\nnotes\n", "notes\n"),
            (&NODE[..], "package-lock.json\nREADME.md\n", "README.md\n"),
            (
                &NODE[..],
                "/*\n!/dist\n!package*.json\nkey.pem\n",
                "key.pem\n",
            ),
        ] {
            let mut files = app.to_vec();
            files.push((".dockerignore", own));
            let generated = generated(&files);
            assert_eq!(
                generated.dockerignore_name, "Dockerfile.dockerignore",
                "{own}"
            );
            let text = &generated.dockerignore;
            assert!(
                text.contains("**/.env\n") && text.contains(kept),
                "{own}: {text}"
            );
            let patterns: Vec<_> = text.lines().filter_map(Pattern::parse).collect();
            for (path, _) in app.iter().filter(|(path, _)| *path != "entrypoint.sh") {
                assert!(!is_hidden(&patterns, path), "{own}: {path} in {text}");
            }
        }
    }

    #[test]
    fn an_own_file_that_hides_nothing_stays() {
        for (app, own) in [
            (&GO[..], "mine\n"),
            (&GO[..], "*.md\ndocs\n**/*_test.go\n.git\n"),
            (&GO[..], "*\n!*.go\n!go.mod\n"),
            (&NODE[..], "node_modules\ndist\n.env\nDockerfile*\n"),
            (&NODE[..], ""),
        ] {
            let mut files = app.to_vec();
            files.push((".dockerignore", own));
            let generated = generated(&files);
            assert_eq!(
                (
                    generated.dockerignore_name.as_str(),
                    generated.dockerignore.as_str()
                ),
                (".dockerignore", own)
            );
        }
    }

    #[test]
    fn patterns_match_as_dockers_do() {
        for (pattern, path, expected) in [
            ("*", "a", true),
            ("*", "a/b", true),
            ("**", "a/b/c", true),
            ("a", "a/b", true),
            ("a", "b/a", false),
            ("/a/", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a/z", true),
            ("a/**", "a", false),
            ("a/**", "a/b", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a?c.*", "abc.go", true),
            ("*.go", "a/b.go", false),
            ("**/*.go", "a/b.go", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(
                parsed.matches_path_or_parent(path),
                expected,
                "{pattern} {path}"
            );
        }
        for blank in ["# a", "", "  ", "!", ".", "[a]", "../a"] {
            assert!(Pattern::parse(blank).is_none(), "{blank}");
        }
        let stars = format!("{}b", "*a".repeat(200));
        assert!(!is_word(&stars, &"a".repeat(2_000)));
    }
}
