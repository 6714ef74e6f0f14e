//! Validates Service, Ingress and network rules.

use std::net::IpAddr;

use super::labels::{annotation_keys, label_entries};
use super::problems::{Problems, shown};
use crate::app::{App, Kind};
use crate::names;
use crate::network::{Egress, EgressRule, IngressFrom, NetworkRules};
use crate::traffic::{IngressRoute, ServiceType};

const NAMESPACE_RULE: &str = "isn't a valid name of a namespace";
const PORT_RULE: &str = "must be between 1 and 65535";

pub(super) fn check(app: &App, found: &mut Problems) {
    service(app, found);
    if app.network.enabled {
        network(&app.network, found);
    }
}

fn service(app: &App, found: &mut Problems) {
    if app.kind == Kind::Worker {
        found.require(
            app.ingress.is_none(),
            "ingress",
            "a worker has no port to route to",
        );
        return;
    }
    found.require(app.service_port != 0, "servicePort", PORT_RULE);
    if app.service == ServiceType::NodePort(Some(0)) {
        found.add(
            "service.nodePort",
            "must be between 1 and 65535, or null to let the cluster choose",
        );
    }
    if let Some(route) = &app.ingress {
        ingress(route, found);
    }
}

fn ingress(route: &IngressRoute, found: &mut Problems) {
    found.require(
        !route.hosts.is_empty(),
        "ingress.hosts",
        "must contain at least one host",
    );
    for (index, host) in route.hosts.iter().enumerate() {
        let name = host.strip_prefix("*.").unwrap_or(host);
        found.require(
            names::is_dns_subdomain(name) && name.parse::<IpAddr>().is_err(),
            format!("ingress.hosts[{index}]"),
            format!(
                "{} must be a lower-case host name, such as shop.example.com or *.example.com",
                shown(host)
            ),
        );
    }
    let path_ok = route.path.starts_with('/')
        && !route.path.contains("//")
        && route.path.chars().all(|c| c.is_ascii_graphic());
    found.require(
        path_ok,
        "ingress.path",
        format!(
            "{} must begin with / and contain neither spaces nor //",
            shown(&route.path)
        ),
    );
    for (path, name) in [
        ("ingress.class", &route.class),
        ("ingress.tlsSecret", &route.tls_secret),
    ] {
        let valid = name.as_deref().is_none_or(names::is_dns_subdomain);
        found.require(valid, path, "must be the name of a Kubernetes object");
    }
    annotation_keys("ingress.annotations", &route.annotations, found);
}

fn network(rules: &NetworkRules, found: &mut Problems) {
    if let IngressFrom::Namespaces(namespaces) = &rules.ingress {
        for name in namespaces.iter().filter(|name| !names::is_dns_label(name)) {
            found.add(
                "network.ingress.namespaces",
                format!("{} {NAMESPACE_RULE}", shown(name)),
            );
        }
    }
    if let Egress::Only(rules) = &rules.egress {
        for (index, rule) in rules.iter().enumerate() {
            egress_rule(&format!("network.egress.only[{index}]"), rule, found);
        }
    }
}

fn egress_rule(path: &str, rule: &EgressRule, found: &mut Problems) {
    if let Some(cidr) = &rule.cidr {
        found.require(
            is_cidr(cidr),
            format!("{path}.cidr"),
            format!(
                "{} must be an IP address and a prefix length, such as 10.20.0.0/16",
                shown(cidr)
            ),
        );
        let only_cidr = rule.namespace.is_none() && rule.pod_labels.is_empty();
        found.require(
            only_cidr,
            path,
            "selects both addresses and pods; split it into two rules",
        );
    }
    let namespace_ok = rule.namespace.as_deref().is_none_or(names::is_dns_label);
    found.require(namespace_ok, format!("{path}.namespace"), NAMESPACE_RULE);
    label_entries(&format!("{path}.podLabels"), &rule.pod_labels, found);
    found.require(!rule.ports.contains(&0), format!("{path}.ports"), PORT_RULE);
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    plain && length.parse::<u8>().is_ok_and(|length| length <= most)
}
