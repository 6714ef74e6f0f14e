//! The one stream of events that shows a deployment while it happens.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::CommitSha;
use crate::diagnosis::Diagnosis;
use crate::revision::Revision;

/// One event of a deployment, as it is stored, streamed and printed (one JSON object a line).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Position in the stream, from 1, without gaps; replay starts after any of them.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The deployment's id.
    pub deployment: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A step on the way of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// Fetching exactly the commit.
    Clone,
    /// Finding the language, framework and start command.
    Detect,
    /// Choosing the Dockerfile and filtering build args.
    Plan,
    /// Building and pushing the image.
    Build,
    /// Generating the Kubernetes objects.
    Manifests,
    /// Applying and watching them.
    Rollout,
}

impl Step {
    /// All steps in their order.
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
        /// How many runners took it before and did not finish.
        attempt: u32,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: Step,
    },
    /// A step ended well.
    StepFinished {
        /// Which.
        step: Step,
        /// How long it took.
        millis: u64,
        /// Its result in a few words.
        summary: String,
    },
    /// A step ended badly.
    StepFailed {
        /// Which.
        step: Step,
        /// How long it took.
        millis: u64,
    },
    /// The build waits for a daemon that has room.
    BuildWaiting {
        /// Builds that get their place before this one, as far as it is known.
        ahead: u64,
    },
    /// A step of the build changed.
    Vertex {
        /// The vertex's digest: the same for all events of one vertex.
        id: String,
        /// Such as `[2/4] RUN pip install -r requirements.txt`.
        name: String,
        /// Where it is.
        state: VertexState,
        /// How long it ran, once it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        millis: Option<u64>,
    },
    /// One line of a build step's output.
    Log {
        /// The vertex that printed it.
        vertex: String,
        /// The line, without its end.
        line: String,
    },
    /// A part of a build step moves or ends: a layer that is fetched, the context that is sent, the image that is pushed.
    ///
    /// It may begin when its step has ended: a base image is fetched when it is needed, after its `FROM`.
    Transfer {
        /// The vertex that it is part of.
        #[serde(default)]
        vertex: String,
        /// What it is, such as a layer's digest or `pushing layers`: unique within its vertex.
        id: String,
        /// Bytes (or files) so far; 0 for what is not counted.
        current: u64,
        /// Bytes (or files) in all; 0 when not known.
        total: u64,
        /// How long it took, once it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        millis: Option<u64>,
    },
    /// The rollout moved.
    Rollout {
        /// For people: `Pod 2/3 ready`, `Waiting for health checks`, `Rollout complete`.
        message: String,
        /// Pods of the new revision that are ready.
        ready: u32,
        /// Pods wanted.
        desired: u32,
    },
    /// A pod of the application changed.
    Pod {
        /// Its name.
        name: String,
        /// Its revision's name: the ReplicaSet.
        revision: String,
        /// `Pending`, `Running`, or the reason that it waits: `ImagePullBackOff`.
        status: String,
        /// Whether it answers requests.
        ready: bool,
        /// Whether it belongs to the revision that is being rolled out.
        current: bool,
        /// True once the pod is gone.
        #[serde(default)]
        gone: bool,
    },
    /// Something that does not stop the deployment but that a person should know.
    Warning {
        /// For people.
        message: String,
    },
    /// The old revision is being brought back.
    RollingBack {
        /// Why.
        diagnosis: Diagnosis,
        /// The revision that comes back.
        to: Revision,
    },
    /// The deployment ended well.
    Succeeded {
        /// The image that runs, by digest.
        image: String,
        /// From the webhook to the end.
        millis: u64,
    },
    /// The deployment ended badly.
    Failed {
        /// Why, and what to do.
        diagnosis: Diagnosis,
        /// Whether the old revision is serving again (or still).
        rolled_back: bool,
    },
    /// The deployment was given up before it began or because a newer commit replaces it.
    Cancelled {
        /// Why.
        reason: String,
    },
}

impl EventKind {
    /// True for the last event of a deployment.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled { .. }
        )
    }
}

/// Where a build step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VertexState {
    /// It runs.
    Started,
    /// It ended.
    Done,
    /// Its result was taken from cache.
    Cached,
    /// It failed.
    Failed,
    /// It was given up because something else failed.
    Cancelled,
}

/// Where the events of one deployment go.
///
/// `emit` never waits: a slow reader must not slow a build. Implementations drop or buffer, and redact secrets.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, kind: EventKind);
}

/// Takes events and keeps none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl EventSink for Discard {
    fn emit(&self, _kind: EventKind) {}
}

/// Every function of one event is a sink.
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
