//! A view for terminals: finished steps scroll up, what runs stays below with its bars and clocks.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeops::core::event::VertexState;
use pipeops::core::{EventKind, Step};

use super::plain::short;
use super::seconds;

/// Build steps shown at once; the rest run unseen.
const VERTICES: usize = 8;

/// Bars on standard error.
pub struct Terminal {
    bars: MultiProgress,
    /// The whole way: one tick a step.
    way: ProgressBar,
    vertices: HashMap<String, ProgressBar>,
    transfers: HashMap<String, ProgressBar>,
    rollout: Option<ProgressBar>,
}

impl Terminal {
    /// An empty view.
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let way = bars.add(ProgressBar::new(Step::ALL.len() as u64));
        way.set_style(
            style("{bar:24.green/dim} {pos}/{len} {msg} {elapsed:.dim}").progress_chars("━━─"),
        );
        way.enable_steady_tick(Duration::from_millis(100));
        Self {
            bars,
            way,
            vertices: HashMap::new(),
            transfers: HashMap::new(),
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
                self.print(format!("● {project}/{environment} at {}", short(commit)));
            }
            EventKind::StepStarted { step } => self.way.set_message(step.name()),
            EventKind::StepFinished {
                step,
                millis,
                summary,
            } => self.step_finished(*step, *millis, summary),
            EventKind::StepFailed { step, millis } => self.step_failed(*step, *millis),
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => self.vertex(id, name, *state, *millis),
            EventKind::Log { vertex, line } => self.log(vertex, line),
            EventKind::Transfer { id, current, total } => self.transfer(id, *current, *total),
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
            EventKind::BuildWaiting { ahead } => {
                self.print(format!("… waiting for a daemon, {ahead} builds ahead"))
            }
            EventKind::Warning { message } => self.print(format!("⚠ {message}")),
            EventKind::RollingBack { to, .. } => self.print(format!("↩ rolling back to {to}")),
            EventKind::Failed { diagnosis, .. } => self.print(format!("\n{diagnosis}")),
            EventKind::Cancelled { reason } => self.print(format!("○ cancelled: {reason}")),
            _ => {}
        }
    }

    /// Takes the bars away; what was printed stays.
    pub fn finish(&mut self) {
        self.clear_running();
        self.way.finish_and_clear();
    }

    fn step_finished(&mut self, step: Step, millis: u64, summary: &str) {
        self.clear_running();
        self.way.inc(1);
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

    fn vertex(&mut self, id: &str, name: &str, state: VertexState, millis: Option<u64>) {
        if state == VertexState::Started {
            if self.vertices.len() < VERTICES && !self.vertices.contains_key(id) {
                let bar = self.spinner(format!("  {name}"));
                self.vertices.insert(id.to_owned(), bar);
            }
            return;
        }
        if let Some(bar) = self.vertices.remove(id) {
            bar.finish_and_clear();
        }
        let time = millis.map(seconds).unwrap_or_default();
        match state {
            VertexState::Cached => self.print(format!("  ◌  cached  {name}")),
            VertexState::Failed => self.print(format!("  ✗ {time:>7}  {name}")),
            VertexState::Cancelled => {}
            _ => self.print(format!("  ✓ {time:>7}  {name}")),
        }
    }

    /// The last line of a running step stands beside it; a failing step prints its output in the diagnosis.
    fn log(&mut self, vertex: &str, line: &str) {
        if let Some(bar) = self.vertices.get(vertex) {
            bar.set_prefix(format!(" {}", line.chars().take(60).collect::<String>()));
        }
    }

    fn transfer(&mut self, id: &str, current: u64, total: u64) {
        if total > 0 && current >= total {
            if let Some(bar) = self.transfers.remove(id) {
                bar.finish_and_clear();
            }
            return;
        }
        if self.transfers.len() >= VERTICES && !self.transfers.contains_key(id) {
            return;
        }
        let bars = &self.bars;
        let bar = self.transfers.entry(id.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(total));
            bar.set_style(
                style("    {bar:20.cyan/dim} {bytes:>10}/{total_bytes} {msg:.dim}")
                    .progress_chars("━━─"),
            );
            bar.set_message(id.chars().take(48).collect::<String>());
            bar
        });
        bar.set_length(total.max(current));
        bar.set_position(current);
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

    fn pod(&self, name: &str, status: &str, ready: bool, gone: bool) {
        let (mark, word) = match (gone, ready) {
            (true, _) => ("−", "gone"),
            (false, true) => ("✓", "ready"),
            (false, false) => ("·", status),
        };
        self.print(format!("  {mark} pod {name} {word}"));
    }

    fn spinner(&self, message: String) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style(
            "  {spinner:.cyan} {elapsed:>6.dim} {msg}{prefix:.dim}",
        ));
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn clear_running(&mut self) {
        let running = self
            .vertices
            .drain()
            .chain(self.transfers.drain())
            .map(|(_, bar)| bar);
        running
            .chain(self.rollout.take())
            .for_each(|bar| bar.finish_and_clear());
    }

    fn print(&self, line: String) {
        // Fails only when standard error is gone: then there is nobody to tell.
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
            "    {bar:20.cyan/dim} {bytes:>10}/{total_bytes} {msg:.dim}",
            "  {bar:20.blue/dim} {msg}",
            "  {spinner:.cyan} {elapsed:>6.dim} {msg}{prefix:.dim}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
