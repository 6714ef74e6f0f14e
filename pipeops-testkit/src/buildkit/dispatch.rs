//! Turns the instructions of a stage into its steps and its configuration.

use std::ops::RangeInclusive;

use pipeops_dockerfile::{Arguments, Instruction, Keyword};

use super::copy::Copy;
use super::error::{BuildError, BuildResult};
use super::instruction::{display, ports, text, texts, words};
use super::mounts::Mount;
use super::tree::clean;
use super::words::{Variables, expand};
use crate::oci::{Empty, ImageConfig};

/// One step that makes files, or would.
#[derive(Debug, Clone)]
pub(super) struct StepPlan {
    /// What the vertex is called, without its number.
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) lines: RangeInclusive<usize>,
    /// The instruction's place in its stage.
    pub(super) instruction: usize,
    /// The user at this point: `USER` may change it later.
    pub(super) user: String,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Run {
        /// The command with its shell, as errors show it.
        command: String,
        /// The command as the Dockerfile has it, for scripts.
        script: String,
        /// The variables that it sees: a part of the cache key.
        variables: Variables,
        mounts: Vec<Mount>,
    },
    Copy(Copy),
    Workdir(String),
}

/// One line of the image's history.
#[derive(Debug, Clone)]
pub(super) struct HistoryPlan {
    pub(super) created_by: String,
    /// The step that it is about, if it is one that makes a layer.
    pub(super) step: Option<usize>,
}

/// Everything that a stage does.
#[derive(Debug)]
pub(super) struct StagePlan {
    pub(super) steps: Vec<StepPlan>,
    pub(super) history: Vec<HistoryPlan>,
    pub(super) config: ImageConfig,
    /// The `ARG`s declared so far, in order. A stage that builds on this one has them, too.
    pub(super) args: Vec<(String, Option<String>)>,
}

/// Carries a stage's configuration from instruction to instruction.
pub(super) struct Dispatcher<'a> {
    escape: char,
    globals: &'a Variables,
    build_args: &'a Variables,
    plan: StagePlan,
    cmd_is_own: bool,
}

/// What runs the shell form of a command.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl<'a> Dispatcher<'a> {
    /// Begins with the configuration of the base, and with its `ARG`s where that is a stage.
    pub(super) fn new(
        base: ImageConfig,
        args: Vec<(String, Option<String>)>,
        escape: char,
        globals: &'a Variables,
        build_args: &'a Variables,
    ) -> Self {
        let mut config = base;
        if !config
            .config
            .env
            .iter()
            .any(|line| line.starts_with("PATH="))
        {
            config.config.set_env("PATH", DEFAULT_PATH);
        }
        Self {
            escape,
            globals,
            build_args,
            plan: StagePlan {
                steps: Vec::new(),
                history: Vec::new(),
                config,
                args,
            },
            cmd_is_own: false,
        }
    }

    pub(super) fn finish(self) -> StagePlan {
        self.plan
    }

    /// Takes the next instruction of the stage.
    pub(super) fn take(&mut self, place: usize, instruction: &Instruction<'_>) -> BuildResult<()> {
        if !instruction.heredocs.is_empty() {
            return Err(BuildError::unsupported("a heredoc"));
        }
        match instruction.keyword {
            Keyword::Arg => self.arg(instruction),
            Keyword::Env | Keyword::Label => self.pairs(instruction),
            Keyword::Run => self.run(place, instruction),
            Keyword::Copy => self.copy(place, instruction),
            Keyword::Workdir => self.workdir(place, instruction),
            _ => self.configure(instruction),
        }
    }

    /// What a word may use: the environment, and below it the arguments.
    fn variables(&self) -> Variables {
        let args = self.plan.args.iter();
        let mut all: Variables = args
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect();
        for line in &self.plan.config.config.env {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            all.insert(key.to_owned(), value.to_owned());
        }
        all
    }

    fn expand(&self, word: &str) -> BuildResult<String> {
        expand(word, self.escape, &self.variables()).map_err(BuildError::new)
    }

    fn expand_all(&self, words: Vec<String>) -> BuildResult<Vec<String>> {
        words.iter().map(|word| self.expand(word)).collect()
    }

    fn history(&mut self, created_by: String, step: Option<usize>) {
        self.plan.history.push(HistoryPlan { created_by, step });
    }

    /// Adds a step that may make a layer.
    fn step(
        &mut self,
        place: usize,
        instruction: &Instruction<'_>,
        action: Action,
        created_by: String,
    ) {
        let number = self.plan.steps.len();
        self.plan.steps.push(StepPlan {
            name: display(instruction, &self.variables()),
            action,
            lines: instruction.lines(),
            instruction: place,
            user: self.plan.config.config.user.clone(),
        });
        self.history(created_by, Some(number));
    }

    fn arg(&mut self, instruction: &Instruction<'_>) -> BuildResult<()> {
        let Arguments::Args(args) = instruction.arguments else {
            return Ok(());
        };
        let mut written = Vec::new();
        for arg in args {
            let name = arg.name();
            let default = arg.default.as_deref();
            let default = default.map(|default| self.expand(default)).transpose()?;
            let value = self.build_args.get(&name).cloned();
            let value = value
                .or(default)
                .or_else(|| self.globals.get(&name).cloned());
            written.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            self.plan.args.retain(|(known, _)| *known != name);
            self.plan.args.push((name, value));
        }
        self.history(format!("ARG {}", written.join(" ")), None);
        Ok(())
    }

    fn pairs(&mut self, instruction: &Instruction<'_>) -> BuildResult<()> {
        let Arguments::Pairs(pairs) = instruction.arguments else {
            return Ok(());
        };
        // All values see the variables as they were before this instruction.
        let expanded = pairs
            .iter()
            .map(|pair| Ok((self.expand(&pair.key)?, self.expand(&pair.value)?)));
        let expanded: Vec<(String, String)> = expanded.collect::<BuildResult<_>>()?;
        let config = &mut self.plan.config.config;
        for (key, value) in &expanded {
            match instruction.keyword {
                Keyword::Env => config.set_env(key, value),
                _ => {
                    config.labels.insert(key.clone(), value.clone());
                }
            }
        }
        let written = expanded.iter().map(|(key, value)| format!("{key}={value}"));
        let written: Vec<String> = written.collect();
        self.history(
            format!("{} {}", instruction.keyword, written.join(" ")),
            None,
        );
        Ok(())
    }

    fn run(&mut self, place: usize, instruction: &Instruction<'_>) -> BuildResult<()> {
        let script = text(instruction);
        let command = match instruction.arguments {
            Arguments::Exec(words) => texts(words).join(" "),
            _ => format!("{} {script}", SHELL.join(" ")),
        };
        let args = self
            .plan
            .args
            .iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={value}")));
        let args: Vec<String> = args.collect();
        let created_by = match args.len() {
            0 => format!("RUN {command} # buildkit"),
            count => format!("RUN |{count} {} {command} # buildkit", args.join(" ")),
        };
        let variables = self.variables();
        let action = Action::Run {
            command,
            script,
            variables,
            mounts: self.mounts(instruction)?,
        };
        self.step(place, instruction, action, created_by);
        Ok(())
    }

    fn mounts(&self, instruction: &Instruction<'_>) -> BuildResult<Vec<Mount>> {
        let flags = instruction.flags.iter();
        let values = flags.filter_map(|flag| flag.text.strip_prefix("--mount="));
        let parsed = values.map(|value| Mount::parse(value, |text| self.expand(text)));
        parsed.filter_map(Result::transpose).collect()
    }

    fn copy(&mut self, place: usize, instruction: &Instruction<'_>) -> BuildResult<()> {
        let names = instruction
            .flags
            .iter()
            .map(|flag| flag.text.split('=').next());
        if let Some(name) = names
            .flatten()
            .find(|name| !["--from", "--link"].contains(name))
        {
            return Err(BuildError::unsupported(format!("COPY {name}")));
        }
        let mut sources = self.expand_all(words(instruction.arguments))?;
        let dest = sources.pop().unwrap_or_default();
        if let Some(pattern) = sources
            .iter()
            .find(|source| source.contains(['*', '?', '[']))
        {
            return Err(BuildError::unsupported(format!(
                "the pattern {pattern:?} in COPY"
            )));
        }
        let copy = Copy {
            sources,
            dest: self.absolute(&dest, true),
            ..Copy::default()
        };
        if copy.sources.len() > 1 && !copy.dest.ends_with('/') {
            return Err(BuildError::new(
                "When using COPY with more than one source file, the destination must be a directory and end with a /",
            ));
        }
        let created_by = format!("{} # buildkit", display(instruction, &self.variables()));
        self.step(place, instruction, Action::Copy(copy), created_by);
        Ok(())
    }

    fn workdir(&mut self, place: usize, instruction: &Instruction<'_>) -> BuildResult<()> {
        let dir = self.absolute(&self.expand(&text(instruction))?, false);
        self.plan.config.config.working_dir.clone_from(&dir);
        let created_by = format!("WORKDIR {dir}");
        self.step(place, instruction, Action::Workdir(dir), created_by);
        Ok(())
    }

    /// Instructions that only change the configuration.
    fn configure(&mut self, instruction: &Instruction<'_>) -> BuildResult<()> {
        let arguments = instruction.arguments;
        let written = text(instruction);
        let mut shown = display(instruction, &self.variables());
        match instruction.keyword {
            Keyword::Cmd => {
                self.plan.config.config.cmd = Some(self.command(arguments));
                self.cmd_is_own = true;
            }
            Keyword::Entrypoint => {
                self.plan.config.config.entrypoint = Some(self.command(arguments));
                if !self.cmd_is_own {
                    self.plan.config.config.cmd = None;
                }
            }
            Keyword::Expose => {
                let words = self.expand_all(words(arguments))?;
                let ports = ports(&words).map_err(BuildError::new)?;
                shown = format!("EXPOSE [{}]", ports.join(" "));
                let exposed = ports.into_iter().map(|port| (port, Empty {}));
                self.plan.config.config.exposed_ports.extend(exposed);
            }
            Keyword::User => self.plan.config.config.user = self.expand(&written)?,
            other => return Err(BuildError::unsupported(format!("the instruction {other}"))),
        }
        self.history(shown, None);
        Ok(())
    }

    /// The words of `CMD` and `ENTRYPOINT`: the shell form gets a shell.
    fn command(&self, arguments: Arguments<'_>) -> Vec<String> {
        match arguments {
            Arguments::Exec(words) => texts(words),
            Arguments::Text(word) => {
                let mut words = SHELL.map(str::to_owned).to_vec();
                words.push(word.text.to_string());
                words
            }
            _ => Vec::new(),
        }
    }

    /// A path from the root. `dest` keeps the slash that says that it is a folder.
    fn absolute(&self, path: &str, dest: bool) -> String {
        let from = match path.starts_with('/') {
            true => "",
            false => self.plan.config.config.working_dir.as_str(),
        };
        let absolute = format!("/{}", clean(&format!("{from}/{path}")));
        let folder = dest && (path.ends_with('/') || path == "." || path.ends_with("/."));
        match folder && absolute != "/" {
            true => format!("{absolute}/"),
            false => absolute,
        }
    }
}
