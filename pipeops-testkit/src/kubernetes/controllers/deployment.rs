//! The Deployment controller: finds or creates the new ReplicaSet and scales the others.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::Controllers;
use super::deployment_status::Progress;
use super::family::Family;
use super::new_set::{
    DESIRED, MAXIMUM, REVISION, annotate, new_set, remove, revision, without_hash,
};
use crate::kubernetes::recorder::{Kind, Said};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{DEPLOYMENTS, REPLICA_SETS};
use crate::kubernetes::value::{self, int, text};

impl Controllers {
    /// Brings a Deployment one step nearer.
    pub(super) fn deployment(&mut self, namespace: &str, name: &str) {
        let Some(deployment) = self.get(&DEPLOYMENTS, namespace, name) else {
            return;
        };
        let mut family = self.family(deployment);
        if value::is_terminating(&family.deployment) {
            self.sync_counts(&family);
            return;
        }
        self.pause(&mut family);
        let paused = family.deployment["spec"]["paused"] == true;
        // A Deployment that was changed is looked at again at once, with its new state.
        let resize_only = paused || self.is_scaling(&family);
        if self.sync_new(&mut family, !resize_only) {
            return;
        }
        if resize_only {
            self.scale_family(&family);
            self.sync_counts(&family);
            return;
        }
        if family.is_recreate() {
            self.recreate(&mut family);
        } else {
            self.roll(&family);
        }
    }

    fn family(&self, deployment: Arc<Value>) -> Family {
        let uid = text(&deployment, "/metadata/uid");
        let namespace = text(&deployment, "/metadata/namespace");
        let mut sets = self.controlled(&REPLICA_SETS, namespace, uid);
        // Names and revisions break ties: times have whole seconds only.
        sets.sort_by_key(|set| (revision(set), text(set, "/metadata/name").to_owned()));
        let wanted = without_hash(&deployment["spec"]["template"]);
        let new = sets
            .iter()
            .position(|set| without_hash(&set["spec"]["template"]) == wanted)
            .map(|at| sets.remove(at));
        Family {
            deployment,
            old: sets,
            new,
        }
    }

    /// Says in the conditions whether the Deployment is paused.
    fn pause(&mut self, family: &mut Family) {
        if !family.has_deadline() {
            return;
        }
        let reason = value::condition(&family.deployment["status"], "Progressing")
            .map(|condition| text(condition, "/reason").to_owned());
        // A rollout that failed stays failed, whether it is paused or not.
        if reason.as_deref() == Some("ProgressDeadlineExceeded") {
            return;
        }
        let paused = family.deployment["spec"]["paused"] == true;
        let progress = match (paused, reason.as_deref()) {
            (true, Some("DeploymentPaused")) => return,
            (true, _) => {
                Progress::new("Unknown", "DeploymentPaused", "Deployment is paused".into())
            }
            (false, Some("DeploymentPaused")) => Progress::new(
                "Unknown",
                "DeploymentResumed",
                "Deployment is resumed".into(),
            ),
            (false, _) => return,
        };
        self.write_progress(family, progress, None);
    }

    /// Makes sure that the new ReplicaSet exists and is numbered. Whether it changed something that has to be looked at
    /// again.
    fn sync_new(&mut self, family: &mut Family, create: bool) -> bool {
        let revision = family
            .old
            .iter()
            .map(|set| revision(set))
            .max()
            .unwrap_or(0)
            + 1;
        match family.new.clone() {
            Some(set) => self.renumber(family, &set, revision),
            None if create => self.create_set(family, revision),
            None => false,
        }
    }

    fn renumber(&mut self, family: &mut Family, set: &Value, revision: i64) -> bool {
        let target = Target::new(
            &REPLICA_SETS,
            family.namespace(),
            text(set, "/metadata/name"),
        );
        let mut wanted = set.clone();
        annotate(&mut wanted, &family.deployment, revision);
        wanted["spec"]["minReadySeconds"] = family.deployment["spec"]["minReadySeconds"].clone();
        if wanted["spec"]["minReadySeconds"].is_null() {
            remove(&mut wanted["spec"], "minReadySeconds");
        }
        if wanted != *set {
            return self.modify(&target, |live| *live = wanted).is_ok();
        }
        let numbered = set["metadata"]["annotations"][REVISION].clone();
        let known = family.deployment["metadata"]["annotations"][REVISION] == numbered;
        let silent = family.has_deadline()
            && value::condition(&family.deployment["status"], "Progressing").is_none();
        if known && !silent {
            return false;
        }
        let name = text(set, "/metadata/name");
        let found = Progress::new(
            "True",
            "FoundNewReplicaSet",
            format!("Found new replica set {name:?}"),
        );
        self.write_revision(family, numbered, silent.then_some(found));
        true
    }

    fn create_set(&mut self, family: &mut Family, revision: i64) -> bool {
        let set = new_set(family, revision);
        let name = text(&set, "/metadata/name").to_owned();
        let replicas = int(&set, "/spec/replicas");
        match self.create(&REPLICA_SETS, family.namespace(), &set) {
            Ok(_) => {
                if replicas > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {replicas}");
                    self.say(
                        &family.deployment,
                        Kind::Normal,
                        "ScalingReplicaSet",
                        &message,
                    );
                }
                let created = Progress::new(
                    "True",
                    "NewReplicaSetCreated",
                    format!("Created new replica set {name:?}"),
                );
                let created = family.has_deadline().then_some(created);
                self.write_revision(family, revision.to_string().into(), created);
                true
            }
            Err(error) if error.code == 409 => {
                // Another ReplicaSet has this name: the hash is made again with the next number.
                let target = family.target().status();
                let count = int(&family.deployment, "/status/collisionCount") + 1;
                self.modify(&target, |live| {
                    live["status"]["collisionCount"] = count.into()
                })
                .is_ok()
            }
            Err(error) => {
                let message = format!(
                    "Failed to create new replica set {name:?}: {}",
                    error.message
                );
                let failed = Progress::new("False", "ReplicaSetCreateError", message.clone());
                self.write_progress(family, failed, None);
                self.say(
                    &family.deployment,
                    Kind::Warning,
                    "ReplicaSetCreateError",
                    &message,
                );
                false
            }
        }
    }

    /// Writes the revision, and where something began, that it did.
    fn write_revision(&mut self, family: &mut Family, revision: Value, progress: Option<Progress>) {
        match progress {
            Some(progress) => self.write_progress(family, progress, Some(revision)),
            None => {
                let target = family.target().status();
                let _ = self.modify(&target, |live| {
                    live["metadata"]["annotations"][REVISION] = revision;
                });
            }
        }
    }

    fn write_progress(&mut self, family: &mut Family, progress: Progress, revision: Option<Value>) {
        let uid = text(&family.deployment, "/metadata/uid").to_owned();
        self.progress.insert(uid, Instant::now());
        let written = self.modify(&family.target().status(), |live| {
            if let Some(revision) = revision {
                live["metadata"]["annotations"][REVISION] = revision;
            }
            progress.write_to(&mut live["status"]);
        });
        if let Ok(deployment) = written {
            family.deployment = deployment;
        }
    }

    /// Whether `spec.replicas` was changed since the ReplicaSets were sized.
    fn is_scaling(&self, family: &Family) -> bool {
        family.all().any(|set| {
            let desired = text(
                set,
                "/metadata/annotations/deployment.kubernetes.io~1desired-replicas",
            );
            int(set, "/spec/replicas") > 0
                && desired
                    .parse()
                    .is_ok_and(|desired: i64| desired != family.replicas())
        })
    }

    /// Sets the size of a ReplicaSet.
    pub(super) fn resize(&mut self, family: &Family, set: &Value, replicas: i64) -> bool {
        let before = int(set, "/spec/replicas");
        let name = text(set, "/metadata/name");
        let target = Target::new(&REPLICA_SETS, family.namespace(), name);
        let (desired, maximum) = (family.replicas(), family.max_total());
        let changed = self.modify(&target, |live| {
            live["spec"]["replicas"] = replicas.into();
            let annotations = &mut live["metadata"]["annotations"];
            annotations[DESIRED] = desired.to_string().into();
            annotations[MAXIMUM] = maximum.to_string().into();
        });
        if changed.is_ok() && before != replicas {
            let way = if replicas > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {name} from {before} to {replicas}");
            self.say(
                &family.deployment,
                Kind::Normal,
                "ScalingReplicaSet",
                &message,
            );
        }
        before != replicas
    }

    pub(super) fn say(&mut self, about: &Value, kind: Kind, reason: &'static str, message: &str) {
        let component = match text(about, "/kind") {
            "ReplicaSet" => "replicaset-controller",
            _ => "deployment-controller",
        };
        let said = Said {
            component,
            kind,
            reason,
            message,
            field_path: "",
        };
        self.recorder.record(about, said);
    }
}
