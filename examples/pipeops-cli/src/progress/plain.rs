//! One line per event: for logs, pipes and CI.

use pipeops::buildkit::View;
use pipeops::core::{EventKind, EventSink};

use pipeops::core::units::seconds;

/// Prints lines.
pub struct Plain {
    build: View,
}

impl Plain {
    /// An empty view.
    pub fn new() -> Self {
        Self {
            build: View::plain(std::io::stdout()),
        }
    }

    /// Prints one event.
    pub fn show(&self, kind: &EventKind) {
        match line(kind) {
            Some(line) => outln!("{line}"),
            None => self.build.emit(kind.clone()),
        }
    }
}

/// The line of an event; `None` for events of a build.
fn line(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Queued {
            project,
            environment,
            commit,
        } => {
            format!("queued     {project}/{environment} at {}", commit.short())
        }
        EventKind::Claimed { runner, attempt: 0 } => format!("claimed    by {runner}"),
        EventKind::Claimed { runner, attempt } => {
            format!("claimed    by {runner}, attempt {}", attempt + 1)
        }
        EventKind::StepStarted { step } => format!("{step:<10} …"),
        EventKind::StepFinished {
            step,
            millis,
            summary,
        } => {
            format!("{:<10} {summary} ({})", step.name(), seconds(*millis))
        }
        EventKind::StepFailed { step, millis } => {
            format!("{:<10} failed ({})", step.name(), seconds(*millis))
        }
        EventKind::Rollout { message, .. } => format!("  {message}"),
        EventKind::Pod {
            name,
            status,
            ready,
            gone,
            ..
        } => {
            let status = if *gone {
                "gone"
            } else if *ready {
                "ready"
            } else {
                status
            };
            format!("  pod {name}: {status}")
        }
        EventKind::BuildWaiting { ahead } => {
            format!("waiting    for a BuildKit daemon, {ahead} builds ahead")
        }
        EventKind::Warning { message } => format!("warning    {message}"),
        EventKind::RollingBack { to, diagnosis } => {
            format!("rollback   to {to}: {}", diagnosis.title)
        }
        EventKind::Succeeded { image, millis } => {
            format!("succeeded  {image} ({})", seconds(*millis))
        }
        EventKind::Failed { diagnosis, .. } => format!("\n{diagnosis}"),
        EventKind::Cancelled { reason } => format!("cancelled  {reason}"),
        _ => return None,
    })
}
