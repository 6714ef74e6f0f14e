//! What the parts of a cluster have in common: programs, names, addresses, and the client.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::error::Result;
use crate::golang::GoModule;
use crate::network::{AddressPlan, NodeNetwork};
use crate::servers::server::Context;

pub(super) const ETCD: GoModule = GoModule {
    name: "etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    ..GoModule::PLAIN
};

pub(super) const KUBERNETES: GoModule = GoModule {
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
pub(super) const NODE: &str = "node";

/// Below the instance's control group, the one for pods.
pub(super) const CGROUP: &str = "node";

/// How long a part may take to start on a machine that is busy with other things.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn plan(context: &Context<'_>) -> AddressPlan {
    AddressPlan::new(context.instance.number)
}

pub(super) fn network(context: &Context<'_>) -> NodeNetwork {
    NodeNetwork::new(&context.instance.id, plan(context))
}

pub(super) fn admin_kubeconfig(context: &Context<'_>) -> PathBuf {
    context.path("admin.kubeconfig")
}

/// kubectl as the administrator; no call takes longer than five seconds.
pub(super) fn kubectl(context: &Context<'_>, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(context.program(&KUBERNETES, "kubectl")?);
    command
        .arg("--kubeconfig")
        .arg(admin_kubeconfig(context))
        .arg("--request-timeout=5s")
        .args(arguments);
    Ok(command)
}
