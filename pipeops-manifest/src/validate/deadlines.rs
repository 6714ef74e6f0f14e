//! Health checks, and deadlines that must nest.

use std::time::Duration;

use super::problems::{Problems, shown};
use crate::app::{App, Kind};
use crate::health::HealthCheck;
use crate::timing::{Timing, seconds_i32, whole_seconds};

/// A day: longer deadlines are typing errors.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn health(app: &App, found: &mut Problems) {
    if app.kind == Kind::Web {
        found.require(app.port != 0, "port", "must be 1 to 65535");
    }
    check_health("health", &app.health, app, found);
    if let Some(liveness) = &app.liveness {
        check_health("liveness", liveness, app, found);
    }
}

fn check_health(path: &str, check: &HealthCheck, app: &App, found: &mut Problems) {
    found.require(
        app.kind == Kind::Web || !check.needs_port(),
        path,
        "a worker listens on no port; take an exec check or none",
    );
    match check {
        HealthCheck::Http { path: url } => {
            let valid = url.starts_with('/')
                && url.len() <= 1024
                && url.chars().all(|c| c.is_ascii_graphic());
            found.require(
                valid,
                format!("{path}.http.path"),
                format!("{} must begin with / and hold no spaces", shown(url)),
            );
        }
        HealthCheck::Exec { command } => {
            let valid = command.first().is_some_and(|program| !program.is_empty())
                && command.iter().all(|word| !word.contains('\0'));
            found.require(valid, format!("{path}.exec.command"), "must name a program");
        }
        HealthCheck::Tcp | HealthCheck::Grpc { .. } | HealthCheck::None => {}
    }
}

pub(super) fn timing(app: &App, found: &mut Problems) {
    let timing = &app.timing;
    let startup = timing.startup_budget(app.language);
    for (path, value, least) in [
        ("timing.startupBudgetSeconds", startup, 1),
        (
            "timing.progressDeadlineSeconds",
            timing.progress_deadline,
            1,
        ),
        ("timing.rolloutDeadlineSeconds", timing.rollout_deadline, 1),
        ("timing.minReadySeconds", timing.min_ready, 0),
        ("timing.drainSeconds", timing.drain, 0),
        (
            "timing.terminationGraceSeconds",
            timing.termination_grace,
            1,
        ),
        ("timing.probeTimeoutSeconds", timing.probe_timeout, 1),
    ] {
        let seconds = whole_seconds(value);
        found.require(
            seconds >= least && value <= MAX_DEADLINE,
            path,
            format!("{seconds} must be {least} to {}", MAX_DEADLINE.as_secs()),
        );
    }
    nested_deadlines(timing, startup, app.kind, found);
}

fn nested_deadlines(timing: &Timing, startup: Duration, kind: Kind, found: &mut Problems) {
    // As the objects will say it: in whole seconds.
    let seconds = |duration| seconds_i32(duration);
    let (progress, rollout) = (
        seconds(timing.progress_deadline),
        seconds(timing.rollout_deadline),
    );
    let until_available = seconds(startup).saturating_add(seconds(timing.min_ready));
    found.require(
        until_available < progress,
        "timing.progressDeadlineSeconds",
        format!("{progress} must be more than start-up budget and minReady together ({until_available}), or every slow start counts as stalled"),
    );
    found.require(
        progress < rollout,
        "timing.rolloutDeadlineSeconds",
        format!("{rollout} must be more than progressDeadlineSeconds ({progress}), or Kubernetes never gets to say why a rollout stalled"),
    );
    let (drain, grace) = (seconds(timing.drain), seconds(timing.termination_grace));
    found.require(
        kind == Kind::Worker || drain < grace,
        "timing.drainSeconds",
        format!("{drain} must be less than terminationGraceSeconds ({grace}), or the pod is killed while it drains"),
    );
}
