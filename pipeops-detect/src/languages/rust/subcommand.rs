//! Programs that serve by one of their commands, as Clap derives them.

use crate::repository::folder::Folder;

/// Names of commands that serve.
const SERVES: &[&str] = &["Serve", "Server", "Start", "Web"];

/// How many files beside the program's are read.
const FILES: usize = 30;

/// The command by which a program serves, and the file that says so; `None` where it needs none.
pub(crate) fn find(folder: &Folder<'_>, program: &str) -> Option<(String, String)> {
    let (dir, _) = program.rsplit_once('/').unwrap_or(("", program));
    let inside = folder.sub(dir);
    let beside = inside.ending(".rs").take(FILES).map(|name| match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    });
    let files: Vec<String> = std::iter::once(program.to_owned()).chain(beside).collect();
    let texts: Vec<(String, String)> = files
        .into_iter()
        .filter_map(|file| Some((file.clone(), folder.text(&file)?)))
        .collect();
    let is_optional = |name: &str| {
        let optional = format!("Option<{name}>");
        texts.iter().any(|(_, text)| text.contains(&optional))
    };
    texts.iter().find_map(|(file, text)| {
        let (name, command) = of_source(text)?;
        (!is_optional(name)).then(|| (command, file.clone()))
    })
}

/// The enumeration of commands in a source, and the one that serves.
fn of_source(text: &str) -> Option<(&str, String)> {
    let mut rest = text;
    while let Some(at) = rest.find("#[derive(") {
        rest = &rest[at + "#[derive(".len()..];
        let (derived, after) = rest.split_once(")]")?;
        if !derived.contains("Parser") && !derived.contains("Subcommand") {
            continue;
        }
        // Attributes and `pub` may stand between.
        let Some(at) = after
            .find("enum ")
            .filter(|at| !after[..*at].contains(['{', ';']))
        else {
            continue;
        };
        let (name, body) = after[at + "enum ".len()..].split_once('{')?;
        if let Some(command) = variant(body) {
            return Some((name.trim(), command));
        }
    }
    None
}

/// The variant that serves, as Clap names it.
fn variant(body: &str) -> Option<String> {
    let mut depth = 0_i32;
    let mut named = None;
    for line in body.lines().map(str::trim) {
        if depth == 0 {
            let end = line
                .find(|ch: char| !ch.is_ascii_alphanumeric())
                .unwrap_or(line.len());
            if line.starts_with('}') {
                return None;
            }
            if SERVES.contains(&&line[..end]) {
                return Some(named.unwrap_or_else(|| line[..end].to_ascii_lowercase()));
            }
            named = match line.strip_prefix("#[") {
                Some(attribute) => name(attribute).or(named),
                None if line.is_empty() || line.starts_with("//") => named,
                None => None,
            };
        }
        let count = |marks: [char; 2]| line.chars().filter(|ch| marks.contains(ch)).count();
        depth += i32::try_from(count(['{', '('])).ok()?;
        depth -= i32::try_from(count(['}', ')'])).ok()?;
    }
    None
}

/// The name that an attribute gives: `command(name = "run-server")`.
fn name(attribute: &str) -> Option<String> {
    let (before, rest) = attribute.split_once("name")?;
    let rest = rest.trim_start().strip_prefix('=')?;
    let name = rest.split('"').nth(1)?;
    let plain = name
        .chars()
        .all(|ch| ch.is_ascii_alphanumeric() || "-_".contains(ch));
    (plain && !before.ends_with(|ch: char| ch.is_ascii_alphanumeric() || ch == '_'))
        .then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn programs_of_several_commands_serve_by_one() {
        let start = "#[derive(Parser)]\nenum Command {\n    /// Starts.\n    Start { #[clap(long, default_value_t = 8888)] port: u16 },\n    Config,\n}\n";
        let named = "#[derive(Debug, Subcommand)]\npub enum Commands {\n    Migrate(Migrate),\n    #[command(name = \"run-server\")]\n    Serve(Serve),\n}\n";
        let none = "#[derive(Subcommand)]\nenum Commands {\n    Migrate {\n        Start: bool,\n    },\n}\n";
        let optional = "struct Cli {\n    #[command(subcommand)]\n    command: Option<Commands>,\n}\n#[derive(Subcommand)]\nenum Commands {\n    Serve,\n}\n";
        let other = "#[derive(Debug)]\nenum State {\n    Start,\n}\n";
        for (source, expected) in [
            (start, Some("start")),
            (named, Some("run-server")),
            (none, None),
            (optional, None),
            (other, None),
        ] {
            let tree = MemTree::from([("src/main.rs", "fn main() {}"), ("src/cli.rs", source)]);
            let found = find(&Folder::open(&tree, ""), "src/main.rs");
            let found = found
                .as_ref()
                .map(|(command, file)| (command.as_str(), file.as_str()));
            assert_eq!(
                found,
                expected.map(|command| (command, "src/cli.rs")),
                "{source}"
            );
        }
    }
}
