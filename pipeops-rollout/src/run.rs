//! One rollout of one application, from its record to its outcome: reconcile, resume or roll back.

mod rollback;

use std::time::Duration;

use jiff::Timestamp;
use pipeops_core::{EventSink, Object, Redactor, Stack};
use tokio::time::{Instant, sleep_until};

use crate::app_watch::AppWatch;
use crate::apply;
use crate::cluster::ClusterApi;
use crate::diagnose::{Finding, findings};
use crate::error::Error;
use crate::explain::Explainer;
use crate::failure_detector::{FailureDetector, WaitDecision};
use crate::options::{RolloutOptions, progress_deadline};
use crate::outcome::Outcome;
use crate::progress::{Progress, ProgressPhase, Reporter};
use crate::prune;
use crate::record::{Attempt, AttemptPhase};
use crate::record_store::RecordStore;
use crate::snapshot::Snapshot;
use crate::state::{AppState, DeploymentState};
use crate::strategy::PlanStep;
use crate::target::Target;

/// How long the first list of every kind may take before the rollout continues without it.
const SYNC_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Run<'a> {
    cluster: &'a dyn ClusterApi,
    options: &'a RolloutOptions,
    target: &'a Target,
    store: RecordStore<'a>,
    explainer: Explainer<'a>,
    reporter: Reporter<'a>,
    watch: AppWatch,
    /// Whether the missing permission to watch events was reported.
    warned: bool,
}

/// How the wait for a revision ended.
enum WaitResult {
    Healthy(Progress),
    Failed(Finding),
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        cluster: &'a dyn ClusterApi,
        options: &'a RolloutOptions,
        target: &'a Target,
        store: RecordStore<'a>,
        redactors: [Redactor; 2],
        sink: &'a dyn EventSink,
    ) -> Self {
        Self {
            cluster,
            options,
            target,
            store,
            explainer: Explainer {
                cluster,
                target,
                redactors,
            },
            reporter: Reporter::new(sink),
            watch: cluster.watch(&target.namespace, &target.app),
            warned: false,
        }
    }

    /// Resumes the recorded attempt if it is of this stack, and begins a new one otherwise.
    pub(crate) async fn run(
        mut self,
        id: Option<String>,
        stack: &Stack,
        snapshot: Snapshot,
    ) -> Result<Outcome, Error> {
        let attempt = self.store.record.attempt.as_ref();
        let same = attempt.filter(|attempt| attempt.snapshot.fingerprint == snapshot.fingerprint);
        match same.map(|attempt| (attempt.phase.clone(), attempt.id == id)) {
            Some((AttemptPhase::RollingBack { diagnosis }, _)) => {
                self.take_over(id).await?;
                self.roll_back(diagnosis).await
            }
            Some((AttemptPhase::Applying | AttemptPhase::Waiting, _)) => {
                self.take_over(id).await?;
                self.resume(stack).await
            }
            Some((AttemptPhase::RolledBack { diagnosis, to }, true)) if id.is_some() => {
                Ok(Outcome::RolledBack { diagnosis, to })
            }
            Some((AttemptPhase::Failed { diagnosis }, true)) if id.is_some() => {
                Ok(Outcome::Failed { diagnosis })
            }
            _ => {
                self.begin(id, stack, snapshot).await?;
                self.resume(stack).await
            }
        }
    }

    /// Makes the unfinished attempt this caller's.
    async fn take_over(&mut self, id: Option<String>) -> Result<(), Error> {
        let strategy = self.options.strategy.name();
        let Some(attempt) = &mut self.store.record.attempt else {
            return Ok(());
        };
        if attempt.id == id && attempt.strategy == strategy {
            return Ok(());
        }
        if attempt.strategy != strategy {
            // The steps of another strategy do not match those of this one.
            (attempt.strategy, attempt.step) = (strategy.to_owned(), 0);
        }
        attempt.id = id;
        self.store.save().await
    }

    async fn begin(
        &mut self,
        id: Option<String>,
        stack: &Stack,
        snapshot: Snapshot,
    ) -> Result<(), Error> {
        // Missing permissions to watch are found before anything changes.
        self.sync().await?;
        if self.options.check_first {
            apply::check(self.cluster, self.target, &stack.objects).await?;
        }
        self.reconcile().await?;
        for warning in self.options.strategy.warnings(stack) {
            self.reporter.warn(warning);
        }
        self.warn_about_deadlines(stack);
        self.store.record.begin(Attempt {
            id,
            snapshot,
            started: Timestamp::now(),
            strategy: self.options.strategy.name().to_owned(),
            step: 0,
            phase: AttemptPhase::Applying,
        });
        self.store.save().await
    }

    /// Brings the record in line with the cluster before anything changes: a healthy revision that runs now becomes the
    /// target of a rollback.
    async fn reconcile(&mut self) -> Result<(), Error> {
        let Some(live) = self.cluster.get(&self.target.workload()).await? else {
            return Ok(());
        };
        let Some(deployment) = DeploymentState::of(&live) else {
            return Ok(());
        };
        let (revision, generation) = (deployment.revision.clone(), deployment.generation);
        let state = AppState {
            deployment: Some(deployment),
            ..AppState::default()
        };
        if !Progress::of(&state, generation).is_complete() {
            return Ok(());
        }
        let record = &mut self.store.record;
        // The process that waited for the attempt died before it saw that it is healthy.
        let unnoticed = record.attempt.as_ref().is_some_and(|attempt| {
            attempt.phase == AttemptPhase::Waiting
                && Some(&attempt.snapshot.revision) == revision.as_ref()
        });
        if unnoticed {
            record.promote();
        } else if record.healthy.is_none() && state.deployment.is_some_and(|d| d.desired() > 0) {
            record.healthy = Snapshot::adopt(self.target, &live);
        }
        Ok(())
    }

    fn warn_about_deadlines(&self, stack: &Stack) {
        let (progress, deadline) = (progress_deadline(stack), self.options.deadline_of(stack));
        if let Some(progress) = progress.filter(|progress| *progress >= deadline) {
            self.reporter.warn(format!(
                "progressDeadlineSeconds ({}) is not less than the rollout's deadline ({} s): a stall fails the rollout only at that deadline",
                progress.as_secs(),
                deadline.as_secs()
            ));
        }
    }

    /// Executes the plan from the recorded step.
    async fn resume(mut self, stack: &Stack) -> Result<Outcome, Error> {
        let plan = self.options.strategy.plan(stack);
        let first = self
            .store
            .record
            .attempt
            .as_ref()
            .map_or(0, |attempt| attempt.step);
        let mut applied = None;
        let mut terminating = 0;
        for (index, step) in plan.iter().enumerate().skip(first) {
            self.enter(index, step).await?;
            match step {
                PlanStep::Apply(objects) => match self.apply(objects).await {
                    Ok(workload) => applied = workload.or(applied),
                    Err(error) => return self.fail_applying(error).await,
                },
                PlanStep::AwaitComplete => {
                    let limit = self.options.deadline_of(stack);
                    match self.await_healthy(applied.take(), limit).await? {
                        WaitResult::Healthy(progress) => terminating = progress.terminating,
                        WaitResult::Failed(finding) => {
                            let diagnosis = self.explainer.explain(&finding, &self.reporter).await;
                            return self.fail(diagnosis).await;
                        }
                    }
                }
            }
        }
        self.succeed(stack, terminating).await
    }

    async fn enter(&mut self, index: usize, step: &PlanStep) -> Result<(), Error> {
        let phase = match step {
            PlanStep::Apply(_) => AttemptPhase::Applying,
            PlanStep::AwaitComplete => AttemptPhase::Waiting,
        };
        let Some(attempt) = &mut self.store.record.attempt else {
            return Ok(());
        };
        if (attempt.step, &attempt.phase) == (index, &phase) {
            return Ok(());
        }
        (attempt.step, attempt.phase) = (index, phase);
        self.store.save().await
    }

    /// Applies objects and returns the applied workload, if it is among them.
    async fn apply(&self, objects: &[Object]) -> Result<Option<DeploymentState>, Error> {
        let mut workload = None;
        for object in objects {
            let live = apply::apply(self.cluster, self.target, object, &self.reporter).await?;
            if self.target.is_workload(object) {
                workload = DeploymentState::of(&live);
            }
        }
        Ok(workload)
    }

    /// Waits until the applied workload is healthy; after a resume, the live one.
    async fn await_healthy(
        &mut self,
        applied: Option<DeploymentState>,
        limit: Duration,
    ) -> Result<WaitResult, Error> {
        let applied = match applied {
            Some(applied) => applied,
            None => self.live().await?,
        };
        let before = applied.condition("Progressing").cloned();
        self.sync().await?;
        let detector = FailureDetector::new(before);
        self.wait_until_complete(applied.generation, limit, Some(detector))
            .await
    }

    /// Watches until the revision is healthy, the detector decides that it has failed, or `limit` is over.
    async fn wait_until_complete(
        &mut self,
        generation: i64,
        limit: Duration,
        mut detector: Option<FailureDetector>,
    ) -> Result<WaitResult, Error> {
        let deadline = Instant::now() + limit;
        let mut existed = false;
        loop {
            let state = self.watch.state();
            let progress = Progress::of(&state, generation);
            self.reporter.report(&state, &progress);
            if progress.is_complete() {
                return Ok(WaitResult::Healthy(progress));
            }
            if existed && state.deployment.is_none() {
                return Err(self.not_found());
            }
            existed = state.deployment.is_some();
            let (now, found) = (Instant::now(), findings(&state, &self.options.limits));
            if now >= deadline {
                let found = match &detector {
                    Some(detector) => detector.explain(&state, found, now),
                    None => found.into_iter().next(),
                };
                return self
                    .decide_at_deadline(&state, generation, limit, found)
                    .await;
            }
            let seen = progress.phase > ProgressPhase::Unseen;
            let decision = match detector.as_mut().filter(|_| seen) {
                Some(detector) => detector.decide(&state, found, now),
                None => WaitDecision::Wait(None),
            };
            let wake = match decision {
                WaitDecision::Failed(finding) => return Ok(WaitResult::Failed(finding)),
                WaitDecision::Wait(next) => next.map_or(deadline, |next| next.min(deadline)),
            };
            tokio::select! {
                changed = self.watch.changed() => changed?,
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Decides at the deadline. The watches may lag behind, so it reads the Deployment from the API server.
    async fn decide_at_deadline(
        &self,
        state: &AppState,
        generation: i64,
        limit: Duration,
        found: Option<Finding>,
    ) -> Result<WaitResult, Error> {
        let mut state = state.clone();
        state.deployment = Some(self.live().await?);
        let progress = Progress::of(&state, generation);
        if progress.is_complete() {
            return Ok(WaitResult::Healthy(progress));
        }
        let own = || {
            let Progress { ready, desired, .. } = progress;
            let trouble = self.watch.health().trouble;
            let trouble = trouble.map(|trouble| format!("; the watch failed: {trouble}"));
            let detail = format!(
                "{ready} of {desired} pods were ready{}",
                trouble.unwrap_or_default()
            );
            Finding::deadline(format!("not complete after {} s", limit.as_secs()), detail)
        };
        Ok(WaitResult::Failed(found.unwrap_or_else(own)))
    }

    async fn sync(&mut self) -> Result<(), Error> {
        if !self.watch.synced(SYNC_LIMIT).await? {
            self.reporter
                .warn("the API server is slow to list the application's objects; still waiting for its watches");
        }
        if self.watch.health().without_events && !std::mem::replace(&mut self.warned, true) {
            self.reporter.warn(
                "no permission to watch events in this namespace: diagnoses will be less precise",
            );
        }
        Ok(())
    }

    async fn live(&self) -> Result<DeploymentState, Error> {
        let live = self.cluster.get(&self.target.workload()).await?;
        live.as_ref()
            .and_then(DeploymentState::of)
            .ok_or_else(|| self.not_found())
    }

    fn not_found(&self) -> Error {
        Error::NotFound {
            namespace: self.target.namespace.clone(),
            app: self.target.app.clone(),
        }
    }

    async fn succeed(mut self, stack: &Stack, terminating: u32) -> Result<Outcome, Error> {
        self.store.record.promote();
        self.store.save().await?;
        // The revision is healthy even if pruning fails: the next rollout prunes again.
        match prune::prune(self.cluster, self.target, &self.store.record).await {
            Ok(pruned) if pruned.is_empty() => {}
            Ok(pruned) => {
                tracing::debug!(?pruned, "removed objects that no revision needs");
                self.store.record.leftovers.clear();
                self.store.save().await?;
            }
            Err(error) => self
                .reporter
                .warn(format!("old objects were not deleted: {error}")),
        }
        Ok(Outcome::Complete {
            revision: stack.revision.clone(),
            terminating,
        })
    }
}

#[cfg(test)]
mod tests;
