//! States of a cluster as a real API server reports them, for unit tests.

use serde_json::{Value, json};

use crate::state::{AppState, DeploymentState, EventState, PodState, ReplicaSetState, raw};

/// The Deployment `web` at its template number 2.
pub(crate) fn deployment(generation: i64, replicas: u32, status: Value) -> raw::Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "generation": generation, "uid": "d-1",
                     "annotations": {"deployment.kubernetes.io/revision": "2", "pipeops.dev/revision": "def456"}},
        "spec": {"replicas": replicas, "template": {"spec": {}}},
        "status": status
    }))
    .unwrap()
}

/// A ReplicaSet of `web`, named `web-<hash>`.
pub(crate) fn replica_set(name: &str, template_count: i64) -> raw::ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop",
                     "annotations": {"deployment.kubernetes.io/revision": template_count.to_string()},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d-1", "controller": true}]},
        "spec": {"replicas": 1, "selector": {}, "template": {"metadata": {"annotations": {"pipeops.dev/revision": "def456"}},
                 "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:def456"}]}}},
        "status": {"replicas": 1, "readyReplicas": 0}
    }))
    .unwrap()
}

/// A Pod of a ReplicaSet `web-<hash>`.
pub(crate) fn pod(name: &str, replica_set: &str, status: Value) -> raw::Pod {
    let hash = replica_set.strip_prefix("web-").unwrap();
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"pod-template-hash": hash},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": "r", "controller": true}]},
        "spec": {"containers": [{"name": "web"}]},
        "status": status
    }))
    .unwrap()
}

/// The status of a pod that runs.
pub(crate) fn running(ready: bool) -> Value {
    let is = if ready { "True" } else { "False" };
    json!({"phase": "Running",
           "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": is}],
           "containerStatuses": [{"name": "web", "image": "registry.example.com/web:def456", "ready": ready,
                                  "restartCount": 0, "started": true, "state": {"running": {"startedAt": "2026-11-01T10:00:00Z"}}}]})
}

/// The status of a pod whose container waits.
pub(crate) fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending",
           "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
           "containerStatuses": [{"name": "web", "image": "registry.example.com/web:def456", "ready": false, "restartCount": 0,
                                  "started": false, "state": {"waiting": {"reason": reason, "message": message}}}]})
}

/// The status of a pod whose container ended `restarts + 1` times with this code and waits for its next start.
pub(crate) fn crashed(reason: &str, exit_code: i32, restarts: u32) -> Value {
    json!({"phase": "Running",
           "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
           "containerStatuses": [{"name": "web", "image": "registry.example.com/web:def456", "ready": false,
                                  "restartCount": restarts, "started": false,
                                  "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container=web pod=web-2-a_shop(u)"}},
                                  "lastState": {"terminated": {"reason": reason, "exitCode": exit_code, "startedAt": "2026-11-01T10:00:00Z",
                                                               "finishedAt": "2026-11-01T10:00:01Z", "containerID": "containerd://c"}}}]})
}

/// A warning event about an object.
pub(crate) fn event(about: &str, reason: &str, message: &str) -> EventState {
    EventState {
        name: format!("{about}.{reason}.{}", message.len()),
        about: about.into(),
        reason: reason.into(),
        message: message.into(),
    }
}

/// All of these together.
pub(crate) fn state(
    deployment: Option<raw::Deployment>,
    replica_sets: &[raw::ReplicaSet],
    pods: &[raw::Pod],
) -> AppState {
    let mut state = AppState {
        deployment: deployment.map(DeploymentState::from),
        ..AppState::default()
    };
    for set in replica_sets.iter().cloned().filter_map(ReplicaSetState::of) {
        state.replica_sets.insert(set.name.clone(), set);
    }
    for (_, pod) in pods.iter().cloned().filter_map(PodState::of) {
        state.pods.insert(pod.name.clone(), pod);
    }
    state
}
