//! Shows a build while it runs, to people or programs.

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

/// Shows the events of a build: pass it to `build` as the event sink.
///
/// Events contain no escape sequences, control characters or secrets, so a build can't control the terminal.
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
///
/// During a build:
///
/// ```no_run
/// # async fn run(builder: pipeops_buildkit::Builder, request: pipeops_buildkit::BuildRequest) -> Result<(), pipeops_buildkit::Error> {
/// use pipeops_buildkit::View;
///
/// let view = View::auto();
/// let built = builder.build(request, &view).await;
/// view.finish(); // before further output
/// println!("pushed {}", built?.image);
/// # Ok(())
/// # }
/// ```
pub struct View(Mutex<Kind>);

enum Kind {
    #[cfg(feature = "terminal")]
    Terminal(Terminal),
    Plain(Plain),
    Json(Json),
}

impl View {
    /// Shows live steps on standard error if that's a terminal and the feature `terminal` is enabled; otherwise plain lines.
    pub fn auto() -> Self {
        #[cfg(feature = "terminal")]
        if std::io::stderr().is_terminal() {
            return Self::terminal();
        }
        Self::plain(std::io::stderr())
    }

    /// Writes one line per event, with numbered steps, for logs and CI.
    ///
    /// ```text
    /// #1 [1/2] COPY . /app
    /// #1 DONE 0.2s
    ///
    /// #2 [2/2] RUN make
    /// #2 compiling
    /// #2 DONE 1.5s
    /// warning: the cache is old
    /// ```
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self::of(Kind::Plain(Plain::new(Box::new(out))))
    }

    /// Writes one JSON object per line: the fields of the event, its `type`, and the time `at` in UTC.
    ///
    /// ```text
    /// {"at":"2026-11-30T08:15:02.114Z","type":"log","vertex":"sha256:…","line":"compiling"}
    /// ```
    ///
    /// ```
    /// use pipeops_buildkit::View;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("build.jsonl");
    /// let view = View::json(std::fs::File::create(path)?);
    /// # view.finish();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn json(out: impl Write + Send + 'static) -> Self {
        Self::of(Kind::Json(Json::new(Box::new(out))))
    }

    /// Shows running steps with their times, last lines and transfers on standard error. Finished steps scroll up. Uses colours
    /// unless `NO_COLOR` is set.
    #[cfg(feature = "terminal")]
    pub fn terminal() -> Self {
        Self::of(Kind::Terminal(Terminal::new()))
    }

    fn of(kind: Kind) -> Self {
        Self(Mutex::new(kind))
    }

    /// Ends the view and removes the live part.
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
