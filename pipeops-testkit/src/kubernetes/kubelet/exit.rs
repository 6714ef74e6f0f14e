//! The exit and restart of a container.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::container::{Container, FIRST_WAIT, LONGEST_WAIT, MOMENT, Stage, Surroundings, Then};
use super::probes::{Look, Verdict};
use crate::kubernetes::behaviour::{Exit, Outcome};
use crate::kubernetes::recorder::Kind;
use crate::kubernetes::time::now;
use crate::kubernetes::value::text;

impl Container {
    /// A running container: what happens to it, and when.
    pub(super) fn watch(
        &mut self,
        around: &mut Surroundings<'_>,
        since: Instant,
        at: Instant,
    ) -> Option<Instant> {
        let behaviour = self.behaviour(around);
        let outcome = behaviour.outcome_after(self.failures).clone();
        if self.init && !self.is_sidecar() {
            return self.watch_init(around, &outcome, since, at);
        }
        let crash = match &outcome {
            Outcome::Crash(exit) => Some(exit.clone()),
            _ => None,
        };
        if let Some(exit) = crash.as_ref().filter(|exit| since + exit.after <= at) {
            self.exit(around, exit);
            return None;
        }
        let look = Look {
            container: self,
            around,
            outcome: &outcome,
            since,
            ready_at: since + behaviour.ready_after,
            at,
        };
        let verdict = look.take();
        if let Some(exit) = crash {
            return Some(since + exit.after);
        }
        match verdict {
            Verdict::Again(next) => next,
            Verdict::Kill(probe) => {
                let message = format!(
                    "Container {} failed {probe} probe, will be restarted",
                    self.name
                );
                self.say(around, Kind::Normal, "Killing", &message);
                let exit = Exit {
                    after: Duration::ZERO,
                    code: 137,
                    reason: "Error",
                };
                self.exit(around, &exit);
                None
            }
        }
    }

    /// An init container does its work and ends; only a crash keeps it from that.
    pub(super) fn watch_init(
        &mut self,
        around: &mut Surroundings<'_>,
        outcome: &Outcome,
        since: Instant,
        at: Instant,
    ) -> Option<Instant> {
        let done = Exit {
            after: self.behaviour(around).ready_after,
            code: 0,
            reason: "Completed",
        };
        let exit = match outcome {
            Outcome::Crash(exit) => exit,
            _ => &done,
        };
        let due = since + exit.after;
        if due > at {
            return Some(due);
        }
        self.exit(around, exit);
        None
    }

    pub(super) fn exit(&mut self, around: &mut Surroundings<'_>, exit: &Exit) {
        let state = self.terminated(around.uid, exit.code, exit.reason);
        self.ready = false;
        self.started = false;
        self.last = Some(state.clone());
        let restart = match text(around.pod, "/spec/restartPolicy") {
            _ if self.is_sidecar() => true,
            _ if self.init && exit.code == 0 => false,
            "Never" => false,
            "OnFailure" => exit.code != 0,
            _ => true,
        };
        self.failures += 1;
        self.crashes += 1;
        self.stage = Stage::Ended {
            until: restart.then(|| Instant::now() + around.shared.options.real(MOMENT)),
            state,
        };
    }

    pub(super) fn terminated(&self, uid: &str, code: i32, reason: &str) -> Value {
        let started_at = match &self.stage {
            Stage::Running { started_at, .. } => started_at.clone(),
            _ => now(),
        };
        json!({
            "exitCode": code,
            "reason": reason,
            "startedAt": started_at,
            "finishedAt": now(),
            "containerID": self.id(uid),
        })
    }

    pub(super) fn back_off_crash(&mut self, around: &mut Surroundings<'_>) {
        let doublings = self.crashes.saturating_sub(2).min(5);
        let wait = (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT);
        let pod = format!(
            "{}_{}({})",
            text(around.pod, "/metadata/name"),
            text(around.pod, "/metadata/namespace"),
            around.uid
        );
        let name = self.name.clone();
        let event = format!("Back-off restarting failed container {name} in pod {pod}");
        self.say(around, Kind::Warning, "BackOff", &event);
        let shown = match (wait.as_secs() / 60, wait.as_secs() % 60) {
            (0, seconds) => format!("{seconds}s"),
            (minutes, seconds) => format!("{minutes}m{seconds}s"),
        };
        self.stage = Stage::Failed {
            reason: "CrashLoopBackOff",
            message: format!("back-off {shown} restarting failed container={name} pod={pod}"),
            until: Instant::now() + around.shared.options.real(wait),
            then: Then::Start,
        };
    }

    /// The container was told to stop, and has.
    pub(super) fn stop(&mut self) {
        if matches!(self.stage, Stage::Running { .. }) {
            let state = self.terminated("", 0, "Completed");
            self.stage = Stage::Ended { until: None, state };
        }
        self.ready = false;
        self.started = false;
    }
}
