//! The ReplicaSet controller: creates and deletes pods.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Controllers, Item};
use crate::kubernetes::behaviour::Outcome;
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::recorder::Kind;
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{PODS, REPLICA_SETS};
use crate::kubernetes::selector::LabelSelector;
use crate::kubernetes::time::now;
use crate::kubernetes::value::{self, int, is_active, is_ready, text};
use crate::serve::lock;

/// After how many cluster seconds a refused pod is tried again.
const RETRY_SECONDS: i64 = 5;

impl Controllers {
    /// Brings a ReplicaSet to its size.
    pub(super) fn replica_set(&mut self, namespace: &str, name: &str) {
        let Some(set) = self.get(&REPLICA_SETS, namespace, name) else {
            return;
        };
        let pods = self.controlled(&PODS, namespace, text(&set, "/metadata/uid"));
        let active: Vec<Arc<Value>> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let mut failure = None;
        if !value::is_terminating(&set) {
            let wanted = usize::try_from(int(&set, "/spec/replicas")).unwrap_or(0);
            if active.len() < wanted {
                failure = self.create_pods(&set, wanted - active.len());
            } else if active.len() > wanted {
                self.delete_pods(&set, active, wanted);
            }
        }
        if failure.is_some() {
            let at = self.later(RETRY_SECONDS);
            self.look_at(at, Item::ReplicaSet(namespace.to_owned(), name.to_owned()));
        }
        self.replica_set_status(&set, failure);
    }

    /// Creates pods; the refusal, if there is one.
    fn create_pods(&mut self, set: &Value, count: usize) -> Option<String> {
        let namespace = text(set, "/metadata/namespace");
        for _ in 0..count {
            let pod = new_pod(set);
            let created = match self.denial(&pod) {
                Some(why) => Err(why),
                None => self
                    .create(&PODS, namespace, &pod)
                    .map_err(|error| error.message),
            };
            match created {
                Ok(pod) => {
                    let message = format!("Created pod: {}", text(&pod, "/metadata/name"));
                    self.say(set, Kind::Normal, "SuccessfulCreate", &message);
                }
                Err(why) => {
                    self.say(
                        set,
                        Kind::Warning,
                        "FailedCreate",
                        &format!("Error creating: {why}"),
                    );
                    return Some(why);
                }
            }
        }
        None
    }

    /// A scripted refusal of the API server.
    fn denial(&self, pod: &Value) -> Option<String> {
        let behaviours = lock(&self.shared.behaviours);
        let labels = &pod["metadata"]["labels"];
        value::items(pod, "/spec/containers")
            .iter()
            .find_map(|container| {
                match behaviours.find(labels, text(container, "/image")).outcome {
                    Outcome::Denied(why) => {
                        let prefix = text(pod, "/metadata/generateName");
                        Some(format!("pods {prefix:?} is forbidden: {why}"))
                    }
                    _ => None,
                }
            })
    }

    fn delete_pods(&mut self, set: &Value, mut active: Vec<Arc<Value>>, wanted: usize) {
        // The least useful go first: not placed, not running, not ready, the youngest.
        active.sort_by_key(|pod| {
            (
                !text(pod, "/spec/nodeName").is_empty(),
                text(pod, "/status/phase") == "Running",
                is_ready(pod),
                std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
                text(pod, "/metadata/name").to_owned(),
            )
        });
        let surplus = active.len() - wanted;
        for pod in active.into_iter().take(surplus) {
            let name = text(&pod, "/metadata/name");
            let target = Target::new(&PODS, text(set, "/metadata/namespace"), name);
            let deleted = self
                .shared
                .write(|store| delete::delete(store, &target, &Options::default()));
            if deleted.is_ok() {
                let message = format!("Deleted pod: {name}");
                self.say(set, Kind::Normal, "SuccessfulDelete", &message);
            }
        }
    }

    fn replica_set_status(&mut self, set: &Value, failure: Option<String>) {
        let namespace = text(set, "/metadata/namespace");
        let name = text(set, "/metadata/name");
        let Some(set) = self.get(&REPLICA_SETS, namespace, name) else {
            return;
        };
        let pods = self.controlled(&PODS, namespace, text(&set, "/metadata/uid"));
        let wait = int(&set, "/spec/minReadySeconds");
        let mut available = 0;
        let mut next: Option<Instant> = None;
        for pod in pods.iter().filter(|pod| is_active(pod) && is_ready(pod)) {
            let since = self.kubelet.ready_since(text(pod, "/metadata/uid"));
            let due = since.map(|since| since + (self.later(wait) - Instant::now()));
            match due {
                Some(due) if wait > 0 && due > Instant::now() => {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
                _ => available += 1,
            }
        }
        let status = counted(&set, &pods, available, failure);
        if let Some(at) = next {
            self.look_at(at, Item::ReplicaSet(namespace.to_owned(), name.to_owned()));
        }
        if status != set["status"] {
            let target = Target::new(&REPLICA_SETS, namespace, name).status();
            let _ = self.modify(&target, |live| live["status"] = status);
        }
    }
}

fn counted(set: &Value, pods: &[Arc<Value>], available: i64, failure: Option<String>) -> Value {
    let template = LabelSelector::of_map(&set["spec"]["template"]["metadata"]["labels"]);
    let active: Vec<&Arc<Value>> = pods.iter().filter(|pod| is_active(pod)).collect();
    let labelled = active
        .iter()
        .filter(|pod| template.matches(&pod["metadata"]["labels"]))
        .count();
    let ready = active.iter().filter(|pod| is_ready(pod)).count();
    let terminating = pods
        .iter()
        .filter(|pod| value::is_terminating(pod))
        .filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
        .count();
    let mut status = json!({
        "replicas": active.len(),
        "observedGeneration": set["metadata"]["generation"],
        "terminatingReplicas": terminating,
    });
    for (field, count) in [
        ("fullyLabeledReplicas", labelled as i64),
        ("readyReplicas", ready as i64),
        ("availableReplicas", available),
    ] {
        if count != 0 {
            status[field] = count.into();
        }
    }
    let known = value::condition(&set["status"], "ReplicaFailure");
    match (failure, known) {
        (None, _) => {}
        (Some(_), Some(known)) => status["conditions"] = json!([known]),
        (Some(why), None) => {
            status["conditions"] = json!([{
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": why,
                "lastTransitionTime": now(),
            }]);
        }
    }
    status
}

fn new_pod(set: &Value) -> Value {
    let template = &set["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{}-", text(set, "/metadata/name")),
        "ownerReferences": value::owner_reference(set),
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
    })
}
