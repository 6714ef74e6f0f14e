//! The start command as the image can run it.
//!
//! A command of a Procfile is written for a machine with all tools of the project. The image has the app and its
//! run-time only: tools that just start another program are left out, and tools that the image lacks are an error.

use super::error::GenerateError;
use super::images::BaseImages;
use crate::Language;
use crate::findings::Findings;
use crate::languages::nodejs::called::{self, Called};
use crate::languages::nodejs::package::Package;
use crate::plan::{Command, Start};
use crate::repository::folder::{self, Folder};
use crate::repository::shell::{Line, Step, Word};

/// How often a command may stand for another one.
const DEPTH: usize = 8;

/// A start command, resolved.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) start: Option<Start>,
    /// The variables that the command set for itself, for `ENV`.
    pub(crate) variables: Vec<(String, String)>,
    /// What of the command is left out, as text for people.
    pub(crate) note: Option<String>,
}

/// What is known where a command is resolved.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Folder<'a>,
    pub(crate) language: Language,
    pub(crate) detected: &'a Findings,
    pub(crate) port: Option<u16>,
    pub(crate) images: &'a BaseImages,
}

/// Languages with the programs that only their images have.
const INTERPRETERS: &[(&[&str], &[Language])] = &[
    (&["node", "npm", "npx", "yarn"], &[Language::Nodejs]),
    (
        &["python", "python3", "gunicorn", "uvicorn"],
        &[Language::Python],
    ),
    (&["ruby", "bundle", "rails", "rake"], &[Language::Ruby]),
    (&["php"], &[Language::Php]),
    (
        &["java"],
        &[Language::Java, Language::Scala, Language::Clojure],
    ),
    (&["dotnet"], &[Language::Dotnet]),
    (&["deno"], &[Language::Deno]),
];

/// Build tools, which no image that runs an app has.
const TOOLS: &[&str] = &[
    "cabal",
    "cargo",
    "clj",
    "clojure",
    "cmake",
    "composer",
    "docker",
    "docker-compose",
    "foreman",
    "go",
    "gradle",
    "gradlew",
    "heroku",
    "honcho",
    "lein",
    "make",
    "mvn",
    "mvnw",
    "pdm",
    "pipenv",
    "pnpm",
    "poetry",
    "sbt",
    "shards",
    "stack",
    "swift",
    "uv",
    "zig",
];

/// Tasks of Maven's and Gradle's plugins that run the app.
const JVM_TASKS: &[&str] = &[
    "bootRun",
    "exec:exec",
    "exec:java",
    "helidon:dev",
    "jetty:run",
    "mn:run",
    "quarkus:dev",
    "quarkus:run",
    "quarkusDev",
    "quarkusRun",
    "run",
    "runShadow",
    "spring-boot:run",
];

impl Place<'_> {
    /// The start command, for the image of the language.
    pub(crate) fn resolve(&self, start: &Start) -> Result<Resolved, GenerateError> {
        if !start.is_written() {
            return Ok(Resolved {
                start: Some(start.clone()),
                ..Resolved::default()
            });
        }
        let text = start.shell();
        let line = Line::parse(&text)
            .ok_or_else(|| self.wrong(&text, "a quote or a bracket in it isn't closed"))?;
        let mut resolver = Resolver {
            place: self,
            text: &text,
            folder: String::new(),
            note: None,
        };
        resolver.line(line)
    }

    fn wrong(&self, command: &str, why: impl Into<String>) -> GenerateError {
        GenerateError::StartCommand {
            path: self.folder.path().to_owned(),
            command: command.to_owned(),
            why: why.into(),
        }
    }

    /// The names of the variables that the image sets in any case.
    fn knows(&self, name: &str) -> bool {
        matches!(name, "HOME" | "PATH") || (name == "PORT" && self.port.is_some())
    }

    /// Why the image has no such program, if it can't have it.
    fn lacks(&self, step: &Step) -> Option<String> {
        let name = step.name();
        let role = format!("{}.", self.language.as_str());
        let replaced = self.images.images.keys().any(|own| own.starts_with(&role));
        // Images of one's own may have any program.
        if replaced {
            return None;
        }
        let build = TOOLS.contains(&name);
        let other = INTERPRETERS.iter().any(|(programs, languages)| {
            programs.contains(&name) && !languages.contains(&self.language)
        });
        (build || other).then(|| format!("the image has no `{name}`"))
    }
}

/// A command after one of its tools is left out.
enum Outcome {
    /// Nothing is left out.
    Same,
    /// Another command.
    Step(Step),
    /// A command of the plan.
    Plan(Command),
}

struct Resolver<'a> {
    place: &'a Place<'a>,
    text: &'a str,
    /// Where the commands run, from the app's folder.
    folder: String,
    note: Option<String>,
}

impl Resolver<'_> {
    fn line(&mut self, line: Line) -> Result<Resolved, GenerateError> {
        let complex = line.is_complex();
        let count = line.steps.len();
        let mut steps = Vec::new();
        for (index, step) in line.steps.into_iter().enumerate() {
            if step.word(0) == "cd" {
                let target = step.word(1);
                if let Some(folder) = folder::resolve(&self.folder, target) {
                    self.folder = folder;
                }
                steps.push(step);
                continue;
            }
            let (step, planned) = self.step(step)?;
            let alone = index + 1 == count && steps.iter().all(is_cd) && !complex;
            match planned {
                Some(command) => match self.variables(&step).filter(|_| alone) {
                    Some(variables) => return Ok(self.resolved(command, variables)),
                    None => steps.push(Step {
                        then: step.then,
                        assignments: step.assignments,
                        ..Step::of(&self.shell(&command))
                    }),
                },
                None => steps.push(step),
            }
        }
        if complex {
            // Only a shell reads it: it stays as it is written.
            return Ok(self.resolved(Command::line(self.text, steps.last()), Vec::new()));
        }
        let mut variables = Vec::new();
        if let Some((last, before)) = steps.split_last_mut()
            && before.iter().all(is_cd)
            && let Some(set) = self.variables(last)
        {
            variables = set;
            last.assignments.clear();
        }
        let line = Line::of(steps);
        // The command in a folder stays as it is: recipes take the folder off it.
        let single = line.steps.iter().rev().skip(1).all(is_cd);
        let text = if single { line.text() } else { line.shell() };
        Ok(self.resolved(Command::line(text, line.steps.last()), variables))
    }

    fn resolved(&mut self, start: Command, variables: Vec<(String, String)>) -> Resolved {
        Resolved {
            start: Some(start),
            variables,
            note: self.note.take(),
        }
    }

    /// The variables that a command sets, for `ENV`; `None` where they need variables that only the pod has.
    fn variables(&self, step: &Step) -> Option<Vec<(String, String)>> {
        let values = step.assignments.iter().map(|(name, value)| {
            let value = value.env(|name| self.place.knows(name))?;
            Some((name.clone(), value))
        });
        values.collect()
    }

    /// A command of the plan as a step of a longer line.
    fn shell(&self, command: &Command) -> String {
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let ["run", name, ..] = arguments.as_slice() else {
            return command.shell();
        };
        let dir = command.folder.as_deref().unwrap_or_default();
        let package = Package::read(&self.place.folder.sub(dir)).unwrap_or_default();
        let text = called::text(&package, &command.program, name, &arguments[2..].join(" "));
        match dir == self.folder {
            true => text,
            false => format!("(cd {dir} && {text})"),
        }
    }

    /// Leaves out what only starts another program.
    fn step(&mut self, mut step: Step) -> Result<(Step, Option<Command>), GenerateError> {
        for _ in 0..DEPTH {
            match self.unwrapped(&step)? {
                Outcome::Same => break,
                Outcome::Step(inner) => {
                    step.words = inner.words;
                    step.assignments.extend(inner.assignments);
                }
                Outcome::Plan(command) => return Ok((step, Some(command))),
            }
        }
        match self.place.lacks(&step) {
            Some(why) => Err(self.place.wrong(self.text, why)),
            None => Ok((step, None)),
        }
    }

    fn unwrapped(&mut self, step: &Step) -> Result<Outcome, GenerateError> {
        let second = step.word(1);
        let rest = |from: usize| Outcome::Step(behind(step, from));
        Ok(match step.name() {
            "exec" | "nohup" if step.words.len() > 1 => rest(1),
            "env" if step.words.len() > 1 && !second.starts_with('-') => rest(1),
            "poetry" | "rye" | "hatch" if second == "run" => python(behind(step, 2)),
            "pipenv" if second == "run" => self.named(step, "Pipfile", &["scripts"]),
            "pdm" if second == "run" => {
                self.named(step, "pyproject.toml", &["tool", "pdm", "scripts"])
            }
            "uv" if second == "run" => python(behind(step, uv_options(step))),
            "heroku-php-apache2" | "heroku-php-nginx" if self.place.language == Language::Php => {
                self.apache(step)
            }
            name if self.place.language == Language::Nodejs => {
                return self.package(step, name);
            }
            name => self.builder(step, name),
        })
    }

    /// What a package manager of Node.js runs.
    fn package(&self, step: &Step, name: &str) -> Result<Outcome, GenerateError> {
        let members = &self.place.detected.members;
        let called = called::called(self.place.folder, members, &self.folder, step);
        Ok(match called {
            Some(Called::Script(command)) => Outcome::Plan(command),
            Some(Called::Program(inner)) if inner.words == step.words => Outcome::Same,
            Some(Called::Program(inner)) => Outcome::Step(inner),
            Some(Called::Missing(script)) => {
                let why = format!("package.json has no script `{script}`");
                return Err(self.place.wrong(self.text, why));
            }
            // The image of bun has its manager.
            None if name == "pnpm" => {
                let why = "the image has no `pnpm`, which starts several packages here";
                return Err(self.place.wrong(self.text, why));
            }
            None => Outcome::Same,
        })
    }

    /// A script that a table of the project's settings names, or a program.
    fn named(&self, step: &Step, file: &str, table: &[&str]) -> Outcome {
        let inner = behind(step, 2);
        let read = || {
            let mut value = toml::Value::Table(self.place.folder.toml(file)?);
            for key in table {
                value = value.get(key)?.clone();
            }
            let script = value.get(inner.word(0))?;
            let text = script.as_str().or_else(|| script.get("cmd")?.as_str())?;
            let mut script = Line::parse(text)?.simple()?.clone();
            script.words.extend_from_slice(inner.words.get(1..)?);
            Some(script)
        };
        match read() {
            Some(script) => python(script),
            None => python(inner),
        }
    }

    /// Heroku's start scripts of PHP: a web server and the folder that it serves.
    fn apache(&mut self, step: &Step) -> Outcome {
        let mut root = None;
        let mut ignored = Vec::new();
        let mut words = step.words.iter().skip(1);
        while let Some(word) = words.next() {
            let text = word.text();
            if let Some(option) = text.strip_prefix('-') {
                ignored.push(text.to_owned());
                // `-C FILE`, but `-v` alone.
                if option.len() == 1 && "CcFfiplt".contains(option) {
                    words.next();
                }
            } else {
                root = Some(
                    text.trim_start_matches("./")
                        .trim_end_matches('/')
                        .to_owned(),
                );
            }
        }
        if !ignored.is_empty() {
            self.note = Some(format!(
                "{} of the start command have no effect: the image has its own configuration of the web server",
                ignored.join(", ")
            ));
        }
        let root = root.filter(|root| !root.is_empty());
        let served = Command::new("php -S 0.0.0.0:$PORT -t");
        Outcome::Plan(served.arg(root.as_deref().unwrap_or(".")))
    }

    /// A build tool that runs what it builds: the image has the result.
    fn builder(&self, step: &Step, name: &str) -> Outcome {
        let runs = |tasks: &[&str]| {
            let mut words = step.words.iter().skip(1).map(Word::text);
            // `:api:bootRun` is a task of a module.
            words.any(|word| {
                tasks.contains(&word)
                    || word.starts_with(':')
                        && tasks.contains(&word.rsplit(':').next().unwrap_or(word))
            })
        };
        let second = step.word(1);
        let run = ["run", "exec", "watch"].contains(&second);
        let by_tool = match (self.place.language, name) {
            (Language::Java, "sh")
                if step.word(1).ends_with("mvnw") || second.ends_with("gradlew") =>
            {
                return Outcome::Step(behind(step, 1));
            }
            (Language::Java, "mvn" | "mvnw" | "gradle" | "gradlew") => runs(JVM_TASKS),
            (Language::Scala, "sbt") => runs(&["run", "runProd"]),
            (Language::Clojure, "lein") => runs(&["run", "trampoline"]),
            (Language::Clojure, "clj" | "clojure") => {
                second.starts_with("-M") || second.starts_with("-X")
            }
            (Language::Go, "go")
            | (Language::Rust, "cargo")
            | (Language::Swift, "swift")
            | (Language::Haskell, "stack" | "cabal")
            | (Language::Gleam, "gleam")
            | (Language::Crystal, "crystal" | "shards")
            | (Language::Dotnet, "dotnet") => run,
            (Language::Zig, "zig") => second == "build" && runs(&["run"]),
            (Language::Dart, "dart") => second == "run" || second.ends_with(".dart"),
            _ => false,
        };
        match &self.place.detected.plan.start {
            Some(start) if by_tool => Outcome::Plan(with_arguments(start.clone(), step)),
            _ => Outcome::Same,
        }
    }
}

fn is_cd(step: &Step) -> bool {
    step.word(0) == "cd" && matches!(step.then, "&&" | ";")
}

/// What stands behind the first words; assignments are taken off it.
fn behind(step: &Step, from: usize) -> Step {
    let words = step.words.get(from..).unwrap_or_default();
    let text: Vec<&str> = words.iter().map(|word| word.raw.as_str()).collect();
    // Read again: behind `env` words may be assignments.
    let read = Line::parse(&text.join(" ")).and_then(|line| line.steps.into_iter().next());
    read.unwrap_or_default()
}

/// A command that runs in Python's environment, which is in the `PATH` of the image.
fn python(step: Step) -> Outcome {
    if step.words.is_empty() {
        return Outcome::Same;
    }
    let first = step.word(0);
    let prefix = if first.ends_with(".py") || first == "-m" {
        "python"
    } else if first == "--module" {
        "python -m"
    } else {
        return Outcome::Step(step);
    };
    let skip = usize::from(first == "--module");
    let mut words = Step::of(prefix).words;
    words.extend_from_slice(&step.words[skip..]);
    Outcome::Step(Step { words, ..step })
}

/// How many words `uv run` and its options are.
fn uv_options(step: &Step) -> usize {
    const VALUES: &[&str] = &[
        "--directory",
        "--env-file",
        "--extra",
        "--group",
        "--index",
        "--no-group",
        "--only-group",
        "--package",
        "--project",
        "--python",
        "--with",
        "--with-editable",
        "--with-requirements",
        "-p",
    ];
    let mut at = 2;
    while step.word(at).starts_with('-') && !["-m", "--module"].contains(&step.word(at)) {
        let word = step.word(at);
        at += 1;
        if word == "--" {
            break;
        }
        at += usize::from(VALUES.contains(&word));
    }
    at
}

/// A detected command with the arguments that a build tool passes on: those behind `--`, and those behind the sources.
fn with_arguments(start: Start, step: &Step) -> Start {
    let words = &step.words;
    let dashes = words.iter().position(|word| word.text() == "--");
    let from = dashes.map(|at| at + 1).or_else(|| match step.name() {
        // `go run ./cmd/api serve`
        "go" => {
            let operand = |word: &Word| !word.text().starts_with('-');
            let first = words.iter().skip(2).position(operand)? + 2;
            let sources = words[first..]
                .iter()
                .take_while(|word| word.text().ends_with(".go"))
                .count();
            Some(first + sources.max(1))
        }
        "dart" => words
            .iter()
            .position(|word| word.text().ends_with(".dart"))
            .map(|at| at + 1),
        _ => None,
    });
    let more = from.and_then(|from| words.get(from..)).unwrap_or_default();
    more.iter().fold(start, |start, word| start.arg(&word.raw))
}
