//! NetworkPolicy and PodDisruptionBudget.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::Metadata;
use crate::app::{App, Kind};
use crate::network::{Egress, EgressRule, IngressFrom, NetworkRules};
use crate::traffic::ServiceType;

/// The label with the name of a namespace, which every namespace has.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// The metadata services of clouds, for IPv4 and IPv6.
const METADATA_SERVICES: [(&str, &str); 2] = [
    ("0.0.0.0/0", "169.254.169.254/32"),
    ("::/0", "fd00:ec2::254/128"),
];

/// Lets a node drain evict one pod at a time. With fewer than two replicas there is none, because it would block every drain.
pub(super) fn disruption_budget(app: &App, metadata: &Metadata) -> Option<PodDisruptionBudget> {
    (app.replicas >= 2).then(|| PodDisruptionBudget {
        metadata: metadata.object(&app.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(metadata.selector()),
            // Pods that never become ready must not block a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}

pub(super) fn network_policy(app: &App, metadata: &Metadata) -> Option<NetworkPolicy> {
    let rules = &app.network;
    rules.enabled.then(|| NetworkPolicy {
        metadata: metadata.object(&app.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(metadata.selector()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress_rules(app, rules)),
            egress: Some(egress_rules(&rules.egress)),
        }),
    })
}

fn ingress_rules(app: &App, rules: &NetworkRules) -> Vec<NetworkPolicyIngressRule> {
    if app.kind == Kind::Worker {
        return Vec::new();
    }
    let port = IntOrString::String(app.health.port_name().to_owned());
    vec![NetworkPolicyIngressRule {
        ports: Some(vec![policy_port(port, "TCP")]),
        from: ingress_peers(app, &rules.ingress),
    }]
}

fn policy_port(port: IntOrString, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(port),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

/// `None` allows all addresses.
fn ingress_peers(app: &App, from: &IngressFrom) -> Option<Vec<NetworkPolicyPeer>> {
    // Requests through a node port or load balancer come from addresses of no pod.
    let published = app.service != ServiceType::ClusterIp || app.ingress.is_some();
    match from {
        IngressFrom::Anywhere => None,
        IngressFrom::Published if published => None,
        IngressFrom::Published => Some(vec![in_namespace(LabelSelector::default())]),
        IngressFrom::Namespaces(names) => {
            let own = NetworkPolicyPeer {
                pod_selector: Some(LabelSelector::default()),
                ..NetworkPolicyPeer::default()
            };
            let others = names.iter().map(|name| in_namespace(namespace_named(name)));
            Some(std::iter::once(own).chain(others).collect())
        }
    }
}

fn in_namespace(selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(selector),
        ..NetworkPolicyPeer::default()
    }
}

fn egress_rules(egress: &Egress) -> Vec<NetworkPolicyEgressRule> {
    match egress {
        Egress::Anywhere => vec![NetworkPolicyEgressRule::default()],
        Egress::AnywhereButMetadata => vec![dns(), anywhere_but_metadata()],
        Egress::Only(rules) => std::iter::once(dns())
            .chain(rules.iter().map(destination))
            .collect(),
    }
}

/// DNS everywhere: its namespace and labels differ between clusters, and node-local caches aren't pods.
fn dns() -> NetworkPolicyEgressRule {
    let port = |protocol| policy_port(IntOrString::Int(53), protocol);
    NetworkPolicyEgressRule {
        ports: Some(vec![port("UDP"), port("TCP")]),
        to: None,
    }
}

fn anywhere_but_metadata() -> NetworkPolicyEgressRule {
    // Some network plugins don't match pods by address, so all pods of the cluster are allowed explicitly.
    let pods = in_namespace(LabelSelector::default());
    let blocks = METADATA_SERVICES.map(|(all, except)| block(all, Some(except)));
    NetworkPolicyEgressRule {
        to: Some(blocks.into_iter().chain([pods]).collect()),
        ports: None,
    }
}

fn block(cidr: &str, except: Option<&str>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_owned(),
            except: except.map(|except| vec![except.to_owned()]),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn destination(rule: &EgressRule) -> NetworkPolicyEgressRule {
    let peer = match &rule.cidr {
        Some(cidr) => block(cidr, None),
        None => NetworkPolicyPeer {
            namespace_selector: rule.namespace.as_deref().map(namespace_named),
            pod_selector: Some(LabelSelector {
                match_labels: Some(rule.pod_labels.clone()),
                ..LabelSelector::default()
            }),
            ip_block: None,
        },
    };
    let port = |port: &u16| policy_port(IntOrString::Int(i32::from(*port)), "TCP");
    let ports = rule.ports.iter().map(port);
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: (!rule.ports.is_empty()).then(|| ports.collect()),
    }
}

fn namespace_named(name: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(
            NAMESPACE_LABEL.to_owned(),
            name.to_owned(),
        )])),
        ..LabelSelector::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;
    use crate::traffic::IngressRoute;

    fn policy(app: &App) -> Value {
        let metadata = Metadata::of(app, &fixtures::revision());
        serde_json::to_value(network_policy(app, &metadata).unwrap()).unwrap()["spec"].clone()
    }

    #[test]
    fn one_replica_has_no_budget() {
        let budget = |app: App| disruption_budget(&app, &Metadata::of(&app, &fixtures::revision()));
        assert!(budget(fixtures::app().replicas(1)).is_none());
        let budget = budget(fixtures::app().replicas(2)).unwrap().spec.unwrap();
        assert_eq!(budget.max_unavailable, Some(IntOrString::Int(1)));
        assert_eq!(budget.min_available, None);
    }

    #[test]
    fn the_default_admits_the_cluster_and_more_only_when_published() {
        let from = |app: &App| policy(app)["ingress"][0]["from"].clone();
        let app = fixtures::app();
        assert_eq!(from(&app), json!([{"namespaceSelector": {}}]));
        assert_eq!(
            from(&app.clone().service(ServiceType::NodePort(None))),
            Value::Null
        );
        assert_eq!(
            from(&app.ingress(IngressRoute::new("a.example.com"))),
            Value::Null
        );
    }

    #[test]
    fn the_default_keeps_the_metadata_service_away_and_nothing_else() {
        let egress = &policy(&fixtures::app())["egress"];
        assert_eq!(
            egress[0]["ports"],
            json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}])
        );
        assert_eq!(
            egress[1]["to"][0]["ipBlock"],
            json!({"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]})
        );
        assert_eq!(egress[1]["ports"], Value::Null);
    }

    #[test]
    fn strict_admits_the_gateway_and_lets_out_to_what_is_named() {
        let rules = NetworkRules::strict(["istio-system"])
            .allow(EgressRule::app("db", [5432]))
            .allow(EgressRule::cidr("10.20.0.0/16", []));
        let spec = policy(&fixtures::app().network(rules));
        assert_eq!(
            spec["ingress"][0]["from"],
            json!([{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}}])
        );
        assert_eq!(spec["egress"].as_array().unwrap().len(), 3);
        assert_eq!(
            spec["egress"][1]["to"][0]["podSelector"]["matchLabels"],
            json!({"app.kubernetes.io/name": "db"})
        );
        assert_eq!(spec["egress"][1]["ports"][0]["port"], 5432);
        assert_eq!(spec["egress"][2]["ports"], Value::Null);
    }

    #[test]
    fn nobody_connects_to_a_worker() {
        let spec = policy(&fixtures::app().worker());
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
        assert!(spec.get("ingress").is_none_or(|rules| rules == &json!([])));
    }

    #[test]
    fn no_rules_write_no_policy() {
        let app = fixtures::app().network(NetworkRules::off());
        assert!(network_policy(&app, &Metadata::of(&app, &fixtures::revision())).is_none());
    }
}
