//! From the instructions of a stage to its steps and its configuration.

use std::ops::RangeInclusive;

use pipeops_dockerfile::{Arguments, Instruction, Keyword};
use serde_json::{Value, json};

use super::copy::Copy;
use super::error::{BuildError, BuildResult};
use super::instruction::{display, duration, health_words, ports, text, texts, words};
use super::plan::flag;
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
    },
    Copy {
        copy: Copy,
        /// `user[:group]`, names or numbers.
        chown: Option<String>,
    },
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
        match instruction.keyword {
            Keyword::Arg => self.arg(instruction),
            Keyword::Env | Keyword::Label => self.pairs(instruction),
            Keyword::Run => self.run(place, instruction),
            Keyword::Copy | Keyword::Add => self.copy(place, instruction),
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
            _ => format!("{} {script}", self.shell().join(" ")),
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
        };
        self.step(place, instruction, action, created_by);
        Ok(())
    }

    fn copy(&mut self, place: usize, instruction: &Instruction<'_>) -> BuildResult<()> {
        for unknown in ["checksum", "keep-git-dir", "exclude"] {
            if flag(instruction, unknown).is_some() {
                let what = format!("{} --{unknown}", instruction.keyword);
                return Err(BuildError::unsupported(what));
            }
        }
        let mut list = words(instruction.arguments);
        let dest = list.pop().unwrap_or_default();
        let (inline, sources): (Vec<_>, Vec<_>) = list
            .into_iter()
            .partition(|word| !instruction.heredocs.is_empty() && word.contains("<<"));
        let mut copy = Copy {
            sources: self.expand_all(sources)?,
            dest: self.absolute(&self.expand(&dest)?, true),
            unpack: instruction.keyword == Keyword::Add,
            parents: flag(instruction, "parents").is_some_and(|value| value != "false"),
            ..Copy::default()
        };
        if copy.unpack && copy.sources.iter().any(|source| is_remote(source)) {
            return Err(BuildError::unsupported("ADD of remote sources"));
        }
        for (_, heredoc) in inline.iter().zip(instruction.heredocs) {
            let content = match heredoc.expand {
                true => self.expand(&heredoc.content)?,
                false => heredoc.content.to_string(),
            };
            copy.inline.push((heredoc.name.to_string(), content));
        }
        if copy.sources.len() + copy.inline.len() > 1 && !copy.dest.ends_with('/') {
            let keyword = instruction.keyword;
            return Err(BuildError::new(format!(
                "When using {keyword} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        if let Some(mode) = flag(instruction, "chmod") {
            copy.chmod = Some(self.mode(mode)?);
        }
        let chown = flag(instruction, "chown").map(|owner| self.expand(owner));
        let chown = chown.transpose()?.filter(|owner| !owner.is_empty());
        let created_by = format!("{} # buildkit", display(instruction, &self.variables()));
        self.step(place, instruction, Action::Copy { copy, chown }, created_by);
        Ok(())
    }

    fn mode(&self, written: &str) -> BuildResult<u32> {
        let mode = self.expand(written)?;
        let number = u32::from_str_radix(&mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777);
        number.ok_or_else(|| BuildError::unsupported(format!("the mode {mode:?}, only octal ones")))
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
            Keyword::Volume => {
                let volumes = self.expand_all(words(arguments))?.into_iter();
                let volumes = volumes.map(|volume| (volume, Empty {}));
                self.plan.config.config.volumes.extend(volumes);
            }
            Keyword::User => self.plan.config.config.user = self.expand(&written)?,
            Keyword::Stopsignal => {
                let signal = self.expand(&written)?;
                self.other("StopSignal", signal.into());
            }
            Keyword::Shell => self.other("Shell", words(arguments).into()),
            Keyword::Healthcheck => {
                let check = self.health_check(instruction)?;
                self.other("Healthcheck", check);
            }
            Keyword::Onbuild => {
                let trigger = shown.trim_start_matches("ONBUILD ").to_owned();
                let config = &mut self.plan.config.config.other;
                let triggers = config.entry("OnBuild").or_insert_with(|| json!([]));
                if let Value::Array(triggers) = triggers {
                    triggers.push(trigger.into());
                }
            }
            Keyword::Maintainer => {
                self.plan
                    .config
                    .other
                    .insert("author".to_owned(), written.into());
            }
            other => return Err(BuildError::unsupported(format!("the instruction {other}"))),
        }
        self.history(shown, None);
        Ok(())
    }

    fn other(&mut self, key: &str, value: Value) {
        self.plan.config.config.other.insert(key.to_owned(), value);
    }

    /// The words of `CMD` and `ENTRYPOINT`: the shell form gets a shell.
    fn command(&self, arguments: Arguments<'_>) -> Vec<String> {
        match arguments {
            Arguments::Exec(words) => texts(words),
            Arguments::Text(word) => {
                let mut words = self.shell();
                words.push(word.text.to_string());
                words
            }
            _ => Vec::new(),
        }
    }

    fn shell(&self) -> Vec<String> {
        let shell = self.plan.config.config.other.get("Shell");
        let words = shell.and_then(Value::as_array).map(|words| {
            let words = words.iter().filter_map(Value::as_str);
            words.map(str::to_owned).collect()
        });
        words.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
    }

    fn health_check(&self, instruction: &Instruction<'_>) -> BuildResult<Value> {
        let mut check = json!({"Test": health_words(instruction.arguments)});
        for (name, key) in [
            ("interval", "Interval"),
            ("timeout", "Timeout"),
            ("start-period", "StartPeriod"),
            ("start-interval", "StartInterval"),
        ] {
            if let Some(value) = flag(instruction, name) {
                let value = self.expand(value)?;
                let nanoseconds = duration(&value)
                    .ok_or_else(|| BuildError::new(format!("invalid duration {value:?}")))?;
                check[key] = nanoseconds.into();
            }
        }
        if let Some(retries) = flag(instruction, "retries") {
            let number: u32 = retries.parse().map_err(|_| {
                BuildError::new(format!("--retries must be a number, not {retries:?}"))
            })?;
            check["Retries"] = number.into();
        }
        Ok(check)
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

fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}
