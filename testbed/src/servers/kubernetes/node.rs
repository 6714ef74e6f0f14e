//! The node: containerd, kubelet and kube-proxy in separate namespaces.

use std::process::Command;

use serde_json::json;

use super::control_plane;
use super::parts::{CGROUP, KUBERNETES, LIMIT, NODE, kubectl, network, plan};
use crate::cgroup;
use crate::error::Result;
use crate::health::{self, Health};
use crate::process::Process;
use crate::servers::server::{Context, probe};

/// Ports on the node's own address, the same in every instance: each has its own address.
const KUBELET_HEALTH: u16 = 10248;
const PROXY_HEALTH: u16 = 10256;

/// Starts the node and returns when Kubernetes says that it is ready.
pub(super) fn start(context: &Context<'_>) -> Result<()> {
    let namespace = start_namespace(context)?;
    start_containerd(context, namespace)?;
    start_kubelet(context, namespace)?;
    context.await_healthy("kubelet", LIMIT, || kubelet_health(context))?;
    start_proxy(context, namespace)?;
    context.await_healthy("kubelet", LIMIT, || is_ready(context))?;
    context.await_healthy("kubelet", LIMIT, || advertise_disk(context))?;
    context.await_healthy("kube-proxy", LIMIT, || proxy_health(context))
}

/// Whether all of the node is well.
pub(super) fn health(context: &Context<'_>) -> Health {
    kubelet_health(context)?;
    proxy_health(context)?;
    is_ready(context)
}

/// The node's first process. It hides the host's directories that containerd and kubelet write to wherever they are told
/// to write, then takes care of orphans: the shell's `wait` reaps them.
fn start_namespace(context: &Context<'_>) -> Result<Process> {
    let log = context.create_directory("var-log")?;
    let ready = context.path("namespace-ready");
    let script = format!(
        "set -e
        mkdir -p /run/containerd /var/log
        mount --bind {log} /var/log
        mount -t tmpfs tmpfs /run/netns
        mount -t tmpfs tmpfs /run/containerd
        mount --make-rshared /
        touch {ready}
        while :; do sleep 86400 & wait $!; done",
        log = log.display(),
        ready = ready.display(),
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let process = context.spawn_in_namespace("node", Some(&network(context).path()), &shell)?;
    context.await_healthy("node", LIMIT, || {
        if ready.exists() {
            Ok(())
        } else {
            Err("its mounts are not there yet".to_owned())
        }
    })?;
    Ok(process)
}

fn start_containerd(context: &Context<'_>, namespace: Process) -> Result<()> {
    context.create_directory("cni")?;
    context.write("cni/10-bridge.conflist", cni_config(context).to_string())?;
    let config = context.write("containerd.toml", containerd_config(context)?)?;
    let mut containerd = context.inside(namespace, "containerd")?;
    containerd.arg("--config").arg(config);
    context.spawn("containerd", &containerd)?;
    let socket = context.instance.socket("containerd");
    context.await_healthy("containerd", LIMIT, || health::unix(&socket))
}

fn start_kubelet(context: &Context<'_>, namespace: Process) -> Result<()> {
    let config = context.write("kubelet.json", kubelet_config(context).to_string())?;
    let mut kubelet = context.inside(namespace, context.program(&KUBERNETES, "kubelet")?)?;
    kubelet
        .arg("--config")
        .arg(config)
        .arg("--kubeconfig")
        .arg(control_plane::kubeconfig(context, "kubelet"))
        .arg("--root-dir")
        .arg(context.path("kubelet"))
        .args(["--hostname-override", NODE])
        .args(["--node-ip", &plan(context).node()]);
    context.spawn("kubelet", &kubelet).map(drop)
}

fn start_proxy(context: &Context<'_>, namespace: Process) -> Result<()> {
    let config = context.write("kube-proxy.json", proxy_config(context).to_string())?;
    let mut proxy = context.inside(namespace, context.program(&KUBERNETES, "kube-proxy")?)?;
    proxy
        .arg("--config")
        .arg(config)
        .args(["--hostname-override", NODE]);
    context.spawn("kube-proxy", &proxy).map(drop)
}

fn kubelet_health(context: &Context<'_>) -> Health {
    node_health(context, KUBELET_HEALTH)
}

fn proxy_health(context: &Context<'_>) -> Health {
    node_health(context, PROXY_HEALTH)
}

fn node_health(context: &Context<'_>, port: u16) -> Health {
    let address = format!("{}:{port}", plan(context).node());
    health::http(&address, "/healthz", &[200])
}

fn is_ready(context: &Context<'_>) -> Health {
    let wait = [
        "wait",
        "--for=condition=Ready",
        "--timeout=1s",
        "node",
        NODE,
    ];
    probe(&mut kubectl(context, &wait)?)
}

/// Says how large the node's disk is. The kubelet does not measure it here (`localStorageCapacityIsolation`), and without
/// the figure no pod that asks for disk is ever scheduled. The kubelet keeps what others have written.
fn advertise_disk(context: &Context<'_>) -> Health {
    let patch = json!({"status": {
        "allocatable": {"ephemeral-storage": "100Gi"},
        "capacity": {"ephemeral-storage": "100Gi"},
    }});
    let subresource = [
        "patch",
        "node",
        NODE,
        "--subresource=status",
        "--type=merge",
    ];
    let mut patch_node = kubectl(context, &subresource)?;
    probe(patch_node.arg("--patch").arg(patch.to_string()))
}

fn containerd_config(context: &Context<'_>) -> Result<String> {
    let registry = context.address("registry")?;
    Ok(format!(
        r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
disable_apparmor = true
restrict_oom_score_adj = true
sandbox_image = "{registry}/pause:1"
stream_server_address = "{node}"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
endpoint = ["http://{registry}"]
"#,
        root = context.path("containerd").display(),
        state = context.path("containerd-state").display(),
        socket = context.instance.socket("containerd").display(),
        node = plan(context).node(),
        cni = context.path("cni").display(),
    ))
}

fn cni_config(context: &Context<'_>) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "testbed",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": context.path("cni-addresses"),
                    "ranges": [[{"subnet": plan(context).pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet_config(context: &Context<'_>) -> serde_json::Value {
    let node = plan(context).node();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node,
        "healthzBindAddress": node,
        "healthzPort": KUBELET_HEALTH,
        // Only this machine reaches the node's address.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::path(&context.instance.id, CGROUP),
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", context.instance.socket("containerd").display()),
        "clusterDomain": "cluster.local",
        // No DNS server answers there; without the setting every pod gets a warning event that no production cluster shows.
        "clusterDNS": [plan(context).dns()],
        "resolvConf": "",
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        // A disk that is nearly full must not evict the pods of a test.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "maxPods": 250,
        "registryPullQPS": 0,
        "serializeImagePulls": false,
        "volumePluginDir": context.path("volume-plugins"),
    })
}

fn proxy_config(context: &Context<'_>) -> serde_json::Value {
    let node = plan(context).node();
    // Without bridged packets in iptables, answers between pods of one bridge must come back over the node.
    let masquerade_all =
        !std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": node,
        "healthzBindAddress": format!("{node}:{PROXY_HEALTH}"),
        "metricsBindAddress": format!("{node}:10249"),
        "clientConnection": {"kubeconfig": control_plane::kubeconfig(context, "kube-proxy")},
        "clusterCIDR": plan(context).pods(),
        "mode": "iptables",
        // The node's loopback belongs to the host, see `network`.
        "iptables": {"localhostNodePorts": false, "masqueradeAll": masquerade_all},
        // The limit is the host's, and read-only in here.
        "conntrack": {"maxPerCore": 0},
    })
}
