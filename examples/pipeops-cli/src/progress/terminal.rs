//! A view for terminals: finished steps scroll up, running ones stay below with bars and clocks.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeops::buildkit::View;
use pipeops::core::{EventKind, EventSink, Step};

use pipeops::core::units::seconds;

/// Bars on standard error.
pub struct Terminal {
    bars: MultiProgress,
    /// The pipeline: one tick per step.
    steps: ProgressBar,
    /// A running build, which has the screen to itself.
    build: Option<View>,
    rollout: Option<ProgressBar>,
}

impl Terminal {
    /// An empty view.
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let steps = bars.add(ProgressBar::new(Step::ALL.len() as u64));
        steps.set_style(
            style("{bar:24.green/dim} {pos}/{len} {msg} {elapsed:.dim}").progress_chars("━━─"),
        );
        steps.enable_steady_tick(Duration::from_millis(100));
        Self {
            bars,
            steps,
            build: None,
            rollout: None,
        }
    }

    /// Shows one event.
    pub fn show(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Queued {
                project,
                environment,
                commit,
            } => {
                self.print(format!("● {project}/{environment} at {}", commit.short()));
            }
            EventKind::StepStarted { step } => self.steps.set_message(step.name()),
            EventKind::StepFinished {
                step,
                millis,
                summary,
            } => self.step_finished(*step, *millis, summary),
            EventKind::StepFailed { step, millis } => self.step_failed(*step, *millis),
            EventKind::Vertex { .. } | EventKind::Log { .. } | EventKind::Transfer { .. } => {
                self.build().emit(kind.clone());
            }
            EventKind::Warning { .. } if self.build.is_some() => self.build().emit(kind.clone()),
            EventKind::Rollout {
                message,
                ready,
                desired,
            } => self.rollout(message, *ready, *desired),
            EventKind::Pod {
                name,
                status,
                ready,
                gone,
                ..
            } => self.pod(name, status, *ready, *gone),
            EventKind::BuildWaiting { ahead } => self.print(format!(
                "… waiting for a BuildKit daemon, {ahead} builds ahead"
            )),
            EventKind::Warning { message } => self.print(format!("⚠ {message}")),
            EventKind::RollingBack { to, .. } => self.print(format!("↩ rolling back to {to}")),
            EventKind::Failed { diagnosis, .. } => self.print(format!("\n{diagnosis}")),
            EventKind::Cancelled { reason } => self.print(format!("○ cancelled: {reason}")),
            _ => {}
        }
    }

    /// Removes the bars and keeps the printed lines.
    pub fn finish(&mut self) {
        self.clear_running();
        self.steps.finish_and_clear();
    }

    fn step_finished(&mut self, step: Step, millis: u64, summary: &str) {
        self.clear_running();
        self.steps.inc(1);
        self.print(format!(
            "✓ {:<10} {:>7}  {summary}",
            step.name(),
            seconds(millis)
        ));
    }

    fn step_failed(&mut self, step: Step, millis: u64) {
        self.clear_running();
        self.print(format!("✗ {:<10} {:>7}", step.name(), seconds(millis)));
    }

    /// The view of the build. It hides our bars.
    fn build(&mut self) -> &View {
        self.build.get_or_insert_with(|| {
            // Fails only when standard error is closed.
            let _ = self.bars.clear();
            self.bars.set_draw_target(ProgressDrawTarget::hidden());
            View::terminal()
        })
    }

    fn end_build(&mut self) {
        if let Some(build) = self.build.take() {
            build.finish();
            self.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    fn rollout(&mut self, message: &str, ready: u32, desired: u32) {
        let bars = &self.bars;
        let bar = self.rollout.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(u64::from(desired)));
            bar.set_style(style("  {bar:20.blue/dim} {msg}").progress_chars("━━─"));
            bar
        });
        bar.set_length(u64::from(desired));
        bar.set_position(u64::from(ready));
        bar.set_message(message.to_owned());
    }

    fn pod(&mut self, name: &str, status: &str, ready: bool, gone: bool) {
        let (mark, word) = match (gone, ready) {
            (true, _) => ("−", "gone"),
            (false, true) => ("✓", "ready"),
            (false, false) => ("·", status),
        };
        self.print(format!("  {mark} pod {name} {word}"));
    }

    fn clear_running(&mut self) {
        self.end_build();
        if let Some(bar) = self.rollout.take() {
            bar.finish_and_clear();
        }
    }

    fn print(&mut self, line: String) {
        self.end_build();
        // Fails only when standard error is closed.
        let _ = self.bars.println(line);
    }
}

/// A template of this file; falls back to the default bar rather than failing a deployment over its looks.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for template in [
            "{bar:24.green/dim} {pos}/{len} {msg} {elapsed:.dim}",
            "  {bar:20.blue/dim} {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
