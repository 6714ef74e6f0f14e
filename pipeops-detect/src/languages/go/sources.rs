//! What the sources of a module say about its build and its image.

use super::module::Module;
use super::program::holds;
use crate::repository::folder::Folder;
use crate::repository::sources::{self, is_comment};

/// What the sources of a module need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The tag with which files are compiled in, and the build file that sets it.
    pub(crate) tag: Option<(String, &'static str)>,
    /// Packages of the module that the repository doesn't have, and a source that imports each.
    pub(crate) missing: Vec<(String, String)>,
    /// Variables whose default is an address that only the machine itself reaches, and the source that says so.
    pub(crate) local: Vec<(String, String)>,
    /// Programs that the app calls, and the source that calls each.
    pub(crate) programs: Vec<(&'static Tool, String)>,
}

/// A program that images of Go lack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The package of Debian that has it; empty where Debian itself does.
    pub(crate) package: &'static str,
}

const fn tool(name: &'static str, package: &'static str) -> Tool {
    Tool { name, package }
}

const TOOLS: &[Tool] = &[
    tool("sh", ""),
    tool("/bin/sh", ""),
    tool("bash", ""),
    tool("/bin/bash", ""),
    tool("convert", "imagemagick"),
    tool("curl", "curl"),
    tool("ffmpeg", "ffmpeg"),
    tool("ffprobe", "ffmpeg"),
    tool("git", "git"),
    tool("mysqldump", "default-mysql-client"),
    tool("pandoc", "pandoc"),
    tool("pdftotext", "poppler-utils"),
    tool("pg_dump", "postgresql-client"),
    tool("psql", "postgresql-client"),
    tool("restic", "restic"),
    tool("rsync", "rsync"),
    tool("sqlite3", "sqlite3"),
    tool("ssh", "openssh-client"),
    tool("ssh-keygen", "openssh-client"),
    tool("tesseract", "tesseract-ocr"),
];

/// Files that say how the program is built.
const BUILD_FILES: &[&str] = &[
    "Makefile",
    "GNUmakefile",
    "Taskfile.yml",
    "Taskfile.yaml",
    "justfile",
    ".goreleaser.yml",
    ".goreleaser.yaml",
    "magefile.go",
    "build.sh",
];

/// Files that say how missing packages are made, and the command that makes them.
const GENERATORS: &[(&str, &str)] = &[
    ("gqlgen.yml", "gqlgen generate"),
    ("gqlgen.yaml", "gqlgen generate"),
    ("buf.gen.yaml", "buf generate"),
    ("sqlc.yaml", "sqlc generate"),
    ("sqlc.yml", "sqlc generate"),
];

/// What the module in a folder needs.
pub(crate) fn needs(folder: &Folder<'_>, module: &Module) -> Needs {
    let mut needs = Needs::default();
    sources::read(folder, &[".go"], |file, text| {
        let constraint = constraint(text);
        if text.contains("//go:embed ") && needs.tag.is_none() {
            needs.tag = constraint.and_then(|tag| set(folder, tag));
        }
        let tagged = needs.tag.as_ref().map(|(tag, _)| tag.as_str());
        if constraint.is_some_and(|own| Some(own) != tagged && !holds(own)) {
            return;
        }
        imports(folder, module, file, text, &mut needs.missing);
        for line in text.lines().filter(|line| !is_comment(line)) {
            let known = |name: &str| needs.local.iter().any(|(own, _)| own == name);
            if let Some(name) = local_default(line).filter(|name| !known(name)) {
                needs.local.push((name, file.to_owned()));
            }
            let known = |tool: &Tool| needs.programs.iter().any(|(own, _)| *own == tool);
            if let Some(tool) = called(line).filter(|tool| !known(tool)) {
                needs.programs.push((tool, file.to_owned()));
            }
        }
    });
    needs
}

/// The command that makes packages which the repository doesn't have, and the file of its settings.
pub(crate) fn generator(folder: &Folder<'_>) -> Option<(&'static str, &'static str)> {
    let mut all = GENERATORS.iter();
    all.find(|(file, _)| folder.has(file)).copied()
}

/// The build constraint of a source.
fn constraint(text: &str) -> Option<&str> {
    let mut lines = text
        .lines()
        .take_while(|line| !line.starts_with("package "));
    lines
        .find_map(|line| line.strip_prefix("//go:build "))
        .map(str::trim)
}

/// A tag, and the build file that has it.
fn set(folder: &Folder<'_>, tag: &str) -> Option<(String, &'static str)> {
    let is_part = |ch: char| ch.is_ascii_alphanumeric() || ch == '_' || ch == '.';
    if tag.is_empty() || !tag.chars().all(is_part) || holds(tag) {
        return None;
    }
    let sets = |line: &str| {
        let words = || line.split(|ch| !is_part(ch));
        let listed = line.trim().strip_prefix("- ") == Some(tag);
        listed || (line.to_ascii_lowercase().contains("tags") && words().any(|word| word == tag))
    };
    let mut files = BUILD_FILES.iter().copied();
    let file = files.find(|file| folder.text(file).unwrap_or_default().lines().any(sets))?;
    Some((tag.to_owned(), file))
}

/// Packages of the module that a source imports and the repository doesn't have.
fn imports(
    folder: &Folder<'_>,
    module: &Module,
    file: &str,
    text: &str,
    missing: &mut Vec<(String, String)>,
) {
    if module.path.is_empty() {
        return;
    }
    for path in imported(text) {
        let Some(dir) = path
            .strip_prefix(&module.path)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        // Another module may have a path below this one's.
        let is_other = module
            .requires
            .iter()
            .any(|own| path.starts_with(own.as_str()));
        let known = missing.iter().any(|(own, _)| own == dir);
        let plain = dir
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "_-./".contains(ch));
        if is_other || known || !plain || dir.contains("..") {
            continue;
        }
        if folder.sub(dir).ending(".go").next().is_none() {
            missing.push((dir.to_owned(), file.to_owned()));
        }
    }
}

/// The paths that a source imports.
fn imported(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.split(" //").next().unwrap_or_default().trim();
        let spec = match line.strip_prefix("import ") {
            Some(rest) if rest.starts_with('(') => {
                inside = true;
                return None;
            }
            Some(rest) => rest,
            None if inside && line == ")" => {
                inside = false;
                return None;
            }
            None if inside => line,
            None => return None,
        };
        let (_, path) = spec.strip_suffix('"')?.rsplit_once('"')?;
        Some(path)
    })
}

/// The variable of a field that listens on the machine's own address by default:
/// `ListenIPv4 string \`default:"127.0.0.1" env:"SHOP_LISTEN"\``. A host may also be that of a database.
fn local_default(line: &str) -> Option<String> {
    const LOCAL: &[&str] = &["127.0.0.1", "localhost"];
    const OWN: &[&str] = &["LISTEN", "BIND", "HTTP_HOST", "SERVER_HOST", "WEB_HOST"];
    let tag = |name: &str| {
        let (_, rest) = line.split_once(&format!("{name}:\""))?;
        Some(rest.split_once('"')?.0)
    };
    let default = tag(" default").or_else(|| tag("`default"));
    let default = default.or_else(|| tag("envDefault"))?;
    let variable = tag("`env").or_else(|| tag(" env"));
    let variable = variable.or_else(|| tag("envconfig"))?;
    let variable = variable.split(',').next().unwrap_or_default();
    let plain = |ch: char| ch.is_ascii_uppercase() || ch.is_ascii_digit() || ch == '_';
    let is_name = variable.starts_with(|ch: char| ch.is_ascii_uppercase())
        && variable.chars().all(plain)
        && (variable == "HOST" || OWN.iter().any(|own| variable.contains(own)));
    (LOCAL.contains(&default) && is_name).then(|| variable.to_owned())
}

/// The program that a line calls: `exec.Command("git"`, `exec.CommandContext(ctx, "git"`.
fn called(line: &str) -> Option<&'static Tool> {
    let (_, rest) = line.split_once("exec.Command")?;
    let rest = rest
        .strip_prefix("Context(")
        .and_then(|rest| Some(rest.split_once(',')?.1))
        .or_else(|| rest.strip_prefix('('))?;
    let (name, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    TOOLS.iter().find(|tool| tool.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn of(files: &[(&str, &str)]) -> Needs {
        let module = Module::read("module example.com/shop\nrequire example.com/shop/api v1.0.0\n");
        let tree: MemTree = files.iter().copied().collect();
        needs(&Folder::open(&tree, ""), &module)
    }

    #[test]
    fn tags_that_compile_files_in_are_those_of_the_build_file() {
        const EMBED: &str =
            "//go:build fs_embed\n\npackage web\n\n//go:embed assets/*.js\nvar files embed.FS\n";
        for (build, text, expected) in [
            ("Makefile", "\tgo build -tags fs_embed -o shop .", true),
            ("Makefile", "TAGS=netgo fs_embed", true),
            ("Taskfile.yml", "- go build -tags=netgo,fs_embed", true),
            (".goreleaser.yaml", "    tags:\n      - fs_embed\n", true),
            ("Makefile", "\tgo build -o fs_embed .", false),
            ("README.md", "go build -tags fs_embed", false),
        ] {
            let tag = of(&[("web/embed.go", EMBED), (build, text)]).tag;
            let tag = tag.map(|(tag, file)| (tag, file.to_owned()));
            let wanted = expected.then(|| ("fs_embed".to_owned(), build.to_owned()));
            assert_eq!(tag, wanted, "{build}: {text}");
        }
        let disk = EMBED.replace("fs_embed", "!dev");
        let files = [("web/embed.go", disk.as_str()), ("Makefile", "-tags dev")];
        assert_eq!(of(&files).tag, None);
    }

    #[test]
    fn packages_that_only_a_generator_makes_are_missing() {
        let main = "package main\n\nimport (\n\t\"fmt\"\n\tmodel \"example.com/shop/generated/model\" // made\n\t\"example.com/shop/store\"\n\t\"example.com/shop/api/v2\"\n\t\"example.com/shopping\"\n)\n";
        let found = of(&[
            ("main.go", main),
            (
                "store/store.go",
                "package store\n\nimport _ \"example.com/shop/docs\"\n",
            ),
            (
                "store/store_test.go",
                "package store\n\nimport \"example.com/shop/mocks\"\n",
            ),
            (
                "store/old.go",
                "//go:build never\n\npackage store\n\nimport \"example.com/shop/old\"\n",
            ),
        ]);
        let missing = [("generated/model", "main.go"), ("docs", "store/store.go")];
        assert_eq!(
            found.missing,
            missing.map(|(dir, file)| (dir.into(), file.into()))
        );
        assert_eq!(
            of(&[
                ("docs/docs.go", ""),
                ("a.go", "import \"example.com/shop/docs\"")
            ])
            .missing,
            []
        );
    }

    #[test]
    fn addresses_that_only_the_machine_reaches_have_a_variable() {
        for (line, expected) in [
            (
                "ListenIpV4 string `yaml:\"listen_ipv4\" default:\"127.0.0.1\" env:\"WAKA_LISTEN_IPV4\"`",
                Some("WAKA_LISTEN_IPV4"),
            ),
            (
                "Bind string `env:\"BIND_ADDR\" envDefault:\"localhost\"`",
                Some("BIND_ADDR"),
            ),
            (
                "Host string `envconfig:\"HOST\" default:\"localhost\"`",
                Some("HOST"),
            ),
            (
                "Host string `env:\"HTTP_HOST,required\" envDefault:\"127.0.0.1\"`",
                Some("HTTP_HOST"),
            ),
            (
                "Host string `env:\"DB_HOST\" envDefault:\"localhost\"`",
                None,
            ),
            (
                "Listen string `env:\"LISTEN\" envDefault:\"0.0.0.0\"`",
                None,
            ),
            (
                "Listen string `env:\"LISTEN $(x)\" envDefault:\"127.0.0.1\"`",
                None,
            ),
        ] {
            assert_eq!(local_default(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn programs_that_sources_call() {
        for (line, expected) in [
            ("cmd := exec.Command(\"git\", \"init\")", Some("git")),
            (
                "exec.CommandContext(ctx, \"ffmpeg\", args...)",
                Some("ffmpeg"),
            ),
            ("exec.Command(\"/bin/sh\", \"-c\", text)", Some("/bin/sh")),
            ("exec.Command(name)", None),
            ("exec.Command(\"powershell\")", None),
            ("exec.CommandContext(\"git\")", None),
        ] {
            assert_eq!(called(line).map(|tool| tool.name), expected, "{line}");
        }
    }
}
