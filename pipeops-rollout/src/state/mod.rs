//! What is known of one application in the cluster: its Deployment, ReplicaSets, Pods and warning events.
//!
//! Only the fields that tracking and diagnosis read are parsed, straight from the API server's JSON: the same code reads
//! every Kubernetes version, and the state of hundreds of applications stays small.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use pipeops_core::Revision;
use serde::Deserialize;

pub(crate) mod raw;

/// The annotation in which Kubernetes counts the templates of a Deployment.
pub(crate) const TEMPLATE_COUNT: &str = "deployment.kubernetes.io/revision";
/// Events that are kept for one object; the oldest go first.
const EVENTS_PER_OBJECT: usize = 20;

/// All that is known of one application.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AppState {
    /// The Deployment, unless it does not exist.
    pub deployment: Option<DeploymentState>,
    /// Its ReplicaSets by name.
    pub replica_sets: BTreeMap<String, ReplicaSetState>,
    /// Its Pods by name.
    pub pods: BTreeMap<String, PodState>,
    /// Warning events by the name of the object that they are about.
    pub events: BTreeMap<String, VecDeque<EventState>>,
}

impl AppState {
    /// The ReplicaSet of the Deployment's current template, once the controller has made it.
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
        // The server counts repetitions of an event in the same object.
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
    /// One word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When the controller last wrote it; Deployments only.
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
    /// Its uid.
    pub uid: String,
    /// `metadata.generation`: counts changes of the spec.
    pub generation: i64,
    /// Which template of the Deployment is current, as Kubernetes counts them.
    pub template_count: Option<i64>,
    /// Its revision, if PipeOps made it.
    pub revision: Option<Revision>,
    /// The part of its spec that matters here.
    pub spec: DeploymentSpec,
    /// Its status.
    pub status: DeploymentStatus,
}

impl DeploymentState {
    /// Pods wanted.
    pub fn desired(&self) -> u32 {
        // The API server writes the default; 1 is what it would write.
        self.spec.replicas.unwrap_or(1)
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }
}

/// The part of a Deployment's spec that matters for tracking.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeploymentSpec {
    /// Pods wanted.
    pub replicas: Option<u32>,
    /// Whether changes of the template are held back.
    pub paused: bool,
}

/// A Deployment's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// The generation that this status is about.
    pub observed_generation: i64,
    /// Pods of all templates that are not terminating.
    pub replicas: u32,
    /// Those of the current template.
    pub updated_replicas: u32,
    /// Those that are ready.
    pub ready_replicas: u32,
    /// Those that were ready for `minReadySeconds`.
    pub available_replicas: u32,
    /// Pods that still terminate; Kubernetes 1.33 and later.
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
    /// Which template of the Deployment it has, as Kubernetes counts them.
    pub template_count: Option<i64>,
    /// The revision of its pods, if PipeOps made them.
    pub revision: Option<Revision>,
    /// Pods wanted.
    pub desired: u32,
    /// Pods ready.
    pub ready: u32,
    /// The images of its containers, in their order.
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
    /// Whether it answers requests.
    pub fn is_ready(&self) -> bool {
        !self.terminating && self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// Its containers; those that run before the others come first.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let status = &self.status;
        status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
    }

    /// In one word what it does: `Pending`, `Running`, `Terminating`, or the reason why it waits.
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
    /// For people.
    pub message: String,
    /// `PodScheduled`, `Ready`, ….
    pub conditions: Vec<Condition>,
    /// The containers that run before the others.
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
    /// Its image as it was asked for.
    pub image: String,
    /// Whether its readiness check passes.
    pub ready: bool,
    /// Whether its startup check has passed.
    pub started: Option<bool>,
    /// How often it was started again.
    pub restart_count: u32,
    /// Where it is.
    pub state: ContainerState,
    /// Where it was before.
    pub last_state: ContainerState,
}

/// Where a container is: one of the three, or none when it is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ContainerState {
    /// It waits.
    pub waiting: Option<Waiting>,
    /// It runs.
    pub running: Option<Running>,
    /// It ended.
    pub terminated: Option<Terminated>,
}

/// A container that runs.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[non_exhaustive]
pub struct Running {}

/// A container that waits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Waiting {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, ….
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A container that ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Terminated {
    /// `Error`, `OOMKilled`, `Completed`, ….
    pub reason: String,
    /// For people, or what the container wrote to its termination log.
    pub message: String,
    /// What its process returned; 128 + n after signal n.
    pub exit_code: i32,
    /// The signal, where the runtime says it.
    pub signal: Option<i32>,
}

/// A warning event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EventState {
    /// Its own name.
    pub name: String,
    /// The name of the object that it is about.
    pub about: String,
    /// `Unhealthy`, `FailedMount`, ….
    pub reason: String,
    /// For people.
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
