//! Shows a build to people and programs while it happens.

#[cfg(feature = "terminal")]
use std::io::IsTerminal;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use pipeops_core::EventSink;
use pipeops_core::event::EventKind;

mod json;
mod part;
mod plain;
#[cfg(feature = "terminal")]
mod terminal;

use json::Json;
use plain::Plain;
#[cfg(feature = "terminal")]
use terminal::Terminal;

/// Takes the events of a build and shows them.
///
/// Names, logs and warnings in events come without escape sequences, control characters and secrets: what a build prints
/// cannot steer the terminal that shows it.
///
/// ```
/// use pipeops_buildkit::View;
/// use pipeops_core::EventSink;
/// use pipeops_core::event::EventKind;
///
/// let view = View::plain(std::io::stdout());
/// view.emit(EventKind::Warning { message: "the cache is old".into() });
/// view.finish();
/// ```
pub struct View(Mutex<Kind>);

enum Kind {
    #[cfg(feature = "terminal")]
    Terminal(Terminal),
    Plain(Plain),
    Json(Json),
}

impl View {
    /// The view that fits standard error: bars when it is a terminal (and the feature `terminal` is on), else lines.
    pub fn auto() -> Self {
        #[cfg(feature = "terminal")]
        if std::io::stderr().is_terminal() {
            return Self::terminal();
        }
        Self::plain(std::io::stderr())
    }

    /// One line for each thing that happens, each step with a number, for logs and CI.
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self::of(Kind::Plain(Plain::new(Box::new(out))))
    }

    /// One JSON object a line: the event, and when it happened.
    pub fn json(out: impl Write + Send + 'static) -> Self {
        Self::of(Kind::Json(Json::new(Box::new(out))))
    }

    /// Steps that run with their clocks, last lines and transfers below; what ended scrolls up. On standard error; colours
    /// unless `NO_COLOR` is set.
    #[cfg(feature = "terminal")]
    pub fn terminal() -> Self {
        Self::of(Kind::Terminal(Terminal::new()))
    }

    fn of(kind: Kind) -> Self {
        Self(Mutex::new(kind))
    }

    /// Ends the view: takes away what still moves.
    pub fn finish(self) {
        #[cfg(feature = "terminal")]
        if let Kind::Terminal(view) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            view.finish();
        }
    }
}

impl EventSink for View {
    fn emit(&self, event: EventKind) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            #[cfg(feature = "terminal")]
            Kind::Terminal(view) => view.show(event),
            Kind::Plain(view) => view.show(event),
            Kind::Json(view) => view.show(event),
        }
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_stops_no_build() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for view in [View::plain(Gone), View::json(Gone)] {
            view.emit(EventKind::Warning {
                message: "x".into(),
            });
            view.finish();
        }
    }
}
