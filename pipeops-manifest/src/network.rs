//! Network rules.

use std::collections::{BTreeMap, BTreeSet};

use pipeops_core::names::NAME_LABEL;
use serde::{Deserialize, Serialize};

/// Who may connect to an application's pods, and where the pods may connect to: the source of its NetworkPolicy.
///
/// By default, all pods of the cluster can connect to the application's port (and all addresses, if a node port, load balancer
/// or Ingress publishes it), and the application can connect to everything except the cloud's metadata service. Applications
/// that work without a NetworkPolicy work with this one. [`NetworkRules::strict`] is stricter.
///
/// No rule blocks health checks: traffic between a pod and the kubelet of its node [is always allowed]. DNS is always allowed,
/// too.
///
/// ```
/// use pipeops_manifest::{EgressRule, NetworkRules};
///
/// // From the namespaces of the gateway and the monitoring; to the database and a subnet.
/// let rules = NetworkRules::strict(["istio-system", "monitoring"])
///     .allow(EgressRule::app("db", [5432]))
///     .allow(EgressRule::cidr("10.20.0.0/16", [443]));
/// assert!(rules.enabled);
/// ```
///
/// [is always allowed]: https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NetworkRules {
    /// Whether to create a NetworkPolicy. Default: true.
    pub enabled: bool,
    /// Who may connect to the application's port.
    pub ingress: IngressFrom,
    /// Where the application may connect to.
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

    /// Allows ingress from pods of the same namespace and of these (of the ingress gateway, for example), and egress only to DNS
    /// and to what [`NetworkRules::allow`] adds.
    pub fn strict(namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            enabled: true,
            ingress: IngressFrom::Namespaces(namespaces.into_iter().map(Into::into).collect()),
            egress: Egress::Only(Vec::new()),
        }
    }

    /// Adds a destination to [`Egress::Only`]. Replaces any other egress.
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
    /// All pods of the cluster. All addresses, if a node port, load balancer or Ingress (whose controller may run outside
    /// the cluster) publishes the application.
    #[default]
    Published,
    /// Pods of the application's namespace and of these. Include the ingress gateway's namespace.
    Namespaces(BTreeSet<String>),
    /// All addresses.
    Anywhere,
}

/// Where an application may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Egress {
    /// Everything except the metadata service of clouds (169.254.169.254, fd00:ec2::254), which would give the node's
    /// credentials to anyone who can make the application fetch a URL. Applications that need it for their identity (GKE
    /// Workload Identity) use [`Egress::Anywhere`].
    #[default]
    AnywhereButMetadata,
    /// Everything.
    Anywhere,
    /// DNS and these destinations.
    Only(Vec<EgressRule>),
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct EgressRule {
    /// Addresses, such as `10.20.0.0/16`; `None` selects pods by the other fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// The namespace of the pods. Default: the application's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels of the pods; empty for all pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// TCP ports; empty for all ports and protocols.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
}

impl EgressRule {
    /// Addresses, such as `10.20.0.0/16`.
    pub fn cidr(cidr: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        let rule = Self {
            cidr: Some(cidr.into()),
            ..Self::default()
        };
        rule.with_ports(ports)
    }

    /// The pods of another PipeOps application in the same namespace.
    pub fn app(name: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut rule = Self::default();
        rule.pod_labels.insert(NAME_LABEL.to_owned(), name.into());
        rule.with_ports(ports)
    }

    /// All pods of a namespace.
    pub fn namespace(name: impl Into<String>, ports: impl IntoIterator<Item = u16>) -> Self {
        let rule = Self {
            namespace: Some(name.into()),
            ..Self::default()
        };
        rule.with_ports(ports)
    }

    fn with_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports.extend(ports);
        self
    }
}
