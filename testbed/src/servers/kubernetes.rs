//! Kubernetes: etcd, the API server, the controllers and the scheduler on the host; containerd, kubelet and kube-proxy as
//! one node in namespaces of its own. Pods are real.

mod control_plane;
mod node;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Context, Server, probe};
use crate::cgroup;
use crate::error::Result;
use crate::golang::GoModule;
use crate::health::{self, Health};
use crate::network::{AddressPlan, NodeNetwork};

const ETCD: GoModule = GoModule {
    name: "etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    ..GoModule::PLAIN
};

const KUBERNETES: GoModule = GoModule {
    name: "kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ],
    // Without it the servers say that they are v0.0.0-master, which clients take for very old.
    linker_flags: "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
                   -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    ..GoModule::PLAIN
};

/// The name of the one node.
const NODE: &str = "node";

/// Below the instance's control group, the one for pods.
const CGROUP: &str = "node";
/// How long a part may take to start on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(120);

/// `kubernetes`.
#[derive(Debug)]
pub struct Kubernetes;

impl Server for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn summary(&self) -> &'static str {
        "Kubernetes v1.36 with one real node"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["registry"]
    }

    fn packages(&self) -> &'static [&'static str] {
        &[
            "conntrack",
            "containerd",
            "containernetworking-plugins",
            "iproute2",
            "iptables",
            "openssl",
            "runc",
        ]
    }

    fn modules(&self) -> &'static [&'static GoModule] {
        &[&ETCD, &KUBERNETES]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        network(context).create()?;
        cgroup::create(&context.instance.id, CGROUP)?;
        control_plane::start(context)?;
        node::start(context)?;
        control_plane::await_default_service_account(context)
    }

    fn health(&self, context: &Context<'_>) -> Health {
        context.all_alive()?;
        let etcd = context.address("etcd").map_err(|error| error.to_string())?;
        health::http(&etcd, "/health", &[200])?;
        probe(
            &mut kubectl(context, &["get", "--raw", "/readyz"])
                .map_err(|error| error.to_string())?,
        )?;
        node::health(context)
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        Ok(format!("https://{}", context.address("kube-apiserver")?))
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            (
                "KUBECONFIG",
                admin_kubeconfig(context).display().to_string(),
            ),
            (
                "KUBECTL",
                context
                    .program(&KUBERNETES, "kubectl")?
                    .display()
                    .to_string(),
            ),
            ("KUBERNETES_NODE_ADDRESS", plan(context).node()),
        ])
    }

    fn clean(&self, context: &Context<'_>) {
        network(context).remove();
        cgroup::remove(&context.instance.id, CGROUP);
    }
}

fn plan(context: &Context<'_>) -> AddressPlan {
    AddressPlan::new(context.instance.number)
}

fn network(context: &Context<'_>) -> NodeNetwork {
    NodeNetwork::new(&context.instance.id, plan(context))
}

fn admin_kubeconfig(context: &Context<'_>) -> PathBuf {
    context.path("admin.kubeconfig")
}

/// kubectl as the administrator; no call takes longer than five seconds.
fn kubectl(context: &Context<'_>, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(context.program(&KUBERNETES, "kubectl")?);
    command
        .arg("--kubeconfig")
        .arg(admin_kubeconfig(context))
        .arg("--request-timeout=5s")
        .args(arguments);
    Ok(command)
}
