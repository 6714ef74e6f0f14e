//! What PipeOps records about an application: the latest attempt, and the last two healthy revisions.

use jiff::Timestamp;
use pipeops_core::{Diagnosis, Revision};
use serde::{Deserialize, Serialize};

use crate::cluster::ObjectId;
use crate::snapshot::{Snapshot, stored_revision};

/// The phase of an attempt. It's written before the phase begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub(crate) enum AttemptPhase {
    /// Its objects are being applied.
    Applying,
    /// Everything is applied, and its pods are starting.
    Waiting,
    /// It failed and is being rolled back.
    RollingBack { diagnosis: Diagnosis },
    /// It's healthy.
    Complete,
    /// It failed, and the previous revision is healthy again.
    RolledBack {
        diagnosis: Diagnosis,
        #[serde(deserialize_with = "stored_revision")]
        to: Revision,
    },
    /// It failed, and there was no revision to roll back to.
    Failed { diagnosis: Diagnosis },
}

/// One attempt to roll out a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// The caller's id: see `Rollout::run_once`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) snapshot: Snapshot,
    pub(crate) started: Timestamp,
    /// The name of the strategy.
    pub(crate) strategy: String,
    /// The current step of its plan.
    pub(crate) step: usize,
    pub(crate) phase: AttemptPhase,
}

/// The record of an application.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RolloutRecord {
    pub(crate) attempt: Option<Attempt>,
    /// The last healthy revision: the target of a rollback.
    pub(crate) healthy: Option<Snapshot>,
    /// The healthy revision before that: the target of `undo`.
    pub(crate) previous: Option<Snapshot>,
    /// Objects of failed attempts, to prune after the next success.
    pub(crate) leftovers: Vec<ObjectId>,
}

impl RolloutRecord {
    /// The revision of the latest attempt.
    pub(crate) fn attempted(&self) -> Option<&Snapshot> {
        self.attempt.as_ref().map(|attempt| &attempt.snapshot)
    }

    /// Makes the healthy attempt the target of later rollbacks.
    pub(crate) fn promote(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        attempt.phase = AttemptPhase::Complete;
        let snapshot = attempt.snapshot.clone();
        let before = self.healthy.replace(snapshot);
        let healthy = self.healthy.as_ref().map(|healthy| &healthy.fingerprint);
        if let Some(before) = before.filter(|before| Some(&before.fingerprint) != healthy) {
            self.previous = Some(before);
        }
    }

    /// Begins a new attempt. Objects that only an unfinished one had are left over.
    pub(crate) fn begin(&mut self, attempt: Attempt) {
        let unfinished = self.attempt.as_ref().is_some_and(|old| {
            use AttemptPhase::{Applying, RollingBack, Waiting};
            matches!(old.phase, Applying | Waiting | RollingBack { .. })
        });
        if unfinished {
            self.add_leftovers();
        }
        self.attempt = Some(attempt);
    }

    /// Ends the failed attempt. Objects that only it had are left over.
    pub(crate) fn abandon(&mut self, phase: AttemptPhase) {
        if let Some(attempt) = &mut self.attempt {
            attempt.phase = phase;
            self.add_leftovers();
        }
    }

    fn add_leftovers(&mut self) {
        let Some(attempt) = &self.attempt else {
            return;
        };
        let kept = self
            .healthy
            .as_ref()
            .map_or(&[][..], |healthy| &healthy.ids);
        let extra = attempt.snapshot.ids.iter().filter(|id| !kept.contains(id));
        self.leftovers.extend(extra.cloned());
        self.leftovers.sort();
        self.leftovers.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(revision: &str) -> Attempt {
        Attempt {
            id: None,
            snapshot: Snapshot {
                revision: revision.parse().unwrap(),
                fingerprint: format!("f-{revision}"),
                ids: Vec::new(),
                objects: Vec::new(),
            },
            started: Timestamp::UNIX_EPOCH,
            strategy: "rollingUpdate".into(),
            step: 0,
            phase: AttemptPhase::Applying,
        }
    }

    fn revisions(record: &RolloutRecord) -> (Option<&str>, Option<&str>) {
        let [healthy, previous] =
            [&record.healthy, &record.previous].map(|s| s.as_ref().map(|s| s.revision.as_str()));
        (healthy, previous)
    }

    #[test]
    fn a_success_moves_the_revisions_and_the_same_one_again_does_not() {
        let mut record = RolloutRecord::default();
        for (revision, expected) in [
            ("a", (Some("a"), None)),
            ("b", (Some("b"), Some("a"))),
            ("b", (Some("b"), Some("a"))),
            ("a", (Some("a"), Some("b"))),
        ] {
            record.attempt = Some(attempt(revision));
            record.promote();
            assert_eq!(revisions(&record), expected);
        }
    }

    #[test]
    fn what_only_an_unfinished_attempt_had_is_left_over() {
        let mut record = RolloutRecord::default();
        let with = |revision: &str, names: &[&str]| {
            let mut attempt = attempt(revision);
            let ids = names.iter().map(|name| ObjectId::config_map("shop", name));
            attempt.snapshot.ids = ids.collect();
            attempt
        };
        record.begin(with("a", &["one"]));
        record.promote();
        record.begin(with("b", &["one", "two"]));
        assert!(record.leftovers.is_empty(), "the first one was finished");
        record.begin(with("c", &["three"]));
        assert_eq!(record.leftovers, [ObjectId::config_map("shop", "two")]);
    }
}
