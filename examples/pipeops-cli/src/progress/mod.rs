//! Shows the events of a deployment as they happen: bars on a terminal, plain lines elsewhere, JSON lines for programs.

mod plain;
mod terminal;
mod timeline;

use std::io::IsTerminal;
use std::sync::Mutex;

use jiff::Timestamp;
use pipeops::core::{Event, EventKind, EventSink};

use crate::output::{Format, print_json};
use crate::remedy;
use plain::Plain;
use terminal::Terminal;
pub use timeline::Timeline;

/// A view of one deployment's events.
pub struct Progress {
    view: View,
    timeline: Timeline,
}

enum View {
    Terminal(Terminal),
    Plain(Plain),
    Json,
}

impl Progress {
    /// JSON if asked for; otherwise bars if standard error is a terminal, and lines if not.
    pub fn new(format: Format) -> Self {
        let view = match format {
            Format::Json => View::Json,
            Format::Text if std::io::stderr().is_terminal() => View::Terminal(Terminal::new()),
            Format::Text => View::Plain(Plain::new()),
        };
        Self {
            view,
            timeline: Timeline::default(),
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        self.timeline.note(&event.kind);
        match &mut self.view {
            View::Terminal(view) => view.show(&event.kind),
            View::Plain(view) => view.show(&event.kind),
            View::Json => print_json(event),
        }
    }

    /// Ends the view and gives the time of each step.
    pub fn finish(mut self) -> Timeline {
        if let View::Terminal(view) = &mut self.view {
            view.finish();
        }
        self.timeline
    }
}

/// A [`Progress`] that takes events from any thread, without a store.
pub struct Live(Mutex<Progress>);

impl Live {
    /// The same view as [`Progress::new`].
    pub fn new(format: Format) -> Self {
        Self(Mutex::new(Progress::new(format)))
    }

    /// Ends the view and removes its bars.
    pub fn finish(self) {
        if let Ok(progress) = self.0.into_inner() {
            progress.finish();
        }
    }
}

impl EventSink for Live {
    fn emit(&self, mut kind: EventKind) {
        if let EventKind::RollingBack { diagnosis, .. } | EventKind::Failed { diagnosis, .. } =
            &mut kind
        {
            remedy::add(diagnosis);
        }
        let event = Event {
            seq: 0,
            at: Timestamp::now(),
            deployment: String::new(),
            kind,
        };
        if let Ok(mut progress) = self.0.lock() {
            progress.show(&event);
        }
    }
}
