//! A view for terminals: what ended scrolls up, what runs stays below with its clock, its last line and its transfers.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use console::{Term, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use pipeops_core::event::{EventKind, VertexState};
use pipeops_core::units::seconds;

use super::part::part;

/// Limits for the live steps and transfers. Others appear when they end.
const SHOWN: usize = 8;

/// Milliseconds from which a part of a step stays on the screen. Its step may have ended long before: the daemon calls a base
/// image done when it knows it, and fetches it when it is needed.
const WORTH_A_LINE: u64 = 1_000;

const TOTAL: &str = "   {time:>6.dim} {wide_msg}";
const STEP: &str = " {spinner:.cyan} {time:>6.dim} {wide_msg}";
const OUTPUT: &str = "          {wide_msg:.dim}";
const TRANSFER: &str = "          {bar:20.cyan/dim} {bytes:>10}/{total_bytes} {wide_msg:.dim}";
const PART: &str = " {spinner:.cyan} {time:>6.dim} {wide_msg:.dim}";

/// How often clocks and spinners move.
const TICK: Duration = Duration::from_millis(100);

/// Bars on standard error.
pub(super) struct Terminal {
    bars: MultiProgress,
    width: fn() -> usize,
    /// Tests draw without: a thread that ticks may show them half a screen.
    tick: Option<Duration>,
    /// The last line: how many steps ended, and how many of them came from cache.
    total: ProgressBar,
    ended: usize,
    cached: usize,
    steps: HashMap<String, Step>,
    /// By vertex and id.
    transfers: HashMap<(String, String), ProgressBar>,
}

/// A step that runs.
struct Step {
    bar: ProgressBar,
    /// Its last line of output, once there is one.
    output: Option<ProgressBar>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        // Asked each time: people resize their windows.
        let width = || Term::stderr().size().1.into();
        Self::on(ProgressDrawTarget::stderr(), width, Some(TICK))
    }

    fn on(target: ProgressDrawTarget, width: fn() -> usize, tick: Option<Duration>) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        let total = bars.add(ProgressBar::new_spinner().with_style(style(TOTAL)));
        total.set_message("building");
        keep_moving(&total, tick);
        Self {
            bars,
            width,
            tick,
            total,
            ended: 0,
            cached: 0,
            steps: HashMap::new(),
            transfers: HashMap::new(),
        }
    }

    pub(super) fn show(&mut self, event: EventKind) {
        match event {
            EventKind::Vertex {
                id,
                name,
                state: VertexState::Started,
                ..
            } => self.start(id, name),
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => self.end(&id, &name, state, millis),
            EventKind::Log { vertex, line } => self.output(&vertex, line),
            EventKind::Transfer {
                vertex,
                id,
                current,
                millis: Some(millis),
                ..
            } => self.end_transfer(&(vertex, id), current, millis),
            EventKind::Transfer {
                vertex,
                id,
                current,
                total,
                ..
            } => self.transfer((vertex, id), current, total),
            EventKind::Warning { message } => self.print(&format!(" ⚠ {message}")),
            _ => {}
        }
    }

    /// Takes the bars away; what was printed stays.
    pub(super) fn finish(mut self) {
        self.steps.drain().for_each(|(_, step)| step.clear());
        self.transfers
            .drain()
            .for_each(|(_, bar)| bar.finish_and_clear());
        self.total.finish_and_clear();
    }

    fn start(&mut self, id: String, name: String) {
        if self.steps.len() >= SHOWN || self.steps.contains_key(&id) {
            return;
        }
        let bar = ProgressBar::new_spinner()
            .with_style(style(STEP))
            .with_message(name);
        let bar = self.bars.insert_before(&self.total, bar);
        // Drawn now, as the first tick comes later.
        bar.tick();
        keep_moving(&bar, self.tick);
        self.steps.insert(id, Step { bar, output: None });
    }

    fn end(&mut self, id: &str, name: &str, state: VertexState, millis: Option<u64>) {
        if let Some(step) = self.steps.remove(id) {
            step.clear();
        }
        let time = millis.map(seconds).unwrap_or_default();
        match state {
            VertexState::Cached => self.print_cut(&format!(" ◌ cached {name}")),
            VertexState::Failed => self.print_cut(&format!(" ✗ {time:>6} {name}")),
            VertexState::Cancelled => return,
            _ => self.print_cut(&format!(" ✓ {time:>6} {name}")),
        }
        self.ended += 1;
        self.cached += usize::from(state == VertexState::Cached);
        self.total
            .set_message(format!("{} done, {} from cache", self.ended, self.cached));
    }

    fn output(&mut self, id: &str, line: String) {
        let Some(step) = self.steps.get_mut(id) else {
            return;
        };
        let output = step.output.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(style(OUTPUT));
            self.bars.insert_after(&step.bar, bar)
        });
        output.set_message(line.replace('\t', " "));
        output.tick();
    }

    fn transfer(&mut self, key: (String, String), current: u64, total: u64) {
        if self.transfers.len() >= SHOWN && !self.transfers.contains_key(&key) {
            return;
        }
        let name = match total {
            0 => part(&key.1, current),
            _ => part(&key.1, 0),
        };
        let bar = self.transfers.entry(key).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(style(PART));
            let bar = self.bars.insert_before(&self.total, bar);
            keep_moving(&bar, self.tick);
            bar
        });
        if total > 0 && bar.length().is_none() {
            bar.set_style(style(TRANSFER).progress_chars("━━─"));
        }
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_message(name);
        bar.set_position(current);
    }

    fn end_transfer(&mut self, key: &(String, String), current: u64, millis: u64) {
        if let Some(bar) = self.transfers.remove(key) {
            bar.finish_and_clear();
        }
        if millis >= WORTH_A_LINE {
            let name = part(&key.1, current);
            self.print_cut(&format!(" ✓ {:>6}   {name}", seconds(millis)));
        }
    }

    /// One line on the screen, however long the instruction is.
    fn print_cut(&self, line: &str) {
        self.print(&truncate_str(line, (self.width)(), "…"));
    }

    fn print(&self, line: &str) {
        // Fails only when standard error is gone.
        let _ = self.bars.println(line);
    }
}

impl Step {
    fn clear(self) {
        if let Some(output) = self.output {
            output.finish_and_clear();
        }
        self.bar.finish_and_clear();
    }
}

fn keep_moving(bar: &ProgressBar, tick: Option<Duration>) {
    if let Some(tick) = tick {
        bar.enable_steady_tick(tick);
    }
}

/// A template of this file; falls back to the default bar rather than failing a build over its looks.
fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("time", |state: &ProgressState, out: &mut dyn Write| {
        let millis = u64::try_from(state.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _ = out.write_str(&seconds(millis));
    })
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn vertex(id: &str, state: VertexState) -> EventKind {
        EventKind::Vertex {
            id: id.into(),
            name: format!("[{id}] RUN a command with a long name that does not fit"),
            state,
            millis: Some(1_500),
        }
    }

    fn moved(id: &str, total: u64, millis: Option<u64>) -> EventKind {
        EventKind::Transfer {
            vertex: "v".into(),
            id: id.into(),
            current: 2_000,
            total,
            millis,
        }
    }

    fn screen(width: u16) -> (Terminal, InMemoryTerm) {
        let term = InMemoryTerm::new(30, width);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let cut = if width < 60 { || 30 } else { || 80 };
        (Terminal::on(target, cut, None), term)
    }

    #[test]
    fn every_template_is_valid() {
        for template in [TOTAL, STEP, OUTPUT, TRANSFER, PART] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn what_runs_stays_below_what_ended() {
        let (mut view, term) = screen(100);
        view.show(vertex("1/3", VertexState::Cached));
        view.show(vertex("2/3", VertexState::Started));
        view.show(vertex("2/3", VertexState::Done));
        view.show(vertex("3/3", VertexState::Started));
        view.show(EventKind::Log {
            vertex: "3/3".into(),
            line: "compiling".into(),
        });
        let shown = term.contents();
        let at = |text: &str| {
            shown
                .find(text)
                .unwrap_or_else(|| panic!("{text} in\n{shown}"))
        };
        let order = [
            at("◌ cached [1/3]"),
            at("✓   1.5s [2/3]"),
            at("[3/3]"),
            at("compiling"),
            at("2 done, 1 from cache"),
        ];
        assert!(order.is_sorted(), "{shown}");
        view.finish();
        let left = term.contents();
        assert!(
            !left.contains("compiling") && left.contains("[2/3]"),
            "{left}"
        );
    }

    #[test]
    fn parts_are_shown_until_they_end() {
        let (mut view, term) = screen(100);
        view.show(moved("layer", 4_000, None));
        view.show(moved("context", 0, None));
        let shown = term.contents();
        assert!(shown.contains("/3.91 KiB layer"), "{shown}");
        assert!(shown.contains("context 2.0 KiB"), "{shown}");
        view.show(moved("layer", 4_000, Some(9)));
        view.show(moved("context", 0, Some(1_200)));
        let shown = term.contents();
        assert!(
            shown.starts_with(" ✓   1.2s   context 2.0 KiB") && !shown.contains("layer"),
            "{shown}"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_line_each() {
        let (mut view, term) = screen(30);
        view.show(vertex("1/1", VertexState::Done));
        view.show(vertex("1/1", VertexState::Started));
        view.show(EventKind::Log {
            vertex: "1/1".into(),
            line: "wide ".repeat(50),
        });
        let shown = term.contents();
        assert_eq!(shown.lines().count(), 4, "{shown}");
        assert!(
            shown.starts_with(" ✓   1.5s [1/1] RUN a command…\n"),
            "{shown}"
        );
    }

    #[test]
    fn no_more_is_drawn_than_a_screen_holds() {
        let (mut view, term) = screen(80);
        for number in 0..500 {
            view.show(vertex(&number.to_string(), VertexState::Started));
            view.show(moved(&format!("layer {number}"), 100, None));
        }
        assert!(term.contents().lines().count() <= 2 * SHOWN + 1);
        view.finish();
        assert_eq!(term.contents(), "");
    }
}
