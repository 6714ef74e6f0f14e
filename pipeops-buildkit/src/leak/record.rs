//! Searches the daemon's record of a build, and removes it if it contains a secret.

use std::collections::BTreeSet;

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use tonic::Status;

use super::document::Found;
use super::needles::Needles;
use super::{LeakPlace, LeakReport};
use crate::client::Client;

impl Client {
    /// Searches the record of a build; with `forget`, a record that holds a secret is removed.
    pub(super) async fn search_record(
        &self,
        build: &str,
        needles: &Needles,
        forget: bool,
        report: &mut LeakReport,
    ) {
        let record = match self.record(build).await {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(status) => {
                return report.skip(format!(
                    "the daemon's record of the build: {}",
                    status.message()
                ));
            }
        };
        let mut found = fields(&record, needles);
        for (part, blob) in [("log", &record.logs), ("error", &record.external_error)] {
            let Some(blob) = blob else { continue };
            match self.search_blob(&blob.digest, needles).await {
                Ok(secrets) => found.extend(secrets.into_iter().map(|index| (index, place(part)))),
                Err(status) => report.skip(format!(
                    "the {part} in the daemon's record of the build: {}",
                    status.message()
                )),
            }
        }
        if forget && !found.is_empty() {
            match self.forget(build).await {
                Ok(()) => report.record_removed = true,
                Err(status) => report.skip(format!(
                    "the daemon's record of the build, which couldn't be removed: {}",
                    status.message()
                )),
            }
        }
        report.add(needles, found);
    }

    /// The daemon's record of a build that ended; `None` when it keeps none.
    async fn record(&self, build: &str) -> Result<Option<proto::BuildHistoryRecord>, Status> {
        let request = proto::BuildHistoryRequest {
            r#ref: build.to_owned(),
            early_exit: true,
            ..Default::default()
        };
        let read = async {
            let answer = self.control.clone().listen_build_history(request).await?;
            let mut events = answer.into_inner();
            let mut last = None;
            while let Some(event) = events.message().await? {
                last = event.record.or(last);
            }
            Ok(last)
        };
        read.await.or_else(|status| match is_absent(&status) {
            true => Ok(None),
            false => Err(status),
        })
    }

    async fn search_blob(
        &self,
        digest: &str,
        needles: &Needles,
    ) -> Result<BTreeSet<usize>, Status> {
        let mut blob = self.blob(digest).await?;
        let mut found = BTreeSet::new();
        let mut scanner = needles.scanner();
        while let Some(piece) = blob.next().await? {
            scanner.feed(&piece, &mut found);
        }
        Ok(found)
    }

    async fn forget(&self, build: &str) -> Result<(), Status> {
        let request = proto::UpdateBuildHistoryRequest {
            r#ref: build.to_owned(),
            delete: true,
            ..Default::default()
        };
        self.control
            .clone()
            .update_build_history(request)
            .await
            .map(drop)
    }
}

/// Whether the daemon has no such record. It has no status code for one that was removed.
fn is_absent(status: &Status) -> bool {
    status.code() == tonic::Code::NotFound || status.message().contains(" is deleted")
}

fn place(part: &str) -> LeakPlace {
    LeakPlace::Record {
        part: part.to_owned(),
    }
}

/// Searches the fields of the record.
fn fields(record: &proto::BuildHistoryRecord, needles: &Needles) -> Found {
    let exporters = record.exporters.iter().flat_map(|exporter| &exporter.attrs);
    let named = record
        .frontend_attrs
        .iter()
        .chain(exporters)
        .chain(&record.exporter_response);
    let error = record
        .error
        .iter()
        .map(|error| ("error".to_owned(), error.message.clone()));
    let texts = named.map(|(key, value)| {
        (
            key.clone(),
            format!("{}={value}", key.strip_prefix("build-arg:").unwrap_or(key)),
        )
    });
    let found = texts.chain(error).flat_map(|(part, text)| {
        let part = needles.clean(&part);
        let secrets = needles.in_text(&text);
        secrets.into_iter().map(move |index| (index, place(&part)))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::search::LeakSearch;
    use super::*;

    #[test]
    fn attributes_and_errors_of_a_record_are_searched() {
        let search = LeakSearch::default()
            .secret("token", "t0ken-value")
            .secret("word", "DB_PASSWORD=postgres");
        let needles = Needles::new(search.secrets()).unwrap();
        let record = proto::BuildHistoryRecord {
            frontend_attrs: [
                ("build-arg:DB_PASSWORD".into(), "postgres".into()),
                (
                    "cache-imports".into(),
                    r#"[{"Attrs":{"secret_access_key":"t0ken-value"}}]"#.into(),
                ),
                ("target".into(), "postgres".into()),
            ]
            .into(),
            error: Some(bollard_buildkit_proto::google::rpc::Status {
                message: "curl -H t0ken-value: exit code 1".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut report = LeakReport::default();
        report.add(&needles, fields(&record, &needles));
        let leaks: Vec<String> = report
            .leaks
            .iter()
            .map(|leak| format!("{} {}", leak.secret, leak.place))
            .collect();
        assert_eq!(
            leaks,
            [
                "token the daemon's record of the build (cache-imports)",
                "token the daemon's record of the build (error)",
                "word the daemon's record of the build (build-arg:DB_PASSWORD)",
            ]
        );
    }
}
