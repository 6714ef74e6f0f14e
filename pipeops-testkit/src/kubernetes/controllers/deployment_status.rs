//! The status of a Deployment: counts, conditions, the progress deadline.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::family::Family;
use super::new_set::revision;
use super::{Controllers, Item};
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::REPLICA_SETS;
use crate::kubernetes::time::now;
use crate::kubernetes::value::{self, int, text};

/// A Progressing condition.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Progress {
    pub(super) fn new(status: &'static str, reason: &'static str, message: String) -> Self {
        Self {
            status,
            reason,
            message,
        }
    }

    /// Writes the condition; the time of its last transition stays while its status does.
    pub(super) fn write_to(&self, status: &mut Value) {
        set_condition(
            status,
            "Progressing",
            self.status,
            self.reason,
            &self.message,
        );
    }
}

/// Sets a condition: it becomes the last one, as the real controller has it.
fn set_condition(status: &mut Value, kind: &str, state: &str, reason: &str, message: &str) {
    let now = now();
    let old = value::condition(status, kind);
    let since = match old {
        Some(old) if old["status"] == state => old["lastTransitionTime"].clone(),
        _ => now.clone().into(),
    };
    value::remove_condition(status, kind);
    value::put_condition(
        status,
        json!({
            "type": kind,
            "status": state,
            "reason": reason,
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": since,
        }),
    );
}

impl Controllers {
    /// Writes the status that follows from the ReplicaSets, and how the rollout gets on.
    pub(super) fn sync_status(&mut self, family: &Family) {
        let Some(family) = self.refresh(family) else {
            return;
        };
        let mut status = self.counted(&family);
        if let Some(progress) = self.progress_of(&family, &status) {
            progress.write_to(&mut status);
            let uid = text(&family.deployment, "/metadata/uid").to_owned();
            self.progress.insert(uid, Instant::now());
        }
        copy_failure(&family, &mut status);
        self.write_status(&family, status);
        self.watch_deadline(&family);
    }

    /// Writes the counts only: a Deployment that is paused or resized makes no progress.
    pub(super) fn sync_counts(&mut self, family: &Family) {
        let Some(family) = self.refresh(family) else {
            return;
        };
        let status = self.counted(&family);
        self.write_status(&family, status);
    }

    fn write_status(&self, family: &Family, status: Value) {
        if status != family.deployment["status"] {
            let target = family.target().status();
            // A failed write is tried again with the next change.
            let _ = self.modify(&target, |live| live["status"] = status);
        }
    }

    /// The family with the sizes that were just written.
    fn refresh(&self, family: &Family) -> Option<Family> {
        use crate::kubernetes::resources::DEPLOYMENTS;

        let again = |set: &std::sync::Arc<Value>| {
            self.get(
                &REPLICA_SETS,
                family.namespace(),
                text(set, "/metadata/name"),
            )
        };
        Some(Family {
            deployment: self.get(&DEPLOYMENTS, family.namespace(), family.name())?,
            old: family.old.iter().filter_map(again).collect(),
            new: family.new.as_ref().and_then(again),
        })
    }

    fn counted(&self, family: &Family) -> Value {
        let available = family.sum("/status/availableReplicas");
        let unavailable = (family.sum("/spec/replicas") - available).max(0);
        let updated = family
            .new
            .as_ref()
            .map_or(0, |set| int(set, "/status/replicas"));
        let mut status = json!({
            "observedGeneration": family.deployment["metadata"]["generation"],
            "terminatingReplicas": family.sum("/status/terminatingReplicas"),
        });
        for (field, count) in [
            ("replicas", family.sum("/status/replicas")),
            ("updatedReplicas", updated),
            ("readyReplicas", family.sum("/status/readyReplicas")),
            ("availableReplicas", available),
            ("unavailableReplicas", unavailable),
        ] {
            // Zeros are left out on the wire.
            if count != 0 {
                status[field] = count.into();
            }
        }
        let old = &family.deployment["status"];
        for field in ["conditions", "collisionCount"] {
            if let Some(kept) = old.get(field) {
                status[field] = kept.clone();
            }
        }
        let least = family.replicas() - family.max_unavailable();
        let (state, reason, message) = if available >= least {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        let known = value::condition(&status, "Available");
        if known.is_none_or(|known| known["status"] != state || known["reason"] != reason) {
            set_condition(&mut status, "Available", state, reason, message);
        }
        if !family.has_deadline() {
            value::remove_condition(&mut status, "Progressing");
        }
        status
    }

    /// The Progressing condition, when there is something new to say.
    fn progress_of(&self, family: &Family, status: &Value) -> Option<Progress> {
        if !family.has_deadline() || value::is_terminating(&family.deployment) {
            return None;
        }
        let old = &family.deployment["status"];
        let present = value::condition(old, "Progressing");
        let reason = present.map_or("", |condition| text(condition, "/reason"));
        let count = |name: &str| int(status, &format!("/{name}"));
        let complete =
            reason == "NewReplicaSetAvailable" && count("replicas") == count("updatedReplicas");
        if complete {
            return None;
        }
        let subject = match &family.new {
            Some(set) => format!("ReplicaSet {:?}", text(set, "/metadata/name")),
            None => format!("Deployment {:?}", family.name()),
        };
        let wanted = family.replicas();
        let done = ["updatedReplicas", "replicas", "availableReplicas"]
            .iter()
            .all(|name| count(name) == wanted);
        if done {
            let message = format!("{subject} has successfully progressed.");
            return Some(Progress::new("True", "NewReplicaSetAvailable", message));
        }
        if has_progressed(old, status) {
            let message = format!("{subject} is progressing.");
            return Some(Progress::new("True", "ReplicaSetUpdated", message));
        }
        if self.has_timed_out(family, reason) {
            let message = format!("{subject} has timed out progressing.");
            return Some(Progress::new("False", "ProgressDeadlineExceeded", message));
        }
        None
    }

    fn has_timed_out(&self, family: &Family, reason: &str) -> bool {
        const NOT_TIMED: [&str; 4] = [
            "",
            "NewReplicaSetAvailable",
            "ProgressDeadlineExceeded",
            "DeploymentPaused",
        ];
        !NOT_TIMED.contains(&reason)
            && self
                .deadline(family)
                .is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn deadline(&self, family: &Family) -> Option<Instant> {
        let since = self
            .progress
            .get(text(&family.deployment, "/metadata/uid"))?;
        let seconds = int(&family.deployment, "/spec/progressDeadlineSeconds");
        let seconds = std::time::Duration::from_secs(u64::try_from(seconds).ok()?);
        Some(*since + self.shared.options.real(seconds))
    }

    /// Looks again when the deadline is over.
    fn watch_deadline(&mut self, family: &Family) {
        if let Some(deadline) = self.deadline(family)
            && deadline > Instant::now()
        {
            let item = Item::Deployment(family.namespace().to_owned(), family.name().to_owned());
            self.look_at(deadline, item);
        }
    }

    /// Deletes old ReplicaSets beyond the history limit, once the rollout is complete.
    pub(super) fn forget_history(&mut self, family: &Family) {
        let Some(family) = self.refresh(family) else {
            return;
        };
        let complete = value::condition(&family.deployment["status"], "Progressing")
            .is_none_or(|condition| condition["reason"] == "NewReplicaSetAvailable");
        if !complete {
            return;
        }
        let limit = int(&family.deployment, "/spec/revisionHistoryLimit");
        let mut idle: Vec<_> = family
            .old
            .iter()
            .filter(|set| {
                int(set, "/spec/replicas") == 0
                    && int(set, "/status/replicas") == 0
                    && !value::is_terminating(set)
            })
            .collect();
        idle.sort_by_key(|set| revision(set));
        let surplus = idle
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        for set in idle.into_iter().take(surplus) {
            let target = Target::new(
                &REPLICA_SETS,
                family.namespace(),
                text(set, "/metadata/name"),
            );
            let _ = self
                .shared
                .write(|store| delete::delete(store, &target, &Options::default()));
        }
    }
}

fn has_progressed(old: &Value, new: &Value) -> bool {
    let grew = |name: &str| int(new, name) > int(old, name);
    let outdated = |status: &Value| int(status, "/replicas") - int(status, "/updatedReplicas");
    grew("/updatedReplicas")
        || outdated(new) < outdated(old)
        || grew("/readyReplicas")
        || grew("/availableReplicas")
}

/// A ReplicaSet that cannot create its pods is the Deployment's trouble as well.
fn copy_failure(family: &Family, status: &mut Value) {
    let failure = family
        .new
        .iter()
        .chain(&family.old)
        .find_map(|set| value::condition(&set["status"], "ReplicaFailure"));
    match failure {
        None => value::remove_condition(status, "ReplicaFailure"),
        Some(failure) => {
            let known = value::condition(status, "ReplicaFailure");
            let same = known.is_some_and(|known| {
                known["status"] == failure["status"] && known["reason"] == failure["reason"]
            });
            if !same {
                let of = |name: &str| failure[name].as_str().unwrap_or_default();
                set_condition(
                    status,
                    "ReplicaFailure",
                    of("status"),
                    of("reason"),
                    of("message"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_keeps_its_time_while_the_status_stays() {
        let mut status = json!({"conditions": [
            {"type": "Progressing", "status": "True", "lastTransitionTime": "then"}
        ]});
        Progress::new("True", "ReplicaSetUpdated", String::new()).write_to(&mut status);
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "then");
        Progress::new("False", "ProgressDeadlineExceeded", String::new()).write_to(&mut status);
        assert_ne!(status["conditions"][0]["lastTransitionTime"], "then");
    }

    #[test]
    fn progress_is_more_new_or_fewer_old_pods() {
        let of = |replicas: i64, updated: i64, ready: i64| json!({"replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready});
        assert!(has_progressed(&of(2, 0, 2), &of(3, 1, 2)));
        assert!(has_progressed(&of(3, 1, 2), &of(2, 1, 2)));
        assert!(!has_progressed(&of(3, 1, 2), &of(3, 1, 1)));
    }
}
