//! Kubernetes: etcd, the API server, the controllers and the scheduler on the host; containerd, kubelet and kube-proxy as
//! one node in separate namespaces. Pods are real.

mod control_plane;
mod node;
mod parts;

use self::parts::{CGROUP, ETCD, KUBERNETES, admin_kubeconfig, kubectl, network, plan};
use super::server::{Context, Server, probe};
use crate::cgroup;
use crate::error::Result;
use crate::golang::GoModule;
use crate::health::{self, Health};

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
        let etcd = context.address("etcd")?;
        health::http(&etcd, "/health", &[200])?;
        probe(&mut kubectl(context, &["get", "--raw", "/readyz"])?)?;
        node::health(context)
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        Ok(format!("https://{}", context.address("kube-apiserver")?))
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        let kubectl = context.program(&KUBERNETES, "kubectl")?;
        let config = admin_kubeconfig(context);
        Ok(vec![
            ("KUBECONFIG", config.display().to_string()),
            ("KUBECTL", kubectl.display().to_string()),
            ("KUBERNETES_NODE_ADDRESS", plan(context).node()),
        ])
    }

    fn clean(&self, context: &Context<'_>) {
        network(context).remove();
        cgroup::remove(&context.instance.id, CGROUP);
    }
}
