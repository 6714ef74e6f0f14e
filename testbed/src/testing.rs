//! The tests that need real servers: which they are, what they need, and how they are run.
//!
//! Such a test says so in its reason: `#[ignore = "needs testbed: buildkit, registry, node:22"]`. It names servers and base
//! images; a remark may follow a semicolon. A comment that begins in the same way adds to it. Images that nothing names are
//! built when BuildKit asks for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

const REASON: &str = "needs testbed: ";

/// The options with which cargo is told what of a package to test.
const TARGETS: &str = "--all-targets --bin --bins --doc --example --examples --lib --test --tests";

/// The servers and base images that the ignored tests under a folder need.
pub fn needs(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)
            .map_err(Error::io("read", &directory))?
            .flatten()
        {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
                names.extend(needs_of(&text).map(str::to_owned));
            }
        }
    }
    Ok(names)
}

/// The folders of the packages that `-p` or `--package` name; that of the workspace if there are none.
pub fn folders(workspace: &Path, arguments: &[String]) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        match argument.as_str() {
            "-p" | "--package" => names.extend(arguments.get(position + 1).cloned()),
            other => names.extend(other.strip_prefix("--package=").map(str::to_owned)),
        }
    }
    let folders: Vec<PathBuf> = names
        .iter()
        .flat_map(|name| [workspace.join(name), workspace.join("examples").join(name)])
        .filter(|folder| folder.exists())
        .collect();
    if folders.is_empty() {
        vec![workspace.to_owned()]
    } else {
        folders
    }
}

/// The call of cargo that runs the ignored tests. Arguments before `--` go to cargo, those after it to the tests; without
/// `-p` all of the workspace is meant, without a choice of targets all but the examples of the documentation, none of
/// which needs a server, and without `--test-threads` one test runs at a time, as all share the servers.
pub fn command(workspace: &Path, arguments: &[String]) -> Command {
    let split = arguments
        .iter()
        .position(|argument| argument == "--")
        .unwrap_or(arguments.len());
    let (for_cargo, rest) = arguments.split_at(split);
    let for_tests = rest.get(1..).unwrap_or_default();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace).arg("test");
    forget_own_package(&mut cargo);
    let chosen = |options: &str| {
        let names = for_cargo
            .iter()
            .filter_map(|argument| argument.split('=').next());
        names
            .into_iter()
            .any(|name| options.split(' ').any(|option| option == name))
    };
    if !chosen("-p --package") {
        cargo.arg("--workspace");
    }
    if !chosen(TARGETS) {
        cargo.arg("--tests");
    }
    cargo.args(for_cargo).args(["--", "--ignored"]);
    if !for_tests
        .iter()
        .any(|argument| argument.starts_with("--test-threads"))
    {
        cargo.arg("--test-threads=1");
    }
    cargo.args(for_tests);
    cargo
}

/// `cargo testbed` describes its own package to this program. Build scripts that read such variables would run again for each
/// change between cargo's own call and the next one, and all that depends on them would be compiled again.
fn forget_own_package(cargo: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            cargo.env_remove(&name);
        }
    }
}

fn needs_of(text: &str) -> impl Iterator<Item = &str> {
    let reasons = text.lines().filter_map(|line| {
        let line = line.trim();
        let starts = ["#[ignore = \"", "// "].iter();
        let mut reasons = starts.filter_map(|start| line.strip_prefix(start));
        reasons.next()?.strip_prefix(REASON)
    });
    let names = reasons.filter_map(|reason| reason.split(['"', ';']).next());
    names.flat_map(|names| names.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_reasons_of_ignored_tests_are_read() {
        let source = format!(
            "#[ignore = \"{REASON}buildkit\"]\nfn a() {{}}\n    #[ignore = \"{REASON}s3; slow\"]\n// {REASON}node:22\n//! {REASON}x\n"
        );
        let found: Vec<&str> = needs_of(&source).collect();
        assert_eq!(found, ["buildkit", "s3", "node:22"]);
    }

    #[test]
    fn all_of_the_workspace_is_tested_one_at_a_time() {
        let command = command(Path::new("/w"), &[]);
        assert_eq!(
            words(&command),
            arguments("test --workspace --tests -- --ignored --test-threads=1")
        );
    }

    #[test]
    fn arguments_go_where_they_belong() {
        let command = command(
            Path::new("/w"),
            &arguments("-p pipeops-rollout --test testbed canary -- --test-threads=4 --nocapture"),
        );
        let expected = "test -p pipeops-rollout --test testbed canary -- --ignored --test-threads=4 --nocapture";
        assert_eq!(words(&command), arguments(expected));
    }

    #[test]
    fn needs_are_looked_for_in_the_named_packages() {
        let workspace = tempfile::tempdir().unwrap();
        fs::create_dir_all(workspace.path().join("examples/tool")).unwrap();
        let named = folders(workspace.path(), &arguments("--package=tool some_filter"));
        assert_eq!(named, [workspace.path().join("examples/tool")]);
        assert_eq!(folders(workspace.path(), &[]), [workspace.path()]);
    }
}
