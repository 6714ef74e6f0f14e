//! One line for each thing that happens, as `buildctl --progress=plain` prints them.

use std::collections::HashMap;
use std::io::Write;

use pipeops_core::event::{EventKind, VertexState};
use pipeops_core::units::seconds;

use super::part::part;

/// Parts of a step that take at least this many milliseconds are shown; most take less.
const WORTH_A_LINE: u64 = 100;

/// Writes lines with numbered steps. A step's name is repeated after the output of another step.
pub(super) struct Plain {
    out: Box<dyn Write + Send>,
    steps: HashMap<String, (usize, String)>,
    /// The number of the step whose lines were last.
    last: usize,
}

impl Plain {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            steps: HashMap::new(),
            last: 0,
        }
    }

    pub(super) fn show(&mut self, event: EventKind) {
        match event {
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => self.step(&id, &name, state, millis),
            EventKind::Log { vertex, line } => {
                let number = self.turn_to(&vertex, "");
                self.line(&format!("#{number} {line}"));
            }
            EventKind::Warning { message } => {
                self.last = 0;
                self.line(&format!("warning: {message}"));
            }
            EventKind::Transfer {
                vertex,
                id,
                current,
                millis: Some(millis),
                ..
            } if millis >= WORTH_A_LINE => self.part(&vertex, &part(&id, current), millis),
            // A line for every few kilobytes is useless.
            _ => {}
        }
    }

    /// A part of a step has ended.
    fn part(&mut self, vertex: &str, name: &str, millis: u64) {
        if self.steps.contains_key(vertex) {
            let number = self.turn_to(vertex, "");
            self.line(&format!("#{number} {name}, {}", seconds(millis)));
        }
    }

    fn step(&mut self, id: &str, name: &str, state: VertexState, millis: Option<u64>) {
        let number = self.turn_to(id, name);
        let time = millis
            .map(|millis| format!(" {}", seconds(millis)))
            .unwrap_or_default();
        let word = match state {
            VertexState::Started => return,
            VertexState::Cached => "CACHED".to_owned(),
            VertexState::Done => format!("DONE{time}"),
            VertexState::Failed => format!("FAILED{time}"),
            _ => "CANCELLED".to_owned(),
        };
        self.line(&format!("#{number} {word}"));
    }

    /// Says which step the next lines are of, if that changes.
    fn turn_to(&mut self, id: &str, name: &str) -> usize {
        let next = self.steps.len() + 1;
        let entry = self.steps.entry(id.to_owned());
        let (number, name) = entry.or_insert_with(|| (next, name.to_owned())).clone();
        if std::mem::replace(&mut self.last, number) != number {
            self.line(&format!("\n#{number} {name}"));
        }
        number
    }

    fn line(&mut self, text: &str) {
        // Fails only when the reader is gone.
        let _ = writeln!(self.out, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Page;
    use super::*;

    #[test]
    fn steps_that_run_at_the_same_time_are_told_apart() {
        let page = Page::default();
        let mut view = Plain::new(Box::new(page.clone()));
        let vertex = |id: &str, state, millis| EventKind::Vertex {
            id: id.into(),
            name: format!("[{id}] RUN make"),
            state,
            millis,
        };
        let log = |id: &str, line: &str| EventKind::Log {
            vertex: id.into(),
            line: line.into(),
        };
        let moved = |vertex: &str, current, millis| EventKind::Transfer {
            vertex: vertex.into(),
            id: "layer".into(),
            current,
            total: 0,
            millis,
        };
        for event in [
            vertex("a", VertexState::Started, None),
            log("a", "one"),
            vertex("b", VertexState::Cached, None),
            log("a", "two"),
            moved("a", 1, None),
            moved("a", 2, Some(99)),
            moved("a", 3 << 20, Some(1_200)),
            moved("unknown", 2, Some(1_200)),
            vertex("a", VertexState::Done, Some(1_500)),
            EventKind::Warning {
                message: "old".into(),
            },
        ] {
            view.show(event);
        }
        assert_eq!(
            page.text(),
            "\n#1 [a] RUN make\n#1 one\n\n#2 [b] RUN make\n#2 CACHED\n\n#1 [a] RUN make\n#1 two\n#1 layer 3.0 MiB, 1.2s\n#1 DONE 1.5s\nwarning: old\n"
        );
    }
}
