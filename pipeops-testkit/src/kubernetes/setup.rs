//! The objects of a new cluster, and its kubeconfig.

use serde_json::json;

use super::request::Target;
use super::resources::{NAMESPACES, NODES, SERVICES};
use super::shared::Shared;
use super::time::now;
use super::write::{self, Writer};

/// The name of the one node.
pub(crate) const NODE: &str = "stand-in";

/// The namespaces, the node and the API server's own Service.
pub(crate) fn first_objects(shared: &Shared) {
    let mut writer = Writer::component("kube-apiserver");
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let target = Target::new(&NAMESPACES, "", "");
        // Nothing is in the way of a first object.
        let _ = shared.write(|store| write::create(store, &target, &object, &mut writer));
    }
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes"},
        "spec": {
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
        },
    });
    let target = Target::new(&SERVICES, "default", "");
    let _ = shared.write(|store| write::create(store, &target, &service, &mut writer));
    let target = Target::new(&NODES, "", "");
    let node = node();
    let _ = shared.write(|store| write::create(store, &target, &node, &mut writer));
}

fn node() -> serde_json::Value {
    let resources = json!({"cpu": "8", "memory": "32Gi", "pods": "500"});
    let time = now();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "Hostname", "address": NODE}],
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
                "lastHeartbeatTime": time,
                "lastTransitionTime": time,
            }],
        },
    })
}

/// A kubeconfig in YAML.
pub(crate) fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: pipeops-testkit\n\
         clusters:\n\
         - name: pipeops-testkit\n  \
           cluster: {{server: \"{url}\"}}\n\
         users:\n\
         - name: pipeops-testkit\n  \
           user: {{}}\n\
         contexts:\n\
         - name: pipeops-testkit\n  \
           context: {{cluster: pipeops-testkit, user: pipeops-testkit, namespace: default}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_is_yaml() {
        let text = kubeconfig("http://127.0.0.1:1");
        let config: serde_json::Value = serde_norway::from_str(&text).unwrap();
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "http://127.0.0.1:1"
        );
    }
}
