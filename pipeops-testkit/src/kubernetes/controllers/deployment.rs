//! Deployments: which ReplicaSet is the new one, and what is done about the others.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Controllers;
use super::deployment_status::Progress;
use crate::kubernetes::names;
use crate::kubernetes::recorder::{Kind, Said};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{DEPLOYMENTS, REPLICA_SETS};
use crate::kubernetes::value::{self, count_of, int, text};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

/// A Deployment and its ReplicaSets.
pub(super) struct Family {
    pub(super) deployment: Arc<Value>,
    /// Oldest first.
    pub(super) old: Vec<Arc<Value>>,
    pub(super) new: Option<Arc<Value>>,
}

impl Family {
    pub(super) fn namespace(&self) -> &str {
        text(&self.deployment, "/metadata/namespace")
    }

    pub(super) fn name(&self) -> &str {
        text(&self.deployment, "/metadata/name")
    }

    pub(super) fn target(&self) -> Target {
        Target::new(&DEPLOYMENTS, self.namespace(), self.name())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }

    /// The sum of a number over all ReplicaSets.
    pub(super) fn sum(&self, pointer: &str) -> i64 {
        self.all().map(|set| int(set, pointer)).sum()
    }

    pub(super) fn replicas(&self) -> i64 {
        int(&self.deployment, "/spec/replicas")
    }

    pub(super) fn is_recreate(&self) -> bool {
        text(&self.deployment, "/spec/strategy/type") == "Recreate"
    }

    /// How many pods there may be at once.
    pub(super) fn max_total(&self) -> i64 {
        self.replicas() + self.max_surge()
    }

    fn max_surge(&self) -> i64 {
        let surge = &self.deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
        if self.is_recreate() { 0 } else { count_of(surge, self.replicas(), true) }
    }

    /// How many pods may be missing; at least one where nothing may be added.
    pub(super) fn max_unavailable(&self) -> i64 {
        let replicas = self.replicas();
        if self.is_recreate() || replicas == 0 {
            return 0;
        }
        let value = &self.deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
        let missing = count_of(value, replicas, false);
        let missing = if missing == 0 && self.max_surge() == 0 { 1 } else { missing };
        missing.min(replicas)
    }

    pub(super) fn has_deadline(&self) -> bool {
        int(&self.deployment, "/spec/progressDeadlineSeconds") != i64::from(i32::MAX)
    }
}

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
            (true, _) => Progress::new("Unknown", "DeploymentPaused", "Deployment is paused".into()),
            (false, Some("DeploymentPaused")) => {
                Progress::new("Unknown", "DeploymentResumed", "Deployment is resumed".into())
            }
            (false, _) => return,
        };
        self.write_progress(family, progress, None);
    }

    /// Makes sure that the new ReplicaSet exists and is numbered. Whether it changed something that has to be looked at
    /// again.
    fn sync_new(&mut self, family: &mut Family, create: bool) -> bool {
        let revision = family.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1;
        match family.new.clone() {
            Some(set) => self.renumber(family, &set, revision),
            None if create => self.create_set(family, revision),
            None => false,
        }
    }

    fn renumber(&mut self, family: &mut Family, set: &Value, revision: i64) -> bool {
        let target = Target::new(&REPLICA_SETS, family.namespace(), text(set, "/metadata/name"));
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
        let found = Progress::new("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"));
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
                    self.say(&family.deployment, Kind::Normal, "ScalingReplicaSet", &message);
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
                self.modify(&target, |live| live["status"]["collisionCount"] = count.into()).is_ok()
            }
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {}", error.message);
                let failed = Progress::new("False", "ReplicaSetCreateError", message.clone());
                self.write_progress(family, failed, None);
                self.say(&family.deployment, Kind::Warning, "ReplicaSetCreateError", &message);
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
            let desired = text(set, "/metadata/annotations/deployment.kubernetes.io~1desired-replicas");
            int(set, "/spec/replicas") > 0
                && desired.parse().is_ok_and(|desired: i64| desired != family.replicas())
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
            self.say(&family.deployment, Kind::Normal, "ScalingReplicaSet", &message);
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

pub(super) fn revision(set: &Value) -> i64 {
    text(set, "/metadata/annotations/deployment.kubernetes.io~1revision")
        .parse()
        .unwrap_or(0)
}

/// The template as the user wrote it.
fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels") {
        remove(labels, HASH);
    }
    template
}

fn remove(object: &mut Value, field: &str) {
    if let Value::Object(fields) = object {
        fields.remove(field);
    }
}

fn new_set(family: &Family, revision: i64) -> Value {
    let deployment = &family.deployment;
    let template = &deployment["spec"]["template"];
    let collisions = int(deployment, "/status/collisionCount");
    let hash = names::template_hash(canonical(template).as_bytes(), collisions);
    let mut template = template.clone();
    template["metadata"]["labels"][HASH] = hash.clone().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.clone().into();
    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", family.name()),
            "namespace": family.namespace(),
            "labels": template["metadata"]["labels"],
            "ownerReferences": value::owner_reference(deployment),
            "annotations": {},
        },
        "spec": {
            "replicas": first_size(family),
            "selector": selector,
            "template": template,
        },
    });
    if let Some(seconds) = deployment["spec"].get("minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    annotate(&mut set, deployment, revision);
    let annotations = &mut set["metadata"]["annotations"];
    annotations[DESIRED] = family.replicas().to_string().into();
    annotations[MAXIMUM] = family.max_total().to_string().into();
    set
}

/// How many pods a new ReplicaSet begins with.
fn first_size(family: &Family) -> i64 {
    if family.is_recreate() {
        return family.replicas();
    }
    let room = family.max_total() - family.sum("/spec/replicas");
    room.clamp(0, family.replicas())
}

/// Copies the Deployment's annotations, and numbers the ReplicaSet if it is to be the newest.
fn annotate(set: &mut Value, deployment: &Value, revision: i64) {
    const OWN: [&str; 5] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
    ];
    if !set["metadata"]["annotations"].is_object() {
        set["metadata"]["annotations"] = json!({});
    }
    let annotations = &mut set["metadata"]["annotations"];
    let theirs = deployment["metadata"]["annotations"].as_object();
    for (key, value) in theirs.into_iter().flatten() {
        if !OWN.contains(&key.as_str()) {
            annotations[key] = value.clone();
        }
    }
    let before = annotations[REVISION].as_str().map(str::to_owned);
    let number: i64 = before.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    if number < revision {
        annotations[REVISION] = revision.to_string().into();
        if let Some(before) = before {
            // An old ReplicaSet comes back: its earlier numbers are remembered.
            let history = match annotations[HISTORY].as_str() {
                Some(history) if !history.is_empty() => format!("{history},{before}"),
                _ => before,
            };
            annotations[HISTORY] = history.into();
        }
    }
    if let Value::Object(fields) = annotations {
        fields.retain(|_, value| !value.is_null());
    }
}

/// A text that is the same for equal values, whatever the order of their fields.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let parts: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{name:?}:{}", canonical(value)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", parts.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str) -> Value {
        json!({"metadata": {"name": "app", "namespace": "a", "annotations": {"note": "n", REVISION: "1"}},
            "spec": {"replicas": 4, "strategy": {"type": "RollingUpdate", "rollingUpdate":
                {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": image}]}}}})
    }

    fn family(image: &str) -> Family {
        Family {
            deployment: Arc::new(deployment(image)),
            old: Vec::new(),
            new: None,
        }
    }

    #[test]
    fn equal_templates_make_equal_names() {
        let name = |image| text(&new_set(&family(image), 1), "/metadata/name").to_owned();
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn a_returning_set_remembers_its_numbers() {
        let mut set = new_set(&family("a"), 1);
        annotate(&mut set, &deployment("a"), 3);
        let annotations = &set["metadata"]["annotations"];
        assert_eq!(annotations[REVISION], "3");
        assert_eq!(annotations[HISTORY], "1");
        assert_eq!(annotations["note"], "n");
    }

    #[test]
    fn a_first_set_is_as_big_as_wanted_and_a_next_one_only_as_the_surge_allows() {
        let mut family = family("a");
        assert_eq!(first_size(&family), 4);
        family.old.push(Arc::new(json!({"spec": {"replicas": 4}})));
        assert_eq!(first_size(&family), 1);
        assert_eq!(family.max_unavailable(), 1);
    }
}
