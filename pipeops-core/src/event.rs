//! The event stream of a deployment.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::CommitSha;
use crate::diagnosis::Diagnosis;
use crate::revision::Revision;
use crate::units::seconds;

/// One event of a deployment, as it is stored, streamed and printed: one JSON object per line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The position in the stream: 1, 2, 3, … without gaps. A replay can start after any of them.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The deployment's id.
    pub deployment: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// One line without the time and the number, such as `01998f…: succeeded  registry.example.com/shop@sha256:… (41.0s)`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.deployment, self.kind)
    }
}

/// A step of the deployment pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// Fetch the commit.
    Clone,
    /// Detect the language, framework and start command.
    Detect,
    /// Choose the Dockerfile and filter build arguments.
    Plan,
    /// Build and push the image.
    Build,
    /// Generate the Kubernetes objects.
    Manifests,
    /// Apply the objects and watch the rollout.
    Rollout,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 6] = [
        Self::Clone,
        Self::Detect,
        Self::Plan,
        Self::Build,
        Self::Manifests,
        Self::Rollout,
    ];

    /// The name in events and journals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Detect => "detect",
            Self::Plan => "plan",
            Self::Build => "build",
            Self::Manifests => "manifests",
            Self::Rollout => "rollout",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum EventKind {
    /// The deployment was stored and waits for a runner.
    Queued {
        /// The project's name.
        project: String,
        /// The environment's name.
        environment: String,
        /// The commit.
        commit: CommitSha,
    },
    /// A runner took the deployment.
    Claimed {
        /// The runner's name.
        runner: String,
        /// 1 for the first runner. Each runner that took the deployment before and didn't finish adds 1.
        attempt: u32,
    },
    /// A step started.
    StepStarted {
        /// The step.
        step: Step,
    },
    /// A step succeeded.
    StepFinished {
        /// The step.
        step: Step,
        /// How long it took.
        millis: u64,
        /// A short description of its result.
        summary: String,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: Step,
        /// How long it took.
        millis: u64,
    },
    /// The build waits for a daemon with capacity.
    BuildWaiting {
        /// The number of builds ahead of this one, if known.
        ahead: u64,
    },
    /// A step of the build changed.
    Vertex {
        /// The vertex's digest: the same for all events of one vertex.
        id: String,
        /// Such as `[2/4] RUN pip install -r requirements.txt`.
        name: String,
        /// Its state.
        state: VertexState,
        /// How long it ran; only set once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        millis: Option<u64>,
    },
    /// One line of a build step's output.
    Log {
        /// The vertex that printed it.
        vertex: String,
        /// The line, without its line break.
        line: String,
    },
    /// A part of a build step made progress or ended: a layer download, the context transfer, the image push.
    ///
    /// It can start after its step has ended: BuildKit fetches a base image when it needs it, after the `FROM`.
    Transfer {
        /// The vertex that it belongs to.
        #[serde(default)]
        vertex: String,
        /// Its name, such as a layer's digest or `pushing layers`. Unique within its vertex.
        id: String,
        /// Bytes or files so far; 0 if not counted.
        current: u64,
        /// Bytes or files in total; 0 if unknown.
        total: u64,
        /// How long it took; only set once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        millis: Option<u64>,
    },
    /// The rollout made progress.
    Rollout {
        /// A readable message: `Pod 2/3 ready`, `Waiting for health checks`, `Rollout complete`.
        message: String,
        /// The number of ready pods of the new revision; after [`EventKind::RollingBack`], of the restored one.
        ready: u32,
        /// The desired number of pods.
        desired: u32,
    },
    /// A pod of the application changed.
    Pod {
        /// Its name.
        name: String,
        /// The name of its ReplicaSet.
        revision: String,
        /// `Pending`, `Running`, or the reason why it waits: `ImagePullBackOff`.
        status: String,
        /// Whether it is ready.
        ready: bool,
        /// Whether it belongs to the revision that is rolled out: the new one, or after [`EventKind::RollingBack`] the restored one.
        current: bool,
        /// True once the pod is gone.
        #[serde(default)]
        gone: bool,
    },
    /// A warning. The deployment continues.
    Warning {
        /// The message.
        message: String,
    },
    /// A rollback to the previous revision started.
    RollingBack {
        /// Why.
        diagnosis: Diagnosis,
        /// The revision to roll back to.
        to: Revision,
    },
    /// The deployment succeeded.
    Succeeded {
        /// The running image, by digest.
        image: String,
        /// The time from the webhook to the end.
        millis: u64,
    },
    /// The deployment failed.
    Failed {
        /// Why, and how to fix it.
        diagnosis: Diagnosis,
        /// Whether the previous revision serves requests, again or still.
        rolled_back: bool,
    },
    /// The deployment was canceled: before it started, or because a newer commit replaces it.
    Cancelled {
        /// Why.
        reason: String,
    },
}

impl EventKind {
    /// Whether this is the last event of a deployment.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled { .. }
        )
    }
}

/// One line that begins with what happened, for logs and terminals. Of a failure it has the title: the diagnosis itself has several
/// lines.
///
/// ```
/// use pipeops_core::{EventKind, Step};
///
/// let finished = EventKind::StepFinished { step: Step::Clone, millis: 1200, summary: "12 files, 4 KB".into() };
/// assert_eq!(finished.to_string(), "clone      12 files, 4 KB (1.2s)");
/// ```
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued {
                project,
                environment,
                commit,
            } => write!(
                f,
                "queued     {project}/{environment} at {}",
                commit.short()
            ),
            Self::Claimed { runner, attempt: 1 } => write!(f, "claimed    by {runner}"),
            Self::Claimed { runner, attempt } => {
                write!(f, "claimed    by {runner}, attempt {attempt}")
            }
            Self::StepStarted { step } => write!(f, "{:<10} …", step.name()),
            Self::StepFinished {
                step,
                millis,
                summary,
            } => write!(f, "{:<10} {summary} ({})", step.name(), seconds(*millis)),
            Self::StepFailed { step, millis } => {
                write!(f, "{:<10} failed ({})", step.name(), seconds(*millis))
            }
            Self::BuildWaiting { ahead } => {
                write!(f, "waiting    for a BuildKit daemon, {ahead} builds ahead")
            }
            Self::Vertex { name, state, .. } => write!(f, "{name}: {state}"),
            Self::Log { line, .. } => f.write_str(line),
            Self::Transfer {
                id,
                current,
                total: 0,
                ..
            } => write!(f, "{id}: {current}"),
            Self::Transfer {
                id, current, total, ..
            } => write!(f, "{id}: {current} of {total}"),
            Self::Rollout { message, .. } => f.write_str(message),
            Self::Pod {
                name,
                status,
                ready,
                gone,
                ..
            } => match (gone, ready) {
                (true, _) => write!(f, "pod {name}: gone"),
                (false, true) => write!(f, "pod {name}: ready"),
                (false, false) => write!(f, "pod {name}: {status}"),
            },
            Self::Warning { message } => write!(f, "warning    {message}"),
            Self::RollingBack { to, diagnosis } => {
                write!(f, "rollback   to {to}: {}", diagnosis.title)
            }
            Self::Succeeded { image, millis } => {
                write!(f, "succeeded  {image} ({})", seconds(*millis))
            }
            Self::Failed { diagnosis, .. } => write!(f, "failed     {}", diagnosis.title),
            Self::Cancelled { reason } => write!(f, "cancelled  {reason}"),
        }
    }
}

/// The state of a build step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VertexState {
    /// Running.
    Started,
    /// Done.
    Done,
    /// Its result came from cache.
    Cached,
    /// Failed.
    Failed,
    /// Canceled because another step failed.
    Cancelled,
}

impl fmt::Display for VertexState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Receives the events of one deployment.
///
/// `emit` never blocks, so a slow reader can't slow a build down. Implementations drop or buffer events, and redact secrets.
pub trait EventSink: Send + Sync {
    /// Receives one event.
    fn emit(&self, kind: EventKind);
}

/// Discards all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl EventSink for Discard {
    fn emit(&self, _kind: EventKind) {}
}

/// Any function that takes an event is a sink.
impl<F: Fn(EventKind) + Send + Sync> EventSink for F {
    fn emit(&self, kind: EventKind) {
        self(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_json_object() {
        let event = Event {
            seq: 7,
            at: Timestamp::UNIX_EPOCH,
            deployment: "d1".into(),
            kind: EventKind::StepStarted { step: Step::Clone },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"seq":7,"at":"1970-01-01T00:00:00Z","deployment":"d1","type":"stepStarted","step":"clone"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
