//! Validates health checks and deadlines.

use std::time::Duration;

use super::problems::{Problems, shown};
use crate::app::{App, Kind};
use crate::health::HealthCheck;
use crate::timing::{Timing, seconds_i32, whole_seconds};

/// A day: longer deadlines are typos.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn health(app: &App, found: &mut Problems) {
    if app.kind == Kind::Web {
        found.require(app.port != 0, "port", "must be between 1 and 65535");
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
        "a worker has no port; use an exec check or none",
    );
    match check {
        HealthCheck::Http { path: url } => {
            let valid = url.starts_with('/')
                && url.len() <= 1024
                && url.chars().all(|c| c.is_ascii_graphic());
            found.require(
                valid,
                format!("{path}.http.path"),
                format!("{} must begin with / and contain no spaces", shown(url)),
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
            format!(
                "{seconds} must be between {least} and {}",
                MAX_DEADLINE.as_secs()
            ),
        );
    }
    nested_deadlines(timing, startup, app.kind, found);
}

fn nested_deadlines(timing: &Timing, startup: Duration, kind: Kind, found: &mut Problems) {
    // In whole seconds, as in the objects.
    let seconds = |duration| seconds_i32(duration);
    let progress = seconds(timing.progress_deadline);
    let until_available = seconds(startup).saturating_add(seconds(timing.min_ready));
    found.require(
        until_available < progress,
        "timing.progressDeadlineSeconds",
        format!("{progress} must exceed startupBudgetSeconds + minReadySeconds ({until_available}); otherwise a slow start counts as a stall"),
    );
    let (drain, grace) = (seconds(timing.drain), seconds(timing.termination_grace));
    found.require(
        kind == Kind::Worker || drain < grace,
        "timing.drainSeconds",
        format!("{drain} must be less than terminationGraceSeconds ({grace}); otherwise the pod is killed while it drains"),
    );
}
