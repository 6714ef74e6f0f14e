//! The history of a StatefulSet: one ControllerRevision for each of its templates.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Controllers;
use super::new_set::canonical;
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::names;
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::CONTROLLER_REVISIONS;
use crate::kubernetes::value::{self, int, text};

/// The label with the hash of a template.
const HASH: &str = "controller.kubernetes.io/hash";

/// The templates that a StatefulSet comes from and goes to.
pub(super) struct Revisions {
    pub(super) current: Arc<Value>,
    pub(super) update: Arc<Value>,
    /// All, oldest first.
    all: Vec<Arc<Value>>,
}

impl Revisions {
    pub(super) fn current_name(&self) -> &str {
        text(&self.current, "/metadata/name")
    }

    pub(super) fn update_name(&self) -> &str {
        text(&self.update, "/metadata/name")
    }
}

impl Controllers {
    /// The revisions of a StatefulSet; the present template gets one if it has none.
    pub(super) fn revisions(&mut self, set: &Value) -> Option<Revisions> {
        let namespace = text(set, "/metadata/namespace");
        let mut all = self.controlled(&CONTROLLER_REVISIONS, namespace, text(set, "/metadata/uid"));
        all.sort_by_key(|revision| int(revision, "/revision"));
        let next = all.last().map_or(0, |last| int(last, "/revision")) + 1;
        let wanted = data(set);
        let equal = all.iter().rposition(|revision| revision["data"] == wanted);
        let update = match equal {
            Some(at) if at + 1 == all.len() => all[at].clone(),
            Some(at) => {
                // An old template comes back: its revision becomes the newest.
                let target = Target::new(
                    &CONTROLLER_REVISIONS,
                    namespace,
                    text(&all[at], "/metadata/name"),
                );
                let renewed = self.modify(&target, |live| live["revision"] = next.into());
                let renewed = renewed.ok()?;
                all.remove(at);
                all.push(renewed.clone());
                renewed
            }
            None => {
                let revision = new_revision(set, wanted, next);
                let created = self
                    .create(&CONTROLLER_REVISIONS, namespace, &revision)
                    .ok()?;
                all.push(created.clone());
                created
            }
        };
        let known = text(set, "/status/currentRevision");
        let current = all
            .iter()
            .find(|revision| text(revision, "/metadata/name") == known)
            .unwrap_or(&update)
            .clone();
        Some(Revisions {
            current,
            update,
            all,
        })
    }

    /// Deletes revisions beyond the history limit that no pod has.
    pub(super) fn forget_revisions(
        &mut self,
        set: &Value,
        revisions: &Revisions,
        pods: &[Arc<Value>],
    ) {
        let in_use = |revision: &Value| {
            let name = text(revision, "/metadata/name");
            name == revisions.current_name()
                || name == revisions.update_name()
                || pods.iter().any(|pod| revision_of(pod) == name)
        };
        let idle: Vec<&Arc<Value>> = revisions.all.iter().filter(|r| !in_use(r)).collect();
        let limit = usize::try_from(int(set, "/spec/revisionHistoryLimit")).unwrap_or(0);
        for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
            let target = Target::new(
                &CONTROLLER_REVISIONS,
                text(set, "/metadata/namespace"),
                text(revision, "/metadata/name"),
            );
            let _ = self
                .shared
                .write(|store| delete::delete(store, &target, &Options::default()));
        }
    }
}

/// The revision that a pod was made from.
pub(super) fn revision_of(pod: &Value) -> &str {
    text(pod, "/metadata/labels/controller-revision-hash")
}

/// The template, as a patch that puts it back.
fn data(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision holds.
pub(super) fn template_of(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Value::Object(fields) = &mut template {
        fields.remove("$patch");
    }
    template
}

fn new_revision(set: &Value, data: Value, number: i64) -> Value {
    let hash = names::template_hash(canonical(&data).as_bytes(), 0);
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[HASH] = hash.clone().into();
    let mut revision = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}-{hash}", text(set, "/metadata/name")),
            "labels": labels,
            "ownerReferences": value::owner_reference(set),
        },
        "data": data,
        "revision": number,
    });
    if let Some(annotations) = set["metadata"].get("annotations") {
        revision["metadata"]["annotations"] = annotations.clone();
    }
    revision
}
