//! What the commands of package managers run: `yarn start`, `npm run x -- --option`, `pnpm exec y`.

use super::command::split;
use super::package::Package;
use crate::plan;
use crate::repository::folder::{Folder, resolve};
use crate::repository::shell::{Step, Word};

/// What a package manager is told to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// A script of a package: `MANAGER run NAME ARGUMENTS` in its folder.
    Script(plan::Command),
    /// A program that the package has installed, or a file.
    Program(Step),
    /// A script that the package doesn't have.
    Missing(String),
}

/// What a command calls; `None` for commands that no package manager runs, and for those that concern several packages.
/// `cwd` is where it runs, from the root; `members` are the folders of a workspace.
pub(crate) fn called(
    root: &Folder<'_>,
    members: &[String],
    cwd: &str,
    step: &Step,
) -> Option<Called> {
    let manager = step.name();
    if !["npm", "pnpm", "yarn", "bun", "npx", "pnpx", "bunx"].contains(&manager) {
        return None;
    }
    let mut call = Call {
        root,
        members,
        folder: cwd.to_owned(),
        words: &step.words[1..],
    };
    if manager.ends_with('x') {
        call.options(manager)?;
        return call.downloaded();
    }
    call.options(manager)?;
    let verb = call.next()?.to_owned();
    match verb.as_str() {
        "run" | "run-script" => {
            call.options(manager)?;
            let name = call.next()?.to_owned();
            Some(call.script(manager, &name))
        }
        "exec" | "dlx" | "x" => {
            call.options(manager)?;
            call.words = behind_dashes(call.words);
            call.program(call.words)
        }
        "start" => Some(call.script(manager, &verb)),
        _ if manager == "npm" => None,
        _ if call.package().script(&verb).is_some() => Some(call.script(manager, &verb)),
        _ if manager == "bun" => None,
        _ => {
            let at = step.words.len() - call.words.len() - 1;
            call.program(&step.words[at..])
        }
    }
}

/// A script with arguments as a shell runs it, without its manager where that adds nothing: one process less, which would
/// stand between signals and the app.
pub(crate) fn text(package: &Package, manager: &str, name: &str, arguments: &str) -> String {
    let has = |hook: &str| package.script(&format!("{hook}{name}")).is_some();
    let script = package.script(name).filter(|_| !has("pre") && !has("post"));
    match script {
        // A script that calls another one needs the manager.
        Some(script) if !calls_manager(script) => {
            makes_way(format!("{script} {arguments}").trim_end())
        }
        _ if manager == "bun" => format!("bun run {name} {arguments}").trim_end().to_owned(),
        // npm is in the image, whichever manager installed.
        _ if arguments.is_empty() => format!("npm run {name}"),
        _ => format!("npm run {name} -- {arguments}"),
    }
}

/// A manager's command while it is read.
struct Call<'a> {
    root: &'a Folder<'a>,
    members: &'a [String],
    /// The folder of the package, from the root.
    folder: String,
    words: &'a [Word],
}

impl Call<'_> {
    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first.text())
    }

    fn package(&self) -> Package {
        Package::read(&self.root.sub(&self.folder)).unwrap_or_default()
    }

    /// Skips options. Those that name a folder or a member change where the command runs; `None` where they name several.
    fn options(&mut self, manager: &str) -> Option<()> {
        while let Some(word) = self.words.first().map(Word::text) {
            let several = ["-r", "--recursive", "--workspaces", "-ws", "--parallel"];
            if several.contains(&word) {
                return None;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            let member = matches!(name, "-w" | "--workspace" | "--filter" | "-F")
                || (manager == "yarn" && name == "workspace");
            let folder = matches!(name, "-C" | "--prefix" | "--cwd" | "--dir");
            if !member && !folder && !name.starts_with('-') || name == "--" {
                return Some(());
            }
            let told = member || folder;
            self.words = &self.words[1..];
            if !told {
                continue;
            }
            let value = match inline {
                Some(value) => value,
                None => self.next()?.to_owned(),
            };
            self.folder = match folder {
                true => resolve(&self.folder, &value)?,
                false => self.member(&value)?,
            };
        }
        Some(())
    }

    /// The folder of a member, by its path or by the name of its package.
    fn member(&self, name: &str) -> Option<String> {
        let name = name.trim_end_matches("...").trim_start_matches("./");
        let name = name.trim_end_matches('/');
        let named = |path: &&String| {
            let package = Package::read(&self.root.sub(path)).unwrap_or_default();
            let own = package.name();
            own == name || own.rsplit('/').next() == Some(name)
        };
        let path = self.members.iter().find(|path| *path == name);
        path.or_else(|| self.members.iter().find(named)).cloned()
    }

    fn script(&mut self, manager: &str, name: &str) -> Called {
        let mut arguments = Vec::new();
        if manager == "npm" {
            // npm takes options for itself, up to `--`.
            while let Some(word) = self.words.first() {
                if word.text() == "--" || self.options(manager).is_none() {
                    break;
                }
                match self.words.split_first() {
                    Some((word, rest)) if word.text() != "--" => {
                        arguments.push(word.raw.clone());
                        self.words = rest;
                    }
                    _ => break,
                }
            }
        }
        let rest = behind_dashes(self.words);
        arguments.extend(rest.iter().map(|word| word.raw.clone()));
        let package = self.package();
        if package.script(name).is_none() {
            // What npm runs where there is no script `start`.
            let server = name == "start" && self.root.sub(&self.folder).has("server.js");
            return match server {
                true => Called::Program(Step::of("node server.js")),
                false => Called::Missing(name.to_owned()),
            };
        }
        let mut command = plan::Command::program(manager).arg("run").target(name);
        command.arguments.extend(arguments);
        Called::Script(match self.folder.as_str() {
            "" => command,
            folder => command.inside(folder),
        })
    }

    fn program(&self, words: &[Word]) -> Option<Called> {
        let step = Step {
            words: words.to_vec(),
            ..Step::default()
        };
        (!step.word(0).is_empty()).then_some(Called::Program(step))
    }

    /// What `npx` runs: a program that is installed already, or one that it downloads at each start.
    fn downloaded(&self) -> Option<Called> {
        let name = self.words.first().map(Word::text)?;
        let bare = name.rsplit_once('@').map_or(name, |(bare, _)| bare);
        let bare = if bare.is_empty() { name } else { bare };
        let root = Package::read(self.root).unwrap_or_default();
        if self.package().depends(bare) || root.depends(bare) {
            let mut words = self.words.to_vec();
            words[0] = Word::plain(bare.rsplit('/').next().unwrap_or(bare));
            return self.program(&words);
        }
        let mut words = vec![Word::plain("npx"), Word::plain("--yes")];
        words.extend_from_slice(self.words);
        self.program(&words)
    }
}

fn behind_dashes(words: &[Word]) -> &[Word] {
    match words.split_first() {
        Some((first, rest)) if first.text() == "--" => rest,
        _ => words,
    }
}

/// A script whose shell makes way for its last command: signals reach the app.
fn makes_way(script: &str) -> String {
    let script = script.strip_prefix("npx ").unwrap_or(script);
    let several = ["||", ";", "|", "'", "\"", "("];
    match script.rsplit_once("&& ") {
        Some((steps, last))
            if !several.iter().any(|mark| script.contains(mark))
                && !last.split(' ').next().unwrap_or_default().contains('=') =>
        {
            format!("{steps}&& exec {last}")
        }
        _ => script.to_owned(),
    }
}

fn calls_manager(script: &str) -> bool {
    split(script)
        .iter()
        .any(|command| matches!(command.program(), "npm" | "pnpm" | "yarn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::shell::Line;
    use pipeops_core::source::MemTree;

    #[test]
    fn managers_run_scripts_and_programs() {
        let tree = MemTree::from([
            (
                "package.json",
                r#"{"scripts": {"start": "node a.js", "serve": "b"}, "dependencies": {"next": "1"}}"#,
            ),
            (
                "apps/web/package.json",
                r#"{"name": "@x/web", "scripts": {"start": "next start"}}"#,
            ),
            ("bare/package.json", "{}"),
            ("bare/server.js", ""),
        ]);
        let root = Folder::open(&tree, "");
        for (text, expected) in [
            (
                "yarn start --services=web",
                "script yarn run start --services=web",
            ),
            ("yarn serve -- a", "script yarn run serve a"),
            ("npm start", "script npm run start"),
            (
                "npm run serve --silent -- --port $PORT 'a b'",
                "script npm run serve --port $PORT 'a b'",
            ),
            ("npm --loglevel=warn run serve x", "script npm run serve x"),
            ("npm start -w @x/web", "script cd apps/web && npm run start"),
            (
                "npm run start --workspace=apps/web",
                "script cd apps/web && npm run start",
            ),
            (
                "pnpm --filter web start",
                "script cd apps/web && pnpm run start",
            ),
            (
                "pnpm -C apps/web run start",
                "script cd apps/web && pnpm run start",
            ),
            (
                "yarn workspace @x/web start",
                "script cd apps/web && yarn run start",
            ),
            ("pnpm exec tsx a.ts", "program tsx a.ts"),
            ("yarn next start -p $PORT", "program next start -p $PORT"),
            ("npx next start", "program next start"),
            ("npx next@15 start", "program next start"),
            ("npx --yes serve dist", "program npx --yes serve dist"),
            ("bun server.ts", "none"),
            ("bun run start", "script bun run start"),
            ("npm --prefix bare start", "program node server.js"),
            ("npm run other", "missing other"),
            ("pnpm -r start", "none"),
            ("node a.js", "none"),
        ] {
            let line = Line::parse(text).unwrap();
            let members = ["apps/web".to_owned()];
            let found = match called(&root, &members, "", &line.steps[0]) {
                None => "none".to_owned(),
                Some(Called::Script(command)) => format!("script {}", command.shell()),
                Some(Called::Program(step)) => format!("program {}", step.text()),
                Some(Called::Missing(name)) => format!("missing {name}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
