//! Decides which times the files of a context get.
//!
//! Times derived from contents let the daemon keep unchanged files across commits and clones. But these times are old, and some
//! tools rebuild only files that are *newer* than their saved state. State in a layer is rebuilt whenever files of earlier steps
//! change. State in `RUN --mount=type=cache` survives the change, so the tool would miss it and produce a wrong binary without a
//! warning. For such a Dockerfile, the seconds come from the disk, where a fresh clone has current times: correctness before
//! speed.
//!
//! One case can't be solved in a client: the daemon's cache compares contents, not times. A build that returns to an older content
//! gets the older layer with its older times, and the state in the mount is newer than both.

use pipeops_dockerfile::{Arguments, Dockerfile, Instruction, Keyword};

use crate::session::stat::Seconds;

/// Tools that ask whether a file is newer than what they made of it, and where they say so.
const COMPARING: [(&str, &str); 30] = [
    ("ant", "its tasks compare with the class files"),
    ("b2", "it compares with the targets"),
    ("bjam", "it compares with the targets"),
    ("cabal", "GHC before 9.4 compares with the interface files"),
    ("cargo", "it compares with target/**/dep-*"),
    ("catkin_make", "it runs make"),
    ("cmake", "what it generates compares with the targets"),
    ("colcon", "it runs make"),
    ("dotnet", "MSBuild compares with obj/ and bin/"),
    ("fpc", "it compares with the unit files"),
    ("ghc", "before 9.4 it compares with the interface files"),
    ("gmake", "it compares with the targets"),
    ("gnatmake", "it compares with the library files"),
    ("gprbuild", "it compares with the library files"),
    ("lein", "javac's stale check compares with the class files"),
    ("make", "it compares with the targets"),
    ("maturin", "it runs cargo"),
    ("meson", "it runs ninja"),
    ("mill", "zinc compares stamps"),
    ("mix", "it compares with its manifest"),
    ("msbuild", "it compares with the outputs"),
    ("mvn", "its plugins compare with target/"),
    ("mvnw", "its plugins compare with target/"),
    ("ninja", "it compares with the targets"),
    ("qmake", "what it generates compares with the targets"),
    ("rake", "its file tasks compare with the targets"),
    ("rebar3", "it compares with the beam files"),
    ("sbt", "zinc compares stamps"),
    ("stack", "GHC before 9.4 compares with the interface files"),
    ("tsc", "--build compares with the build information"),
];

/// Tools that compare contents or exact times, or only download, and commands that keep no state.
const HARMLESS: [&str; 90] = [
    ":",
    "[",
    "apk",
    "apt",
    "apt-get",
    "awk",
    "bun",
    "bundle",
    "bundler",
    "cat",
    "cd",
    "chmod",
    "chown",
    "composer",
    "corepack",
    "cp",
    "curl",
    "cut",
    "date",
    "deno",
    "df",
    "dnf",
    "dpkg",
    "du",
    "echo",
    "exit",
    "export",
    "false",
    "find",
    "gem",
    "git",
    "go",
    "gradle",
    "gradlew",
    "grep",
    "groupadd",
    "gunzip",
    "head",
    "id",
    "ln",
    "ls",
    "microdnf",
    "mkdir",
    "mktemp",
    "mv",
    "next",
    "npm",
    "npx",
    "nproc",
    "pdm",
    "pip",
    "pip3",
    "pipenv",
    "pnpm",
    "poetry",
    "printf",
    "pwd",
    "read",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "set",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "strip",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "umask",
    "uname",
    "uniq",
    "unset",
    "unzip",
    "update-ca-certificates",
    "useradd",
    "uv",
    "wc",
    "wget",
    "which",
    "xz",
    "yarn",
    "yum",
    "zypper",
];

/// Folders that hold downloads, or results that are found by content: no tool compares their times with those of sources.
const DOWNLOADS: [&str; 26] = [
    "/.bun",
    "/.bundle",
    "/.cache/composer",
    "/.cache/deno",
    "/.cache/go-build",
    "/.cache/pip",
    "/.cache/pypoetry",
    "/.cache/uv",
    "/.cache/yarn",
    "/.cargo",
    "/.composer",
    "/.gem",
    "/.gradle",
    "/.ivy2",
    "/.m2",
    "/.next/cache",
    "/.npm",
    "/.nuget",
    "/.pnpm-store",
    "/.yarn",
    "/go/pkg/mod",
    "/node_modules",
    "/sccache",
    "/usr/local/cargo",
    "/var/cache",
    "/var/lib/apt",
];

/// Words before the command itself.
const BEFORE_COMMAND: [&str; 16] = [
    "!", "(", "do", "else", "elif", "env", "exec", "if", "nice", "sudo", "then", "time", "while",
    "until", "{", "command",
];

/// A step that may ask which files are newer than its own state.
#[derive(Debug, PartialEq, Eq)]
struct Doubt {
    line: usize,
    target: String,
    why: String,
}

/// Returns the source of the seconds of file times for this Dockerfile, and a warning if it's the disk.
pub(crate) fn seconds_for(dockerfile: &[u8]) -> (Seconds, Option<String>) {
    // What is no Dockerfile to us is one of a foreign frontend: nothing is known about its steps.
    let Ok(file) = Dockerfile::parse(dockerfile) else {
        return (Seconds::Disk, None);
    };
    match file
        .stages
        .iter()
        .flat_map(|stage| stage.instructions())
        .find_map(doubt)
    {
        None => (Seconds::Content, None),
        Some(doubt) => (Seconds::Disk, Some(doubt.to_string())),
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, target, why } = self;
        write!(
            f,
            "File times come from the disk, so a fresh clone is sent in full: line {line} of the Dockerfile keeps state in \
             the cache mount {target}, and {why}. To send only changes, mount only download folders there (such as \
             /usr/local/cargo/registry or /root/.m2), and keep results in the layer."
        )
    }
}

/// Whether this instruction may miss a changed file because of its old time.
fn doubt(instruction: Instruction<'_>) -> Option<Doubt> {
    if instruction.keyword != Keyword::Run {
        return None;
    }
    let flags = instruction.flags.iter().map(|flag| &*flag.text);
    let target = flags
        .filter_map(cache_mount)
        .find(|target| !is_download(target))?;
    let why = comparison(&script(&instruction))?;
    Some(Doubt {
        line: *instruction.lines().start(),
        target: target.to_owned(),
        why,
    })
}

/// The target of `--mount=type=cache,…`; empty when it names none.
fn cache_mount(flag: &str) -> Option<&str> {
    let options = flag.strip_prefix("--mount=")?;
    let value = |names: &[&str]| {
        let pairs = options
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='));
        let named =
            pairs.filter(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name)));
        named
            .map(|(_, value)| value)
            .next_back()
            .map(|value| value.trim_matches('"'))
    };
    (value(&["type"])? == "cache")
        .then(|| value(&["target", "dst", "destination"]).unwrap_or_default())
}

fn is_download(target: &str) -> bool {
    let whole = format!("/{}/", target.trim_matches('/'));
    DOWNLOADS
        .iter()
        .any(|folder| whole.contains(&format!("{folder}/")))
}

/// All that an instruction runs, as one text.
fn script(instruction: &Instruction<'_>) -> String {
    let mut text = match instruction.arguments {
        Arguments::Text(word) => word.text.to_string(),
        Arguments::Exec(words) => {
            let words: Vec<&str> = words.iter().map(|word| &*word.text).collect();
            words.join(" ")
        }
        _ => String::new(),
    };
    for heredoc in instruction.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
    }
    text
}

/// Why a script may compare times; `None` when all its commands are known not to.
fn comparison(script: &str) -> Option<String> {
    // Anywhere, not only where a command begins: `sh -c "make"`, `xargs make`.
    let anywhere = script.split(|c: char| c.is_whitespace() || "'\"`;|&()".contains(c));
    let comparing = |word| COMPARING.iter().find(|(tool, _)| *tool == base_name(word));
    if let Some((tool, how)) = anywhere.filter(|word| !word.is_empty()).find_map(comparing) {
        return Some(format!(
            "{tool} rebuilds only files that are newer than its state ({how})"
        ));
    }
    let unknown = commands(script).find(|command| !HARMLESS.contains(&base_name(command)))?;
    Some(format!("{unknown} may compare file times with its state"))
}

/// The words with which commands begin.
fn commands(script: &str) -> impl Iterator<Item = &str> {
    let parts = script.split(['\n', ';', '|', '&']);
    parts.filter_map(|part| {
        let assignment = |word: &str| {
            word.split_once('=')
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        };
        part.split_whitespace()
            .map(|word| word.trim_matches(['(', ')', '"', '\'', '{', '}']))
            .find(|word| {
                !(word.is_empty()
                    || word.starts_with(['#', '<', '>', '-'])
                    || BEFORE_COMMAND.contains(word)
                    || ["done", "fi", "esac"].contains(word)
                    || assignment(word))
            })
    })
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(run: &str) -> Option<Doubt> {
        let text = format!("FROM x AS a\nARG D=/d\nRUN {run}\n");
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        file.stages[0].instructions().find_map(doubt)
    }

    #[test]
    fn tools_that_build_what_is_newer_are_found_wherever_they_stand() {
        for run in [
            "--mount=type=cache,target=/src/target cargo build --release",
            "--mount=type=cache,id=x,dst=target cd app && RUSTFLAGS=-O /root/.cargo/bin/cargo build",
            "--mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/app/target cargo build",
            "--mount=type=cache,target=/b [\"make\", \"-C\", \"/b\"]",
            "--mount=type=cache,target=/b sh -c 'ninja -C /b'",
            "--mount=type=cache,target=/b set -e; if true; then ./mvnw package; fi",
            "--mount=type=cache,target=$D echo | xargs make",
            "--mount=type=cache,target=/b <<EOF\ncd /b\nsbt compile\nEOF",
            // Their effect is unknown.
            "--mount=type=cache,target=/b ./build.sh",
            "--mount=type=cache,target=/b sh build.sh",
            "--mount=type=cache,target=/b cd /b && build-all",
        ] {
            let found = of(run);
            assert_eq!(found.expect(run).line, 3, "{run}");
        }
    }

    #[test]
    fn downloads_and_tools_that_compare_contents_keep_exact_times() {
        for run in [
            "make -C /src",
            "--mount=type=bind,target=/src make -C /src",
            "--mount=type=secret,id=cargo cargo fetch",
            "--mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/root/.cargo/git cargo build",
            "--mount=type=cache,target=/root/.m2 mvn package",
            "--mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt && python -m compileall .",
            "--mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg/mod go build ./...",
            "--mount=type=cache,target=/app/.next/cache npm run build",
            "--mount=type=cache,target=/anything set -ex; cd /app && CI=1 npm ci | tee /log",
            "--mount=type=cache,target=/anything go build -o /out . ; ls -l /out",
            "--mount=type=cache,target=/var/cache/apt,sharing=locked apt-get update && apt-get install -y make cmake",
        ] {
            assert_eq!(of(run), None, "{run}");
        }
    }

    #[test]
    fn the_message_says_which_step_what_it_costs_and_what_to_do() {
        let dockerfile =
            b"FROM rust\n\nRUN --mount=type=cache,target=/app/target \\\n  cargo build\n";
        let (seconds, message) = seconds_for(dockerfile);
        assert_eq!(seconds, Seconds::Disk);
        let message = message.unwrap();
        for part in [
            "line 3",
            "/app/target",
            "cargo rebuilds only files that are newer",
            "mount only",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(seconds_for(b"FROM x\nRUN make\n"), (Seconds::Content, None));
        assert_eq!(seconds_for(b"not a Dockerfile"), (Seconds::Disk, None));
    }

    #[test]
    fn the_lists_are_sorted_and_disjoint() {
        assert!(COMPARING.is_sorted() && DOWNLOADS.is_sorted());
        assert!(COMPARING.iter().all(|(tool, _)| !HARMLESS.contains(tool)));
    }

    proptest::proptest! {
        #[test]
        fn no_script_is_too_odd(script in ".{0,80}") {
            let _ = comparison(&script);
        }
    }
}
