//! A Dockerfile while it is written: its text, and the reason for each instruction.

use serde::{Deserialize, Serialize};

use super::images::has_shell;
use super::place::Place;
use super::secret::BuildSecret;
use crate::repository::shell::Line;

/// Why an instruction is in a generated Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// The first line of the instruction, from 1.
    pub line: usize,
    /// The reason, as text for people.
    pub why: String,
}

/// Why a step has cache mounts.
pub(crate) const CACHED: &str =
    "the cache mount keeps downloads across builds and out of the image";

/// What a stage built of a front end.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) stage: String,
    /// The folder in that stage, from its working directory.
    pub(crate) from: String,
    /// Where it belongs, from the app's folder.
    pub(crate) output: String,
    /// Whether it becomes a part of the program.
    pub(crate) embedded: bool,
}

/// A Dockerfile that is being written.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Front ends that stages before the present one built.
    built: Vec<Built>,
    /// The stage that holds all sources with what was built in them, and the folders that it was built into.
    beside: Option<(String, Vec<String>)>,
    text: String,
    lines: usize,
    reasons: Vec<Reason>,
    secrets: Vec<BuildSecret>,
    images: Vec<String>,
    /// Whether the image of the stage has a shell.
    shell: bool,
    /// The folder that the next instruction runs in.
    folder: String,
    writable: Vec<String>,
    /// Where the app is in the build context, if it isn't all of it.
    place: Option<Place>,
}

/// A Dockerfile that is written.
pub(crate) struct Finished {
    pub(crate) text: String,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) secrets: Vec<BuildSecret>,
    pub(crate) images: Vec<String>,
    pub(crate) writable: Vec<String>,
}

impl Script {
    /// Starts with a `# syntax=` line where a frontend is asked for.
    pub(crate) fn new(frontend: Option<&str>) -> Self {
        let mut script = Self::default();
        if let Some(frontend) = frontend {
            script.line(
                &format!("# syntax={frontend}"),
                "the frontend that parses this file",
            );
        }
        script
    }

    /// Writes for an app in a folder of the build context: what the recipe writes is moved there.
    pub(crate) fn place(&mut self, folder: &str) {
        self.place = Some(Place::new(quote(folder)));
    }

    /// Writes for the build context instead of the app's folder.
    pub(crate) fn in_context(&mut self, write: impl FnOnce(&mut Self)) {
        let place = self.place.take();
        write(self);
        self.place = place;
    }

    /// Adds an instruction.
    pub(crate) fn line(&mut self, text: &str, why: &str) {
        if let Some(folder) = text.strip_prefix("WORKDIR ") {
            self.folder = folder.to_owned();
        }
        let (text, why) = match &mut self.place {
            None => (text.to_owned(), why),
            Some(place) => match place.moved(text, why) {
                Some(moved) => moved,
                None => return,
            },
        };
        self.reasons.push(Reason {
            line: self.lines + 1,
            why: why.to_owned(),
        });
        self.text.push_str(&text);
        self.text.push('\n');
        self.lines += text.matches('\n').count() + 1;
    }

    /// Starts a stage.
    pub(crate) fn stage(&mut self, image: &str, name: Option<&str>, why: &str) {
        self.images.push(image.to_owned());
        self.shell = has_shell(image);
        self.folder = "/".to_owned();
        if self.text.contains("FROM ") {
            self.text.push('\n');
            self.lines += 1;
        }
        match name {
            Some(name) => self.line(&format!("FROM {image} AS {name}"), why),
            None => self.line(&format!("FROM {image}"), why),
        }
    }

    /// Copies the files that name the dependencies.
    pub(crate) fn manifests(&mut self, files: &str, to: &str) {
        self.line(
            &format!("COPY {files} {to}"),
            "only the files that determine dependencies, so source changes keep the next layer cached",
        );
    }

    /// Copies all sources, and what was built of front ends.
    pub(crate) fn sources(&mut self) {
        let copy = match &self.beside {
            Some((stage, _)) => format!("COPY --from={stage} /app ./"),
            None => "COPY . .".to_owned(),
        };
        self.line(&copy, "sources last, because they change most often");
        self.results(|_| true);
    }

    /// Says what a stage built.
    pub(crate) fn built(&mut self, built: Built) {
        self.built.push(built);
    }

    /// Says which stage holds all sources with what was built in them, and where.
    pub(crate) fn built_beside(&mut self, stage: &str, outputs: Vec<String>) {
        self.beside = Some((stage.to_owned(), outputs));
    }

    /// Copies those results of front ends that are wanted.
    pub(crate) fn results(&mut self, wanted: impl Fn(&Built) -> bool) {
        for built in self.built.clone().iter().filter(|built| wanted(built)) {
            let (from, to) = (quote(&built.from), quote(&built.output));
            let to = if to.starts_with("..") {
                to
            } else {
                format!("./{to}")
            };
            let copy = format!("COPY --from={} /app/{from} {to}", built.stage);
            self.line(&copy, "the built front end, where the server reads it");
        }
    }

    /// Copies what the running program reads of front ends, unless `embedded` says that it is part of the program.
    pub(crate) fn served(&mut self, embedded: impl Fn(&str) -> bool) {
        self.results(|built| !built.embedded);
        let (stage, outputs) = self.beside.clone().unwrap_or_default();
        for output in outputs.iter().filter(|output| !embedded(output)) {
            let output = quote(output);
            let copy = format!("COPY --from={stage} /app/{output} ./{output}");
            self.line(&copy, "the built browser assets");
        }
    }

    /// Fetches dependencies into cache mounts.
    pub(crate) fn fetch(&mut self, caches: &[&str], command: &str) {
        self.run(caches, command, CACHED);
    }

    /// Gives a secret to each step that downloads: to those with cache mounts.
    pub(crate) fn secret(&mut self, secret: BuildSecret) {
        self.secrets.push(secret);
    }

    /// Runs a command with cache mounts, each on a line of its own. A command that downloads has one at least.
    pub(crate) fn run(&mut self, caches: &[&str], command: &str, why: &str) {
        let mut text = String::from("RUN ");
        for cache in caches {
            text.push_str(&format!("--mount=type=cache,target={cache} \\\n    "));
        }
        if !caches.is_empty() {
            for secret in &self.secrets {
                text.push_str(&format!("--mount={} \\\n    ", secret.mount()));
            }
        }
        text.push_str(command);
        self.line(&text, why);
    }

    /// Runs several commands in one step, with the reasons of all. A layer each would keep nothing cached that matters.
    pub(crate) fn steps(&mut self, steps: &[(String, &str)]) {
        let commands: Vec<&str> = steps.iter().map(|(command, _)| command.as_str()).collect();
        let mut reasons: Vec<&str> = steps.iter().map(|(_, why)| *why).collect();
        reasons.dedup();
        if !commands.is_empty() {
            self.run(&[], &commands.join(" \\\n && "), &reasons.join("; "));
        }
    }

    /// Makes folders below `/app` for the user that was set last: `WORKDIR` needs no shell. Images without `/app` have none.
    pub(crate) fn writable(&mut self, folders: &[&str]) {
        let back = self.folder.clone();
        if folders.is_empty() || !back.starts_with("/app") {
            return;
        }
        for folder in folders {
            let path = format!("/app/{folder}");
            self.line(
                &format!("WORKDIR {path}"),
                "the app writes there: a folder of its own user",
            );
            let path = self
                .place
                .as_ref()
                .map_or(path.clone(), |place| place.path(&path));
            self.writable.push(path);
        }
        self.line(&format!("WORKDIR {back}"), "back to where the app starts");
    }

    /// Sets variables, each on a line of its own.
    pub(crate) fn environment(&mut self, pairs: &[(&str, &str)], why: &str) {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !pairs.is_empty() {
            self.line(&format!("ENV {}", pairs.join(" \\\n    ")), why);
        }
    }

    /// Whether the image of the stage has a shell.
    pub(crate) fn has_shell(&self) -> bool {
        self.shell
    }

    /// The command of the image, from a line as a shell would read it.
    pub(crate) fn command(&mut self, command: &str, why: &str) {
        let words = exec_form(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.exec(&words, why);
    }

    /// The command of the image, word by word.
    pub(crate) fn exec(&mut self, words: &[&str], why: &str) {
        let words: Vec<String> = words.iter().map(|word| json(word)).collect();
        self.line(&format!("CMD [{}]", words.join(", ")), why);
    }

    /// The Dockerfile and what is known of it.
    pub(crate) fn finish(self) -> Finished {
        let mut images = self.images;
        images.sort();
        images.dedup();
        Finished {
            text: self.text,
            reasons: self.reasons,
            secrets: self.secrets,
            images,
            writable: self.writable,
        }
    }
}

/// The words of a command; through a shell where it needs one.
fn exec_form(command: &str) -> Vec<String> {
    let command = command.trim();
    let plain = |ch: char| ch.is_ascii_alphanumeric() || " _-./:=,@+%^".contains(ch);
    let first = command.split(' ').next().unwrap_or_default();
    if command.chars().all(plain) && !first.contains('=') {
        return command.split_whitespace().map(str::to_owned).collect();
    }
    let several = ["&&", "||", ";", "|", "\n", "&"]
        .iter()
        .any(|mark| command.contains(mark));
    let line = if several || first.contains('=') {
        let line = Line::parse(command).filter(|line| !line.is_complex());
        line.map_or(command.to_owned(), |line| line.shell())
    } else {
        // The shell makes way: signals reach the app.
        format!("exec {command}")
    };
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
}

fn json(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

/// A word for a shell, quoted where it must be. Control characters, which no path of an app has, are left out.
pub(crate) fn quote(word: &str) -> String {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./:=,@+".contains(ch);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let word: String = word.chars().filter(|ch| !ch.is_control()).collect();
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_get_a_shell_only_where_they_need_one() {
        for (command, expected) in [
            ("node  server.js", &["node", "server.js"] as &[_]),
            (
                "python -m http.server 8080",
                &["python", "-m", "http.server", "8080"],
            ),
            (
                "gunicorn --bind 0.0.0.0:$PORT a:b",
                &["/bin/sh", "-c", "exec gunicorn --bind 0.0.0.0:$PORT a:b"],
            ),
            ("a && b", &["/bin/sh", "-c", "a && exec b"]),
            ("X=1 node a.js", &["/bin/sh", "-c", "X=1 node a.js"]),
            (
                "node \"a b.js\"",
                &["/bin/sh", "-c", "exec node \"a b.js\""],
            ),
        ] {
            assert_eq!(exec_form(command), expected, "{command}");
        }
    }

    #[test]
    fn lines_are_counted() {
        let mut script = Script::new(Some("docker/dockerfile:1"));
        script.stage("a", Some("build"), "first");
        script.run(&["/c"], "x", "runs");
        script.stage("b", None, "second");
        let Finished { text, reasons, .. } = script.finish();
        for reason in &reasons {
            let line = text.lines().nth(reason.line - 1).unwrap();
            assert!(
                !line.is_empty() && !line.starts_with(' '),
                "{reason:?}: {line}"
            );
        }
        assert_eq!(reasons.last().unwrap().line, 6);
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(quote("./cmd/api"), "./cmd/api");
        assert_eq!(quote("a'b\nc"), "'a'\\''bc'");
    }
}
