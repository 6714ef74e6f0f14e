//! The commands of scripts.

use super::package::Package;
use crate::plan;
use crate::repository::shell::is_name;

/// How many scripts that call scripts are followed.
const DEPTH: usize = 5;

/// Options of build tools and file servers with a value behind them. Those whose value may be missing are left out.
const VALUED: &[&str] = &[
    "--address",
    "--base",
    "--config",
    "--configuration",
    "--dest",
    "--dist-dir",
    "--env-file",
    "--ext",
    "--hostname",
    "--listen",
    "--mode",
    "--out-dir",
    "--outDir",
    "--outdir",
    "--output",
    "--output-dir",
    "--output-path",
    "--port",
    "--proxy",
    "--target",
    "--timeout",
    "-C",
    "-K",
    "-P",
    "-a",
    "-c",
    "-e",
    "-l",
    "-m",
    "-o",
    "-p",
    "-t",
];

/// One command of a script, without what only surrounds it: variables, `npx`, `cross-env`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScriptCommand {
    /// As it is written.
    pub(crate) text: String,
    /// Variables that are set for it.
    pub(crate) environment: Vec<(String, String)>,
    /// Program and arguments.
    pub(crate) words: Vec<String>,
}

impl From<&plan::Command> for ScriptCommand {
    fn from(plan: &plan::Command) -> Self {
        let mut words = plan.words().map(str::to_owned).collect();
        let mut command = command(&mut words, &mut plan.in_place().shell());
        command.environment.splice(..0, plan.environment.clone());
        command
    }
}

impl ScriptCommand {
    /// The program's name, without its path.
    pub(crate) fn program(&self) -> &str {
        let word = self.words.first().map_or("", String::as_str);
        word.rsplit('/').next().unwrap_or(word)
    }

    /// The argument at `index`.
    pub(crate) fn argument(&self, index: usize) -> &str {
        self.words.get(index + 1).map_or("", String::as_str)
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().skip(1).any(|own| own == word)
    }

    /// The value of the first of these options: `--port 1`, `--port=1`.
    pub(crate) fn option(&self, names: &[&str]) -> Option<&str> {
        self.words.iter().enumerate().find_map(|(index, word)| {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let next = || self.words.get(index + 1).map(String::as_str);
            names.contains(&name).then(|| value.or_else(next))?
        })
    }

    /// The first argument that is no option, and no value of one.
    pub(crate) fn operand(&self) -> Option<&str> {
        self.operands().next()
    }

    /// The arguments that are no options, and no values of options.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &str> {
        let words = self.words.iter().map(String::as_str);
        // The program is in front of the first argument.
        let behind = words.clone().skip(1);
        behind.zip(words).filter_map(|(word, before)| {
            let value = VALUED.contains(&before);
            (!value && !word.starts_with('-')).then_some(word)
        })
    }

    /// The script of the same package that it calls.
    pub(crate) fn script<'p>(&self, package: &'p Package) -> Option<(&str, &'p str)> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let elsewhere = |word: &&str| {
            matches!(
                *word,
                "-w" | "-ws" | "-r" | "-F" | "-C" | "--recursive" | "--workspaces"
            ) || ["--filter", "--workspace", "--prefix", "--cwd", "--dir"]
                .iter()
                .any(|option| word.starts_with(option))
        };
        if words.iter().any(elsewhere) {
            return None;
        }
        let mut rest = words.iter().skip(1).copied();
        let name = match self.program() {
            "npm" | "pnpm" | "yarn" | "bun" => rest.find(|word| !word.starts_with('-'))?,
            _ => return None,
        };
        let name = match name {
            "run" | "run-script" => rest.find(|word| !word.starts_with('-'))?,
            "start" | "test" => name,
            _ if self.program() == "npm" => return None,
            _ => name,
        };
        let name = self.words.iter().find(|word| *word == name)?;
        Some((name, package.script(name)?))
    }
}

/// The commands of a script, in their order; scripts that it calls are replaced by their commands.
pub(crate) fn commands(script: &str, package: &Package) -> Vec<ScriptCommand> {
    let mut all = Vec::new();
    expand(script, package, DEPTH, &mut all);
    all
}

fn expand(script: &str, package: &Package, depth: usize, all: &mut Vec<ScriptCommand>) {
    for command in split(script) {
        match command.script(package) {
            Some((_, script)) if depth > 0 => expand(script, package, depth - 1, all),
            _ => all.push(command),
        }
    }
}

/// The commands of a plan's command: a user may have written several in one line.
pub(crate) fn of_plan(plan: &plan::Command) -> Vec<ScriptCommand> {
    match plan.is_written() {
        true => split(&plan.shell()),
        false => vec![plan.into()],
    }
}

/// The commands of a line as a shell would read it.
pub(crate) fn split(line: &str) -> Vec<ScriptCommand> {
    let mut all = Vec::new();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut text = String::new();
    let mut quote = None;
    for ch in line.chars() {
        match (quote, ch) {
            (None, '&' | '|' | ';' | '\n') => {
                words.push(std::mem::take(&mut word));
                all.push(command(&mut words, &mut text));
                continue;
            }
            (None, '"' | '\'') => quote = Some(ch),
            (Some(open), _) if ch == open => quote = None,
            (None, _) if ch.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(ch),
        }
        text.push(ch);
    }
    words.push(word);
    all.push(command(&mut words, &mut text));
    all.retain(|command| !command.words.is_empty());
    all
}

fn command(words: &mut Vec<String>, text: &mut String) -> ScriptCommand {
    let mut words = std::mem::take(words);
    words.retain(|word| !word.is_empty());
    let mut command = ScriptCommand {
        text: std::mem::take(text).trim().to_owned(),
        ..ScriptCommand::default()
    };
    let mut rest = words.as_slice();
    while let Some(next) = unwrap(rest, &mut command.environment) {
        rest = next;
    }
    command.words = rest.to_vec();
    command
}

/// What is left when one word, or one program that only starts another, is taken away.
fn unwrap<'w>(
    words: &'w [String],
    environment: &mut Vec<(String, String)>,
) -> Option<&'w [String]> {
    let (first, rest) = words.split_first()?;
    let second = rest.first().map_or("", String::as_str);
    if let Some((name, value)) = first.split_once('=')
        && is_name(name)
    {
        environment.push((name.to_owned(), value.to_owned()));
        return Some(rest);
    }
    let behind_dashes = |rest: &'w [String]| {
        let at = rest.iter().position(|word| word == "--")?;
        Some(&rest[at + 1..])
    };
    match first.as_str() {
        "cross-env" | "cross-env-shell" | "env" | "exec" | "npx" | "bunx" | "set" => {
            let options = rest.iter().take_while(|word| word.starts_with('-')).count();
            (options < rest.len()).then(|| &rest[options..])
        }
        "pnpm" | "npm" | "yarn" if matches!(second, "exec" | "dlx") => {
            let rest = &rest[1..];
            Some(rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest))
        }
        "dotenv" | "dotenvx" | "env-cmd" | "doppler" | "infisical" | "op" | "varlock" => {
            behind_dashes(rest)
        }
        // `node node_modules/.bin/next start`: the program is the file.
        "node" => {
            let at = rest.iter().position(|word| !word.starts_with('-'))?;
            let program = &rest[at];
            (program.contains("node_modules/.bin/")).then(|| &rest[at..])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(script: &str, scripts: &str) -> Vec<String> {
        let json = serde_json::from_str(&format!("{{\"scripts\":{scripts}}}")).unwrap();
        let package = Package {
            json,
            file: "package.json",
        };
        let all = commands(script, &package);
        all.iter().map(|command| command.words.join(" ")).collect()
    }

    #[test]
    fn scripts_are_commands_without_their_surroundings() {
        for (script, expected) in [
            ("node a.js", &["node a.js"] as &[_]),
            ("NODE_ENV=production PORT=1 next start", &["next start"]),
            ("cross-env A=b npx --yes serve -s dist", &["serve -s dist"]),
            ("tsc && node 'a b.js' ; x", &["tsc", "node a b.js", "x"]),
            ("dotenv -e .env -- node a.js", &["node a.js"]),
            (
                "node --inspect node_modules/.bin/next start",
                &["node_modules/.bin/next start"],
            ),
            ("npm run build && yarn serve", &["vite build", "node b.js"]),
            ("npm run loop", &["npm run loop"]),
            ("pnpm --filter web start", &["pnpm --filter web start"]),
            ("", &[]),
        ] {
            let scripts = r#"{"build": "vite build", "serve": "node b.js", "loop": "npm run loop", "start": "x"}"#;
            assert_eq!(programs(script, scripts), expected, "{script}");
        }
    }

    #[test]
    fn options_have_values() {
        let command = &split("A=1 next start -p 3000 --host=x")[0];
        assert_eq!(command.option(&["--port", "-p"]), Some("3000"));
        assert_eq!(command.option(&["--host"]), Some("x"));
        assert_eq!(command.option(&["-x"]), None);
        assert_eq!(command.environment, [("A".to_owned(), "1".to_owned())]);
        assert_eq!((command.program(), command.argument(0)), ("next", "start"));
    }

    #[test]
    fn values_of_options_are_no_operands() {
        for (line, expected) in [
            ("vite build --mode production", &["build"] as &[_]),
            ("vite build --mode=staging client", &["build", "client"]),
            ("http-server build -a localhost -p 5001", &["build"]),
            ("http-server -c-1 -p 80 dist", &["dist"]),
            ("ng build -c production shop", &["build", "shop"]),
            ("serve -c ../serve.json -l 3000 out", &["out"]),
            ("x", &[]),
        ] {
            let all = split(line);
            assert!(all[0].operands().eq(expected.iter().copied()), "{line}");
        }
    }
}
