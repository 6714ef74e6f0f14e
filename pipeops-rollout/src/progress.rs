//! The progress of a rollout, and the events that report it.

use std::collections::HashMap;

use pipeops_core::EventSink;
use pipeops_core::event::EventKind;

use crate::state::{AppState, PodState};

/// The phase of a rollout. Later phases are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProgressPhase {
    /// The controllers haven't seen the change yet.
    Unseen,
    /// No new pod runs yet.
    Starting,
    /// New pods run, but none passes its readiness check yet.
    HealthChecks,
    /// Some new pods are ready.
    Ready,
    /// All new pods are ready, and old ones still run.
    OldPods,
    /// All new pods are available, and old ones are gone or terminating.
    Complete,
}

/// The progress of a rollout.
///
/// ```
/// use pipeops_rollout::{Progress, ProgressPhase, state::AppState};
///
/// // The state usually comes from an `AppWatch`.
/// let progress = Progress::of(&AppState::default(), 1);
/// assert_eq!(progress.phase, ProgressPhase::Unseen);
/// assert!(!progress.is_complete());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The phase.
    pub phase: ProgressPhase,
    /// New pods that are ready.
    pub ready: u32,
    /// Desired pods.
    pub desired: u32,
    /// Old pods that are terminating.
    pub terminating: u32,
}

impl Progress {
    /// The progress of the rollout of the Deployment's `generation`.
    ///
    /// It's complete once the controller has seen that generation (or a later one), all desired pods are of the new template
    /// and available, and no other pods are left. The conditions `Available` and `NewReplicaSetAvailable` don't suffice:
    /// they may still hold from before the change.
    pub fn of(state: &AppState, generation: i64) -> Self {
        let Some(deployment) = &state.deployment else {
            return Self::unseen(0);
        };
        let (desired, status) = (deployment.desired(), &deployment.status);
        let current = state.current();
        let wanted = generation.max(deployment.generation);
        if deployment.generation < generation || status.observed_generation < wanted {
            return Self::unseen(desired);
        }
        let pods: Vec<&PodState> = current
            .map(|set| {
                state
                    .pods_of(&set.name)
                    .filter(|p| !p.terminating)
                    .collect()
            })
            .unwrap_or_default();
        let ready = count(&pods, |pod| pod.is_ready());
        let all_new = status.updated_replicas == desired && status.replicas == desired;
        let phase = if all_new && status.available_replicas == desired {
            ProgressPhase::Complete
        } else if ready >= desired && status.replicas > status.updated_replicas {
            ProgressPhase::OldPods
        } else if ready > 0 {
            ProgressPhase::Ready
        } else if count(&pods, |pod| pod.status.phase == "Running") > 0 {
            ProgressPhase::HealthChecks
        } else {
            ProgressPhase::Starting
        };
        Self {
            phase,
            // The watch on pods may lag behind the Deployment's own count.
            ready: if phase == ProgressPhase::Complete {
                desired
            } else {
                ready
            },
            desired,
            terminating: terminating(state),
        }
    }

    fn unseen(desired: u32) -> Self {
        Self {
            phase: ProgressPhase::Unseen,
            ready: 0,
            desired,
            terminating: 0,
        }
    }

    /// Whether the rollout is complete.
    pub fn is_complete(&self) -> bool {
        self.phase == ProgressPhase::Complete
    }
}

fn terminating(state: &AppState) -> u32 {
    let said = state
        .deployment
        .as_ref()
        .and_then(|deployment| deployment.status.terminating_replicas);
    let seen: Vec<&PodState> = state.pods.values().collect();
    said.unwrap_or_else(|| count(&seen, |pod| pod.terminating))
}

fn count(pods: &[&PodState], matches: impl Fn(&PodState) -> bool) -> u32 {
    u32::try_from(pods.iter().filter(|pod| matches(pod)).count()).unwrap_or(u32::MAX)
}

/// Reports changes, each of them once.
pub(crate) struct Reporter<'a> {
    sink: &'a dyn EventSink,
    pods: HashMap<String, PodLine>,
    /// The phase and the ready and desired pods of the last report.
    told: Option<(ProgressPhase, u32, u32)>,
    /// The message at completion: `Rollout complete`, or that of a rollback.
    completion: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PodLine {
    revision: String,
    status: String,
    ready: bool,
    current: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(sink: &'a dyn EventSink) -> Self {
        Self {
            sink,
            pods: HashMap::new(),
            told: None,
            completion: "Rollout complete".to_owned(),
        }
    }

    /// Reports a rollback from now on.
    pub(crate) fn rolling_back(&mut self, completion: String) {
        self.told = None;
        self.completion = completion;
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.sink.emit(EventKind::Warning {
            message: message.into(),
        });
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        self.sink.emit(kind);
    }

    pub(crate) fn report(&mut self, state: &AppState, progress: &Progress) {
        // Until the controllers have seen the change, the current ReplicaSet is the old one.
        let current = state
            .current()
            .filter(|_| progress.phase > ProgressPhase::Unseen);
        self.report_pods(state, current.map(|set| set.name.as_str()));
        self.report_progress(progress);
    }

    fn report_pods(&mut self, state: &AppState, current: Option<&str>) {
        for pod in state.pods.values() {
            let line = PodLine {
                revision: pod.replica_set.clone(),
                status: pod.summary().to_owned(),
                ready: pod.is_ready(),
                current: current == Some(&pod.replica_set),
            };
            if self.pods.get(&pod.name) != Some(&line) {
                self.sink.emit(line.event(&pod.name, false));
                self.pods.insert(pod.name.clone(), line);
            }
        }
        let sink = self.sink;
        self.pods.retain(|name, line| {
            let lives = state.pods.contains_key(name);
            if !lives {
                line.ready = false;
                sink.emit(line.event(name, true));
            }
            lives
        });
    }

    fn report_progress(&mut self, progress: &Progress) {
        let now = (progress.phase, progress.ready, progress.desired);
        let (before, ready, desired) = self.told.unwrap_or((ProgressPhase::Unseen, 0, 0));
        let counts_changed = (progress.ready, progress.desired) != (ready, desired);
        // Restarting pods would repeat phases, so only later phases are reported, but every count.
        let advanced = progress.phase > before;
        if progress.ready > 0 && counts_changed {
            let message = format!("Pod {}/{} ready", progress.ready, progress.desired);
            self.tell(message, progress);
        }
        if advanced && let Some(message) = self.phase_message(progress.phase) {
            self.tell(message, progress);
        }
        self.told = Some((progress.phase.max(before), now.1, now.2));
    }

    fn phase_message(&self, phase: ProgressPhase) -> Option<String> {
        match phase {
            ProgressPhase::Unseen | ProgressPhase::Ready => None,
            ProgressPhase::Starting => Some("Waiting for pods to start".to_owned()),
            ProgressPhase::HealthChecks => Some("Waiting for health checks".to_owned()),
            ProgressPhase::OldPods => Some("Waiting for old pods to stop".to_owned()),
            ProgressPhase::Complete => Some(self.completion.clone()),
        }
    }

    fn tell(&self, message: String, progress: &Progress) {
        self.sink.emit(EventKind::Rollout {
            message,
            ready: progress.ready,
            desired: progress.desired,
        });
    }
}

impl PodLine {
    fn event(&self, name: &str, gone: bool) -> EventKind {
        EventKind::Pod {
            name: name.to_owned(),
            revision: self.revision.clone(),
            status: self.status.clone(),
            ready: self.ready,
            current: self.current,
            gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fixtures::{deployment, pod, replica_set, running, state};
    use serde_json::json;

    fn counts(replicas: u32, updated: u32, available: u32) -> serde_json::Value {
        json!({"observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated,
               "readyReplicas": available, "availableReplicas": available,
               "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                              {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]})
    }

    fn phase(
        status: serde_json::Value,
        pods: &[crate::state::raw::Pod],
        generation: i64,
    ) -> ProgressPhase {
        let sets = [replica_set("web-1", 1), replica_set("web-2", 2)];
        let state = state(Some(deployment(2, 3, status)), &sets, pods);
        Progress::of(&state, generation).phase
    }

    #[test]
    fn the_status_of_the_generation_before_never_completes() {
        // Everything still reads as after the previous rollout.
        let mut old = counts(3, 3, 3);
        old["observedGeneration"] = json!(1);
        assert_eq!(phase(old, &[], 2), ProgressPhase::Unseen);
        assert_eq!(phase(counts(3, 3, 3), &[], 3), ProgressPhase::Unseen);
        assert_eq!(phase(counts(3, 3, 3), &[], 2), ProgressPhase::Complete);
    }

    #[test]
    fn every_old_pod_has_to_go_and_every_new_one_has_to_be_available() {
        let ready: Vec<_> = (0..3)
            .map(|n| pod(&format!("web-2-{n}"), "web-2", running(true)))
            .collect();
        assert_eq!(phase(counts(4, 3, 4), &ready, 2), ProgressPhase::OldPods);
        // All ready, but not for minReadySeconds yet.
        assert_eq!(phase(counts(3, 3, 2), &ready, 2), ProgressPhase::Ready);
        assert_eq!(phase(counts(4, 2, 4), &ready[..2], 2), ProgressPhase::Ready);
    }

    #[test]
    fn pods_of_the_old_revision_do_not_count_as_ready() {
        let pods = [
            pod("web-1-a", "web-1", running(true)),
            pod("web-2-a", "web-2", running(false)),
        ];
        assert_eq!(
            phase(counts(2, 1, 1), &pods, 2),
            ProgressPhase::HealthChecks
        );
    }

    #[test]
    fn nothing_is_told_twice() {
        let told = Mutex::new(Vec::new());
        let sink = |event: EventKind| told.lock().unwrap().push(event);
        let mut reporter = Reporter::new(&sink);
        let step = |reporter: &mut Reporter<'_>, status, pods: &[_]| {
            let sets = [replica_set("web-2", 2)];
            let state = state(Some(deployment(2, 2, status)), &sets, pods);
            reporter.report(&state, &Progress::of(&state, 2));
            reporter.report(&state, &Progress::of(&state, 2));
        };
        let a = |ready| pod("web-2-a", "web-2", running(ready));
        let b = |ready| pod("web-2-b", "web-2", running(ready));
        step(&mut reporter, counts(0, 0, 0), &[]);
        step(&mut reporter, counts(2, 2, 0), &[a(false), b(false)]);
        step(&mut reporter, counts(2, 2, 1), &[a(true), b(false)]);
        step(&mut reporter, counts(2, 2, 0), &[a(false), b(false)]);
        step(&mut reporter, counts(2, 2, 2), &[a(true), b(true)]);
        let told = told.into_inner().unwrap();
        let messages: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                EventKind::Rollout { message, .. } => Some(message.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            messages,
            [
                "Waiting for pods to start",
                "Waiting for health checks",
                "Pod 1/2 ready",
                "Pod 2/2 ready",
                "Rollout complete"
            ]
        );
        let of_a = told
            .iter()
            .filter(|event| matches!(event, EventKind::Pod { name, .. } if name == "web-2-a"));
        assert_eq!(of_a.count(), 4, "unready, ready, unready, ready");
    }

    #[test]
    fn a_pod_that_is_gone_is_told_once() {
        let told = Mutex::new(Vec::new());
        let sink = |event: EventKind| told.lock().unwrap().push(event);
        let mut reporter = Reporter::new(&sink);
        let pods = [pod("web-2-a", "web-2", running(true))];
        for pods in [&pods[..], &[], &[]] {
            reporter.report_pods(&state(None, &[], pods), None);
        }
        let gone = |event: &EventKind| {
            matches!(
                event,
                EventKind::Pod {
                    gone: true,
                    ready: false,
                    ..
                }
            )
        };
        let told = told.into_inner().unwrap();
        assert_eq!(
            (told.len(), told.iter().filter(|e| gone(e)).count()),
            (2, 1)
        );
    }
}
