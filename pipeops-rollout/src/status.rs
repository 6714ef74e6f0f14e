//! The status of an application.

use jiff::Timestamp;
use pipeops_core::{Diagnosis, Revision};
use serde::{Deserialize, Serialize};

use crate::diagnose::{Limits, findings};
use crate::progress::Progress;
use crate::record::{AttemptPhase, RolloutRecord};
use crate::state::{AppState, PodState};
use crate::target::Target;

/// The phase of an application's latest rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RolloutPhase {
    /// New pods are starting.
    Progressing,
    /// The revision is healthy.
    Complete,
    /// The revision failed, and the previous one is being restored.
    RollingBack,
    /// The revision failed, and the previous one is healthy.
    RolledBack,
    /// The revision failed, and there was no revision to roll back to.
    Failed,
}

/// The summary of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PodSummary {
    /// Its name.
    pub name: String,
    /// Its ReplicaSet.
    pub revision: String,
    /// `Running`, or why it doesn't run: `CrashLoopBackOff`.
    pub status: String,
    /// Whether it's ready.
    pub ready: bool,
    /// Whether it belongs to the current revision.
    pub current: bool,
    /// How often its containers were restarted.
    pub restarts: u32,
}

/// The status of an application: see [`Rollout::status`](crate::Rollout::status). It serializes to JSON (camelCase).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RolloutStatus {
    /// The application.
    pub app: String,
    /// Its namespace.
    pub namespace: String,
    /// The revision that the Deployment specifies.
    pub revision: Option<Revision>,
    /// The phase of its latest rollout.
    pub phase: RolloutPhase,
    /// When its latest rollout started.
    pub started: Option<Timestamp>,
    /// Desired pods.
    pub desired: u32,
    /// Pods of the current revision.
    pub updated: u32,
    /// Pods of the current revision that are ready.
    pub ready: u32,
    /// Pods of any revision that have been ready for `minReadySeconds`.
    pub available: u32,
    /// Old pods that are terminating.
    pub terminating: u32,
    /// The images of the current revision.
    pub images: Vec<String>,
    /// The last revision that was healthy.
    pub healthy_revision: Option<Revision>,
    /// The target of [`Rollout::undo`](crate::Rollout::undo).
    pub previous_revision: Option<Revision>,
    /// Its pods, terminating ones included.
    pub pods: Vec<PodSummary>,
    /// Why the latest rollout failed or makes no progress.
    pub diagnosis: Option<Diagnosis>,
}

/// Combines the state of the cluster and PipeOps' record.
pub(crate) fn of(
    target: &Target,
    record: &RolloutRecord,
    state: &AppState,
    limits: &Limits,
) -> RolloutStatus {
    let deployment = state.deployment.clone().unwrap_or_default();
    let progress = Progress::of(state, deployment.generation);
    let current = state.current();
    let attempt = record.attempt.as_ref();
    let phase = phase(
        attempt.map(|attempt| &attempt.phase),
        progress.is_complete(),
    );
    RolloutStatus {
        app: target.app.clone(),
        namespace: target.namespace.clone(),
        revision: deployment.revision.clone(),
        phase,
        started: attempt.map(|attempt| attempt.started),
        desired: deployment.desired(),
        updated: deployment.status.updated_replicas,
        ready: progress.ready,
        available: deployment.status.available_replicas,
        terminating: progress.terminating,
        images: current.map(|set| set.images.clone()).unwrap_or_default(),
        healthy_revision: record
            .healthy
            .as_ref()
            .map(|healthy| healthy.revision.clone()),
        previous_revision: record
            .previous
            .as_ref()
            .map(|previous| previous.revision.clone()),
        pods: state.pods.values().map(|pod| summary(state, pod)).collect(),
        diagnosis: diagnosis(target, record, state, limits, phase),
    }
}

fn phase(attempt: Option<&AttemptPhase>, complete: bool) -> RolloutPhase {
    match attempt {
        Some(AttemptPhase::RollingBack { .. }) => RolloutPhase::RollingBack,
        Some(AttemptPhase::Failed { .. }) => RolloutPhase::Failed,
        _ if !complete => RolloutPhase::Progressing,
        Some(AttemptPhase::RolledBack { .. }) => RolloutPhase::RolledBack,
        _ => RolloutPhase::Complete,
    }
}

fn summary(state: &AppState, pod: &PodState) -> PodSummary {
    PodSummary {
        name: pod.name.clone(),
        revision: pod.replica_set.clone(),
        status: pod.summary().to_owned(),
        ready: pod.is_ready(),
        current: state
            .current()
            .is_some_and(|set| set.name == pod.replica_set),
        restarts: pod
            .containers()
            .map(|container| container.restart_count)
            .sum(),
    }
}

/// Why the latest attempt failed; otherwise what currently delays the pods.
fn diagnosis(
    target: &Target,
    record: &RolloutRecord,
    state: &AppState,
    limits: &Limits,
    phase: RolloutPhase,
) -> Option<Diagnosis> {
    match record.attempt.as_ref().map(|attempt| &attempt.phase) {
        Some(
            AttemptPhase::RollingBack { diagnosis }
            | AttemptPhase::RolledBack { diagnosis, .. }
            | AttemptPhase::Failed { diagnosis },
        ) => Some(diagnosis.clone()),
        _ if phase == RolloutPhase::Complete => None,
        _ => findings(state, limits)
            .first()
            .map(|finding| finding.diagnosis(&target.namespace, &target.app)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::diagnosis::codes::rollout::POD_EXITED;

    #[test]
    fn what_the_cluster_shows_outweighs_an_old_success() {
        assert_eq!(
            phase(Some(&AttemptPhase::Complete), false),
            RolloutPhase::Progressing
        );
        assert_eq!(phase(None, true), RolloutPhase::Complete);
        let diagnosis = Diagnosis::new(&POD_EXITED);
        let failed = AttemptPhase::Failed { diagnosis };
        assert_eq!(phase(Some(&failed), true), RolloutPhase::Failed);
    }
}
