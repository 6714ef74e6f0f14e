//! Executes the steps of a stage, one after the other.

use std::collections::HashMap;

use pipeops_core::{Digest, ImageRef};

use super::build::Build;
use super::cache::Record;
use super::copy::{Changes, Copy};
use super::dispatch::{Action, StagePlan, StepPlan};
use super::error::{BuildError, BuildResult};
use super::progress::Step;
use super::run::Stream;
use super::tree::{Entry, Node, Tree, clean};
use super::words::Variables;
use crate::oci::{Descriptor, EntryMeta, History, Layer, digest_of, media_type};

/// What a stage is after some of its steps.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    pub(super) tree: Tree,
    pub(super) layers: Vec<LayerRef>,
    pub(super) history: Vec<History>,
    /// Stands for all that came before, in the keys of what comes next.
    pub(super) key: Digest,
    /// Commands of `RUN` were not run: what they would have left is unknown.
    pub(super) skipped: bool,
    /// The digest of the last vertex.
    pub(super) vertex: Option<String>,
}

/// A layer of the image to be.
#[derive(Debug, Clone)]
pub(super) struct LayerRef {
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: Digest,
    /// Registry and repository of a base image's layer.
    pub(super) base: Option<(String, String)>,
}

/// Where `COPY` takes files from.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) context: Tree,
    pub(super) stages: HashMap<usize, StageState>,
    pub(super) images: HashMap<ImageRef, StageState>,
}

/// The result of a step, before it is part of the stage.
struct Outcome {
    key: Digest,
    changes: Tree,
    /// Output to be shown when the step was not cached.
    output: Vec<(Stream, String)>,
    skipped: bool,
}

impl StageState {
    /// Nothing.
    pub(super) fn scratch() -> Self {
        Self {
            tree: Tree::default(),
            layers: Vec::new(),
            history: Vec::new(),
            key: digest_of(b"scratch"),
            skipped: false,
            vertex: None,
        }
    }
}

impl Build {
    /// Does all steps of a stage on top of `state`. `steps` are its announced vertices.
    pub(super) async fn stage(
        &self,
        plan: &StagePlan,
        origins: &HashMap<usize, Source>,
        vertices: Vec<Step>,
        mut state: StageState,
        sources: &Sources,
    ) -> BuildResult<StageState> {
        let mut done = Vec::new();
        for (step, vertex) in plan.steps.iter().zip(vertices) {
            let digest = vertex.digest().to_owned();
            let from = origins.get(&step.instruction).unwrap_or(&Source::Context);
            let result = self.step(step, from, vertex, &mut state, sources).await;
            let record =
                result.map_err(|error| error.at(self.source(), &step.lines).vertex(&digest))?;
            done.push(record);
            state.vertex = Some(digest);
        }
        for line in &plan.history {
            let record = line.step.map(|step| &done[step]);
            state.history.push(History {
                created: Some(record.map_or_else(|| self.time(), |record| record.created.clone())),
                created_by: line.created_by.clone(),
                comment: "buildkit.dockerfile.v0".to_owned(),
                empty_layer: record.is_none_or(|record| record.layer.is_none()),
            });
        }
        Ok(state)
    }

    async fn step(
        &self,
        step: &StepPlan,
        from: &Source,
        mut vertex: Step,
        state: &mut StageState,
        sources: &Sources,
    ) -> BuildResult<Record> {
        let key_and_record = async {
            self.hook("build.step", &step.name).await?;
            let outcome = self.outcome(step, from, state, sources)?;
            let record = match self.request.no_cache {
                true => None,
                false => self.cached(&outcome.key).await?,
            };
            Ok((outcome, record))
        };
        let (outcome, cached) = match key_and_record.await {
            Ok(found) => found,
            Err(error) => {
                let error: BuildError = error;
                vertex.start();
                vertex.failed(error.vertex_message());
                return Err(error);
            }
        };
        let record = match cached {
            Some(record) => {
                vertex.cached();
                record
            }
            None => {
                vertex.start();
                match self.perform(step, &outcome, &vertex).await {
                    Ok(record) => {
                        vertex.done();
                        record
                    }
                    Err(error) => {
                        vertex.failed(error.vertex_message());
                        return Err(error);
                    }
                }
            }
        };
        let below = state.layers.last().map(|layer| &layer.descriptor.digest);
        self.note_done(&outcome.key, below, &record);
        self.apply(state, &outcome, &record);
        Ok(record)
    }

    /// The record of a step that was done before: here, or where a remote cache was written.
    async fn cached(&self, key: &Digest) -> BuildResult<Option<Record>> {
        match self.daemon.cache.get(key) {
            Some(record) => Ok(Some(record)),
            None => self.imported(key).await,
        }
    }

    /// What the step will do, without doing it: its key decides whether it must be done.
    fn outcome(
        &self,
        step: &StepPlan,
        from: &Source,
        state: &StageState,
        sources: &Sources,
    ) -> BuildResult<Outcome> {
        match &step.action {
            Action::Run {
                script,
                command,
                variables,
                ..
            } => Ok(self.run_outcome(state, script, command, variables)),
            Action::Workdir(dir) => Ok(workdir_outcome(step, state, dir)),
            Action::Copy(copy) => {
                let (tree, may_lack) = match from {
                    Source::Context => (&sources.context, false),
                    Source::Stage(index) => known(sources.stages.get(index))?,
                    Source::Image(name) => known(sources.images.get(name))?,
                };
                copy_outcome(step, copy, tree, may_lack, state)
            }
        }
    }

    fn run_outcome(
        &self,
        state: &StageState,
        script: &str,
        command: &str,
        variables: &Variables,
    ) -> Outcome {
        let mut parts = vec!["RUN".to_owned(), command.to_owned()];
        parts.extend(
            variables
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        );
        let mut changes = Tree::default();
        let mut output = Vec::new();
        let rule = self.daemon.options.run.find(script);
        for (path, mode, content) in rule.map(|rule| rule.files.as_slice()).unwrap_or_default() {
            let meta = EntryMeta {
                mode: *mode,
                ..EntryMeta::default()
            };
            let node = Node::File(content.clone().into());
            changes.insert(&clean(path), Entry { node, meta });
            parts.push(path.clone());
        }
        match rule {
            Some(rule) => output.clone_from(&rule.output),
            None => output.push((Stream::Stderr, SKIPPED.to_owned())),
        }
        Outcome {
            key: chain(&state.key, &parts),
            changes,
            output,
            skipped: rule.is_none(),
        }
    }

    async fn perform(
        &self,
        step: &StepPlan,
        outcome: &Outcome,
        vertex: &Step,
    ) -> BuildResult<Record> {
        if let Action::Run { mounts, .. } = &step.action {
            self.prepare(mounts).await?;
        }
        for (stream, text) in &outcome.output {
            vertex.log(*stream, text);
        }
        if let Action::Run {
            script, command, ..
        } = &step.action
            && let Some(rule) = self.daemon.options.run.find(script)
        {
            tokio::time::sleep(rule.delay).await;
            if rule.exit_code != 0 {
                let code = rule.exit_code;
                let message = format!(
                    "process \"{command}\" did not complete successfully: exit code: {code}"
                );
                return Err(BuildError::new(message).exit_code(code));
            }
        }
        let layer = self.layer(step, outcome)?;
        Ok(Record {
            created: self.time(),
            layer,
        })
    }

    fn layer(&self, step: &StepPlan, outcome: &Outcome) -> BuildResult<Option<Layer>> {
        let is_copy = matches!(step.action, Action::Copy(_));
        if outcome.changes.iter().next().is_none() && !is_copy {
            return Ok(None);
        }
        let layer = outcome.changes.to_layer();
        let layer =
            layer.map_err(|error| BuildError::new(format!("failed to write a layer: {error}")))?;
        Ok(Some(layer))
    }

    fn apply(&self, state: &mut StageState, outcome: &Outcome, record: &Record) {
        for (path, entry) in outcome.changes.iter() {
            state.tree.insert(path, entry.clone());
        }
        if let Some(layer) = &record.layer {
            let descriptor = Descriptor::of(media_type::LAYER_GZIP, &layer.bytes);
            self.daemon
                .blobs
                .put(descriptor.digest.clone(), layer.bytes.clone());
            state.layers.push(LayerRef {
                descriptor,
                diff_id: layer.diff_id.clone(),
                base: None,
            });
        }
        state.key = outcome.key.clone();
        state.skipped |= outcome.skipped;
    }
}

/// Where a copy takes its files from, once everything is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Context,
    Stage(usize),
    Image(ImageRef),
}

/// What the log of a skipped command says.
const SKIPPED: &str =
    "pipeops-testkit: skipped, because the BuildKit stand-in does not run commands\n";

fn known(state: Option<&StageState>) -> BuildResult<(&Tree, bool)> {
    let state = state.ok_or_else(|| BuildError::new("the source of a copy was not built"))?;
    Ok((&state.tree, state.skipped))
}

fn workdir_outcome(step: &StepPlan, state: &StageState, dir: &str) -> Outcome {
    let mut changes = Tree::default();
    let mut output = Vec::new();
    if !state.tree.is_dir(dir) {
        let user = step.user.as_str();
        if !["", "root"].contains(&user) && user.parse::<u64>().is_err() {
            output.push((
                Stream::Stderr,
                format!("pipeops-testkit: root owns {dir}, because the stand-in does not look up the user {user}\n"),
            ));
        }
        let id = user.parse().unwrap_or_default();
        let meta = EntryMeta {
            uid: id,
            gid: id,
            ..EntryMeta::default()
        };
        changes.insert(&clean(dir), Entry::dir(meta));
    }
    Outcome {
        key: chain(&state.key, &["WORKDIR".to_owned(), dir.to_owned()]),
        changes,
        output,
        skipped: false,
    }
}

fn copy_outcome(
    step: &StepPlan,
    copy: &Copy,
    from: &Tree,
    may_lack: bool,
    state: &StageState,
) -> BuildResult<Outcome> {
    let copy = Copy {
        lenient: may_lack,
        ..copy.clone()
    };
    let Changes { tree, missing } = copy.changes(from, &state.tree).map_err(|error| {
        let context = "failed to calculate checksum of ref pipeops-testkit";
        let message = format!("{context}: {}", error.vertex_message());
        BuildError::new(message).context("failed to compute cache key")
    })?;
    let output = missing.iter().map(|path| {
        let text = format!(
            "pipeops-testkit: {path} was not copied: it does not exist, because the commands before it were skipped\n"
        );
        (Stream::Stderr, text)
    });
    let output = output.collect();
    let mut parts = vec![step.name.clone(), copy.dest.clone()];
    for (path, entry) in tree.iter() {
        // Times are no part of the key, as in BuildKit.
        let meta = entry.meta;
        let content = match &entry.node {
            Node::Dir => "dir".to_owned(),
            Node::File(bytes) => digest_of(bytes).to_string(),
            Node::Symlink(target) => format!("-> {target}"),
        };
        parts.push(format!(
            "{path} {:o} {}:{} {content}",
            meta.mode, meta.uid, meta.gid
        ));
    }
    Ok(Outcome {
        key: chain(&state.key, &parts),
        changes: tree,
        output,
        skipped: false,
    })
}

/// A key that stands for `before` and all of `parts`, in their order.
pub(super) fn chain(before: &Digest, parts: &[String]) -> Digest {
    let mut text = before.to_string();
    for part in parts {
        // The lengths keep ["ab", "c"] and ["a", "bc"] apart.
        text.push_str(&format!("\n{}:{part}", part.len()));
    }
    digest_of(text.as_bytes())
}
