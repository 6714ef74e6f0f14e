//! One line for each thing that happened: for logs, pipes and CI.

use std::collections::HashMap;

use pipeops::core::EventKind;
use pipeops::core::event::VertexState;

use super::seconds;

/// Prints lines. Transfers are left out: a line for every few kilobytes helps nobody.
#[derive(Default)]
pub struct Plain {
    /// Build steps whose start was printed, by id: their log lines are prefixed with `#n` as BuildKit's own are.
    numbers: HashMap<String, usize>,
}

impl Plain {
    /// Prints one event.
    pub fn show(&mut self, kind: &EventKind) {
        if let Some(line) = self.line(kind) {
            println!("{line}");
        }
    }

    fn line(&mut self, kind: &EventKind) -> Option<String> {
        Some(match kind {
            EventKind::Queued {
                project,
                environment,
                commit,
            } => {
                format!("queued     {project}/{environment} at {}", short(commit))
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
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => {
                let number = self.number(id);
                format!(
                    "  #{number:<3} {}{name}{}",
                    state_word(*state),
                    millis.map(in_brackets).unwrap_or_default()
                )
            }
            EventKind::Log { vertex, line } => format!("  #{:<3} | {line}", self.number(vertex)),
            EventKind::Transfer { .. } => return None,
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
                format!("waiting    for a daemon, {ahead} builds ahead")
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

    fn number(&mut self, id: &str) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(id.to_owned()).or_insert(next)
    }
}

/// The first characters of a commit SHA, as people name commits.
pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn state_word(state: VertexState) -> &'static str {
    match state {
        VertexState::Started => "",
        VertexState::Done => "done ",
        VertexState::Cached => "CACHED ",
        VertexState::Failed => "FAILED ",
        VertexState::Cancelled => "cancelled ",
        _ => "? ",
    }
}

fn in_brackets(millis: u64) -> String {
    format!(" ({})", seconds(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(id: &str, state: VertexState) -> EventKind {
        EventKind::Vertex {
            id: id.into(),
            name: "[1/2] FROM x".into(),
            state,
            millis: None,
        }
    }

    #[test]
    fn a_vertex_keeps_its_number() {
        let mut plain = Plain::default();
        assert_eq!(
            plain.line(&vertex("a", VertexState::Started)).unwrap(),
            "  #1   [1/2] FROM x"
        );
        assert_eq!(
            plain.line(&vertex("b", VertexState::Cached)).unwrap(),
            "  #2   CACHED [1/2] FROM x"
        );
        let log = EventKind::Log {
            vertex: "a".into(),
            line: "hello".into(),
        };
        assert_eq!(plain.line(&log).unwrap(), "  #1   | hello");
    }
}
