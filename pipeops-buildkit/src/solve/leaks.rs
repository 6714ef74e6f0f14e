//! The leak check that follows each build.

use pipeops_core::EventSink;
use pipeops_core::event::EventKind;

use super::prepare::Prepared;
use super::result::Solved;
use crate::client::Client;
use crate::error::Error;
use crate::leak::{Leak, LeakCheck, LeakReport, LeakSearch};

/// Leaks that get a warning; the rest is counted.
const WARNINGS: usize = 10;

/// The leak check of one build.
pub(super) struct BuildLeaks<'a> {
    client: &'a Client,
    check: Option<LeakCheck>,
    search: LeakSearch,
    build: Option<String>,
}

impl<'a> BuildLeaks<'a> {
    pub(super) fn new(client: &'a Client, check: Option<LeakCheck>) -> Self {
        Self {
            client,
            check,
            search: LeakSearch::default(),
            build: None,
        }
    }

    /// Takes the secrets to search for, before the build starts.
    pub(super) fn remember(&mut self, prepared: &Prepared) {
        self.search = prepared.leaks.clone();
        self.build = Some(prepared.request.r#ref.clone());
    }

    /// Checks the image, and the record that the daemon keeps, also of a failed build.
    pub(super) async fn check(
        self,
        result: Result<Solved, Error>,
        events: &dyn EventSink,
    ) -> Result<Solved, Error> {
        let Some(check) = self.check.filter(|_| !self.search.is_empty()) else {
            return result;
        };
        let image = match &result {
            Ok(solved) => solved.digest.as_ref(),
            Err(Error::Build(_)) => None,
            // The daemon is lost and cannot be asked.
            Err(_) => return result,
        };
        let report = self
            .client
            .find_leaks(&self.search, image, self.build.as_deref(), &check)
            .await;
        tell(&report, events);
        result.map(|solved| Solved {
            leaks: report,
            ..solved
        })
    }
}

fn tell(report: &LeakReport, events: &dyn EventSink) {
    for message in warnings(report) {
        events.emit(EventKind::Warning { message });
    }
    if !report.unchecked.is_empty() {
        tracing::info!(unchecked = ?report.unchecked, "the leak check is incomplete");
    }
}

fn warnings(report: &LeakReport) -> Vec<String> {
    let mut warnings: Vec<String> = report
        .leaks
        .iter()
        .take(WARNINGS)
        .map(Leak::to_string)
        .collect();
    let more = report.leaks.len().saturating_sub(WARNINGS);
    if more > 0 {
        warnings.push(format!("{more} more leaks were found"));
    }
    if report.record_removed {
        warnings.push(
            "The daemon's record of this build contained a secret and was removed".to_owned(),
        );
    } else if !report.leaks.is_empty() {
        warnings.push("Mount secrets with RUN --mount=type=secret, don't print or copy them, and replace the leaked ones".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::LeakPlace;

    #[test]
    fn warnings_are_few_and_name_the_place() {
        let leak = |number: usize| Leak {
            secret: "build secret \"npm\"".into(),
            suspected: false,
            place: LeakPlace::Layer {
                digest: format!("sha256:{}", "ab".repeat(32)),
                path: format!("/f{number}"),
            },
        };
        let mut report = LeakReport {
            leaks: (0..12).map(leak).collect(),
            ..LeakReport::default()
        };
        let told = warnings(&report);
        assert_eq!(told.len(), 12);
        assert_eq!(
            told[0],
            "build secret \"npm\" leaks into the file /f0 of the image's layer sha256:abababababab: everyone who can pull the image can read it"
        );
        assert_eq!(told[10], "2 more leaks were found");
        report.leaks.truncate(1);
        report.record_removed = true;
        assert_eq!(warnings(&report).len(), 2);
        assert!(warnings(&LeakReport::default()).is_empty());
    }
}
