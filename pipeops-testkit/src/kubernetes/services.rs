//! Addresses and node ports of Services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::resources::{Resource, SERVICES};
use super::status::{ApiError, ApiResult, FieldError};
use super::store::Store;

const FIRST_NODE_PORT: u64 = 30_000;
const LAST_NODE_PORT: u64 = 32_767;

/// Gives a new Service its address and node ports.
pub(crate) fn allocate(store: &Store, resource: &Resource, object: &mut Value) -> ApiResult<()> {
    if resource.kind != "Service" || object["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    let spec = &mut object["spec"];
    match spec["clusterIP"].as_str() {
        None | Some("") => spec["clusterIP"] = free_address(store).into(),
        Some("None") => {}
        Some(address) if used_addresses(store).contains(address) => {
            let error = FieldError::invalid(
                "spec.clusterIPs",
                &json!([address]),
                "failed to allocate IP: provided IP is already allocated",
            );
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(ApiError::invalid(resource, name, &[error]));
        }
        Some(_) => {}
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
    node_ports(store, spec);
    Ok(())
}

/// A change that does not speak of addresses keeps them.
pub(crate) fn keep_addresses(
    store: &Store,
    resource: &Resource,
    old: &Value,
    new: &mut Value,
) -> ApiResult<()> {
    if resource.kind != "Service" {
        return Ok(());
    }
    if new["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    if new["spec"]["clusterIP"].as_str().is_none_or(str::is_empty) {
        if old["spec"]["clusterIP"].is_null() {
            return allocate(store, resource, new);
        }
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            new["spec"][field] = old["spec"][field].clone();
        }
    }
    for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let twin = old["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|other| other["port"] == port["port"] && other["protocol"] == port["protocol"]);
        if let Some(number) = twin.and_then(|twin| twin.get("nodePort"))
            && port.get("nodePort").is_none()
        {
            port["nodePort"] = number.clone();
        }
    }
    node_ports(store, &mut new["spec"]);
    Ok(())
}

fn used_addresses(store: &Store) -> BTreeSet<String> {
    store
        .list(&SERVICES, None)
        .filter_map(|(_, service)| service["spec"]["clusterIP"].as_str().map(str::to_owned))
        .collect()
}

fn free_address(store: &Store) -> String {
    let used = used_addresses(store);
    // The first address belongs to the API server itself.
    (2..u16::MAX)
        .map(|number| format!("10.96.{}.{}", number >> 8, number & 0xff))
        .find(|address| !used.contains(address))
        .unwrap_or_default()
}

fn node_ports(store: &Store, spec: &mut Value) {
    if !matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
        return;
    }
    let mut used: BTreeSet<u64> = store
        .list(&SERVICES, None)
        .flat_map(|(_, service)| service["spec"]["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["nodePort"].as_u64())
        .collect();
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if port.get("nodePort").is_none() {
            let free = (FIRST_NODE_PORT..=LAST_NODE_PORT).find(|port| !used.contains(port));
            if let Some(free) = free {
                used.insert(free);
                port["nodePort"] = free.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Key;
    use super::*;

    fn service(kind: &str) -> Value {
        json!({"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"port": 80, "protocol": "TCP"}]}})
    }

    #[test]
    fn addresses_and_node_ports_are_unique() {
        let mut store = Store::default();
        let mut first = service("NodePort");
        allocate(&store, &SERVICES, &mut first).unwrap();
        store.put(Key::new(&SERVICES, "a", "1"), first.clone());
        let mut second = service("NodePort");
        allocate(&store, &SERVICES, &mut second).unwrap();
        assert_ne!(first["spec"]["clusterIP"], second["spec"]["clusterIP"]);
        assert_ne!(
            first["spec"]["ports"][0]["nodePort"],
            second["spec"]["ports"][0]["nodePort"]
        );
    }

    #[test]
    fn a_change_keeps_the_address() {
        let mut store = Store::default();
        let mut old = service("ClusterIP");
        allocate(&store, &SERVICES, &mut old).unwrap();
        store.put(Key::new(&SERVICES, "a", "1"), old.clone());
        let mut new = service("ClusterIP");
        keep_addresses(&store, &SERVICES, &old, &mut new).unwrap();
        assert_eq!(new["spec"]["clusterIP"], old["spec"]["clusterIP"]);
    }
}
