//! The EndpointSlice controller: the addresses of the pods of a Service.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Controllers;
use crate::kubernetes::delete::{self, Options};
use crate::kubernetes::names;
use crate::kubernetes::request::Target;
use crate::kubernetes::resources::{ENDPOINT_SLICES, PODS, SERVICES};
use crate::kubernetes::selector::LabelSelector;
use crate::kubernetes::value::{self, is_ready, items, text};

/// Who manages the slices.
const MANAGER: &str = "endpointslice-controller.k8s.io";

impl Controllers {
    /// Writes the slice of a Service.
    pub(super) fn endpoints(&mut self, namespace: &str, name: &str) {
        let slices = self.slices(namespace, name);
        let Some(service) = self.get(&SERVICES, namespace, name) else {
            return self.delete_slices(namespace, &slices);
        };
        let selector = &service["spec"]["selector"];
        if selector.as_object().is_none_or(serde_json::Map::is_empty) {
            // Without a selector the slices are the user's own.
            return;
        }
        let selector = LabelSelector::of_map(selector);
        let pods: Vec<Arc<Value>> = self.shared.read(|store| {
            store
                .list(&PODS, Some(namespace))
                .filter(|(_, pod)| selector.matches(&pod["metadata"]["labels"]))
                .filter(|(_, pod)| !text(pod, "/status/podIP").is_empty())
                .filter(|(_, pod)| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
                .map(|(_, pod)| pod.clone())
                .collect()
        });
        let endpoints: Vec<Value> = pods.iter().map(|pod| endpoint(pod, &service)).collect();
        let ports = ports(&service, pods.first());
        match slices.first() {
            None => self.create_slice(&service, endpoints, ports),
            Some(slice) => {
                if slice["endpoints"].as_array().unwrap_or(&Vec::new()) == &endpoints
                    && slice["ports"].as_array().unwrap_or(&Vec::new()) == &ports
                {
                    return;
                }
                let name = text(slice, "/metadata/name");
                let target = Target::new(&ENDPOINT_SLICES, namespace, name);
                let _ = self.modify(&target, |live| {
                    live["endpoints"] = endpoints.into();
                    live["ports"] = ports.into();
                });
            }
        }
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<Value>> {
        self.shared.read(|store| {
            store
                .list(&ENDPOINT_SLICES, Some(namespace))
                .filter(|(_, slice)| {
                    let labels = &slice["metadata"]["labels"];
                    labels["kubernetes.io/service-name"] == service
                        && labels["endpointslice.kubernetes.io/managed-by"] == MANAGER
                })
                .map(|(_, slice)| slice.clone())
                .collect()
        })
    }

    fn delete_slices(&mut self, namespace: &str, slices: &[Arc<Value>]) {
        for slice in slices {
            let target = Target::new(&ENDPOINT_SLICES, namespace, text(slice, "/metadata/name"));
            let _ = self
                .shared
                .write(|store| delete::delete(store, &target, &Options::now()));
        }
    }

    fn create_slice(&mut self, service: &Value, endpoints: Vec<Value>, ports: Vec<Value>) {
        let name = text(service, "/metadata/name");
        let seed = names::fnv(text(service, "/metadata/uid").as_bytes());
        let mut labels = service["metadata"]["labels"].clone();
        if labels.is_null() {
            labels = json!({});
        }
        labels["kubernetes.io/service-name"] = name.into();
        labels["endpointslice.kubernetes.io/managed-by"] = MANAGER.into();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": names::generate(&format!("{name}-"), seed),
                "generateName": format!("{name}-"),
                "labels": labels,
                "ownerReferences": value::owner_reference(service),
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        let _ = self.create(
            &ENDPOINT_SLICES,
            text(service, "/metadata/namespace"),
            &slice,
        );
    }
}

fn endpoint(pod: &Value, service: &Value) -> Value {
    let terminating = value::is_terminating(pod);
    let serving = is_ready(pod);
    let publish = service["spec"]["publishNotReadyAddresses"] == true;
    json!({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": publish || (serving && !terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    })
}

/// The ports, as numbers: a name is looked up in a pod.
fn ports(service: &Value, pod: Option<&Arc<Value>>) -> Vec<Value> {
    items(service, "/spec/ports")
        .iter()
        .filter_map(|port| {
            let target = &port["targetPort"];
            let number = match target.as_str() {
                None => target.as_i64()?,
                Some(name) => named_port(pod?, name)?,
            };
            let name = port["name"].as_str().unwrap_or_default();
            Some(json!({"name": name, "port": number, "protocol": port["protocol"]}))
        })
        .collect()
}

fn named_port(pod: &Value, name: &str) -> Option<i64> {
    items(pod, "/spec/containers")
        .iter()
        .flat_map(|container| items(container, "/ports"))
        .find(|port| port["name"] == name)
        .and_then(|port| port["containerPort"].as_i64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_name_is_looked_up_in_the_pod() {
        let service =
            json!({"spec": {"ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]}});
        let pod =
            json!({"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}});
        let found = ports(&service, Some(&Arc::new(pod)));
        assert_eq!(
            found,
            [json!({"name": "", "port": 8080, "protocol": "TCP"})]
        );
        assert_eq!(ports(&service, None), Vec::<Value>::new());
    }

    #[test]
    fn a_pod_that_goes_serves_but_is_not_ready() {
        let pod = json!({"metadata": {"deletionTimestamp": "x"}, "status": {"podIP": "1.2.3.4",
            "conditions": [{"type": "Ready", "status": "True"}]}});
        let conditions = endpoint(&pod, &json!({}))["conditions"].clone();
        assert_eq!(
            conditions,
            json!({"ready": false, "serving": true, "terminating": true})
        );
    }
}
