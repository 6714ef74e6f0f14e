//! A daemon's build history.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use futures::TryStreamExt;
use jiff::Timestamp;
use pipeops_core::secret::suspicion;

use crate::client::Client;
use crate::error::Error;
use crate::usage::{timestamp, unsigned};

/// One build in a daemon's history.
///
/// The daemon shows it to all clients, with build arguments in plain text. Here, values that look like secrets are
/// `[redacted]`.
///
/// ```no_run
/// # async fn run(client: pipeops_buildkit::Client) -> Result<(), pipeops_buildkit::Error> {
/// for build in client.history(Some(20)).await? {
///     println!("{}: {} of {} steps cached, {:?}", build.id, build.cached_steps, build.steps, build.error);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BuildRecord {
    /// The build's id.
    pub id: String,
    /// The frontend: `dockerfile.v0`, or the image of a gateway.
    pub frontend: String,
    /// The frontend's attributes: `target`, `build-arg:KEY`, `label:KEY`, …
    pub attributes: BTreeMap<String, String>,
    /// The exporters with their attributes.
    pub exporters: Vec<(String, BTreeMap<String, String>)>,
    /// The metadata of the result: `containerimage.digest`, …
    pub response: BTreeMap<String, String>,
    /// Why it failed; `None` if it succeeded or still runs.
    pub error: Option<String>,
    /// When it started.
    pub created: Option<Timestamp>,
    /// When it ended; `None` if it still runs.
    pub completed: Option<Timestamp>,
    /// The number of steps.
    pub steps: u64,
    /// The number of finished steps.
    pub completed_steps: u64,
    /// The number of cached steps.
    pub cached_steps: u64,
    /// The number of warnings from the frontend.
    pub warnings: u64,
    /// Whether the daemon keeps it until it's deleted.
    pub pinned: bool,
}

impl Client {
    /// Lists the daemon's history, newest first, including running builds. `None` lists all builds.
    ///
    /// # Errors
    /// [`Error::Call`] if the daemon refuses, [`Error::Timeout`] if it doesn't answer in time.
    pub async fn history(&self, limit: Option<u32>) -> Result<Vec<BuildRecord>, Error> {
        let request = proto::BuildHistoryRequest {
            limit: limit.map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX)),
            ..proto::BuildHistoryRequest::default()
        };
        let mut records = self.records(request).await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.created));
        // The daemon adds the running ones to as many ended ones.
        if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) {
            records.truncate(limit);
        }
        Ok(records)
    }

    /// Lists the running builds.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client) -> Result<(), pipeops_buildkit::Error> {
    /// for build in client.running_builds().await? {
    ///     println!("{}: {} of {} steps done", build.id, build.completed_steps, build.steps);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::history`].
    pub async fn running_builds(&self) -> Result<Vec<BuildRecord>, Error> {
        self.records(proto::BuildHistoryRequest {
            active_only: true,
            ..proto::BuildHistoryRequest::default()
        })
        .await
    }

    /// Returns one build; `None` if the history doesn't have it.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client, solved: pipeops_buildkit::Solved) -> Result<(), pipeops_buildkit::Error> {
    /// if let Some(build) = client.history_record(&solved.id).await? {
    ///     println!("{} warnings", build.warnings);
    ///     client.pin_history(&build.id, true).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::history`].
    pub async fn history_record(&self, id: &str) -> Result<Option<BuildRecord>, Error> {
        let request = proto::BuildHistoryRequest {
            r#ref: id.to_owned(),
            ..proto::BuildHistoryRequest::default()
        };
        match self.records(request).await {
            Ok(mut records) => Ok(records.pop()),
            // The daemon has no code for it: this is the text of Go's `os.ErrNotExist`.
            Err(Error::Call { why, .. }) if why.ends_with("file does not exist") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a build from the history. The daemon's cache keeps its steps.
    ///
    /// # Errors
    /// As [`Client::history`].
    pub async fn delete_history(&self, id: &str) -> Result<(), Error> {
        self.update(proto::UpdateBuildHistoryRequest {
            r#ref: id.to_owned(),
            delete: true,
            ..Default::default()
        })
        .await
    }

    /// Pins a build, so that the daemon keeps it until it's deleted, or unpins it. By default a daemon keeps builds for 48 hours,
    /// or longer if there are fewer than 50.
    ///
    /// # Errors
    /// As [`Client::history`], and if the history doesn't have the build.
    pub async fn pin_history(&self, id: &str, pinned: bool) -> Result<(), Error> {
        self.update(proto::UpdateBuildHistoryRequest {
            r#ref: id.to_owned(),
            pinned,
            ..Default::default()
        })
        .await
    }

    async fn records(
        &self,
        mut request: proto::BuildHistoryRequest,
    ) -> Result<Vec<BuildRecord>, Error> {
        const CALL: &str = "ListenBuildHistory";
        // Otherwise it continues with later events.
        request.early_exit = true;
        let mut control = self.control.clone();
        let events = self
            .call(CALL, control.listen_build_history(request))
            .await?;
        let mut events = self.answers(CALL, events);
        let collect = async {
            let mut records: Vec<BuildRecord> = Vec::new();
            while let Some(event) = events.try_next().await? {
                let deleted = event.r#type == i32::from(proto::BuildHistoryEventType::Deleted);
                if let Some(record) = event.record.filter(|_| !deleted) {
                    let record = BuildRecord::from(record);
                    // A build that ends meanwhile comes twice.
                    records.retain(|other| other.id != record.id);
                    records.push(record);
                }
            }
            Ok(records)
        };
        self.within(CALL, collect).await
    }

    async fn update(&self, request: proto::UpdateBuildHistoryRequest) -> Result<(), Error> {
        let mut control = self.control.clone();
        self.call("UpdateBuildHistory", control.update_build_history(request))
            .await
            .map(drop)
    }
}

impl From<proto::BuildHistoryRecord> for BuildRecord {
    fn from(record: proto::BuildHistoryRecord) -> Self {
        let exporters = record
            .exporters
            .into_iter()
            .map(|exporter| (exporter.r#type, shown(exporter.attrs)));
        Self {
            id: record.r#ref,
            frontend: record.frontend,
            attributes: shown(record.frontend_attrs),
            exporters: exporters.collect(),
            response: record.exporter_response.into_iter().collect(),
            error: record.error.map(|status| status.message),
            created: record
                .created_at
                .and_then(|time| timestamp(time.seconds, time.nanos)),
            completed: record
                .completed_at
                .and_then(|time| timestamp(time.seconds, time.nanos)),
            steps: unsigned(record.num_total_steps),
            completed_steps: unsigned(record.num_completed_steps),
            cached_steps: unsigned(record.num_cached_steps),
            warnings: unsigned(record.num_warnings),
            pinned: record.pinned,
        }
    }
}

/// Attributes without what looks like a secret.
fn shown(attributes: HashMap<String, String>) -> BTreeMap<String, String> {
    let show = |(key, value): (String, String)| {
        let name = key.strip_prefix("build-arg:").unwrap_or(&key);
        match suspicion(name, &value) {
            Some(_) => (key, "[redacted]".to_owned()),
            None => (key, value),
        }
    };
    attributes.into_iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_look_like_secrets_are_not_shown() {
        let record = proto::BuildHistoryRecord {
            frontend_attrs: [
                ("build-arg:NPM_TOKEN", "npm_12345"),
                ("build-arg:VERSION", "1"),
                ("target", "t"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            ..Default::default()
        };
        let record = BuildRecord::from(record);
        assert_eq!(record.attributes["build-arg:NPM_TOKEN"], "[redacted]");
        assert_eq!(
            (
                record.attributes["build-arg:VERSION"].as_str(),
                record.attributes["target"].as_str()
            ),
            ("1", "t")
        );
        assert!(!format!("{record:?}").contains("npm_12345"));
    }
}
