//! Rules for Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::status::FieldError;
use super::rules::{Errors, items, port_number};
use super::{names, pod};

/// A Service's spec.
pub(super) fn service(spec: &Value, errors: &mut Errors) {
    let kind = &spec["type"];
    const KINDS: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kind.as_str().is_some_and(|kind| KINDS.contains(&kind)) {
        errors.push(FieldError::not_supported("spec.type", kind, &KINDS));
    }
    if kind == "ExternalName" {
        if spec["externalName"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required("spec.externalName", ""));
        }
        return;
    }
    let headless = spec["clusterIP"] == "None";
    if items(&spec["ports"]).next().is_none() && !headless {
        errors.push(FieldError::required("spec.ports", ""));
    }
    ports(&spec["ports"], errors);
}

fn ports(ports: &Value, errors: &mut Errors) {
    let many = items(ports).count() > 1;
    let (mut seen_names, mut seen_ports) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in items(ports) {
        let path = format!("spec.ports[{index}]");
        match port["name"].as_str().filter(|name| !name.is_empty()) {
            None if many => errors.push(FieldError::required(format!("{path}.name"), "")),
            None => {}
            Some(name) => {
                let error = names::label(name);
                errors
                    .extend(error.map(|why| {
                        FieldError::invalid(format!("{path}.name"), &name.into(), &why)
                    }));
                if !seen_names.insert(name) {
                    errors.push(FieldError::duplicate(format!("{path}.name"), &name.into()));
                }
            }
        }
        port_number(&port["port"], &format!("{path}.port"), errors);
        pod::protocol(&port["protocol"], &path, errors);
        target(&port["targetPort"], &format!("{path}.targetPort"), errors);
        if !seen_ports.insert(format!("{}/{}", port["protocol"], port["port"])) {
            errors.push(FieldError::duplicate(path, port));
        }
    }
}

fn target(target: &Value, path: &str, errors: &mut Errors) {
    match target.as_str() {
        Some(name) => {
            let error = names::port(name);
            errors.extend(error.map(|why| FieldError::invalid(path, target, &why)));
        }
        None => port_number(target, path, errors),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_ports_need_names() {
        let mut errors = Errors::new();
        let port = |number: u16| json!({"port": number, "targetPort": "http", "protocol": "TCP"});
        ports(&json!([port(80), port(81)]), &mut errors);
        assert_eq!(
            errors,
            [
                FieldError::required("spec.ports[0].name", ""),
                FieldError::required("spec.ports[1].name", "")
            ]
        );
    }
}
