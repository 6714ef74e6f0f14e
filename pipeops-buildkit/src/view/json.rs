//! Events as lines of JSON, for programs.

use std::io::Write;

use jiff::Timestamp;
use pipeops_core::event::EventKind;
use serde::Serialize;

/// Writes lines of JSON.
pub(super) struct Json(Box<dyn Write + Send>);

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    kind: &'a EventKind,
}

impl Json {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self(out)
    }

    pub(super) fn show(&mut self, kind: EventKind) {
        let line = Line {
            at: Timestamp::now(),
            kind: &kind,
        };
        if let Ok(json) = serde_json::to_string(&line) {
            // Fails only when the reader is gone.
            let _ = writeln!(self.0, "{json}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Page;
    use super::*;

    #[test]
    fn a_line_is_one_flat_object() {
        let page = Page::default();
        let mut view = Json::new(Box::new(page.clone()));
        view.show(EventKind::Log {
            vertex: "v".into(),
            line: "a \"b\"".into(),
        });
        let line: serde_json::Value = serde_json::from_str(&page.text()).unwrap();
        assert_eq!(
            (&line["type"], &line["line"]),
            (&"log".into(), &"a \"b\"".into())
        );
        line["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }
}
