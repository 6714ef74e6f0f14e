//! What a failed build says: the daemon's error with its details, decoded.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bollard_buildkit_proto::google::rpc;
use prost::Message;
use serde::Deserialize;

use crate::cause::Cause;
use crate::censor::Censor;
use crate::classify::{Clues, classify};
use crate::lines::{readable, readable_text};
use crate::pointer::{self, Pointer};

/// Lines of the Dockerfile shown around the failing ones.
const AROUND: usize = 2;

/// The most lines of a Dockerfile that are shown.
const MOST_LINES: usize = 24;

/// Characters kept of the daemon's message, and of each line.
const MESSAGE: usize = 4_000;
const WIDTH: usize = 300;

/// A build that failed at the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildFailure {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What the daemon said, secrets taken out.
    pub message: String,
    /// The failing instruction in its Dockerfile, when the daemon said which.
    pub source: Option<SourceLines>,
    /// The exit code of the step's command, when it ran and failed.
    pub exit_code: Option<u32>,
    /// The failing step's name: `[2/4] RUN make`.
    pub step: Option<String>,
    /// The last lines that the failing step printed, oldest first.
    pub log: Vec<String>,
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the build failed: {}", self.message)
    }
}

impl std::error::Error for BuildFailure {}

/// Lines of a Dockerfile, the failing ones marked. Its `Display` shows them with their numbers.
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
    /// The lines.
    pub lines: Vec<SourceLine>,
    /// The word that the failure is about, when that is known.
    pub pointer: Option<Pointer>,
}

/// One line of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceLine {
    /// Its number, from 1.
    pub number: usize,
    /// Its text.
    pub text: String,
    /// Whether it belongs to the failing instruction.
    pub failing: bool,
}

impl SourceLines {
    pub(crate) fn new(file: String, line: usize, lines: Vec<SourceLine>) -> Self {
        Self {
            file,
            line,
            lines,
            pointer: None,
        }
    }

    /// The text of the failing lines.
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

/// The details of a daemon's error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// The vertex that failed.
    pub(crate) vertex: Option<String>,
    source: Option<SourceLines>,
    exit_code: Option<u32>,
}

impl Details {
    /// Decodes what stands beside a status; what is not understood is left out.
    pub(crate) fn decode(bytes: &[u8], censor: &Censor) -> Self {
        let mut details = Self::default();
        let Ok(status) = rpc::Status::decode(bytes) else {
            return details;
        };
        for any in status.details {
            // `github.com/moby/buildkit/errdefs.Source+json`: the values are JSON.
            match any.type_url.rsplit('/').next().unwrap_or_default() {
                "errdefs.Source+json" => {
                    details.source = details.source.or_else(|| source_lines(&any.value, censor))
                }
                "errdefs.Vertex+json" => {
                    details.vertex = details
                        .vertex
                        .or_else(|| parse::<VertexDetail>(&any.value).map(|vertex| vertex.digest))
                }
                "gatewayapi.ExitMessage+json" => {
                    details.exit_code = parse::<ExitDetail>(&any.value).map(|exit| exit.code)
                }
                _ => {}
            }
        }
        details
    }

    /// Makes the failure of it, with what else is known.
    pub(crate) fn into_failure(
        self,
        message: &str,
        step: Option<(String, Vec<String>)>,
        censor: &Censor,
    ) -> BuildFailure {
        let message = readable_text(message, MESSAGE, censor);
        let (step, log) = step.map_or((None, Vec::new()), |(name, log)| (Some(name), log));
        let clues = Clues {
            message: &message,
            exit_code: self.exit_code,
            step: step.as_deref().unwrap_or_default(),
            log: &log,
        };
        let cause = classify(&clues);
        let source = self.source.map(|mut source| {
            source.pointer = pointer::find(&source, &cause, &message);
            source
        });
        BuildFailure {
            cause,
            message,
            source,
            exit_code: self.exit_code,
            step,
            log,
        }
    }
}

#[derive(Deserialize)]
struct VertexDetail {
    digest: String,
}

#[derive(Deserialize)]
struct ExitDetail {
    #[serde(rename = "Code", alias = "code")]
    code: u32,
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
    /// From 1.
    #[serde(default)]
    line: usize,
}

impl Range {
    /// Its first and last line.
    fn bounds(&self) -> (usize, usize) {
        (self.start.line, self.end.line.max(self.start.line))
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

fn source_lines(json: &[u8], censor: &Censor) -> Option<SourceLines> {
    let detail: SourceDetail = parse(json)?;
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
            text: readable(line, censor).chars().take(WIDTH).collect(),
            failing: bounds
                .iter()
                .any(|(start, end)| (*start..=*end).contains(&number)),
        })
        .collect();
    let name = readable(detail.info.filename.as_bytes(), censor);
    let file = match name.is_empty() {
        true => "Dockerfile".to_owned(),
        false => name.chars().take(WIDTH).collect(),
    };
    (!lines.is_empty()).then(|| SourceLines::new(file, first, lines))
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Any;
    use proptest::prelude::*;

    use super::*;

    fn encode(details: &[(&str, String)]) -> Vec<u8> {
        let any = |(name, json): &(&str, String)| Any {
            type_url: format!("github.com/moby/buildkit/{name}+json"),
            value: json.clone().into_bytes(),
        };
        rpc::Status {
            code: 2,
            message: String::new(),
            details: details.iter().map(any).collect(),
        }
        .encode_to_vec()
    }

    fn source(text: &str, start: usize, end: usize) -> String {
        format!(
            r#"{{"info":{{"filename":"Dockerfile","data":"{}","language":"Dockerfile"}},"ranges":[{{"start":{{"line":{start}}},"end":{{"line":{end}}}}}]}}"#,
            BASE64.encode(text)
        )
    }

    fn failure(details: &[(&str, String)], message: &str) -> BuildFailure {
        let censor = Censor::default();
        Details::decode(&encode(details), &censor).into_failure(message, None, &censor)
    }

    #[test]
    fn a_failing_instruction_is_shown_with_its_lines_and_exit_code() {
        let failure = failure(
            &[
                ("stack.Stack", "{}".into()),
                ("gatewayapi.ExitMessage", r#"{"Code":3}"#.into()),
                ("errdefs.Vertex", r#"{"digest":"sha256:ab"}"#.into()),
                (
                    "errdefs.Source",
                    source(
                        "FROM a\nRUN one\nRUN two \\\n  three\nCMD x\nEXPOSE 1\nUSER 1\n",
                        3,
                        4,
                    ),
                ),
            ],
            "process \"/bin/sh -c two\" did not complete successfully: exit code: 3",
        );
        assert_eq!(failure.exit_code, Some(3));
        assert_eq!(failure.cause, Cause::Instruction);
        let source = failure.source.unwrap();
        assert_eq!(source.instruction(), "RUN two \\\nthree");
        assert_eq!(
            source.to_string(),
            "Dockerfile:3\n   1 |     FROM a\n   2 |     RUN one\n   3 | >>> RUN two \\\n   4 | >>>   three\n   5 |     CMD x\n   6 |     EXPOSE 1"
        );
    }

    #[test]
    fn details_that_are_not_understood_are_left_out() {
        let odd = [
            ("errdefs.Source", "{".to_owned()),
            ("errdefs.Source", source("FROM a", 0, 0)),
            ("errdefs.Source", source("FROM a", 9, 9)),
            ("gatewayapi.ExitMessage", r#"{"Code":-1}"#.into()),
            ("errdefs.New", "{}".into()),
        ];
        let failure = failure(&odd, "something");
        assert_eq!(
            (failure.source, failure.exit_code, failure.cause),
            (None, None, Cause::Unknown)
        );
    }

    #[test]
    fn a_whole_dockerfile_marked_as_failing_is_shown_in_part() {
        let text = "RUN x\n".repeat(5_000);
        let failure = failure(&[("errdefs.Source", source(&text, 1, 5_000))], "x");
        assert_eq!(failure.source.unwrap().lines.len(), MOST_LINES);
    }

    proptest! {
        #[test]
        fn no_details_panic(bytes: Vec<u8>, json in ".{0,60}", start: usize, end: usize) {
            let censor = Censor::default();
            Details::decode(&bytes, &censor);
            let details = [("errdefs.Source", json), ("errdefs.Source", source("a\nb", start, end))];
            Details::decode(&encode(&details), &censor);
        }
    }
}
