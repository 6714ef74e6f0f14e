//! The state of one application in the cluster: its Deployment, ReplicaSets, Pods and warning events.
//!
//! Only the fields that tracking and diagnosis need are parsed, directly from the API server's JSON. So the same code works
//! with every Kubernetes version, and the state of hundreds of applications stays small.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use pipeops_core::Revision;
use serde::Deserialize;

pub(crate) mod raw;

/// The annotation in which Kubernetes counts the templates of a Deployment.
pub(crate) const TEMPLATE_COUNT: &str = "deployment.kubernetes.io/revision";
/// The most events that are kept about one object. The oldest are dropped first.
const EVENTS_PER_OBJECT: usize = 20;

/// The state of one application, as an [`AppWatch`](crate::AppWatch) returns it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AppState {
    /// The Deployment, if it exists.
    pub deployment: Option<DeploymentState>,
    /// Its ReplicaSets by name.
    pub replica_sets: BTreeMap<String, ReplicaSetState>,
    /// Its Pods by name.
    pub pods: BTreeMap<String, PodState>,
    /// Warning events by the name of the object that they're about.
    pub events: BTreeMap<String, VecDeque<EventState>>,
}

impl AppState {
    /// The ReplicaSet of the Deployment's current template, once the controller has created it.
    pub fn current(&self) -> Option<&ReplicaSetState> {
        let count = self.deployment.as_ref()?.template_count?;
        self.replica_sets
            .values()
            .find(|set| set.template_count == Some(count))
    }

    /// The Pods of a ReplicaSet.
    pub fn pods_of<'a>(&'a self, replica_set: &'a str) -> impl Iterator<Item = &'a PodState> {
        self.pods
            .values()
            .filter(move |pod| pod.replica_set == replica_set)
    }

    /// The events about the object of this name, oldest first.
    pub fn events_of(&self, name: &str) -> impl DoubleEndedIterator<Item = &EventState> {
        self.events.get(name).into_iter().flatten()
    }

    pub(crate) fn add_event(&mut self, event: EventState) {
        let events = self.events.entry(event.about.clone()).or_default();
        // The server counts repetitions of an event in one object.
        events.retain(|known| known.name != event.name);
        events.push_back(event);
        if events.len() > EVENTS_PER_OBJECT {
            events.pop_front();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deployment.is_none() && self.replica_sets.is_empty() && self.pods.is_empty()
    }
}

/// A condition of a Deployment or Pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Condition {
    /// `Available`, `Progressing`, `ReplicaFailure`; `PodScheduled`, `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, in one word.
    pub reason: String,
    /// The message.
    pub message: String,
    /// When the controller last updated it; Deployments only.
    pub last_update_time: Option<Timestamp>,
}

impl Condition {
    /// Whether its status is `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// A Deployment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DeploymentState {
    /// `metadata.generation`: the number of changes of its spec.
    pub generation: i64,
    /// The number of its current template (the annotation `deployment.kubernetes.io/revision`).
    pub template_count: Option<i64>,
    /// Its revision, if PipeOps deployed it.
    pub revision: Option<Revision>,
    /// A part of its spec.
    pub spec: DeploymentSpec,
    /// Its status.
    pub status: DeploymentStatus,
}

impl DeploymentState {
    /// Desired pods.
    pub fn desired(&self) -> u32 {
        // The API server's own default.
        self.spec.replicas.unwrap_or(1)
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }
}

/// A part of a Deployment's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeploymentSpec {
    /// Desired pods.
    pub replicas: Option<u32>,
    /// Whether rollouts of the Deployment are paused.
    pub paused: bool,
}

/// A Deployment's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// The generation that the controller has seen.
    pub observed_generation: i64,
    /// Pods of all templates that aren't terminating.
    pub replicas: u32,
    /// Pods of the current template.
    pub updated_replicas: u32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: u32,
    /// Pods that are terminating; Kubernetes 1.33 and later.
    pub terminating_replicas: Option<u32>,
    /// `Available`, `Progressing`, `ReplicaFailure`.
    pub conditions: Vec<Condition>,
}

/// A ReplicaSet: the pods of one template of a Deployment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReplicaSetState {
    /// Its name.
    pub name: String,
    /// The Deployment that owns it.
    pub deployment: String,
    /// The number of its template in the Deployment.
    pub template_count: Option<i64>,
    /// The images of its containers, in order.
    pub images: Vec<String>,
}

/// A Pod.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PodState {
    /// Its name.
    pub name: String,
    /// The ReplicaSet that owns it.
    pub replica_set: String,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its status.
    pub status: PodStatus,
}

impl PodState {
    /// Whether it's ready and not being deleted.
    pub fn is_ready(&self) -> bool {
        !self.terminating && self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// Its containers, init containers first.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let status = &self.status;
        status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
    }

    /// Its status in one word, as `kubectl get pods` shows it: `Pending`, `Running`, `Terminating`, or why it waits.
    pub fn summary(&self) -> &str {
        if self.terminating {
            return "Terminating";
        }
        let reason = self.containers().find_map(|container| {
            let state = &container.state;
            let waiting = state.waiting.as_ref().map(|w| w.reason.as_str());
            let ended = state
                .terminated
                .as_ref()
                .filter(|t| t.exit_code != 0)
                .map(|t| t.reason.as_str());
            waiting
                .filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))
                .or(ended)
                .filter(|reason| !reason.is_empty())
        });
        let own = Some(self.status.reason.as_str()).filter(|reason| !reason.is_empty());
        reason.or(own).unwrap_or(match self.status.phase.as_str() {
            "" => "Pending",
            phase => phase,
        })
    }
}

/// A Pod's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// Why it failed: `Evicted`.
    pub reason: String,
    /// The message.
    pub message: String,
    /// `PodScheduled`, `Ready`, ….
    pub conditions: Vec<Condition>,
    /// The init containers.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// The containers.
    pub container_statuses: Vec<ContainerStatus>,
}

/// A container's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// Whether its startup probe has passed.
    pub started: Option<bool>,
    /// How often it was restarted.
    pub restart_count: u32,
    /// Its current state.
    pub state: ContainerState,
    /// The state of its previous run.
    pub last_state: ContainerState,
}

/// A container's state: one of the three, or none if unknown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ContainerState {
    /// It's waiting.
    pub waiting: Option<Waiting>,
    /// It's running.
    pub running: Option<Running>,
    /// It has terminated.
    pub terminated: Option<Terminated>,
}

/// A running container.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[non_exhaustive]
pub struct Running {}

/// A waiting container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Waiting {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, ….
    pub reason: String,
    /// The kubelet's message.
    pub message: String,
}

/// A terminated container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Terminated {
    /// `Error`, `OOMKilled`, `Completed`, ….
    pub reason: String,
    /// The runtime's message, or the container's termination log.
    pub message: String,
    /// The exit code of its process; 128 + n after signal n.
    pub exit_code: i32,
    /// The signal, if the runtime reports it.
    pub signal: Option<i32>,
}

/// A warning event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EventState {
    /// Its name.
    pub name: String,
    /// The name of the object that it's about.
    pub about: String,
    /// `Unhealthy`, `FailedMount`, ….
    pub reason: String,
    /// The message.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_events_are_kept_and_repetitions_replace() {
        let mut state = AppState::default();
        let event = |name: String| EventState {
            name,
            about: "p".into(),
            ..EventState::default()
        };
        for number in 0..25 {
            state.add_event(event(format!("e{number}")));
        }
        state.add_event(event("e7".into()));
        let names: Vec<_> = state.events_of("p").map(|e| e.name.as_str()).collect();
        assert_eq!(
            (names.len(), names[0], *names.last().unwrap()),
            (20, "e5", "e7")
        );
    }

    #[test]
    fn a_pod_is_summed_up_in_one_word() {
        let summary = |status: serde_json::Value| {
            PodState {
                status: serde_json::from_value(status).unwrap(),
                ..PodState::default()
            }
            .summary()
            .to_owned()
        };
        let waiting = |reason: &str| json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason}}}]});
        assert_eq!(summary(waiting("ImagePullBackOff")), "ImagePullBackOff");
        assert_eq!(summary(waiting("ContainerCreating")), "Pending");
        assert_eq!(
            summary(json!({"phase": "Failed", "reason": "Evicted"})),
            "Evicted"
        );
        assert_eq!(summary(json!({})), "Pending");
    }
}
