//! The programs of a Go module: packages named `main`, and which of them is the app.

use super::module::Module;
use crate::choice::{self, Reason};
use crate::repository::folder::{Folder, is_beside};
use crate::servers;

/// How many files of a package are read: its `main` is in one of the first, or in a file named so.
const FILES: usize = 50;

/// A package that is a program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// As `go build` names it: `.`, `./cmd/api`.
    pub(crate) package: String,
    /// The file with `func main`, from the module's folder.
    pub(crate) file: String,
}

impl Program {
    /// The last part of its folder; empty at the root.
    pub(crate) fn name(&self) -> &str {
        let name = self.package.rsplit('/').next().unwrap_or_default();
        if name == "." { "" } else { name }
    }
}

/// The program at the root, those below `cmd`, those in folders of their own, and the members of the workspace.
pub(crate) fn programs(folder: &Folder<'_>, members: &[String]) -> Vec<Program> {
    let mut dirs = vec![String::new()];
    let commands = folder.sub("cmd");
    dirs.push("cmd".to_owned());
    for name in commands.own_dirs() {
        dirs.push(format!("cmd/{name}"));
        let inside = commands.sub(name);
        dirs.extend(inside.own_dirs().map(|sub| format!("cmd/{name}/{sub}")));
    }
    let others = folder
        .own_dirs()
        .filter(|name| *name != "cmd" && !is_beside(name));
    // A module of its own is built by itself.
    dirs.extend(
        others
            .filter(|name| !folder.has(&format!("{name}/go.mod")))
            .map(str::to_owned),
    );
    for member in members {
        dirs.push(member.clone());
        let commands = folder.sub(&format!("{member}/cmd"));
        dirs.extend(
            commands
                .own_dirs()
                .map(|name| format!("{member}/cmd/{name}")),
        );
    }
    let mut programs: Vec<Program> = dirs.iter().filter_map(|dir| program(folder, dir)).collect();
    programs.dedup_by(|a, b| a.package == b.package);
    programs
}

/// The program in a folder, if it holds one.
pub(crate) fn program(folder: &Folder<'_>, dir: &str) -> Option<Program> {
    let inside = folder.sub(dir);
    let mut files: Vec<&str> = inside.ending(".go").filter(|name| is_built(name)).collect();
    files.sort_by_key(|name| *name != "main.go");
    let is_main = |name: &&str| is_main(&inside.text(name).unwrap_or_default());
    let name = files.into_iter().take(FILES).find(is_main)?;
    Some(match dir {
        "" => Program {
            package: ".".to_owned(),
            file: name.to_owned(),
        },
        dir => Program {
            package: format!("./{dir}"),
            file: format!("{dir}/{name}"),
        },
    })
}

/// Whether a file of this name is part of a build for Linux.
fn is_built(name: &str) -> bool {
    const ELSEWHERE: &[&str] = &[
        "test", "windows", "darwin", "js", "wasm", "plan9", "android", "ios", "freebsd", "openbsd",
        "netbsd",
    ];
    let stem = name.trim_end_matches(".go");
    let mut parts = stem.split('_').skip(1);
    !name.starts_with(['_', '.']) && !parts.any(|part| ELSEWHERE.contains(&part))
}

/// Whether the source is `package main` with a `func main`, and built for Linux.
fn is_main(source: &str) -> bool {
    let code = |line: &str| {
        line.split("//")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut package = false;
    for line in source.lines() {
        if let Some(constraint) = line.trim().strip_prefix("//go:build ") {
            if !package && !holds(constraint) {
                return false;
            }
        } else if code(line) == "package main" {
            package = true;
        } else if package && line.starts_with("func main()") {
            return true;
        }
    }
    false
}

/// Whether a build constraint holds on Linux without tags of one's own. Brackets are read as if they were not there.
pub(crate) fn holds(constraint: &str) -> bool {
    const TRUE: &[&str] = &["linux", "amd64", "arm64", "unix", "cgo", "gc"];
    let term = |term: &str| {
        let term = term.trim_matches(|ch: char| ch.is_whitespace() || ch == '(' || ch == ')');
        let (term, negated) = term
            .strip_prefix('!')
            .map_or((term, false), |rest| (rest, true));
        let term = term.trim_start_matches('(');
        (TRUE.contains(&term) || term.starts_with("go1.")) != negated
    };
    constraint.split("||").any(|any| any.split("&&").all(term))
}

/// Which of several programs is the app, and the reason: the first that leaves one. `None` where no reason does.
pub(crate) fn choose<'p>(
    folder: &Folder<'_>,
    module: &Module,
    programs: &'p [Program],
) -> Option<(&'p Program, &'static str)> {
    let [first, rest @ ..] = programs else {
        return None;
    };
    if rest.is_empty() {
        return Some((first, "the only program"));
    }
    let root = |program: &Program| program.package == ".";
    let named = |program: &Program| !module.name().is_empty() && program.name() == module.name();
    let serves = |program: &Program| serves(folder, program);
    let server = |program: &Program| servers::is_one(program.name());
    let command = |program: &Program| program.package.starts_with("./cmd");
    let no_helper = |program: &Program| !servers::is_helper(program.name());
    // `api` goes before `web` where both serve: it is the one that others need.
    let first_name = |name: &'static str| move |program: &Program| program.name() == name;
    let (is_server, is_api, is_app) = (first_name("server"), first_name("api"), first_name("app"));
    let reasons: [(Reason<'_, Program>, &'static str); 9] = [
        (&root, "it is the module's root"),
        (&no_helper, "the others are helpers"),
        (&named, "it is named after the module"),
        (&server, "it has a server's name"),
        (&serves, "it serves requests"),
        (&command, "it is in `cmd`"),
        (&is_server, "it is named `server`"),
        (&is_api, "it is named `api`"),
        (&is_app, "it is named `app`"),
    ];
    let (program, reason) = choice::choose(programs, &reasons.map(|(reason, _)| reason))?;
    Some((program, reasons[reason].1))
}

/// Whether the program's own file starts a server.
fn serves(folder: &Folder<'_>, program: &Program) -> bool {
    let text = folder.text(&program.file).unwrap_or_default();
    [
        "ListenAndServe",
        "net.Listen(",
        "grpc.NewServer(",
        "http.Serve(",
        "gin.",
        "echo.New(",
        "fiber.New(",
        "chi.New",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_are_no_part_of_the_build() {
        let main = "package main // x\n\nimport \"a\"\n\nfunc main() {\n}\n";
        assert!(is_main(main));
        assert!(is_main(&format!(
            "// Copyright\n\n//go:build !windows && (linux || darwin)\n\n{main}"
        )));
        for tag in [
            "ignore",
            "tools",
            "windows",
            "!linux",
            "integration && linux",
        ] {
            assert!(!is_main(&format!("//go:build {tag}\n\n{main}")), "{tag}");
        }
        assert!(
            !is_main("package main\n// func main() {\n") && !is_main("package x\nfunc main() {}")
        );
        assert!(is_built("main.go") && is_built("my_main_linux.go"));
        assert!(!is_built("main_test.go") && !is_built("run_windows.go") && !is_built("_x.go"));
    }
}
