//! StatefulSets: pods with an identity, made and unmade in order.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::revisions::{Revisions, revision_of, template_of};
use super::{Controllers, Item};
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::recorder::Kind;
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS};
use crate::kubernetes::value::{self, int, is_ready, is_terminating, items, text};

/// A StatefulSet and its pods.
struct Group {
    set: Arc<Value>,
    revisions: Revisions,
    /// By ordinal, with gaps where a pod is missing.
    replicas: Vec<Option<Arc<Value>>>,
    /// Beyond the wanted number, highest ordinal first.
    condemned: Vec<Arc<Value>>,
}

impl Group {
    fn is_ordered(&self) -> bool {
        text(&self.set, "/spec/podManagementPolicy") != "Parallel"
    }

    fn pods(&self) -> Vec<Arc<Value>> {
        let present = self.replicas.iter().flatten();
        present.chain(&self.condemned).cloned().collect()
    }

    fn namespace(&self) -> &str {
        text(&self.set, "/metadata/namespace")
    }

    fn name(&self) -> &str {
        text(&self.set, "/metadata/name")
    }
}

impl Controllers {
    /// Brings a StatefulSet one step nearer.
    pub(super) fn stateful_set(&mut self, namespace: &str, name: &str) {
        let Some(set) = self.get(&STATEFUL_SETS, namespace, name) else {
            return;
        };
        let Some(revisions) = self.revisions(&set) else {
            return;
        };
        let group = self.group(set, revisions);
        if !is_terminating(&group.set) && !self.fill(&group) && !self.shrink(&group) {
            self.renew(&group);
        }
        let Some(set) = self.get(&STATEFUL_SETS, namespace, name) else {
            return;
        };
        let group = self.group(set, group.revisions);
        self.stateful_status(&group);
        self.forget_revisions(&group.set, &group.revisions, &group.pods());
    }

    fn group(&self, set: Arc<Value>, revisions: Revisions) -> Group {
        let namespace = text(&set, "/metadata/namespace");
        let wanted = usize::try_from(int(&set, "/spec/replicas")).unwrap_or(0);
        let start = int(&set, "/spec/ordinals/start");
        let mut replicas = vec![None; wanted];
        let mut condemned = Vec::new();
        for pod in self.controlled(&PODS, namespace, text(&set, "/metadata/uid")) {
            let place = ordinal(&pod).map(|ordinal| ordinal - start);
            match place.and_then(|place| usize::try_from(place).ok()) {
                Some(place) if place < wanted => replicas[place] = Some(pod),
                _ => condemned.push(pod),
            }
        }
        condemned.sort_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
        Group {
            set,
            revisions,
            replicas,
            condemned,
        }
    }

    /// Creates what is missing; in order, where each one waits for those before it. Whether there is something to wait
    /// for.
    fn fill(&mut self, group: &Group) -> bool {
        let start = int(&group.set, "/spec/ordinals/start");
        let mut wait = false;
        for (place, pod) in group.replicas.iter().enumerate() {
            let ordinal = start + i64::try_from(place).unwrap_or(0);
            let blocked = match pod {
                None => {
                    self.create_replica(group, ordinal);
                    true
                }
                Some(pod) if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") => {
                    if !is_terminating(pod) {
                        self.delete_replica(group, pod);
                    }
                    return true;
                }
                Some(pod) => is_terminating(pod) || !self.is_available(&group.set, pod),
            };
            if blocked && group.is_ordered() {
                return true;
            }
            wait |= pod.is_none();
        }
        wait
    }

    /// Deletes what is too much; in order, one after the other. Whether there is something to wait for.
    fn shrink(&mut self, group: &Group) -> bool {
        for pod in &group.condemned {
            if is_terminating(pod) {
                if group.is_ordered() {
                    return true;
                }
                continue;
            }
            self.delete_replica(group, pod);
            if group.is_ordered() {
                return true;
            }
        }
        false
    }

    /// Exchanges the pods of an old template, highest ordinal first, each after the one above it is available.
    fn renew(&mut self, group: &Group) {
        let strategy = &group.set["spec"]["updateStrategy"];
        if strategy["type"] == "OnDelete" {
            return;
        }
        let first = usize::try_from(int(strategy, "/rollingUpdate/partition")).unwrap_or(0);
        for pod in group.replicas.iter().skip(first).rev().flatten() {
            if revision_of(pod) != group.revisions.update_name() && !is_terminating(pod) {
                return self.delete_replica(group, pod);
            }
            if is_terminating(pod) || !self.is_available(&group.set, pod) {
                return;
            }
        }
    }

    fn is_available(&mut self, set: &Value, pod: &Value) -> bool {
        if !is_ready(pod) || text(pod, "/status/phase") != "Running" {
            return false;
        }
        let wait = self.later(int(set, "/spec/minReadySeconds")) - Instant::now();
        let since = self.kubelet.ready_since(text(pod, "/metadata/uid"));
        match since.map(|since| since + wait) {
            Some(due) if due > Instant::now() => {
                let (namespace, name) = (
                    text(set, "/metadata/namespace"),
                    text(set, "/metadata/name"),
                );
                self.look_at(
                    due,
                    Item::StatefulSet(namespace.to_owned(), name.to_owned()),
                );
                false
            }
            _ => true,
        }
    }

    fn create_replica(&mut self, group: &Group, ordinal: i64) {
        let partition = int(&group.set, "/spec/updateStrategy/rollingUpdate/partition");
        let revision = if ordinal < partition {
            &group.revisions.current
        } else {
            &group.revisions.update
        };
        let (pod, claims) = new_replica(&group.set, revision, ordinal);
        for claim in &claims {
            let name = text(claim, "/metadata/name");
            if self
                .get(&PERSISTENT_VOLUME_CLAIMS, group.namespace(), name)
                .is_none()
            {
                let _ = self.create(&PERSISTENT_VOLUME_CLAIMS, group.namespace(), claim);
            }
        }
        let created = self.create(&PODS, group.namespace(), &pod).map(drop);
        self.tell(
            group,
            "Create",
            &pod,
            created.map_err(|error| error.message),
        );
    }

    fn delete_replica(&mut self, group: &Group, pod: &Value) {
        let target = Target::new(&PODS, group.namespace(), text(pod, "/metadata/name"));
        let deleted = self
            .shared
            .write(|store| delete::delete(store, &target, &Options::default()));
        self.tell(
            group,
            "Delete",
            pod,
            deleted.map(drop).map_err(|error| error.message),
        );
    }

    fn tell(&mut self, group: &Group, verb: &str, pod: &Value, result: Result<(), String>) {
        let what = format!(
            "{verb} Pod {} in StatefulSet {}",
            text(pod, "/metadata/name"),
            group.name()
        );
        let (kind, reason, message) = match (result, verb) {
            (Ok(()), "Create") => (
                Kind::Normal,
                "SuccessfulCreate",
                format!("{what} successful"),
            ),
            (Ok(()), _) => (
                Kind::Normal,
                "SuccessfulDelete",
                format!("{what} successful"),
            ),
            (Err(why), "Create") => (
                Kind::Warning,
                "FailedCreate",
                format!("{what} failed error: {why}"),
            ),
            (Err(why), _) => (
                Kind::Warning,
                "FailedDelete",
                format!("{what} failed error: {why}"),
            ),
        };
        self.say(&group.set, kind, reason, &message);
    }

    fn stateful_status(&mut self, group: &Group) {
        let pods = group.pods();
        let revisions = &group.revisions;
        let wanted = int(&group.set, "/spec/replicas");
        let count = |test: &dyn Fn(&Value) -> bool| {
            i64::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap_or(0)
        };
        let of = |name: &str| count(&|pod| !is_terminating(pod) && revision_of(pod) == name);
        let ready = count(&|pod| text(pod, "/status/phase") == "Running" && is_ready(pod));
        let mut available = 0;
        for pod in &pods {
            available += i64::from(self.is_available(&group.set, pod));
        }
        let updated = of(revisions.update_name());
        let mut current = (of(revisions.current_name()), revisions.current_name());
        let rolling = text(&group.set, "/spec/updateStrategy/type") == "RollingUpdate";
        let all = count(&|_| true);
        if rolling && updated == wanted && ready == wanted && all == wanted {
            current = (updated, revisions.update_name());
        }
        let mut status = json!({
            "observedGeneration": group.set["metadata"]["generation"],
            "replicas": all,
            "availableReplicas": available,
            "currentRevision": current.1,
            "updateRevision": revisions.update_name(),
            "collisionCount": 0,
        });
        for (field, count) in [
            ("readyReplicas", ready),
            ("currentReplicas", current.0),
            ("updatedReplicas", updated),
        ] {
            if count != 0 {
                status[field] = count.into();
            }
        }
        if status != group.set["status"] {
            let target = Target::new(&STATEFUL_SETS, group.namespace(), group.name()).status();
            let _ = self.modify(&target, |live| live["status"] = status);
        }
    }
}

fn ordinal(pod: &Value) -> Option<i64> {
    text(pod, "/metadata/name").rsplit_once('-')?.1.parse().ok()
}

/// A pod with its identity, and the claims that belong to it.
fn new_replica(set: &Value, revision: &Value, ordinal: i64) -> (Value, Vec<Value>) {
    let name = format!("{}-{ordinal}", text(set, "/metadata/name"));
    let template = template_of(revision);
    let mut labels = template["metadata"]["labels"].clone();
    labels["controller-revision-hash"] = revision["metadata"]["name"].clone();
    labels["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    let mut metadata = json!({
        "name": name,
        "generateName": format!("{}-", text(set, "/metadata/name")),
        "labels": labels,
        "ownerReferences": value::owner_reference(set),
    });
    if let Some(annotations) = template["metadata"].get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let mut spec = template["spec"].clone();
    spec["hostname"] = name.clone().into();
    if let Some(service) = set["spec"].get("serviceName") {
        spec["subdomain"] = service.clone();
    }
    let claims = claims(set, &name, &mut spec);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    (pod, claims)
}

/// The claims of a pod, which take the place of the template's volumes of the same names.
fn claims(set: &Value, pod: &str, spec: &mut Value) -> Vec<Value> {
    let templates = items(set, "/spec/volumeClaimTemplates");
    let mut volumes = items(spec, "/volumes").to_vec();
    let mut claims = Vec::new();
    for template in templates {
        let volume = text(template, "/metadata/name");
        let claim = format!("{volume}-{pod}");
        volumes.retain(|other| other["name"] != volume);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        claims.push(json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": claim,
                "labels": set["spec"]["selector"]["matchLabels"],
            },
            "spec": template["spec"],
        }));
    }
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_its_identity_and_its_claims() {
        let set = json!({"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"x": 1}}],
        }});
        let revision = json!({"metadata": {"name": "db-1"}, "data": {"spec": {"template": {
            "$patch": "replace", "metadata": {"labels": {"app": "db"}}, "spec": {}
        }}}});
        let (pod, claims) = new_replica(&set, &revision, 2);
        assert_eq!(pod["metadata"]["name"], "db-2");
        assert_eq!(ordinal(&pod), Some(2));
        assert_eq!(
            pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"],
            "2"
        );
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}}])
        );
        assert_eq!(claims[0]["metadata"]["name"], "data-db-2");
    }
}
