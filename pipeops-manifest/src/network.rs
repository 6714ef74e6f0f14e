//! Who may talk to an application's pods, and whom these may talk to.

use std::collections::{BTreeMap, BTreeSet};

use pipeops_core::names::NAME_LABEL;
use serde::{Deserialize, Serialize};

/// Who may talk to an application's pods, and whom these may talk to.
///
/// By default every pod of the cluster reaches the application's port (and every address, where a node port, a load balancer
/// or an Ingress publishes it), and the application reaches everything but the cloud's metadata service. Applications that
/// work without a policy work with this one. [`NetworkRules::strict`] is tighter.
///
/// No rule can cut the health checks: traffic between a pod and the kubelet of its own node [is always allowed]. DNS is
/// always allowed too.
///
/// [is always allowed]: https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NetworkRules {
    /// Whether a NetworkPolicy is written at all. Default true.
    pub enabled: bool,
    /// Who may connect to the application's port.
    pub ingress: IngressFrom,
    /// Whom the application may connect to.
    pub egress: Egress,
}

impl Default for NetworkRules {
    fn default() -> Self {
        Self {
            enabled: true,
            ingress: IngressFrom::default(),
            egress: Egress::default(),
        }
    }
}

impl NetworkRules {
    /// No NetworkPolicy.
    pub fn off() -> Self {
        Self {
            enabled: false,
            ..Self::default()
        }
    }

    /// Ingress from pods of the same namespace and of these (the ingress gateway's, the monitoring's); egress only DNS and
    /// what [`NetworkRules::allow`] adds.
    pub fn strict(namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            enabled: true,
            ingress: IngressFrom::Namespaces(namespaces.into_iter().map(Into::into).collect()),
            egress: Egress::Only(Vec::new()),
        }
    }

    /// Adds one destination to [`Egress::Only`], and turns any other egress into it.
    #[must_use]
    pub fn allow(mut self, rule: EgressRule) -> Self {
        match &mut self.egress {
            Egress::Only(rules) => rules.push(rule),
            other => *other = Egress::Only(vec![rule]),
        }
        self
    }
}

/// Who may connect to an application's port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum IngressFrom {
    /// Every pod of the cluster. Every address when a node port, a load balancer or an Ingress (whose controller may run
    /// outside of the cluster) publishes the application.
    #[default]
    Published,
    /// Pods of the application's own namespace and of these. Name the ingress gateway's namespace here.
    Namespaces(BTreeSet<String>),
    /// Every address.
    Anywhere,
}

/// Whom an application may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Egress {
    /// Everything but the metadata service of clouds (169.254.169.254, fd00:ec2::254), which hands the node's credentials
    /// to whoever can make the application fetch a URL. Applications that use it as their identity (GKE Workload
    /// Identity) take [`Egress::Anywhere`].
    #[default]
    AnywhereButMetadata,
    /// Everything.
    Anywhere,
    /// DNS and these.
    Only(Vec<EgressRule>),
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct EgressRule {
    /// Addresses, such as `10.20.0.0/16`; none means pods, see the other fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// The namespace of the pods; `None` is the application's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels of the pods; empty means all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// TCP ports; empty means all of them, and UDP.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
}

impl EgressRule {
    /// Addresses, such as `10.20.0.0/16`.
    pub fn cidr(cidr: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            cidr: Some(cidr.into()),
            namespace: None,
            pod_labels: BTreeMap::new(),
            ports: ports.into_iter().collect(),
        }
    }

    /// The pods of another application of PipeOps in this namespace.
    pub fn app(name: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            cidr: None,
            namespace: None,
            pod_labels: BTreeMap::from([(NAME_LABEL.to_owned(), name.into())]),
            ports: ports.into_iter().collect(),
        }
    }

    /// All pods of a namespace.
    pub fn namespace(name: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            cidr: None,
            namespace: Some(name.into()),
            pod_labels: BTreeMap::new(),
            ports: ports.into_iter().collect(),
        }
    }
}
