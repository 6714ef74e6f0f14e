//! Decides when a stalled rollout has failed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::diagnose::{Cause, Finding, Grace};
use crate::state::{AppState, Condition};

/// A cause that isn't seen for this long has ended. In shorter gaps, the kubelet retries.
const GAP: Duration = Duration::from_secs(30);

/// Whether the rollout keeps waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaitDecision {
    /// The rollout has failed for this reason.
    Failed(Finding),
    /// Wait for the next change, and at most until this time.
    Wait(Option<Instant>),
}

/// Remembers how long each cause has lasted.
#[derive(Debug, Default)]
pub(crate) struct FailureDetector {
    lasting: HashMap<Cause, Lasting>,
    /// A `ProgressDeadlineExceeded` from before the change, which Kubernetes keeps until the first progress.
    stale: Option<Condition>,
}

#[derive(Debug, Clone, Copy)]
struct Lasting {
    since: Instant,
    seen: Instant,
}

impl FailureDetector {
    /// A detector that ignores this `Progressing` condition from before the change.
    pub(crate) fn new(before: Option<Condition>) -> Self {
        Self {
            lasting: HashMap::new(),
            stale: before.filter(is_exceeded),
        }
    }

    /// Decides by the current causes, sorted by relevance.
    pub(crate) fn decide(
        &mut self,
        state: &AppState,
        findings: Vec<Finding>,
        now: Instant,
    ) -> WaitDecision {
        self.remember(&findings, now);
        if let Some(exceeded) = self.exceeded(state) {
            let own = Finding::progress_deadline(&exceeded.message);
            return WaitDecision::Failed(findings.into_iter().next().unwrap_or(own));
        }
        let mut next: Option<Instant> = None;
        for finding in findings {
            let Some(end) = self.end_of_grace(&finding) else {
                continue;
            };
            if end <= now {
                return WaitDecision::Failed(finding);
            }
            next = Some(next.map_or(end, |next| next.min(end)));
        }
        WaitDecision::Wait(next)
    }

    fn remember(&mut self, findings: &[Finding], now: Instant) {
        self.lasting.retain(|_, lasting| now - lasting.seen < GAP);
        for finding in findings {
            let new = Lasting {
                since: now,
                seen: now,
            };
            self.lasting.entry(finding.cause).or_insert(new).seen = now;
        }
    }

    fn end_of_grace(&self, finding: &Finding) -> Option<Instant> {
        let since = self.lasting.get(&finding.cause)?.since;
        match finding.grace {
            Grace::None => Some(since),
            Grace::For(grace) => Some(since + grace),
            Grace::UntilDeadline => None,
        }
    }

    /// The condition by which Kubernetes reports a stall, unless it's from before the change.
    fn exceeded<'a>(&self, state: &'a AppState) -> Option<&'a Condition> {
        let deployment = state.deployment.as_ref()?;
        let seen = deployment.status.observed_generation >= deployment.generation;
        deployment.condition("Progressing").filter(|condition| {
            seen && is_exceeded(condition) && self.stale.as_ref() != Some(condition)
        })
    }
}

fn is_exceeded(condition: &Condition) -> bool {
    condition.reason == "ProgressDeadlineExceeded"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{Limits, findings};
    use crate::fixtures::{deployment, pod, replica_set, running, state, waiting};
    use serde_json::json;

    fn broken(reason: &str, message: &str) -> AppState {
        let pods = [pod("web-2-a", "web-2", waiting(reason, message))];
        with_pods(&pods, json!({"observedGeneration": 2}))
    }

    fn with_pods(pods: &[crate::state::raw::Pod], status: serde_json::Value) -> AppState {
        state(
            Some(deployment(2, 1, status)),
            &[replica_set("web-2", 2)],
            pods,
        )
    }

    fn decide(detector: &mut FailureDetector, state: &AppState, now: Instant) -> WaitDecision {
        detector.decide(state, findings(state, &Limits::default()), now)
    }

    fn cause(decision: WaitDecision) -> Option<Cause> {
        match decision {
            WaitDecision::Failed(finding) => Some(finding.cause),
            WaitDecision::Wait(_) => None,
        }
    }

    #[test]
    fn permanent_causes_fail_at_once() {
        let decision = decide(
            &mut FailureDetector::default(),
            &broken("InvalidImageName", "m"),
            Instant::now(),
        );
        assert_eq!(cause(decision), Some(Cause::InvalidImageName));
    }

    #[test]
    fn transient_causes_get_a_grace_period_even_across_short_gaps() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let down = broken(
            "ErrImagePull",
            "dial tcp 127.0.0.1:5999: connect: connection refused",
        );
        let pulling = broken("ContainerCreating", "");
        let mut one = FailureDetector::default();
        assert_eq!(
            decide(&mut one, &down, at(0)),
            WaitDecision::Wait(Some(at(90)))
        );
        assert_eq!(decide(&mut one, &pulling, at(10)), WaitDecision::Wait(None));
        assert_eq!(
            decide(&mut one, &down, at(25)),
            WaitDecision::Wait(Some(at(90)))
        );
        let after_a_long_gap = decide(&mut one, &down, at(60));
        assert_eq!(
            after_a_long_gap,
            WaitDecision::Wait(Some(at(150))),
            "it had passed"
        );
        let mut other = FailureDetector::default();
        for second in (0..90).step_by(10) {
            assert_eq!(cause(decide(&mut other, &down, at(second))), None);
        }
        assert_eq!(
            cause(decide(&mut other, &down, at(90))),
            Some(Cause::ImageRegistryDown)
        );
    }

    #[test]
    fn a_stall_is_explained_by_a_lasting_cause_if_there_is_one() {
        let exceeded = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
             "message": "ReplicaSet \"web-2\" has timed out progressing.", "lastUpdateTime": "2026-11-01T10:00:00Z"}]});
        let unready = with_pods(&[pod("web-2-a", "web-2", running(false))], exceeded.clone());
        let decision = decide(&mut FailureDetector::default(), &unready, Instant::now());
        assert_eq!(cause(decision), Some(Cause::ReadinessProbe));
        let nothing = with_pods(&[], exceeded);
        let decision = decide(&mut FailureDetector::default(), &nothing, Instant::now());
        assert_eq!(cause(decision), Some(Cause::ProgressDeadline));
        // The same condition from before an undo is stale.
        let before = nothing
            .deployment
            .as_ref()
            .unwrap()
            .condition("Progressing")
            .cloned();
        let decision = decide(&mut FailureDetector::new(before), &nothing, Instant::now());
        assert_eq!(decision, WaitDecision::Wait(None));
    }
}
