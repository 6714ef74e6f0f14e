//! The scheduler: decides whether the node accepts a pod.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::kubernetes::behaviour::Outcome;
use crate::kubernetes::quantity::Quantity;
use crate::kubernetes::recorder::{Kind, Recorder, Said};
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{NODES, PODS};
use crate::kubernetes::selector::LabelSelector;
use crate::kubernetes::setup::NODE;
use crate::kubernetes::shared::Shared;
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::time::now;
use crate::kubernetes::value::{condition, is_active, items, put_condition, text};
use crate::kubernetes::write::{self, Writer};
use crate::serve::lock;

/// When a pod that fits no node is tried again, in the cluster's time.
const RETRY: Duration = Duration::from_secs(5);

/// Places a pod, or says why not; when to try again.
pub(super) fn place(shared: &Shared, recorder: &mut Recorder, pod: &Value) -> Option<Instant> {
    match refusal(shared, pod) {
        None => {
            bind(shared, recorder, pod);
            None
        }
        Some(why) => {
            let said = said(Kind::Warning, "FailedScheduling", &why);
            recorder.record(pod, said);
            tell_unschedulable(shared, pod, &why);
            Some(Instant::now() + shared.options.real(RETRY))
        }
    }
}

fn said<'a>(kind: Kind, reason: &'static str, message: &'a str) -> Said<'a> {
    Said {
        component: "default-scheduler",
        kind,
        reason,
        message,
        field_path: "",
    }
}

fn refusal(shared: &Shared, pod: &Value) -> Option<String> {
    let labels = &pod["metadata"]["labels"];
    let scripted = items(pod, "/spec/containers").iter().find_map(|container| {
        let behaviours = lock(&shared.behaviours);
        match behaviours.find(labels, text(container, "/image")).outcome {
            Outcome::Unschedulable(why) => Some(why),
            _ => None,
        }
    });
    scripted.or_else(|| shared.read(|store| check(store, pod)))
}

/// The real checks: volumes, selector, affinity, resources.
fn check(store: &Store, pod: &Value) -> Option<String> {
    let claim = items(pod, "/spec/volumes")
        .iter()
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .find(|claim| !claim.is_empty());
    if let Some(claim) = claim {
        // The stand-in has no claims.
        return Some(refused(
            &format!("persistentvolumeclaim {claim:?} not found"),
            false,
        ));
    }
    let node = store.get(&Key::new(&NODES, "", NODE))?;
    if node["spec"]["unschedulable"] == true {
        return Some(refused("1 node(s) were unschedulable", false));
    }
    if !selects(pod, node) {
        return Some(refused(
            "1 node(s) didn't match Pod's node affinity/selector",
            false,
        ));
    }
    let all = store.list(&PODS, None).count();
    let demands = ["cpu", "memory"]
        .iter()
        .any(|name| requested(pod, name) > 0)
        || !items(
            pod,
            "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution",
        )
        .is_empty();
    if !demands && (all as i128) * 1000 <= allocatable(node, "pods") {
        // Nothing depends on who else is there: the others need not be looked at.
        return None;
    }
    let others: Vec<&Value> = store
        .list(&PODS, None)
        .map(|(_, other)| &**other)
        .filter(|other| is_active(other) && !text(other, "/spec/nodeName").is_empty())
        .collect();
    if is_repelled(pod, &others) {
        return Some(refused(
            "1 node(s) didn't match pod anti-affinity rules",
            true,
        ));
    }
    missing_resource(pod, node, &others).map(|what| refused(&what, true))
}

fn refused(why: &str, preemption_may_help: bool) -> String {
    let preemption = if preemption_may_help {
        "1 No preemption victims found for incoming pod"
    } else {
        "1 Preemption is not helpful for scheduling"
    };
    format!(
        "0/1 nodes are available: {why}. no new claims to deallocate, preemption: 0/1 nodes are available: {preemption}."
    )
}

fn selects(pod: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let terms = items(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    LabelSelector::of_map(&pod["spec"]["nodeSelector"]).matches(labels)
        && (terms.is_empty()
            || terms.iter().any(|term| {
                // An operator that the stand-in does not know matches nothing.
                LabelSelector::of_object(term).is_ok_and(|selector| selector.matches(labels))
            }))
}

/// Whether a pod demands not to be where another one is.
fn is_repelled(pod: &Value, others: &[&Value]) -> bool {
    items(
        pod,
        "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution",
    )
    .iter()
    .filter_map(|term| LabelSelector::of_object(&term["labelSelector"]).ok())
    .any(|selector| {
        others.iter().any(|other| {
            other["metadata"]["namespace"] == pod["metadata"]["namespace"]
                && selector.matches(&other["metadata"]["labels"])
        })
    })
}

fn missing_resource(pod: &Value, node: &Value, others: &[&Value]) -> Option<String> {
    if others.len() as i128 * 1000 >= allocatable(node, "pods") {
        return Some("1 Too many pods".into());
    }
    let lacking: Vec<String> = ["cpu", "memory"]
        .iter()
        .filter(|name| {
            let wanted = requested(pod, name);
            let used: i128 = others.iter().map(|other| requested(other, name)).sum();
            wanted > 0 && used + wanted > allocatable(node, name)
        })
        .map(|name| format!("1 Insufficient {name}"))
        .collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

/// What a node has to give, in thousandths.
fn allocatable(node: &Value, name: &str) -> i128 {
    let amount = text(node, &format!("/status/allocatable/{name}"));
    Quantity::parse(amount).map_or(0, Quantity::millis)
}

/// What a pod's containers request together, in thousandths.
fn requested(pod: &Value, name: &str) -> i128 {
    items(pod, "/spec/containers")
        .iter()
        .filter_map(|container| container["resources"]["requests"][name].as_str())
        .filter_map(Quantity::parse)
        .map(Quantity::millis)
        .sum()
}

fn target(pod: &Value) -> Target {
    Target::new(
        &PODS,
        text(pod, "/metadata/namespace"),
        text(pod, "/metadata/name"),
    )
}

fn tell_unschedulable(shared: &Shared, pod: &Value, why: &str) {
    let old = condition(&pod["status"], "PodScheduled");
    if old.is_some_and(|old| old["status"] == "False" && old["message"] == why) {
        return;
    }
    let new = json!({
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": why,
        "lastTransitionTime": now(),
        "observedGeneration": pod["metadata"]["generation"],
    });
    let mut writer = Writer::component("kube-scheduler");
    let _ = shared.write(|store| {
        write::modify(store, &target(pod).status(), &mut writer, |live| {
            let mut object = live.clone();
            put_condition(&mut object["status"], new);
            Ok(object)
        })
    });
}

fn bind(shared: &Shared, recorder: &mut Recorder, pod: &Value) {
    let node = NODE;
    let namespace = text(pod, "/metadata/namespace");
    let scheduled = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": now(),
        "observedGeneration": pod["metadata"]["generation"],
    });
    let mut writer = Writer::component("kube-scheduler");
    let bound = shared.write(|store| {
        write::modify(store, &target(pod).status(), &mut writer, |live| {
            let mut object = live.clone();
            put_condition(&mut object["status"], scheduled);
            Ok(object)
        })?;
        write::modify(store, &target(pod), &mut writer, |live| {
            let mut object = live.clone();
            object["spec"]["nodeName"] = node.into();
            Ok(object)
        })
    });
    if bound.is_ok() {
        let name = text(pod, "/metadata/name");
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        recorder.record(pod, said(Kind::Normal, "Scheduled", &message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Value {
        json!({"metadata": {"labels": {"disk": "ssd"}}, "status": {"allocatable":
            {"cpu": "1", "memory": "1Gi", "pods": "2"}}})
    }

    fn pod(cpu: &str) -> Value {
        json!({"metadata": {"namespace": "a", "labels": {"app": "x"}}, "spec": {"nodeName": "n",
            "containers": [{"resources": {"requests": {"cpu": cpu}}}]}})
    }

    #[test]
    fn a_full_node_takes_no_pod() {
        let used = pod("600m");
        assert_eq!(missing_resource(&pod("400m"), &node(), &[&used]), None);
        assert_eq!(
            missing_resource(&pod("500m"), &node(), &[&used]).unwrap(),
            "1 Insufficient cpu"
        );
        assert_eq!(
            missing_resource(&pod("1m"), &node(), &[&used, &used]).unwrap(),
            "1 Too many pods"
        );
    }

    #[test]
    fn selectors_and_affinity_are_kept() {
        let mut wants = pod("1m");
        wants["spec"]["nodeSelector"] = json!({"disk": "hdd"});
        assert!(!selects(&wants, &node()));
        wants["spec"]["nodeSelector"] = json!({"disk": "ssd"});
        assert!(selects(&wants, &node()));
        wants["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!([{"labelSelector": {"matchLabels": {"app": "x"}}}]);
        assert!(is_repelled(&wants, &[&pod("1m")]));
        assert!(!is_repelled(&wants, &[]));
    }
}
