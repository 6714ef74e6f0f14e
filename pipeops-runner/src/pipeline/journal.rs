//! Runs each step once, even across restarts.

use std::future::Future;
use std::time::{Duration, Instant};

use pipeops_core::retry::retry_notified;
use pipeops_core::units::size;
use pipeops_core::{BuiltImage, Detection, EventKind, EventSink, Stack, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::StepsError;
use super::{PipelineOptions, Plan, RolledOut, StepFailure};
use crate::clone::Cloned;
use crate::deployment::JournalEntry;
use crate::hub::DeploymentEvents;
use crate::queue::Claim;
use crate::store::{Store, StoreError};

/// The journal of one deployment.
pub(super) struct Journal<'a> {
    store: &'a dyn Store,
    options: &'a PipelineOptions,
    claim: &'a Claim,
    events: &'a DeploymentEvents,
    done: Vec<JournalEntry>,
}

/// The output of a step.
pub(super) trait StepOutput: Serialize + DeserializeOwned {
    /// The result in a few words.
    fn summary(&self) -> String;
}

impl<'a> Journal<'a> {
    pub(super) async fn open(
        store: &'a dyn Store,
        options: &'a PipelineOptions,
        claim: &'a Claim,
        events: &'a DeploymentEvents,
    ) -> Result<Self, StoreError> {
        let done = store.journal(&claim.deployment.id).await?;
        Ok(Self {
            store,
            options,
            claim,
            events,
            done,
        })
    }

    /// Returns the output of a step from the journal, or runs the step. Transient failures are retried.
    pub(super) async fn step<T, F, Fut>(&self, step: Step, mut run: F) -> Result<T, StepsError>
    where
        T: StepOutput,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StepFailure>>,
    {
        if let Some(entry) = self.done.iter().find(|entry| entry.step == step) {
            return Ok(read(entry)?);
        }
        self.events.emit(EventKind::StepStarted { step });
        let start = Instant::now();
        let limit = self.options.limits.of(step);
        let tries = retry_notified(
            self.options.retry,
            tokio::time::sleep,
            || within(step, limit, run()),
            |failure, attempt, wait| self.warn_retry(step, failure, attempt, wait),
        );
        match tries.await {
            Ok(output) => {
                self.record(step, start.elapsed(), &output).await?;
                Ok(output)
            }
            Err(failure) => {
                let millis = millis(start.elapsed());
                self.events.emit(EventKind::StepFailed { step, millis });
                Err(StepsError::Failed(failure))
            }
        }
    }

    async fn record<T: StepOutput>(
        &self,
        step: Step,
        took: Duration,
        output: &T,
    ) -> Result<(), StoreError> {
        let summary = output.summary();
        let summary = self.events.redactor().redact(&summary);
        let output = serde_json::to_value(output).map_err(|source| unreadable(step, source))?;
        let entry = JournalEntry::new(step, millis(took), summary, output);
        // The events of the step precede its end.
        self.events.flush().await;
        self.store.record_step(&self.claim.fence, &entry).await?;
        self.events.wake();
        Ok(())
    }

    fn warn_retry(&self, step: Step, failure: &StepFailure, attempt: u32, wait: Duration) {
        let message = format!(
            "{step}: attempt {attempt} failed: {failure}; retrying in {:.1} s",
            wait.as_secs_f64()
        );
        self.events.emit(EventKind::Warning { message });
    }
}

pub(super) async fn within<T>(
    step: Step,
    limit: Duration,
    work: impl Future<Output = Result<T, StepFailure>>,
) -> Result<T, StepFailure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(StepFailure::timeout(step, limit)),
    }
}

fn read<T: StepOutput>(entry: &JournalEntry) -> Result<T, StoreError> {
    serde_json::from_value(entry.output.clone()).map_err(|source| unreadable(entry.step, source))
}

fn unreadable(step: Step, source: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        what: format!("the output of the step {step}"),
        source: source.into(),
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

impl StepOutput for Cloned {
    fn summary(&self) -> String {
        let size = size(self.bytes);
        match self.files {
            1 => format!("1 file, {size}"),
            files => format!("{files} files, {size}"),
        }
    }
}

impl StepOutput for Detection {
    fn summary(&self) -> String {
        let Some(language) = self.language else {
            return match &self.dockerfile {
                Some(path) => format!("{path} (no language detected)"),
                None => "no language detected".to_owned(),
            };
        };
        let version = self.version.as_deref().map(|v| format!(" {v}"));
        let language = format!("{language}{}", version.unwrap_or_default());
        let framework = self.framework.as_deref().map(|name| format!(" ({name})"));
        let dockerfile = self.dockerfile.as_ref().map(|path| format!(", {path}"));
        [
            language,
            framework.unwrap_or_default(),
            dockerfile.unwrap_or_default(),
        ]
        .concat()
    }
}

impl StepOutput for Plan {
    fn summary(&self) -> String {
        self.to_string()
    }
}

impl StepOutput for BuiltImage {
    fn summary(&self) -> String {
        let digest = &self.digest.hex()[..12];
        format!(
            "{digest}, {} of {} steps from cache",
            self.cached, self.steps
        )
    }
}

impl StepOutput for Stack {
    fn summary(&self) -> String {
        format!(
            "{} objects in namespace {}",
            self.objects.len(),
            self.namespace
        )
    }
}

impl StepOutput for RolledOut {
    fn summary(&self) -> String {
        self.message.clone()
    }
}
