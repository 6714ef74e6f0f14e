//! Queries to the Dockerfile frontend that don't build: lint warnings, targets, outline.

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

/// The header with the id of the build whose frontend is called.
const BUILD: &str = "buildkit-controlapi-buildid";

/// Time limit between the answer and the end of the build.
const GRACE: Duration = Duration::from_secs(5);

/// The result of the frontend's linter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Lint {
    /// The warnings, in the order of the file.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub warnings: Vec<LintWarning>,
    /// Why the Dockerfile can't be built, if it can't.
    #[serde(default, rename = "buildError")]
    pub error: Option<LintError>,
}

/// A warning of the linter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LintWarning {
    /// The rule's name, such as `StageNameCasing`.
    #[serde(rename = "ruleName")]
    pub rule: String,
    /// The rule's description.
    pub description: String,
    /// The URL of the rule's documentation.
    pub url: String,
    /// What violates the rule.
    pub detail: String,
    location: Location,
}

impl LintWarning {
    /// Returns the lines that violate the rule, from 1.
    pub fn lines(&self) -> Option<RangeInclusive<u32>> {
        self.location.lines()
    }
}

/// Why a Dockerfile can't be built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LintError {
    /// The frontend's message.
    pub message: String,
    location: Location,
}

impl LintError {
    /// Returns the lines with the error, from 1.
    pub fn lines(&self) -> Option<RangeInclusive<u32>> {
        self.location.lines()
    }
}

/// A stage that can be built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildTarget {
    /// The stage's name; empty if it has none.
    pub name: String,
    /// Whether it's built if the request names no target.
    pub default: bool,
    /// The comment above it, `# name …`.
    pub description: String,
    /// The base image.
    pub base: String,
    /// The platform, if the Dockerfile sets it; otherwise empty.
    pub platform: String,
}

/// The inputs of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Outline {
    /// The target's name.
    pub name: String,
    /// The comment above it.
    pub description: String,
    /// The build arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub args: Vec<OutlineArg>,
    /// The secrets.
    #[serde(deserialize_with = "null_is_empty")]
    pub secrets: Vec<OutlineMount>,
    /// The SSH agents.
    #[serde(deserialize_with = "null_is_empty")]
    pub ssh: Vec<OutlineMount>,
    /// The cache mounts; BuildKit v0.34 doesn't report them.
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
    /// The value in this build.
    pub value: String,
}

/// A secret or an SSH agent of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutlineMount {
    /// Its id.
    pub name: String,
    /// Whether the build fails without it.
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
    /// Runs the frontend's linter on the Dockerfile of `solve`, without building.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client, request: pipeops_buildkit::BuildRequest) -> Result<(), pipeops_buildkit::Error> {
    /// use pipeops_buildkit::Solve;
    ///
    /// for warning in client.lint(Solve::new(request).without_push()).await?.warnings {
    ///     println!("{:?} {}: {}", warning.lines(), warning.rule, warning.detail);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::solve`]. A Dockerfile that can't be built isn't an error: see [`Lint::error`].
    pub async fn lint(&self, solve: Solve) -> Result<Lint, Error> {
        self.ask(solve, "frontend.lint").await
    }

    /// Lists the stages of the Dockerfile of `solve`, without building.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client, request: pipeops_buildkit::BuildRequest) -> Result<(), pipeops_buildkit::Error> {
    /// use pipeops_buildkit::Solve;
    ///
    /// for target in client.targets(Solve::new(request.clone())).await? {
    ///     println!("{} {}", target.name, target.description);
    /// }
    /// let outline = client.outline(Solve::new(request)).await?;
    /// for secret in outline.secrets.iter().filter(|secret| secret.required) {
    ///     println!("needs the secret {}", secret.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
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

    /// Lists the inputs of the target of `solve`, without building: arguments, secrets, SSH agents.
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
