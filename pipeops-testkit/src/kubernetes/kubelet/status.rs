//! The status of a pod, as the kubelet writes it.

use serde_json::{Value, json};

use super::container::{Container, Stage};
use super::pod::Pod;
use crate::kubernetes::names;
use crate::kubernetes::time::now;
use crate::kubernetes::value::{condition, text};

/// The address of the node.
const NODE: &str = "10.0.0.1";

/// The status of a pod as it is now.
pub(super) fn of(object: &Value, pod: &Pod) -> Value {
    let old = &object["status"];
    let phase = phase(object, pod);
    let mut status = json!({
        "phase": phase,
        "observedGeneration": object["metadata"]["generation"],
        "qosClass": old["qosClass"],
        "startTime": pod.started_at,
        "hostIP": NODE,
        "hostIPs": [{"ip": NODE}],
        "resources": {},
    });
    if !pod.address.is_empty() {
        status["podIP"] = pod.address.clone().into();
        status["podIPs"] = json!([{"ip": pod.address}]);
    }
    let statuses = |init: bool| -> Vec<Value> {
        let mut all: Vec<&Container> = pod.containers.iter().filter(|c| c.init == init).collect();
        all.sort_by_key(|container| &container.name);
        all.into_iter()
            .map(|container| container_status(container, pod, initialized(pod)))
            .collect()
    };
    status["containerStatuses"] = statuses(false).into();
    if pod.containers.iter().any(|container| container.init) {
        status["initContainerStatuses"] = statuses(true).into();
    }
    status["conditions"] = conditions(object, pod, phase);
    status
}

fn initialized(pod: &Pod) -> bool {
    pod.containers
        .iter()
        .filter(|c| c.init)
        .all(Container::is_done)
}

fn phase(object: &Value, pod: &Pod) -> &'static str {
    let (mut waiting, mut running, mut failed, mut ended) = (0, 0, 0, 0);
    if !initialized(pod) {
        return "Pending";
    }
    for container in pod.containers.iter().filter(|container| !container.init) {
        match &container.stage {
            Stage::Running { .. } => running += 1,
            Stage::Ended { state, .. } => {
                ended += 1;
                failed += i32::from(state["exitCode"] != 0);
            }
            _ if container.last.is_some() => ended += 1,
            _ => waiting += 1,
        }
    }
    let restarted = text(object, "/spec/restartPolicy") == "Always" && pod.stopped.is_none();
    match (waiting, running, ended) {
        (1.., _, _) => "Pending",
        (0, 1.., _) => "Running",
        _ if restarted => "Running",
        _ if failed > 0 && text(object, "/spec/restartPolicy") == "OnFailure" => "Running",
        _ if failed > 0 => "Failed",
        _ => "Succeeded",
    }
}

fn container_status(container: &Container, pod: &Pod, initialized: bool) -> Value {
    let state = match &container.stage {
        Stage::Running { started_at, .. } => json!({"running": {"startedAt": started_at}}),
        Stage::Ended { state, .. } => json!({ "terminated": state }),
        Stage::Failed {
            reason, message, ..
        } => {
            json!({"waiting": {"reason": reason, "message": message}})
        }
        Stage::Waiting | Stage::Pulling { .. } => {
            let first = if !container.init && !initialized {
                "PodInitializing"
            } else {
                "ContainerCreating"
            };
            json!({"waiting": {"reason": first}})
        }
    };
    // A finished run is shown as the last one as soon as the container is on its way again.
    let last = match (&container.stage, &container.last) {
        (Stage::Ended { .. }, _) | (_, None) => json!({}),
        (_, Some(last)) => json!({ "terminated": last }),
    };
    let is_running = matches!(container.stage, Stage::Running { .. });
    let has_run = is_running || container.last.is_some();
    let mut status = json!({
        "name": container.name,
        "image": container.image,
        "imageID": if has_run { image_id(&container.image) } else { String::new() },
        "ready": if container.init { container.is_done() } else { container.ready },
        "started": is_running && (container.started || container.init),
        "restartCount": container.restarts,
        "state": state,
        "lastState": last,
    });
    if has_run {
        status["containerID"] = container.id(&pod.uid).into();
    }
    status
}

/// The digest form of an image's name.
fn image_id(image: &str) -> String {
    if image.contains('@') {
        return image.to_owned();
    }
    let (host, repository, reference) = crate::kubernetes::behaviour::parts(image);
    let seed = names::fnv(format!("{host}/{repository}:{reference}").as_bytes());
    format!(
        "{host}/{repository}@sha256:{}",
        format!("{seed:016x}").repeat(4)
    )
}

fn conditions(object: &Value, pod: &Pod, phase: &str) -> Value {
    let ended = matches!(phase, "Succeeded" | "Failed");
    let unready: Vec<&str> = pod
        .containers
        .iter()
        .filter(|container| !container.init && !container.ready)
        .map(|container| container.name.as_str())
        .collect();
    let not_ready = match phase {
        "Succeeded" => Some(("PodCompleted", String::new())),
        "Failed" => Some(("PodFailed", String::new())),
        _ if unready.is_empty() => None,
        _ => Some((
            "ContainersNotReady",
            format!("containers with unready status: [{}]", unready.join(" ")),
        )),
    };
    let incomplete: Vec<&str> = pod
        .containers
        .iter()
        .filter(|container| container.init && !container.is_done())
        .map(|container| container.name.as_str())
        .collect();
    let not_initialized = (!incomplete.is_empty() && !ended).then(|| {
        (
            "ContainersNotInitialized",
            format!(
                "containers with incomplete status: [{}]",
                incomplete.join(" ")
            ),
        )
    });
    let no_sandbox = (pod.address.is_empty() || ended).then(|| ("", String::new()));
    let all: Vec<Value> = [
        ("PodReadyToStartContainers", no_sandbox),
        ("Initialized", not_initialized),
        ("Ready", not_ready.clone()),
        ("ContainersReady", not_ready),
        ("PodScheduled", None),
    ]
    .into_iter()
    .map(|(kind, broken)| one_condition(object, kind, broken))
    .collect();
    all.into()
}

fn one_condition(object: &Value, kind: &str, broken: Option<(&str, String)>) -> Value {
    let status = if broken.is_none() { "True" } else { "False" };
    let old = condition(&object["status"], kind);
    let since = match old {
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        _ => now().into(),
    };
    let mut new = json!({
        "type": kind,
        "status": status,
        "lastTransitionTime": since,
        "observedGeneration": object["metadata"]["generation"],
    });
    if let Some((reason, message)) = broken {
        for (field, text) in [("reason", reason), ("message", &message)] {
            if !text.is_empty() {
                new[field] = text.into();
            }
        }
    }
    new
}
