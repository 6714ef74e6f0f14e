//! Probes: started, ready, alive.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::container::{Container, Surroundings};
use crate::kubernetes::behaviour::{Outcome, PodBehaviour};
use crate::kubernetes::recorder::{Kind, Said};
use crate::kubernetes::value::{int, text};

/// What comes of looking at a running container.
pub(super) enum Verdict {
    /// Look again then; never, when there is nothing to wait for.
    Again(Option<Instant>),
    /// This probe has failed too often: the container is killed.
    Kill(&'static str),
}

/// Looks at a running container.
pub(super) fn look(
    container: &mut Container,
    around: &mut Surroundings<'_>,
    behaviour: &PodBehaviour,
    outcome: &Outcome,
    since: Instant,
    at: Instant,
) -> Verdict {
    let ready_at = since + behaviour.ready_after;
    let startup = container.spec["startupProbe"].clone();
    let readiness = container.spec["readinessProbe"].clone();
    if !container.started {
        if startup.is_object() {
            let output = match outcome {
                Outcome::NeverStarted(output) => Some(output.clone()),
                _ if at < ready_at => Some(refused(&startup, around.address)),
                _ => None,
            };
            if let Some(output) = output {
                let wake = never(outcome, ready_at);
                return failed(container, around, &startup, "Startup", &output, since, wake);
            }
        }
        container.started = true;
        container.next_probe = None;
        container.failed_probes = 0;
    }
    if let Outcome::LivenessFails { after, output } = outcome
        && container.spec["livenessProbe"].is_object()
    {
        let fails_at = ready_at + *after;
        if at >= fails_at {
            let probe = container.spec["livenessProbe"].clone();
            return failed(
                container, around, &probe, "Liveness", output, fails_at, None,
            );
        }
        container.ready = at >= ready_at || !readiness.is_object();
        return Verdict::Again(Some(if at < ready_at { ready_at } else { fails_at }));
    }
    if !readiness.is_object() {
        container.ready = true;
        return Verdict::Again(None);
    }
    let output = match outcome {
        Outcome::NeverReady(output) | Outcome::NeverStarted(output) => Some(output.clone()),
        Outcome::Crash(_) => Some(refused(&readiness, around.address)),
        _ if at < ready_at => Some(refused(&readiness, around.address)),
        _ => None,
    };
    match output {
        Some(output) => {
            let wake = never(outcome, ready_at);
            failed(
                container,
                around,
                &readiness,
                "Readiness",
                &output,
                since,
                wake,
            )
        }
        None => {
            container.ready = true;
            Verdict::Again(None)
        }
    }
}

/// When a probe will succeed, if it ever will.
fn never(outcome: &Outcome, ready_at: Instant) -> Option<Instant> {
    match outcome {
        Outcome::Ready | Outcome::LivenessFails { .. } => Some(ready_at),
        _ => None,
    }
}

/// A probe that fails: counted and told once per period. Failed readiness kills nobody.
fn failed(
    container: &mut Container,
    around: &mut Surroundings<'_>,
    probe: &Value,
    kind: &'static str,
    output: &str,
    since: Instant,
    wake: Option<Instant>,
) -> Verdict {
    let seconds = |count: i64| {
        let time = Duration::from_secs(u64::try_from(count).unwrap_or(0));
        around.shared.options.real(time)
    };
    let period = seconds(int(probe, "/periodSeconds").max(1));
    let first = since + seconds(int(probe, "/initialDelaySeconds")) + period;
    let at = Instant::now();
    let due = container.next_probe.unwrap_or(first);
    if due > at {
        container.next_probe = Some(due);
        return Verdict::Again(Some(wake.map_or(due, |wake| wake.min(due))));
    }
    container.failed_probes += 1;
    let message = format!("{kind} probe failed: {output}");
    let said = Said {
        component: "kubelet",
        kind: Kind::Warning,
        reason: "Unhealthy",
        message: &message,
        field_path: &container.field_path(),
    };
    around.recorder.record(around.pod, said);
    if kind != "Readiness" && container.failed_probes >= int(probe, "/failureThreshold").max(1) {
        return Verdict::Kill(if kind == "Startup" {
            "startup"
        } else {
            "liveness"
        });
    }
    if kind == "Readiness" {
        container.ready = false;
    }
    let next = at + period;
    container.next_probe = Some(next);
    Verdict::Again(Some(wake.map_or(next, |wake| wake.min(next))))
}

/// What a probe says while nobody listens yet.
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
