//! Questions about a Dockerfile that the daemon's frontend answers without building: warnings, targets, outline.

use std::ops::RangeInclusive;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use pipeops_core::event::Discard;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status};

use crate::client::{Client, MESSAGE_LIMIT};
use crate::error::Error;
use crate::progress::Progress;
use crate::session::Session;
use crate::solve::{FRONTEND, Prepared, Solve};

/// The build whose frontend a call of the gateway speaks for.
const BUILD: &str = "buildkit-controlapi-buildid";

/// Longest time between the answer and the end of the build.
const GRACE: Duration = Duration::from_secs(5);

/// What the frontend's linter says about a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Lint {
    /// In the order of the file.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub warnings: Vec<LintWarning>,
    /// Why it cannot be built at all.
    #[serde(default, rename = "buildError")]
    pub error: Option<LintError>,
}

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LintWarning {
    /// The rule's name: `StageNameCasing`.
    #[serde(rename = "ruleName")]
    pub rule: String,
    /// What the rule is about.
    pub description: String,
    /// Where it is explained.
    pub url: String,
    /// What breaks it here.
    pub detail: String,
    location: Location,
}

impl LintWarning {
    /// The lines that break the rule, from 1.
    pub fn lines(&self) -> Option<RangeInclusive<u32>> {
        self.location.lines()
    }
}

/// Why a Dockerfile cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LintError {
    /// What the frontend says.
    pub message: String,
    location: Location,
}

impl LintError {
    /// The lines that it is about, from 1.
    pub fn lines(&self) -> Option<RangeInclusive<u32>> {
        self.location.lines()
    }
}

/// A stage that can be built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildTarget {
    /// Its name; empty when it has none.
    pub name: String,
    /// It is built when the request names no target.
    pub default: bool,
    /// The comment above it, `# name …`.
    pub description: String,
    /// The image that it begins with.
    pub base: String,
    /// Its platform, where the Dockerfile says one.
    pub platform: String,
}

/// What a target takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Outline {
    /// The target's name.
    pub name: String,
    /// The comment above it.
    pub description: String,
    /// Build arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub args: Vec<OutlineArg>,
    /// Secrets.
    #[serde(deserialize_with = "null_is_empty")]
    pub secrets: Vec<OutlineMount>,
    /// SSH agents.
    #[serde(deserialize_with = "null_is_empty")]
    pub ssh: Vec<OutlineMount>,
    /// Cache mounts; BuildKit v0.34 leaves them out.
    #[serde(deserialize_with = "null_is_empty")]
    pub cache: Vec<OutlineCache>,
}

/// A build argument of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutlineArg {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub description: String,
    /// Its value in this build.
    pub value: String,
}

/// A secret or an SSH agent of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutlineMount {
    /// Its id.
    pub name: String,
    /// The build fails without it.
    pub required: bool,
}

/// A cache mount of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutlineCache {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
}

impl Client {
    /// What the frontend's linter says about the Dockerfile of `solve`. Nothing is built.
    ///
    /// # Errors
    /// As [`Client::solve`]. A Dockerfile that cannot be built is no error here but [`Lint::error`].
    pub async fn lint(&self, solve: Solve) -> Result<Lint, Error> {
        self.ask(solve, "frontend.lint").await
    }

    /// The stages that the Dockerfile of `solve` has.
    ///
    /// # Errors
    /// As [`Client::solve`].
    pub async fn targets(&self, solve: Solve) -> Result<Vec<BuildTarget>, Error> {
        #[derive(Deserialize)]
        struct Targets {
            #[serde(default, deserialize_with = "null_is_empty")]
            targets: Vec<BuildTarget>,
        }
        let answer: Targets = self.ask(solve, "frontend.targets").await?;
        Ok(answer.targets)
    }

    /// What the target of `solve` takes: arguments, secrets, agents.
    ///
    /// # Errors
    /// As [`Client::solve`].
    pub async fn outline(&self, solve: Solve) -> Result<Outline, Error> {
        self.ask(solve, "frontend.outline").await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        solve: Solve,
        question: &'static str,
    ) -> Result<T, Error> {
        let limit = solve.timeout;
        let answer = async {
            let prepared = tokio::task::spawn_blocking(move || solve.prepare()).await;
            let prepared = prepared.map_err(|error| Error::session(error.to_string()))??;
            self.exchange(prepared, question).await
        };
        let json = timeout(limit, answer).await.map_err(|_| Error::Timeout {
            what: question.to_owned(),
            limit,
        })??;
        serde_json::from_slice(&json).map_err(|error| Error::Call {
            address: self.address.clone(),
            call: question,
            why: format!("its answer is not the JSON that was expected: {error}"),
        })
    }

    /// A build without a frontend, whose part this side plays: it asks the Dockerfile frontend and returns its answer.
    async fn exchange(&self, prepared: Prepared, question: &'static str) -> Result<Vec<u8>, Error> {
        let mut control = self.control.clone();
        let session = Session::open(&mut control, prepared.services, &prepared.shared_key).await?;
        let build = proto::SolveRequest {
            r#ref: prepared.request.r#ref.clone(),
            session: session.id.clone(),
            // Not a build that anyone would look for in the history.
            internal: true,
            ..proto::SolveRequest::default()
        };
        let mut attributes = prepared.request.frontend_attrs;
        attributes.insert("requestid".to_owned(), question.to_owned());
        let request = gateway::SolveRequest {
            frontend: FRONTEND.to_owned(),
            frontend_opt: attributes,
            allow_result_return: true,
            allow_result_array_ref: true,
            ..gateway::SolveRequest::default()
        };
        let mut building = Box::pin(control.solve(build));
        let mut asking = Box::pin(self.gateway(&prepared.request.r#ref, request));
        let result = tokio::select! {
            answer = &mut asking => answer,
            ended = &mut building => match ended {
                Err(status) => Err(status),
                // It ends as soon as it has the answer, which may overtake the end of the question.
                Ok(_) => {
                    let late = |_| Err(Status::aborted("the daemon ended the build"));
                    timeout(GRACE, asking).await.unwrap_or_else(late)
                }
            },
        };
        let failure = |status: Status| {
            let progress = Progress::new(&Discard, prepared.redactor.clone());
            self.failure(&status, &progress, &prepared.redactor)
        };
        let mut metadata = result.map_err(failure)?.metadata;
        metadata.remove("result.json").ok_or_else(|| Error::Call {
            address: self.address.clone(),
            call: question,
            why: "its frontend does not know this question".to_owned(),
        })
    }

    async fn gateway(
        &self,
        build: &str,
        request: gateway::SolveRequest,
    ) -> Result<gateway::Result, Status> {
        let mut bridge =
            LlbBridgeClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
        let id = AsciiMetadataValue::try_from(build)
            .map_err(|error| Status::internal(error.to_string()))?;
        let mut request = Request::new(request);
        request.metadata_mut().insert(BUILD, id.clone());
        let result = bridge
            .solve(request)
            .await?
            .into_inner()
            .result
            .unwrap_or_default();
        let mut end = Request::new(gateway::ReturnRequest {
            result: Some(result.clone()),
            error: None,
        });
        end.metadata_mut().insert(BUILD, id);
        // The answer is there; how the build ends is of no interest.
        let _ = timeout(GRACE, bridge.r#return(end)).await;
        Ok(result)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Location {
    #[serde(deserialize_with = "null_is_empty")]
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Position {
    line: u32,
}

impl Location {
    fn lines(&self) -> Option<RangeInclusive<u32>> {
        let first = self.ranges.iter().map(|range| range.start.line).min()?;
        let last = self.ranges.iter().map(|range| range.end.line).max()?;
        Some(first..=last)
    }
}

/// Go writes a list without entries as `null`.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_go_are_understood() {
        let lint: Lint = serde_json::from_str(r#"{"warnings":null,"sources":null}"#).unwrap();
        assert_eq!(lint, Lint::default());
        let text = r#"{"warnings":[{"ruleName":"R","detail":"d","location":{"ranges":[{"start":{"line":3},"end":{"line":4}}]}}],
            "buildError":{"message":"m","location":{"ranges":[{"start":{"line":9},"end":{"line":9}}]}}}"#;
        let lint: Lint = serde_json::from_str(text).unwrap();
        assert_eq!(
            (lint.warnings[0].rule.as_str(), lint.warnings[0].lines()),
            ("R", Some(3..=4))
        );
        assert_eq!(lint.error.unwrap().lines(), Some(9..=9));
        let outline: Outline =
            serde_json::from_str(r#"{"cache":[{"ID":"/c"}],"args":null}"#).unwrap();
        assert_eq!(outline.cache[0].id, "/c");
    }
}
