//! Decodes the daemon's error for a failed build.

use std::fmt;

use bollard_buildkit_proto::google::rpc;
use prost::Message;
use serde::Deserialize;

use crate::cause::Cause;
use crate::classify::{Clues, classify};
use crate::excerpt::SourceLines;
use crate::lines::readable_text;
use crate::live_redactor::LiveRedactor;

/// Limit for the daemon's message, in characters.
const MESSAGE: usize = 4_000;

/// Why a build failed on the daemon.
///
/// ```no_run
/// # async fn run(builder: pipeops_buildkit::Builder, request: pipeops_buildkit::BuildRequest) {
/// use pipeops_buildkit::Discard;
///
/// if let Err(error) = builder.build(request, &Discard).await
///     && let Some(failure) = error.build_failure()
/// {
///     eprintln!("{:?}, exit code {:?}", failure.cause, failure.exit_code);
///     if let Some(source) = &failure.source {
///         eprintln!("{source}"); // the failing lines of the Dockerfile
///     }
///     eprintln!("{}", failure.log.join("\n"));
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildFailure {
    /// The kind of failure.
    pub cause: Cause,
    /// The daemon's message, with secrets redacted.
    pub message: String,
    /// The failing instruction with the lines around it; `None` if the daemon didn't report it.
    pub source: Option<SourceLines>,
    /// The exit code of the step's command; `None` if no command ran.
    pub exit_code: Option<u32>,
    /// The failing step's name, such as `[2/4] RUN make`.
    pub step: Option<String>,
    /// The last lines that the failing step printed, oldest first, with secrets redacted.
    pub log: Vec<String>,
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the build failed: {}", self.message)
    }
}

impl std::error::Error for BuildFailure {}

/// The details of a daemon's error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// The vertex that failed.
    pub(crate) vertex: Option<String>,
    source: Option<SourceLines>,
    exit_code: Option<u32>,
}

impl Details {
    /// Decodes the details of a status, and skips unknown ones.
    pub(crate) fn decode(bytes: &[u8], redactor: &LiveRedactor) -> Self {
        let mut details = Self::default();
        let Ok(status) = rpc::Status::decode(bytes) else {
            return details;
        };
        for any in status.details {
            // `github.com/moby/buildkit/errdefs.Source+json`: the values are JSON.
            match any.type_url.rsplit('/').next().unwrap_or_default() {
                "errdefs.Source+json" => {
                    details.source = details
                        .source
                        .or_else(|| SourceLines::decode(&any.value, redactor))
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

    /// Creates the failure.
    pub(crate) fn into_failure(
        self,
        message: &str,
        step: Option<(String, Vec<String>)>,
        redactor: &LiveRedactor,
    ) -> BuildFailure {
        let message = readable_text(message, MESSAGE, redactor);
        let (step, log) = step.map_or((None, Vec::new()), |(name, log)| (Some(name), log));
        let clues = Clues {
            message: &message,
            exit_code: self.exit_code,
            step: step.as_deref().unwrap_or_default(),
            log: &log,
        };
        let cause = classify(&clues);
        let source = self.source.map(|mut source| {
            source.point_at(&cause, &message);
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

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
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
        let redactor = LiveRedactor::default();
        Details::decode(&encode(details), &redactor).into_failure(message, None, &redactor)
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
        assert_eq!(failure.source.unwrap().lines.len(), 24);
    }

    proptest! {
        #[test]
        fn no_details_panic(bytes: Vec<u8>, json in ".{0,60}", start: usize, end: usize) {
            let redactor = LiveRedactor::default();
            Details::decode(&bytes, &redactor);
            let details = [("errdefs.Source", json), ("errdefs.Source", source("a\nb", start, end))];
            Details::decode(&encode(&details), &redactor);
        }
    }
}
