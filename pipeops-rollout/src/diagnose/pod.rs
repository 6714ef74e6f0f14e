//! Causes that a Pod shows: its scheduling, setup and end.

use super::causes::Cause;
use super::container;
use super::finding::Finding;
use super::limits::Limits;
use super::missing::missing_source;
use crate::state::{AppState, Condition, PodState};

/// Every cause that this Pod shows.
pub(super) fn findings(state: &AppState, pod: &PodState, limits: &Limits) -> Vec<Finding> {
    let mut findings: Vec<Finding> = pod
        .containers()
        .filter_map(|one| container::finding(state, pod, one, limits))
        .collect();
    findings.extend(ended(pod));
    findings.extend(unschedulable(pod));
    if is_being_set_up(pod) {
        findings.extend(set_up(state, pod));
    }
    findings.extend(hooks(state, pod));
    findings
        .into_iter()
        .map(|finding| finding.context("pod", &pod.name))
        .collect()
}

/// The Pod as a whole failed.
fn ended(pod: &PodState) -> Option<Finding> {
    let (reason, message) = (pod.status.reason.as_str(), pod.status.message.as_str());
    if pod.status.phase != "Failed" || reason.is_empty() {
        return None;
    }
    let cause = match reason {
        "Evicted" => Cause::Evicted,
        "Preempting" | "Preempted" => Cause::Preempted,
        "DeadlineExceeded" => Cause::PodDeadline,
        // NodeLost, NodeShutdown, NodeAffinity, OutOfcpu, OutOfmemory, UnexpectedAdmissionError, Terminated, …
        _ => Cause::PodRefused,
    };
    let error = format!("Pod {}: {reason}", pod.name);
    Some(Finding::new(cause, error).detail(message))
}

fn unschedulable(pod: &PodState) -> Option<Finding> {
    let scheduled = pod.condition("PodScheduled")?;
    let waits = scheduled.status == "False" && scheduled.reason != "SchedulingGated";
    waits.then(|| {
        let Condition { message, .. } = scheduled;
        Finding::new(
            Cause::Unschedulable,
            format!("Pod {} cannot be scheduled", pod.name),
        )
        .detail(message)
    })
}

/// Whether no container has started yet. Later, events of the setup are history.
fn is_being_set_up(pod: &PodState) -> bool {
    let begun = pod.containers().any(|container| {
        let state = &container.state;
        let waits = state
            .waiting
            .as_ref()
            .map(|waiting| waiting.reason.as_str());
        state.running.is_some()
            || state.terminated.is_some()
            || waits.is_some_and(|w| !matches!(w, "ContainerCreating" | "PodInitializing" | ""))
    });
    !begun && pod.status.phase != "Failed"
}

/// The cause in the latest event of the setup.
fn set_up(state: &AppState, pod: &PodState) -> Option<Finding> {
    state.events_of(&pod.name).rev().find_map(|event| {
        let message = event.message.as_str();
        let finding = match event.reason.as_str() {
            "FailedMount" => match missing_source(message) {
                Some(source) => Finding::new(Cause::VolumeSourceMissing, message).missing(source),
                None => Finding::new(Cause::Volume, message),
            },
            "FailedAttachVolume" | "FailedMapVolume" | "FailedBinding" => {
                Finding::new(Cause::Volume, message)
            }
            "FailedCreatePodSandBox" | "NetworkNotReady" | "FailedPodSandBoxStatus" => {
                Finding::new(Cause::Sandbox, message)
            }
            "Preempting" | "Preempted" => Finding::new(Cause::Preempted, message),
            "FailedScheduling" if pod.condition("PodScheduled").is_none() => {
                Finding::new(Cause::Unschedulable, message)
            }
            _ => return None,
        };
        Some(finding.detail(tail(message)))
    })
}

fn hooks(state: &AppState, pod: &PodState) -> Option<Finding> {
    state.events_of(&pod.name).rev().find_map(|event| {
        let cause = match event.reason.as_str() {
            "FailedPostStartHook" => Cause::StartHook,
            "FailedPreStopHook" => Cause::StopHook,
            _ => return None,
        };
        Some(Finding::new(cause, &event.message).detail(&event.message))
    })
}

/// The part after the last `failed for volume "x" : `.
fn tail(message: &str) -> &str {
    match message.split_once("failed for volume ") {
        Some((_, tail)) => tail.split_once(" : ").map_or(tail, |(_, tail)| tail),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{event, pod, running, state, waiting};
    use serde_json::{Value, json};

    fn found(status: Value, events: &[(&str, &str)]) -> Vec<Finding> {
        let mut state = state(None, &[], &[pod("web-2-a", "web-2", status)]);
        for (reason, message) in events {
            state.add_event(event("web-2-a", reason, message));
        }
        let pod = state.pods["web-2-a"].clone();
        findings(&state, &pod, &Limits::default())
    }

    #[test]
    fn a_missing_volume_source_is_named() {
        let creating = || waiting("ContainerCreating", "");
        let message = "MountVolume.SetUp failed for volume \"config\" : configmap \"web-config-1a2b\" not found";
        let found = found(creating(), &[("FailedMount", message)]);
        assert_eq!(found[0].cause, Cause::VolumeSourceMissing);
        let diagnosis = found[0].diagnosis("shop", "web");
        assert_eq!(
            diagnosis.reason,
            "a volume's source doesn't exist: configmap \"web-config-1a2b\" not found"
        );
        assert_eq!(
            diagnosis.fixes[0],
            "Create the missing ConfigMap \"web-config-1a2b\" in namespace shop"
        );
    }

    #[test]
    fn set_up_events_are_history_once_a_container_runs() {
        let event = (
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: plugin type=\"bridge\" failed: no IP addresses available",
        );
        assert_eq!(
            found(waiting("ContainerCreating", ""), &[event])[0].cause,
            Cause::Sandbox
        );
        let after = found(running(false), &[event]);
        assert!(after.iter().all(|finding| finding.cause != Cause::Sandbox));
    }

    #[test]
    fn the_scheduler_s_words_are_kept() {
        let message = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
        let status = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
        let found = found(status, &[]);
        assert_eq!(found[0].cause, Cause::Unschedulable);
        assert!(found[0].diagnosis("shop", "web").reason.ends_with(message));
    }

    #[test]
    fn pods_that_ended_as_a_whole_say_why() {
        let cause = |reason: &str| {
            let status = json!({"phase": "Failed", "reason": reason, "message": "m"});
            found(status, &[])[0].cause
        };
        assert_eq!(cause("Evicted"), Cause::Evicted);
        assert_eq!(cause("OutOfmemory"), Cause::PodRefused);
        assert_eq!(cause("DeadlineExceeded"), Cause::PodDeadline);
    }

    #[test]
    fn a_gated_pod_is_not_unschedulable() {
        let status = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]});
        assert!(found(status, &[]).is_empty());
    }
}
