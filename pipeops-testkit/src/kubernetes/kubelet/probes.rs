//! Startup, readiness and liveness probes.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::container::{Container, Surroundings};
use crate::kubernetes::behaviour::Outcome;
use crate::kubernetes::recorder::{Kind, Said};
use crate::kubernetes::value::{int, text};

/// What comes of looking at a running container.
pub(super) enum Verdict {
    /// Look again then; never, when there is nothing to wait for.
    Again(Option<Instant>),
    /// This probe has failed too often: the container is killed.
    Kill(&'static str),
}

/// A running container as its probes see it.
pub(super) struct Look<'a, 'b> {
    pub(super) container: &'a mut Container,
    pub(super) around: &'a mut Surroundings<'b>,
    pub(super) outcome: &'a Outcome,
    /// When it was started.
    pub(super) since: Instant,
    /// When its probes begin to succeed, if the script lets them.
    pub(super) ready_at: Instant,
    pub(super) at: Instant,
}

impl Look<'_, '_> {
    /// Startup first; then liveness and readiness.
    pub(super) fn take(mut self) -> Verdict {
        if !self.container.started {
            if let Some(verdict) = self.startup() {
                return verdict;
            }
            self.container.started = true;
            self.container.next_probe = None;
            self.container.failed_probes = 0;
        }
        match self.liveness() {
            Some(verdict) => verdict,
            None => self.readiness(),
        }
    }

    /// None once the container has started.
    fn startup(&mut self) -> Option<Verdict> {
        let probe = self.container.spec["startupProbe"].clone();
        let output = match self.outcome {
            Outcome::NeverStarted(output) => output.clone(),
            _ if self.at < self.ready_at => refused(&probe, self.around.address),
            _ => return None,
        };
        probe.is_object().then(|| {
            let wake = self.wake();
            self.failed(&probe, "Startup", &output, self.since, wake)
        })
    }

    /// None where the script does not let it fail.
    fn liveness(&mut self) -> Option<Verdict> {
        let probe = self.container.spec["livenessProbe"].clone();
        let Outcome::LivenessFails { after, output } = self.outcome else {
            return None;
        };
        if !probe.is_object() {
            return None;
        }
        let fails_at = self.ready_at + *after;
        if self.at >= fails_at {
            return Some(self.failed(&probe, "Liveness", output, fails_at, None));
        }
        let waits = self.at < self.ready_at;
        self.container.ready = !waits || !self.container.spec["readinessProbe"].is_object();
        Some(Verdict::Again(Some(if waits {
            self.ready_at
        } else {
            fails_at
        })))
    }

    fn readiness(&mut self) -> Verdict {
        let probe = self.container.spec["readinessProbe"].clone();
        let output = match self.outcome {
            Outcome::NeverReady(output) | Outcome::NeverStarted(output) => Some(output.clone()),
            Outcome::Crash(_) => Some(refused(&probe, self.around.address)),
            _ if self.at < self.ready_at => Some(refused(&probe, self.around.address)),
            _ => None,
        };
        match output {
            Some(output) if probe.is_object() => {
                let wake = self.wake();
                self.failed(&probe, "Readiness", &output, self.since, wake)
            }
            _ => {
                self.container.ready = true;
                Verdict::Again(None)
            }
        }
    }

    /// When a probe will succeed, if it ever will.
    fn wake(&self) -> Option<Instant> {
        match self.outcome {
            Outcome::Ready | Outcome::LivenessFails { .. } => Some(self.ready_at),
            _ => None,
        }
    }

    /// A probe that fails: counted and told once per period. Failed readiness stops no container.
    fn failed(
        &mut self,
        probe: &Value,
        kind: &'static str,
        output: &str,
        since: Instant,
        wake: Option<Instant>,
    ) -> Verdict {
        let period = self.seconds(int(probe, "/periodSeconds").max(1));
        let first = since + self.seconds(int(probe, "/initialDelaySeconds")) + period;
        let due = self.container.next_probe.unwrap_or(first);
        if due > self.at {
            self.container.next_probe = Some(due);
            return Verdict::Again(Some(wake.map_or(due, |wake| wake.min(due))));
        }
        self.container.failed_probes += 1;
        self.tell(&format!("{kind} probe failed: {output}"));
        let limit = int(probe, "/failureThreshold").max(1);
        if kind == "Readiness" {
            self.container.ready = false;
        } else if self.container.failed_probes >= limit {
            return Verdict::Kill(if kind == "Startup" {
                "startup"
            } else {
                "liveness"
            });
        }
        let next = self.at + period;
        self.container.next_probe = Some(next);
        Verdict::Again(Some(wake.map_or(next, |wake| wake.min(next))))
    }

    fn seconds(&self, count: i64) -> Duration {
        let time = Duration::from_secs(u64::try_from(count).unwrap_or(0));
        self.around.shared.options.real(time)
    }

    fn tell(&mut self, message: &str) {
        let said = Said {
            component: "kubelet",
            kind: Kind::Warning,
            reason: "Unhealthy",
            message,
            field_path: &self.container.field_path(),
        };
        self.around.recorder.record(self.around.pod, said);
    }
}

/// What a probe says before the container listens.
fn refused(probe: &Value, address: &str) -> String {
    let port = |handler: &str| match probe.pointer(&format!("/{handler}/port")) {
        Some(Value::String(name)) => name.clone(),
        Some(port) => port.to_string(),
        None => String::new(),
    };
    if probe["httpGet"].is_object() {
        let (port, path) = (port("httpGet"), text(probe, "/httpGet/path"));
        let slash = if path.starts_with('/') { "" } else { "/" };
        return format!(
            "Get \"http://{address}:{port}{slash}{path}\": dial tcp {address}:{port}: connect: connection refused"
        );
    }
    if probe["tcpSocket"].is_object() {
        return format!(
            "dial tcp {address}:{}: connect: connection refused",
            port("tcpSocket")
        );
    }
    "command returned exit code 1".to_owned()
}
