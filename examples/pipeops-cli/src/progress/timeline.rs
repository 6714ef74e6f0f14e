//! The duration of each step, drawn as a share of the total.

use std::fmt;

use pipeops::core::{EventKind, Step};
use serde::Serialize;

use pipeops::core::units::seconds;

/// The widest bar.
const WIDTH: u64 = 40;

/// The duration of each finished step.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Timeline {
    steps: Vec<StepTime>,
}

#[derive(Debug, Clone, Serialize)]
struct StepTime {
    step: Step,
    millis: u64,
}

impl Timeline {
    /// Records the duration of a finished step.
    pub fn note(&mut self, kind: &EventKind) {
        if let EventKind::StepFinished { step, millis, .. }
        | EventKind::StepFailed { step, millis } = kind
        {
            self.steps.push(StepTime {
                step: *step,
                millis: *millis,
            });
        }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.steps.iter().map(|step| step.millis).sum();
        for StepTime { step, millis } in &self.steps {
            let share = |of: u64| (millis * of).checked_div(total).unwrap_or(0);
            let bar = "█".repeat(usize::try_from(share(WIDTH)).unwrap_or(0).max(1));
            writeln!(
                f,
                "  {:<10} {:>7} {:>3}%  {bar}",
                step.name(),
                seconds(*millis),
                share(100)
            )?;
        }
        writeln!(f, "  {:<10} {:>7}", "total", seconds(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_the_shortest_step_has_a_bar() {
        let mut timeline = Timeline::default();
        for (step, millis) in [(Step::Clone, 10), (Step::Build, 3_990)] {
            timeline.note(&EventKind::StepFinished {
                step,
                millis,
                summary: String::new(),
            });
        }
        let text = timeline.to_string();
        assert!(text.contains("clone         0.0s   0%  █\n"), "{text}");
        assert!(
            text.contains(&format!("build         3.9s  99%  {}\n", "█".repeat(39))),
            "{text}"
        );
        assert!(text.ends_with("total         4.0s\n"), "{text}");
    }
}
