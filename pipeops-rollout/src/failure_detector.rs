//! Decides when a stalled rollout has failed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::diagnose::{Cause, Finding, Grace};
use crate::state::{AppState, Condition, PodState};

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

/// Remembers each cause in each pod: how long it has lasted, and what it was.
#[derive(Debug, Default)]
pub(crate) struct FailureDetector {
    lasting: BTreeMap<(Cause, Option<String>), Lasting>,
    /// A `ProgressDeadlineExceeded` from before the change, which Kubernetes keeps until the first progress.
    stale: Option<Condition>,
}

#[derive(Debug)]
struct Lasting {
    /// When the cause appeared, in this or another pod.
    since: Instant,
    /// When it vanished. `None` while the state shows it.
    gone: Option<Instant>,
    latest: Finding,
}

impl Lasting {
    fn is_fresh(&self, now: Instant) -> bool {
        self.gone.is_none_or(|gone| now - gone < GAP)
    }
}

impl FailureDetector {
    /// A detector that ignores this `Progressing` condition from before the change.
    pub(crate) fn new(before: Option<Condition>) -> Self {
        Self {
            lasting: BTreeMap::new(),
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
            return WaitDecision::Failed(self.explain(state, findings, now).unwrap_or(own));
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

    /// The most relevant cause of a rollout whose time is over: one of the current ones, or one that a retry hides at this
    /// moment.
    pub(crate) fn explain(
        &self,
        state: &AppState,
        findings: Vec<Finding>,
        now: Instant,
    ) -> Option<Finding> {
        let is_hidden = |one: &&Lasting| {
            let shows_another = findings.iter().any(|shown| shown.pod() == one.latest.pod());
            one.is_fresh(now) && !shows_another && is_retried(&one.latest, state)
        };
        let hidden = self.lasting.values().filter(is_hidden);
        let hidden = hidden.max_by_key(|one| (one.gone.unwrap_or(now), Reverse(one.latest.cause)));
        let hidden = hidden.map(|one| one.latest.clone());
        findings
            .into_iter()
            .chain(hidden)
            .min_by_key(|finding| finding.cause)
    }

    fn remember(&mut self, findings: &[Finding], now: Instant) {
        for lasting in self.lasting.values_mut() {
            lasting.gone.get_or_insert(now);
        }
        self.lasting.retain(|_, lasting| lasting.is_fresh(now));
        for finding in findings {
            let lasting = Lasting {
                since: self.since(finding.cause).unwrap_or(now),
                gone: None,
                latest: finding.clone(),
            };
            let pod = finding.pod().map(str::to_owned);
            self.lasting.insert((finding.cause, pod), lasting);
        }
    }

    /// When a cause appeared first. It lasts while any pod shows it.
    fn since(&self, cause: Cause) -> Option<Instant> {
        let own = self.lasting.iter().filter(|((one, _), _)| *one == cause);
        own.map(|(_, lasting)| lasting.since).min()
    }

    fn end_of_grace(&self, finding: &Finding) -> Option<Instant> {
        let since = self.since(finding.cause)?;
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

/// Whether the kubelet still retries what failed: its container hasn't started since.
fn is_retried(finding: &Finding, state: &AppState) -> bool {
    let pod = finding.pod().and_then(|pod| state.pods.get(pod));
    let runs = |pod: &PodState| {
        pod.containers()
            .any(|one| finding.is_about(&one.name) && one.state.running.is_some())
    };
    matches!(finding.grace, Grace::For(_)) && pod.is_some_and(|pod| !pod.terminating && !runs(pod))
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
        decide(&mut one, &pulling, at(30));
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
    fn a_cause_that_a_retry_hides_explains_until_its_container_runs() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut detector = FailureDetector::default();
        let down = broken("ErrImagePull", "dial tcp: connect: connection refused");
        let pulling = broken("ContainerCreating", "");
        // The state shows the cause for 40 s and doesn't change.
        decide(&mut detector, &down, at(0));
        decide(&mut detector, &pulling, at(40));
        let explain = |state: &AppState, seconds| {
            let current = findings(state, &Limits::default());
            let found = detector.explain(state, current, at(seconds));
            found.map(|finding| finding.cause)
        };
        assert_eq!(explain(&pulling, 50), Some(Cause::ImageRegistryDown));
        assert_eq!(explain(&pulling, 70), None, "it has ended");
        let runs = with_pods(&[pod("web-2-a", "web-2", running(true))], json!({}));
        assert_eq!(explain(&runs, 50), None);
        let unready = with_pods(&[pod("web-2-a", "web-2", running(false))], json!({}));
        assert_eq!(explain(&unready, 50), Some(Cause::ReadinessProbe));
        let configured = broken("CreateContainerConfigError", "m");
        assert_eq!(explain(&configured, 50), Some(Cause::ConfigOther));
        assert_eq!(explain(&with_pods(&[], json!({})), 50), None, "it's gone");
    }

    #[test]
    fn each_pod_that_a_retry_hides_explains() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let down = || waiting("ErrImagePull", "dial tcp: connect: connection refused");
        let pulling = || waiting("ContainerCreating", "");
        let pods = |a, b| {
            let pods = [pod("web-2-a", "web-2", a), pod("web-2-b", "web-2", b)];
            with_pods(&pods, json!({"observedGeneration": 2}))
        };
        // Whichever pod starts in the end: the other one still can't pull.
        for (a, b) in [(pulling(), running(true)), (running(true), pulling())] {
            let mut detector = FailureDetector::default();
            decide(&mut detector, &pods(down(), down()), at(0));
            let now = pods(a, b);
            decide(&mut detector, &now, at(10));
            let current = findings(&now, &Limits::default());
            let found = detector.explain(&now, current, at(15)).unwrap();
            assert_eq!(found.cause, Cause::ImageRegistryDown);
        }
    }

    #[test]
    fn a_cause_lasts_while_one_pod_after_another_shows_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut detector = FailureDetector::default();
        for (number, second) in (0..90).step_by(20).enumerate() {
            let down = waiting("ErrImagePull", "dial tcp: connect: connection refused");
            let pods = [pod(&format!("web-2-{number}"), "web-2", down)];
            let state = with_pods(&pods, json!({"observedGeneration": 2}));
            assert_eq!(
                decide(&mut detector, &state, at(second)),
                WaitDecision::Wait(Some(at(90)))
            );
        }
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
