//! The network namespace of the Kubernetes node.
//!
//! kube-proxy's chains, the bridge of the pods and their routes live in it and vanish with it. A veth pair links it to the
//! host, which has routes to pods and Services through it: both can be reached from the host. Two rules make the loopback
//! address mean the same on both sides: a connection from the node to `127.0.0.1` arrives at the host's `127.0.0.1`. So
//! `127.0.0.1:PORT/app` names one image for BuildKit on the host and for containerd on the node.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::command::run;
use crate::error::Result;

/// The addresses of one instance: `10.(200 + number).0.0/16`.
#[derive(Debug, Clone, Copy)]
pub struct AddressPlan {
    second: u8,
}

impl AddressPlan {
    /// The plan of the instance with this number, below 50.
    pub fn new(number: u8) -> Self {
        Self {
            second: 200 + number,
        }
    }

    /// Addresses of pods.
    pub fn pods(self) -> String {
        format!("10.{}.0.0/20", self.second)
    }

    /// Addresses of Services.
    pub fn services(self) -> String {
        format!("10.{}.16.0/20", self.second)
    }

    /// The Service that a cluster's DNS has by custom: the tenth.
    pub fn dns(self) -> String {
        format!("10.{}.16.10", self.second)
    }

    /// The host's end of the link.
    pub fn host(self) -> String {
        format!("10.{}.255.1", self.second)
    }

    /// The node's end of the link, its InternalIP.
    pub fn node(self) -> String {
        format!("10.{}.255.2", self.second)
    }

    /// Whether none of these routes leads into the range. A wider one, as a VPN may have for all of `10.0.0.0/8`, is no
    /// obstacle: ours go first where they differ.
    pub fn is_free(self, routes: &[(Ipv4Addr, u8)]) -> bool {
        !routes
            .iter()
            .any(|(address, bits)| *bits >= 16 && address.octets()[..2] == [10, self.second])
    }
}

/// The routes of this machine other than the default one.
pub fn routes() -> Result<Vec<(Ipv4Addr, u8)>> {
    let listing = run(Command::new("ip").args(["-4", "route", "show"]))?;
    Ok(listing.lines().filter_map(parse_route).collect())
}

fn parse_route(line: &str) -> Option<(Ipv4Addr, u8)> {
    let target = line.split_whitespace().next()?;
    let (address, bits) = target.split_once('/').unwrap_or((target, "32"));
    Some((address.parse().ok()?, bits.parse().ok()?))
}

/// A network namespace linked to the host.
#[derive(Debug)]
pub struct NodeNetwork {
    name: String,
    host_link: String,
    node_link: String,
    plan: AddressPlan,
}

impl NodeNetwork {
    /// The namespace of the instance with this id and plan; nothing is created yet.
    pub fn new(id: &str, plan: AddressPlan) -> Self {
        // Names of interfaces have at most 15 characters.
        Self {
            name: format!("pipeops-{id}"),
            host_link: format!("po{id}h"),
            node_link: format!("po{id}n"),
            plan,
        }
    }

    /// The file that `nsenter --net=` takes.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Creates the namespace, the link, the routes and the rules.
    pub fn create(&self) -> Result<()> {
        let (name, outer, inner) = (&self.name, &self.host_link, &self.node_link);
        let (host, node) = (self.plan.host(), self.plan.node());
        sh(&format!(
            "set -e
            ip netns add {name}
            ip link add {outer} type veth peer name {inner} netns {name}
            ip addr add {host}/30 dev {outer}
            ip link set {outer} up
            ip -n {name} addr add {node}/30 dev {inner}
            ip -n {name} link set lo up
            ip -n {name} link set {inner} up
            ip -n {name} route add default via {host}
            ip route add {pods} via {node}
            ip route add {services} via {node}
            echo 1 > /proc/sys/net/ipv4/conf/{outer}/route_localnet
            iptables -w -t nat -A {host_rule}",
            pods = self.plan.pods(),
            services = self.plan.services(),
            host_rule = self.host_rule(),
        ))?;
        self.configure_inside()
    }

    /// Removes all of it; parts that are not there are passed over.
    pub fn remove(&self) {
        let (name, outer) = (&self.name, &self.host_link);
        let rule = self.host_rule();
        let _ = sh(&format!(
            "while iptables -w -t nat -C {rule}; do iptables -w -t nat -D {rule}; done
            ip link del {outer}
            ip netns del {name}"
        ));
    }

    /// Inside, other than outside, forwarding is on. Bridged packets go through iptables where the kernel can do that, as
    /// kube-proxy expects; where it cannot, see `masqueradeAll` of kube-proxy.
    fn configure_inside(&self) -> Result<()> {
        let (inner, host) = (&self.node_link, self.plan.host());
        let script = format!(
            "set -e
            cd /proc/sys/net
            echo 1 > ipv4/ip_forward
            echo 1 > ipv4/conf/{inner}/route_localnet
            if test -e bridge/bridge-nf-call-iptables; then echo 1 > bridge/bridge-nf-call-iptables; fi
            iptables -w -t nat -A OUTPUT -d 127.0.0.1 -p tcp -j DNAT --to-destination {host}
            iptables -w -t nat -A POSTROUTING -s 127.0.0.1 -o {inner} -j MASQUERADE"
        );
        run(Command::new("nsenter")
            .arg(format!("--net={}", self.path()))
            .args(["sh", "-c", &script]))
        .map(drop)
    }

    fn host_rule(&self) -> String {
        let (outer, host) = (&self.host_link, self.plan.host());
        format!("PREROUTING -i {outer} -d {host} -p tcp -j DNAT --to-destination 127.0.0.1")
    }
}

fn sh(script: &str) -> Result<String> {
    run(Command::new("sh").args(["-c", script]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        assert_eq!(
            parse_route("10.88.0.0/16 dev br0 proto kernel"),
            Some((Ipv4Addr::new(10, 88, 0, 0), 16))
        );
        assert_eq!(
            parse_route("192.0.2.7 via 192.0.2.1 dev eth0"),
            Some((Ipv4Addr::new(192, 0, 2, 7), 32))
        );
        assert_eq!(parse_route("default via 192.0.2.1 dev eth0"), None);
    }

    #[test]
    fn a_range_with_a_route_into_it_is_not_free() {
        let plan = AddressPlan::new(3);
        assert!(plan.is_free(&[
            (Ipv4Addr::new(10, 202, 0, 0), 16),
            (Ipv4Addr::new(192, 168, 0, 0), 16)
        ]));
        assert!(!plan.is_free(&[(Ipv4Addr::new(10, 203, 40, 0), 24)]));
        assert!(plan.is_free(&[(Ipv4Addr::new(10, 0, 0, 0), 8)]));
    }

    #[test]
    fn names_of_interfaces_fit() {
        let network = NodeNetwork::new("0123abcd", AddressPlan::new(0));
        assert!(network.host_link.len() <= 15);
    }
}
