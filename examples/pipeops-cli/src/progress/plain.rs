//! One line per event: for logs, pipes and CI.

use pipeops::buildkit::View;
use pipeops::core::{EventKind, EventSink};

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
        EventKind::Vertex { .. } | EventKind::Log { .. } | EventKind::Transfer { .. } => {
            return None;
        }
        EventKind::Rollout { .. } | EventKind::Pod { .. } => format!("  {kind}"),
        EventKind::Failed { diagnosis, .. } => format!("\n{diagnosis}"),
        _ => kind.to_string(),
    })
}
