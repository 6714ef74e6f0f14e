//! Excerpts of a Dockerfile around the failing instruction, with carets below the failing word.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::cause::Cause;
use crate::lines::readable;
use crate::live_redactor::LiveRedactor;

/// Lines of the Dockerfile shown around the failing ones.
const AROUND: usize = 2;

/// The most lines of a Dockerfile that are shown.
const MOST_LINES: usize = 24;

/// Characters kept of each line.
const WIDTH: usize = 300;

/// An excerpt of a Dockerfile with marked failing lines. `Display` prints it with line numbers:
///
/// ```text
/// Dockerfile:3
///    1 |     FROM alpine
///    2 |     WORKDIR /app
///    3 | >>> COPY package.jsn ./
///      |          ^^^^^^^^^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceLines {
    /// The file's name.
    pub file: String,
    /// The first failing line, from 1.
    pub line: usize,
    /// The failing lines with two lines before and after them, at most 24.
    pub lines: Vec<SourceLine>,
    /// The word that caused the failure, if known.
    pub pointer: Option<Pointer>,
}

/// One line of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceLine {
    /// The line number, from 1.
    pub number: usize,
    /// The text, without secrets and control characters, at most 300 characters.
    pub text: String,
    /// Whether it belongs to the failing instruction.
    pub failing: bool,
}

impl SourceLines {
    /// Returns the text of the failing lines.
    pub fn instruction(&self) -> String {
        let failing = self
            .lines
            .iter()
            .filter(|line| line.failing)
            .map(|line| line.text.trim());
        failing.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for SourceLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        for line in &self.lines {
            let mark = if line.failing { ">>>" } else { "   " };
            write!(f, "\n{:>4} | {mark} {}", line.number, line.text)?;
            if let Some(pointer) = self.pointer.filter(|pointer| pointer.line == line.number) {
                write!(f, "\n     |     {}", pointer.carets(&line.text))?;
            }
        }
        Ok(())
    }
}

/// The position of a word in a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointer {
    /// The line's number, from 1.
    pub line: usize,
    /// The number of characters before the word.
    pub column: usize,
    /// The number of characters of the word.
    pub width: usize,
}

impl Pointer {
    /// The line of carets to print below `line`. It repeats the indentation, so that the carets align with the word.
    pub(crate) fn carets(&self, line: &str) -> String {
        let before = line.chars().take(self.column);
        let indent = before.map(|ch| if ch == '\t' { '\t' } else { ' ' });
        indent.chain(std::iter::repeat_n('^', self.width)).collect()
    }
}

impl SourceLines {
    /// Decodes the daemon's `errdefs.Source`, which holds the whole file.
    pub(crate) fn decode(json: &[u8], redactor: &LiveRedactor) -> Option<Self> {
        let detail: SourceDetail = serde_json::from_slice(json).ok()?;
        let text = BASE64.decode(&detail.info.data).ok()?;
        let bounds: Vec<_> = detail.ranges.iter().map(Range::bounds).collect();
        let first = bounds
            .iter()
            .map(|(start, _)| *start)
            .min()
            .filter(|line| *line > 0)?;
        let last = bounds.iter().map(|(_, end)| *end).max()?;
        let shown = first.saturating_sub(AROUND).max(1)..=last.saturating_add(AROUND);
        let lines: Vec<SourceLine> = text
            .split(|byte| *byte == b'\n')
            .zip(1..)
            .filter(|(_, number)| shown.contains(number))
            .take(MOST_LINES)
            .map(|(line, number)| SourceLine {
                number,
                text: readable(line, redactor).chars().take(WIDTH).collect(),
                failing: bounds
                    .iter()
                    .any(|(start, end)| (*start..=*end).contains(&number)),
            })
            .collect();
        let name = readable(detail.info.filename.as_bytes(), redactor);
        let file = match name.is_empty() {
            true => "Dockerfile".to_owned(),
            false => name.chars().take(WIDTH).collect(),
        };
        (!lines.is_empty()).then_some(Self {
            file,
            line: first,
            lines,
            pointer: None,
        })
    }

    /// Points at the word that caused the failure, if the failing lines contain it. Unknown for commands that ran and failed.
    pub(crate) fn point_at(&mut self, cause: &Cause, message: &str) {
        let failing: Vec<&SourceLine> = self.lines.iter().filter(|line| line.failing).collect();
        self.pointer = suspects(cause, message)
            .into_iter()
            .filter(|word| !word.is_empty())
            .find_map(|word| failing.iter().find_map(|line| locate(line, &word)));
    }
}

#[derive(Deserialize)]
struct SourceDetail {
    info: SourceInfo,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct SourceInfo {
    #[serde(default)]
    filename: String,
    /// The whole file in base64.
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    start: Position,
    #[serde(default)]
    end: Position,
}

#[derive(Deserialize, Default)]
struct Position {
    /// Counts from 1.
    #[serde(default)]
    line: usize,
}

impl Range {
    /// Its first and last line.
    fn bounds(&self) -> (usize, usize) {
        (self.start.line, self.end.line.max(self.start.line))
    }
}

fn locate(line: &SourceLine, word: &str) -> Option<Pointer> {
    let at = line.text.find(word)?;
    Some(Pointer {
        line: line.number,
        column: line.text[..at].chars().count(),
        width: word.chars().count(),
    })
}

/// Words to point at, most likely first.
fn suspects(cause: &Cause, message: &str) -> Vec<String> {
    match cause {
        Cause::FileMissing { path } => {
            let relative = path.trim_start_matches('/');
            let name = relative.rsplit('/').next().unwrap_or_default();
            vec![relative.to_owned(), name.to_owned()]
        }
        Cause::SecretMissing { id } => vec![id.clone()],
        Cause::BaseImageMissing { image } => {
            // The daemon's message has the name as written in the Dockerfile, then the full name.
            let written = message.split(": failed to resolve").next();
            let written = written.unwrap_or_default().rsplit(": ").next();
            vec![written.unwrap_or_default().to_owned(), image.clone()]
        }
        Cause::Dockerfile { .. } => {
            let unknown = message
                .split_once("unknown instruction: ")
                .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned());
            let quoted = message.split('"').skip(1).step_by(2).map(str::to_owned);
            unknown.into_iter().chain(quoted).collect()
        }
        Cause::Unauthorized { host }
        | Cause::Denied { host }
        | Cause::RateLimited { host }
        | Cause::RegistryDown { host }
        | Cause::Network { host } => host.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed(cause: &Cause, message: &str, text: &str) -> Option<String> {
        let line = SourceLine {
            number: 7,
            text: text.into(),
            failing: true,
        };
        let mut source = SourceLines {
            file: "Dockerfile".into(),
            line: 7,
            lines: vec![line],
            pointer: None,
        };
        source.point_at(cause, message);
        let pointer = source.pointer?;
        assert_eq!(pointer.line, 7);
        Some(pointer.carets(text))
    }

    #[test]
    fn carets_stand_below_the_word() {
        let missing = Cause::FileMissing {
            path: "/src/app.js".into(),
        };
        for (cause, message, text, carets) in [
            (
                missing.clone(),
                "",
                "COPY a src/app.js /x/",
                Some("       ^^^^^^^^^^"),
            ),
            (missing.clone(), "", "COPY\tapp.js /x", Some("    \t^^^^^^")),
            (missing, "", "COPY *.js /x", None),
            (
                Cause::BaseImageMissing {
                    image: "docker.io/library/nod:20".into(),
                },
                "nod:20: failed to resolve source metadata for docker.io/library/nod:20: not found",
                "FROM nod:20 AS x",
                Some("     ^^^^^^"),
            ),
            (
                Cause::Dockerfile { line: Some(7) },
                "dockerfile parse error on line 7: unknown instruction: RUNN (did you mean RUN?)",
                "RUNN make",
                Some("^^^^"),
            ),
            (
                Cause::SecretMissing { id: "tök".into() },
                "",
                "RUN --mount=type=secret,id=tök,required x",
                Some("                           ^^^"),
            ),
            (
                Cause::Instruction,
                "process \"make\" did not",
                "RUN make",
                None,
            ),
        ] {
            assert_eq!(pointed(&cause, message, text).as_deref(), carets, "{text}");
        }
    }
}
